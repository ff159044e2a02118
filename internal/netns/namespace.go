// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"fmt"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
)

// Handle is the descriptor of a namespace, for netlink sockets in it.
type Handle = netns.NsHandle

// New moves the calling thread into a new network namespace and returns a descriptor of it. The owner, nil
// for root, may administer it. The caller must hold the thread for good.
func New(owner *Owner) (int, error) {
	if owner != nil {
		return newOwned(*owner)
	}
	handle, err := netns.New()
	if err != nil {
		return -1, fmt.Errorf("make network namespace: %w", err)
	}
	return int(handle), nil
}

// Join moves the calling thread into the network namespace fd. The caller must hold the thread for good.
func Join(fd int) error {
	if err := netns.Set(netns.NsHandle(fd)); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}

// joinHost moves the calling thread into process 1's network namespace.
func joinHost() error {
	fd, err := nsfs.Open(nsfs.Host, nsfs.Net)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := Join(fd); err != nil {
		return fmt.Errorf("join the host's network namespace: %w", err)
	}
	return nil
}

// RaiseLoopback brings up lo in the calling thread's network namespace: lo gets 127.0.0.1 and ::1.
func RaiseLoopback() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring up lo: socket: %w", err)
	}
	defer unix.Close(socket)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(socket, unix.SIOCGIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring up lo: read flags: %w", err)
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return nil
}

// ID names the namespace fd as /proc does: "net:[4026531840]".
func ID(fd int) string {
	id, err := nsfs.OfFile(fd)
	if err != nil {
		return "net:[?]"
	}
	return fmt.Sprintf("net:[%d]", id.Ino)
}

// identity tells a namespace from all others that have existed since the machine was started. The kernel
// reuses the inode number of one that is gone, with a new change time. A handle or descriptor keeps both.
func identity(fd int) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", fmt.Errorf("stat network namespace: %w", err)
	}
	return fmt.Sprintf("%d@%d.%09d", st.Ino, st.Ctim.Sec, st.Ctim.Nsec), nil
}
