// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
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
// Not by statx(2): a FUSE file system may shut root out.
func ID(fd int) (int, error) {
	name := "/proc/thread-self/fdinfo/" + strconv.Itoa(fd)
	info, err := os.ReadFile(name)
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
