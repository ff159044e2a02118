// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Table reads the mount table of the calling thread's mount namespace, as its
// root directory shows it. A filter, if not nil, says what to skip.
func Table(filter mountinfo.FilterFunc) ([]*mountinfo.Info, error) {
	content, err := read("/proc/thread-self/mountinfo", 64<<10)
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	table, err := mountinfo.GetMountsFromReader(bytes.NewReader(content), filter)
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	return table, nil
}

// read returns the content of a file in /proc, most of which fits into size bytes.
// os.ReadFile would start Go's network poller for it.
func read(name string, size int) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer unix.Close(fd)
	content := make([]byte, 0, size)
	for {
		n, err := unix.Read(fd, content[len(content):cap(content)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", name, err)
		case n == 0:
			return content, nil
		default:
			content = slices.Grow(content[:len(content)+n], 512)
		}
	}
}

// ID returns the ID, as in the mount table, of the mount that the file fd is on. No file system
// is asked: it may not answer, or, as a FUSE one, shut root out.
func ID(fd int) (int, error) {
	if HasAPI() { // statx(2) knows it since Linux 5.8
		var st unix.Statx_t
		err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st)
		if err == nil && st.Mask&unix.STATX_MNT_ID != 0 {
			return int(st.Mnt_id), nil
		}
	}
	name := "/proc/thread-self/fdinfo/" + strconv.Itoa(fd)
	info, err := read(name, 512)
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
