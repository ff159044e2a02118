// SPDX-License-Identifier: GPL-2.0-or-later

// Package proc finds and judges what processes show of themselves in /proc.
package proc

import (
	"errors"
	"strconv"

	"golang.org/x/sys/unix"
)

// Path is a file of a process's: "ns/net".
func Path(pid int, file string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + file
}

// Ended tells whether the error is that of looking at a process or thread that is
// gone, or that has no namespaces any more.
func Ended(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}
