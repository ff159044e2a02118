// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// daemon is a program of root's that runs, or that a unit of systemd's starts.
type daemon struct {
	place   string // "/proc/12", or the unit's file
	program string
	args    []string
}

// daemons returns the programs of root's that run on the host.
func (e *examination) daemons() []daemon {
	if e.running == nil {
		e.running = e.readDaemons()
	}
	return e.running
}

// readDaemons reads /proc. All uids of a process must be 0, so that no user decides what is found. Processes of
// containers have other files, and do not count.
func (e *examination) readDaemons() (all []daemon) {
	all = []daemon{}
	host, _ := os.Readlink(e.path("/proc/1/ns/pid")) // "" where all of them are
	for _, p := range e.processes() {
		dir := fmt.Sprintf("/proc/%d", p.PID)
		status, err := p.NewStatus()
		if err != nil || status.UIDs != [4]uint64{} {
			continue
		}
		if own, _ := os.Readlink(e.path(dir + "/ns/pid")); own != host {
			continue
		}
		program, err := p.Executable()
		if err != nil || program == "" {
			continue // a thread of the kernel's
		}
		args, _ := p.CmdLine()
		all = append(all, daemon{dir, path.Clean(strings.TrimSuffix(program, " (deleted)")), args})
	}
	return all
}
