// SPDX-License-Identifier: GPL-2.0-or-later

package nsfs

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloseOnExec keeps all open files of this program from the programs that it
// starts, but those that it passes on.
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
