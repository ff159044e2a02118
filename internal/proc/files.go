// SPDX-License-Identifier: GPL-2.0-or-later

package proc

import (
	"fmt"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// CloseOnExec keeps all open files of this program from the programs that it
// starts, but those that it passes on.
func CloseOnExec() error {
	self, err := procfs.Self()
	if err != nil {
		return fmt.Errorf("find open descriptors: %w", err)
	}
	fds, err := self.FileDescriptors()
	if err != nil {
		return fmt.Errorf("list open descriptors: %w", err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(int(fd))
	}
	return nil
}
