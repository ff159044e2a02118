// SPDX-License-Identifier: GPL-2.0-or-later

package view

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

// resolvers are where libc's name service asks daemons of the host for addresses: nscd, avahi (nss-mdns)
// and systemd-resolved (nss-resolve, by varlink). A directory is masked where a daemon has one of its
// own: on its next start it makes a new socket, which a mask on the old socket would not hide.
var resolvers = []string{
	"/run/nscd",
	"/run/avahi-daemon",
	"/run/systemd/resolve/io.systemd.Resolve",
}

const null = "/dev/null"

// CheckMask returns an error if a user other than root can change where the path leads: below a directory of
// a user's, or one like /tmp. By a link, the user would choose what is covered in the view of set-uid
// programs. The path is absolute, on the machine whose root directory is root. The file itself may be
// any user's, or missing.
func CheckMask(root, path string) error {
	_, _, err := mount.Follow(root, path)
	if untrusted := (*mount.UntrustedError)(nil); errors.As(err, &untrusted) {
		return fmt.Errorf("mask=%s: a user could change where it leads (%w): use mask=%s, which covers all of it",
			path, err, untrusted.Path)
	}
	if isMissing(err) {
		return nil
	}
	return err
}

// Mask makes path, if it exists, an empty read-only directory if it is a directory, else /dev/null. Symbolic
// links are followed. The calling thread, which the caller must hold, must be in a mount namespace whose
// mounts do not propagate. The path must have passed CheckMask, or come from root.
func Mask(path string) error { return new(View).mask(path) }

func (v *View) mask(path string) error {
	target, err := mount.Pin(path, 0)
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(target)
	var st unix.Stat_t
	if err := unix.Fstat(target, &st); err != nil {
		return fmt.Errorf("stat %s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = v.coverByNothing(target, unix.MOUNT_ATTR_RDONLY)
	} else {
		err = v.coverByNull(target)
	}
	if err != nil {
		return fmt.Errorf("mask %s: %w", path, err)
	}
	return nil
}

func isMissing(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) }

func (v *View) coverByNull(target int) error {
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
	return v.coverBy(target, source)
}
