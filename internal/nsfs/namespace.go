// SPDX-License-Identifier: GPL-2.0-or-later

package nsfs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Kind is a kind of namespace, by its name in /proc/PID/ns.
type Kind string

// The kinds.
const (
	Mnt  Kind = "mnt"
	Net  Kind = "net"
	PID  Kind = "pid"
	User Kind = "user"
	IPC  Kind = "ipc"
)

// Processes that are no PID of a user's.
const (
	Thread = 0 // the calling thread, which the caller must hold
	Host   = 1 // process 1: its namespaces are the machine's
)

// ID is the identity of a namespace, or of another file: two IDs are equal if they are of the same one.
// The kernel reuses the ID of a namespace that is gone.
type ID struct{ Dev, Ino uint64 }

// Of returns the ID of a namespace of a process.
func Of(pid int, kind Kind) (ID, error) { return At(Path(pid, "ns/"+string(kind))) }

// At returns the ID of the file that path leads to.
func At(path string) (ID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return ID{}, fmt.Errorf("stat %s: %w", path, err)
	}
	return ID{st.Dev, st.Ino}, nil
}

// OfFile returns the ID of the open file fd.
func OfFile(fd int) (ID, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return ID{}, fmt.Errorf("stat descriptor %d: %w", fd, err)
	}
	return ID{st.Dev, st.Ino}, nil
}

// Open opens a namespace of a process.
func Open(pid int, kind Kind) (fd int, err error) {
	path := Path(pid, "ns/"+string(kind))
	if fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}
