// SPDX-License-Identifier: GPL-2.0-or-later

// Package mask covers paths of the host in a session: sockets through which a
// network namespace can be left without a network.
package mask

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/trust"
)

// Resolvers are where libc's name service asks daemons of the host for
// addresses: nscd, avahi (nss-mdns), systemd-resolved (nss-resolve, by varlink).
// Directories where the daemon has one for itself: its next start makes a new
// socket, which a cover on the old one would not hide.
var Resolvers = []string{
	"/run/nscd",
	"/run/avahi-daemon",
	"/run/systemd/resolve/io.systemd.Resolve",
}

const null = "/dev/null"

// Check refuses a path that leads, if anywhere, where a user can make it lead: below a
// directory of a user's, or one like /tmp. The user would choose by a link what is covered
// in the view of set-uid programs. The path is absolute, on the machine whose root directory
// is root; whose the file itself is does not matter.
func Check(root, path string) error {
	_, _, err := trust.Follow(root, path)
	if untrusted := (*trust.Error)(nil); errors.As(err, &untrusted) {
		return fmt.Errorf("mask=%s: %w: who can change that decides what is covered: use mask=%s, which covers all of it",
			path, err, untrusted.Path)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

// Cover makes path, if it exists, an empty read-only directory if it is a
// directory, else /dev/null. Symbolic links are followed; where they lead is
// returned, or "" if nothing is there. The caller has the path from Check, or trusts who
// decides about it.
//
// The calling thread, which the caller holds, is in a mount namespace whose
// mounts do not propagate.
func Cover(path string) (string, error) {
	target, err := mount.Pin(path, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer unix.Close(target)
	var st unix.Stat_t
	if err := unix.Fstat(target, &st); err != nil {
		return "", fmt.Errorf("stat %s: %w", path, err)
	}
	real, err := mount.Path(target)
	if err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = coverDir(target)
	} else {
		err = coverFile(target)
	}
	if err != nil {
		return "", fmt.Errorf("mask %s: %w", path, err)
	}
	return real, nil
}

func coverDir(target int) error {
	attrs := mount.Attrs(unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC)
	empty, err := mount.New("tmpfs", attrs, "mode=755")
	if err != nil {
		return err
	}
	defer empty.Close()
	return empty.Attach(target)
}

func coverFile(target int) error {
	source, err := mount.Pin(null, unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	var st unix.Stat_t
	if err := unix.Fstat(source, &st); err != nil {
		return fmt.Errorf("stat %s: %w", null, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		return fmt.Errorf("%s is not the null device", null)
	}
	return mount.Cover(target, source)
}
