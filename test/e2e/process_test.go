// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// findProcess waits until there is one process of which match is true.
func (h *host) findProcess(t *testing.T, what string, match func(sandbox.Process) bool) int {
	t.Helper()
	var found []sandbox.Process
	expect.Eventually(t, "there is one "+what, func() bool {
		processes, err := h.Processes()
		expect.Check(t, err)
		found = slices.DeleteFunc(processes, func(p sandbox.Process) bool { return !match(p) })
		return len(found) == 1
	})
	return found[0].PID
}

// inspect tells, from outside, what a module must leave as it is in a process
// that hosts a session.
func inspect(t *testing.T, pid int) facts {
	t.Helper()
	state := facts{
		"directories": links(t, pid, "cwd", "root"),
		"namespaces":  links(t, pid, "ns/[^mn]*"), // not mnt and net
		"limits":      strings.Split(procFile(t, pid, "limits"), "\n"),
	}
	for _, target := range links(t, pid, "fd/*") {
		state["descriptors"] = append(state["descriptors"], withoutNumbers(target))
	}
	for _, key := range []string{
		"Threads", "Umask", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt",
		"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
	} {
		state[key] = []string{status(t, pid, key)}
	}
	for line := range strings.Lines(procFile(t, pid, "maps")) {
		// address perms offset dev inode pathname
		if fields := strings.Fields(line); len(fields) > 5 {
			state["mapped"] = append(state["mapped"], strings.Join(fields[5:], " "))
		}
	}
	slices.Sort(state["mapped"])
	state["mapped"] = slices.Compact(state["mapped"])
	return state
}

// compareProcesses checks that Go was never in a process, and that it is like
// another one.
func compareProcesses(t *testing.T, what string, pid, other int) {
	t.Helper()
	state := settle(t, what, func() (got, want facts) { return inspect(t, pid), inspect(t, other) })
	expect.Equal(t, what+": threads", state["Threads"][0], "1")
	for _, mapped := range state["mapped"] {
		if strings.Contains(mapped, "Go:") { // as Linux names the runtime's memory since Go 1.25
			t.Errorf("%s: has mapped %s", what, mapped)
		}
	}
	// A Go runtime reserves more than a gigabyte.
	if got, want := virtualKB(t, pid), virtualKB(t, other); got > want+1024 || got > 1<<20 {
		t.Errorf("%s: has %d kB of address space, should have about %d", what, got, want)
	}
}

// settle checks that look finds what is wanted, if not at once, then soon: a
// process may be about to close something.
func settle(t *testing.T, what string, look func() (got, want facts)) facts {
	t.Helper()
	var got, want facts
	comesTrue(5*time.Second, func() bool {
		got, want = look()
		return maps.EqualFunc(got, want, slices.Equal)
	})
	equalFacts(t, what, got, want)
	return got
}

// links returns where links in a process's directory of /proc lead.
func links(t *testing.T, pid int, patterns ...string) []string {
	t.Helper()
	var targets []string
	for _, pattern := range patterns {
		names, err := filepath.Glob(fmt.Sprintf("/proc/%d/%s", pid, pattern))
		expect.Check(t, err)
		for _, name := range names {
			target, err := os.Readlink(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // closed since
			}
			expect.Check(t, err)
			targets = append(targets, target)
		}
	}
	return targets
}

// virtualKB is the size of a process's address space.
func virtualKB(t *testing.T, pid int) int {
	t.Helper()
	size, err := strconv.Atoi(strings.TrimSuffix(status(t, pid, "VmSize"), " kB"))
	expect.Check(t, err)
	return size
}

// status is a line of /proc/PID/status.
func status(t *testing.T, pid int, key string) string {
	t.Helper()
	_, after, _ := strings.Cut(procFile(t, pid, "status"), "\n"+key+":")
	value, _, _ := strings.Cut(after, "\n")
	return strings.TrimSpace(value)
}

func procFile(t *testing.T, pid int, name string) string {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	expect.Check(t, err)
	return string(content)
}

// remember returns a check that all is as it is now, but for the handles of
// network namespaces: what is mounted, which processes run, and the sshd that
// listens.
func (h *host) remember(t *testing.T) (check func(t *testing.T)) {
	t.Helper()
	mounts, processes, sshd := h.mounts(t), h.processes(t), h.listener(t)
	return func(t *testing.T) {
		t.Helper()
		h.awaitProcesses(t, processes)
		equalFacts(t, "the machine", facts{"mounts": h.mounts(t)}, facts{"mounts": mounts})
		settle(t, "the sshd that listens", func() (got, want facts) { return h.listener(t), sshd })
	}
}

// mounts lists what is mounted on the machine, but for handles.
func (h *host) mounts(t *testing.T) []string {
	t.Helper()
	table, err := sandbox.MountTable(h.PID())
	expect.Check(t, err)
	var lines []string
	for _, m := range table {
		if !strings.HasPrefix(m.Point, "/run/netns") {
			lines = append(lines, fmt.Sprint(m))
		}
	}
	return lines
}

// listener tells what must not change in the sshd that listens, if there is one.
func (h *host) listener(t *testing.T) facts {
	t.Helper()
	pid, err := h.SSHDPID()
	if err != nil {
		return nil
	}
	state := inspect(t, pid)
	state["namespaces"] = links(t, pid, "ns/*")
	return state
}
