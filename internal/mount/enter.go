// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Enter moves the calling thread, which the caller holds for good, into the mount
// namespace fd. The directory root, opened there, becomes its "/" and its working
// directory.
func Enter(fd, root int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare file system attributes: %w", err)
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns mount namespace: %w", err)
	}
	if err := unix.Fchdir(root); err != nil {
		return fmt.Errorf("fchdir /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	return nil
}
