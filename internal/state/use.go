// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"errors"

	"golang.org/x/sys/unix"
)

const useFile = "use"

// Use keeps a name in use: the name is not taken away meanwhile. Any number of processes may do so at a time,
// and nobody waits for the end of it. A Use is an open file description lock (fcntl(2), Linux 3.15), and ends
// when it is closed. The zero Use is none.
type Use struct{ fd int }

// NewUse takes a name into use. ok is false while a process has it alone (TryAlone). If there is no file of
// uses and none can be made, no name can be taken away, and ok is true.
func NewUse(name string) (u Use, ok bool, err error) {
	u.fd, err = openFile(useFile)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) {
		return Use{}, true, nil
	}
	if err != nil {
		return Use{}, false, err
	}
	return u.set(unix.F_RDLCK, name)
}

// TryAlone tells whether a name is not in use, and keeps it so until the Use is closed. The caller must have
// the name's Lock.
func TryAlone(name string) (u Use, ok bool, err error) {
	if u.fd, err = openFile(useFile); err != nil {
		return Use{}, false, err
	}
	return u.set(unix.F_WRLCK, name)
}

func (u Use) set(kind int16, name string) (Use, bool, error) {
	ok, err := set(u.fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Start: offset(name), Len: 1}, useFile)
	if !ok {
		u.Close()
		return Use{}, false, err
	}
	return u, true, nil
}

// Close ends the use.
func (u Use) Close() {
	if u.fd > 0 {
		unix.Close(u.fd)
	}
}

// TryAll calls f if no name is locked or in use. While f runs, none can be.
func TryAll(f func() error) error {
	fd, err := file()
	if err != nil {
		return err
	}
	all := &unix.Flock_t{Type: unix.F_WRLCK}
	if ok, err := set(fd, unix.F_SETLK, all, lockFile); !ok {
		return err
	}
	defer func() { _ = unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_UNLCK}) }()
	use, err := openFile(useFile)
	if err != nil {
		return err
	}
	defer unix.Close(use)
	if ok, err := set(use, unix.F_OFD_SETLK, all, useFile); !ok {
		return err
	}
	return f()
}
