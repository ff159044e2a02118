// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
)

// Enter replaces this program by a command in a network namespace. All else that
// the command sees stays what this program sees. It returns only if it cannot.
func Enter(fd int, command, env []string) error {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("run %w", err)
	}
	runtime.LockOSThread() // exec(2) keeps the thread that calls it
	if err := netns.Join(fd); err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", program, unix.Exec(program, command, env))
}
