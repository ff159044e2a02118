// SPDX-License-Identifier: GPL-2.0-or-later

// Package nsenter replaces this program by another one, in other namespaces if need
// be: by nsenter(1), for a threaded process enters neither a user namespace nor a
// mount namespace as a whole.
package nsenter

import (
	"fmt"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// Enter is an option of nsenter(1), and what it is for: {"--net", fd}.
type Enter struct {
	Option string
	FD     int
}

// Exec replaces this program by a command in the places, in the order of which
// nsenter decides. options are further ones. It returns only if it cannot.
func Exec(places []Enter, options, command, env []string) error {
	args := []string{"nsenter"}
	for _, e := range places { // nsenter opens them again
		if _, err := unix.FcntlInt(uintptr(e.FD), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("fcntl F_SETFD: %w", err)
		}
		args = append(args, e.Option+"=/dev/fd/"+strconv.Itoa(e.FD))
	}
	args = append(append(args, options...), "--")
	return Run(append(args, command...), env)
}

// Run replaces this program by a command. It returns only if it cannot.
func Run(command, env []string) error {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("run %w", err)
	}
	return fmt.Errorf("run %s: %w", program, unix.Exec(program, command, env))
}
