// SPDX-License-Identifier: GPL-2.0-or-later

// Package cgroup takes processes out of control groups that users rule, and keeps
// what the setup program of a network leaves running in a group of the network's.
//
// All of it is done by paths below /sys/fs/cgroup, where systemd(1) and others mount
// the hierarchies. The caller is in process 1's mount namespace (mount.InHost).
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
)

const root = "/sys/fs/cgroup"

// membership is the group of a process in one hierarchy.
type membership struct {
	hierarchy string // as in /proc/PID/cgroup: "" for version 2, "cpu,cpuacct", "name=systemd"
	group     string // "/user.slice"
}

// of returns the groups of a process, one for each hierarchy.
func of(pid int) ([]membership, error) {
	text, err := os.ReadFile(nsfs.Path(pid, "cgroup"))
	if err != nil {
		return nil, err
	}
	var all []membership
	for line := range strings.Lines(string(text)) {
		if fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(fields) == 3 {
			all = append(all, membership{fields[1], fields[2]})
		}
	}
	return all, nil
}

// dir returns the directory of the group, "" if its hierarchy is not mounted.
func (m membership) dir() string {
	switch {
	case m.hierarchy != "":
		return filepath.Join(root, strings.TrimPrefix(m.hierarchy, "name="), m.group)
	case isUnified(root):
		return filepath.Join(root, m.group)
	case isUnified(root + "/unified"):
		return filepath.Join(root, "unified", m.group)
	default:
		return ""
	}
}

func isUnified(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// MoveToInit moves a process into the groups of process 1, which are root's and which
// nobody freezes, stops or starves. A process is thawed by that. A hierarchy that is
// not mounted, or read-only, is left as it is, and in the error.
func MoveToInit(pid int) error {
	wanted, err := of(1)
	if err != nil {
		return err
	}
	current, err := of(pid)
	if err != nil {
		return err
	}
	var failed []error
	for _, m := range wanted {
		if !slices.Contains(current, m) {
			failed = append(failed, enter(m.dir(), pid))
		}
	}
	return errors.Join(failed...)
}

// enter moves a process, with all its threads, into the group dir.
func enter(dir string, pid int) error {
	procs, err := os.OpenFile(dir+"/cgroup.procs", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer procs.Close()
	if _, err := procs.WriteString(strconv.Itoa(pid)); err != nil {
		return fmt.Errorf("move process %d: %w", pid, err)
	}
	return nil
}

// IsFrozen tells whether a process is in a group that is frozen, by itself or with
// one above it.
func IsFrozen(pid int) bool {
	groups, err := of(pid)
	if err != nil {
		return false
	}
	for _, m := range groups {
		switch {
		case m.hierarchy == "":
			events, err := os.ReadFile(m.dir() + "/cgroup.events")
			if err == nil && strings.Contains(string(events), "frozen 1") {
				return true
			}
		case slices.Contains(strings.Split(m.hierarchy, ","), "freezer"):
			state, err := os.ReadFile(m.dir() + "/freezer.state")
			if err == nil && !strings.HasPrefix(string(state), "THAWED") {
				return true
			}
		}
	}
	return false
}
