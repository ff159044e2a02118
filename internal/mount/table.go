// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
)

// Table returns the mount table of the calling thread's mount namespace, as it looks from the thread's "/". A
// filter, unless nil, tells which mounts to skip.
func Table(filter mountinfo.FilterFunc) ([]*mountinfo.Info, error) {
	content, err := nsfs.Read(nsfs.Path(nsfs.Thread, "mountinfo"), 64<<10)
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	table, err := mountinfo.GetMountsFromReader(bytes.NewReader(content), filter)
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	return table, nil
}

// ID returns the ID, as in the mount table, of the mount that the file fd is on. It does not ask the file
// system, which may not answer, or, as a FUSE one, deny root access.
func ID(fd int) (int, error) {
	if HasAPI() { // statx(2) knows it since Linux 5.8
		var st unix.Statx_t
		err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st)
		if err == nil && st.Mask&unix.STATX_MNT_ID != 0 {
			return int(st.Mnt_id), nil
		}
	}
	name := nsfs.Path(nsfs.Thread, "fdinfo/"+strconv.Itoa(fd))
	info, err := nsfs.Read(name, 512)
	if err != nil {
		return 0, fmt.Errorf("mount ID: %w", err)
	}
	for line := range strings.Lines(string(info)) {
		if value, found := strings.CutPrefix(line, "mnt_id:"); found { // Linux 3.15
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, fmt.Errorf("%s has no mount ID", name)
}
