// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"fmt"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Table reads the mount table of the calling thread's mount namespace, as its
// root directory shows it. A filter, if not nil, says what to skip.
func Table(filter mountinfo.FilterFunc) ([]*mountinfo.Info, error) {
	table, err := mountinfo.GetMounts(filter)
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	return table, nil
}

// ID returns the ID, as in the mount table, of the mount that the file fd is on.
// It wants Linux 5.8, else the error is EOPNOTSUPP.
func ID(fd int) (int, error) {
	var st unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil {
		return 0, fmt.Errorf("statx: %w", err)
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return 0, fmt.Errorf("statx gives no mount ID: %w", unix.EOPNOTSUPP)
	}
	return int(st.Mnt_id), nil
}
