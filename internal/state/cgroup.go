// SPDX-License-Identifier: GPL-2.0-or-later

package state

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

// cgroupRoot is where systemd(1) and others mount the hierarchies.
const cgroupRoot = "/sys/fs/cgroup"

// Cgroup is the control group of a process in one hierarchy.
type Cgroup struct {
	Hierarchy string // as in /proc/PID/cgroup: "" for version 2, "cpu,cpuacct", "name=systemd"
	Path      string // "/user.slice"
}

// Cgroups returns the control groups of a process, one for each hierarchy.
func Cgroups(pid int) (all []Cgroup, err error) {
	text, err := os.ReadFile(nsfs.Path(pid, "cgroup"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(fields) == 3 {
			all = append(all, Cgroup{fields[1], fields[2]})
		}
	}
	return all, nil
}

// Dir returns the directory of the group, "" if its hierarchy is not mounted.
func (c Cgroup) Dir() string {
	switch {
	case c.Hierarchy != "":
		return filepath.Join(cgroupRoot, strings.TrimPrefix(c.Hierarchy, "name="), c.Path)
	case isUnified(cgroupRoot):
		return filepath.Join(cgroupRoot, c.Path)
	case isUnified(cgroupRoot + "/unified"):
		return filepath.Join(cgroupRoot, "unified", c.Path)
	default:
		return ""
	}
}

func isUnified(dir string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(dir, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// LeaveCgroups moves a process into the control groups of process 1. They are root's: no user can freeze,
// stop or starve a process there. A frozen process is thawed by that. The error names the hierarchies
// that are not mounted or read-only, in which the process stays where it is.
func LeaveCgroups(pid int) error {
	wanted, err := Cgroups(nsfs.Host)
	if err != nil {
		return err
	}
	current, err := Cgroups(pid)
	if err != nil {
		return err
	}
	var failed []error
	for _, c := range wanted {
		if !slices.Contains(current, c) {
			failed = append(failed, EnterCgroup(c.Dir(), pid))
		}
	}
	return errors.Join(failed...)
}

// EnterCgroup moves a process, with all its threads, into the group with the directory dir.
func EnterCgroup(dir string, pid int) error {
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

// isFrozen tells whether a control group of the process, or one above it, is frozen.
func isFrozen(pid int) bool {
	groups, err := Cgroups(pid)
	if err != nil {
		return false
	}
	for _, c := range groups {
		switch {
		case c.Hierarchy == "":
			// cgroup.events has "frozen 1" only where all processes of the group are frozen. One
			// that waits for a user's FUSE server never is.
			for dir := c.Dir(); err == nil; dir = filepath.Dir(dir) {
				var freeze []byte
				freeze, err = os.ReadFile(dir + "/cgroup.freeze") // the topmost group has none
				if strings.HasPrefix(string(freeze), "1") {
					return true
				}
			}
		case slices.Contains(strings.Split(c.Hierarchy, ","), "freezer"):
			state, err := os.ReadFile(c.Dir() + "/freezer.state")
			if err == nil && !strings.HasPrefix(string(state), "THAWED") {
				return true
			}
		}
	}
	return false
}
