// SPDX-License-Identifier: GPL-2.0-or-later

package nsfs

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloseOnExec makes all open files of this program close-on-exec. Programs that it starts get only the files
// that it passes on.
func CloseOnExec() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("list open descriptors: %w", err)
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			return fmt.Errorf("list open descriptors: %w", err)
		}
		unix.CloseOnExec(fd)
	}
	return nil
}

// Read returns the content of a file, which usually has at most size bytes. os.ReadFile would start Go's
// network poller for it.
func Read(name string, size int) ([]byte, error) {
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
