// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// describe begins a report with when and where it is made.
func describe() (r Report, err error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return r, err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return r, err
	}
	return Report{
		Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		Machine: fmt.Sprintf("%s, Linux %s, %d × %s, %s", field("/etc/os-release", "PRETTY_NAME", "="),
			unix.ByteSliceToString(uts.Release[:]), runtime.NumCPU(), field("/proc/cpuinfo", "model name", ":"), runtime.Version()),
		Load: strings.Join(strings.Fields(string(load))[:3], " "),
	}, nil
}

// field returns the first value of a name in a file, "?" if there is none.
func field(file, name, separator string) string {
	content, _ := os.ReadFile(file)
	for line := range strings.Lines(string(content)) {
		if key, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(key) == name {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return "?"
}
