// SPDX-License-Identifier: GPL-2.0-or-later

// Package nsfs identifies namespaces: Of and OfFile return the ID of one, and equal IDs are the same
// namespace. It also has what else this program reads of processes in /proc.
package nsfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Path returns the path of a file of a process in /proc: "ns/net".
func Path(pid int, file string) string {
	if pid == Thread {
		return "/proc/thread-self/" + file
	}
	return "/proc/" + strconv.Itoa(pid) + "/" + file
}

// Ended tells whether err is the error of a look at a process or thread that has ended. A zombie, which
// has no namespaces any more, has ended.
func Ended(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH)
}

// State returns the state of a process as ps(1) shows it, 'T' for a stopped one, and its start time, in a
// form that is good for comparison only.
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
