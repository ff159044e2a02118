// SPDX-License-Identifier: GPL-2.0-or-later

// Package netns makes, joins and checks network namespaces, the unnamed ones and
// those with a name under /run/netns that ip-netns(8) makes and knows, too.
package netns

import (
	"fmt"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// New moves the calling thread, which the caller holds for good, into a new
// network namespace and returns a descriptor of it. It is root's, or its owner's
// to administer.
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

// Join moves the calling thread, which the caller holds for good, into the
// network namespace fd.
func Join(fd int) error {
	if err := netns.Set(netns.NsHandle(fd)); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return nil
}

// RaiseLoopback brings up lo in the calling thread's network namespace, which
// gives it 127.0.0.1 and ::1.
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

// ID names the namespace as /proc does: "net:[4026531840]".
func ID(fd int) string {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "net:[?]"
	}
	return fmt.Sprintf("net:[%d]", st.Ino)
}
