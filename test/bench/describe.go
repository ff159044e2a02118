// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/machine"
)

// describe begins a report with when and where it is made, and finds the directory of the original's
// modules: "" if they are missing.
func describe() (r Report, theirs string, err error) {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return r, "", err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return r, "", err
	}
	r = Report{
		Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		Machine: fmt.Sprintf("%s, Linux %s, %d × %s, %s", field("/etc/os-release", "PRETTY_NAME"),
			unix.ByteSliceToString(uts.Release[:]), runtime.NumCPU(), processor(), runtime.Version()),
		Load: strings.Join(strings.Fields(string(load))[:3], " "),
	}
	r.Original, theirs = findOriginal()
	return r, theirs, nil
}

// findOriginal looks where `make bench` unpacks Debian's package. It returns what it is, or why it is
// missing, and the directory of its modules.
func findOriginal() (what, dir string) {
	modules, _ := filepath.Glob(machine.Out() + "/original/lib/*/security/pam_newnet.so")
	inUsr, _ := filepath.Glob(machine.Out() + "/original/usr/lib/*/security/pam_newnet.so")
	modules = append(modules, inUsr...)
	if len(modules) == 0 {
		return "missing, for Debian's package libpam-net could not be had here (build/unpack.sh out/original libpam-net)", ""
	}
	version := "of a version that is not known"
	if output, err := exec.Command("apt-cache", "show", "--no-all-versions", "libpam-net").Output(); err == nil {
		for line := range strings.Lines(string(output)) {
			if number, ok := strings.CutPrefix(line, "Version: "); ok {
				version = strings.TrimSpace(number)
			}
		}
	}
	return "Debian's libpam-net " + version, filepath.Dir(modules[0])
}

// field is the value of NAME= in a file.
func field(file, name string) string {
	content, _ := os.ReadFile(file)
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return "?"
}

func processor() string {
	content, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
