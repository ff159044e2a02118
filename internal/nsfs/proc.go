// SPDX-License-Identifier: GPL-2.0-or-later

// Package nsfs finds and judges what processes show of themselves in /proc.
package nsfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
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

// State returns the state of a process as ps(1) shows it, 'T' for a stopped one, and
// when the process was started, in a form that is only good for comparison.
func State(pid int) (state byte, start string, err error) {
	text, err := os.ReadFile(Path(pid, "stat"))
	if err != nil {
		return 0, "", err
	}
	// The name, in parentheses, may have any character in it.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const stateField, startField = 0, 19 // 3 and 22, as proc_pid_stat(5) counts
	if len(fields) <= startField {
		return 0, "", fmt.Errorf("%s has %d fields after the name", Path(pid, "stat"), len(fields))
	}
	return fields[stateField][0], string(fields[startField]), nil
}
