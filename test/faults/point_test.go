// SPDX-License-Identifier: GPL-2.0-or-later

package faults

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// moves are calls after which the module looks whether they have done what they
// say: it is to notice one that says so and was never made.
var moves = []string{"chroot", "fchdir", "setns"}

// roles are the processes of a login, see c/inject.c.
var roles = []string{"parent", "child", "holder"}

// point is a system call of a login: the nth, from 1, of its number in its role.
type point struct {
	role   string
	number int
	nth    int
}

// mode is what is done to it.
type mode struct {
	name, action string
	value, times int
}

// delayMS is for how long a call is held up: longer than the rest of a login takes.
const delayMS = 30

// lasting are shortages, and the calls that suffer: when one fails, so do all that
// follow.
var lasting = map[unix.Errno][]string{
	unix.ENOMEM: {"brk", "clone", "clone3", "mmap", "mprotect"},
	unix.EMFILE: {"dup3", "epoll_create1", "eventfd2", "fcntl", "fsmount", "fsopen", "open_tree", "openat", "socket", "socketpair"},
}

var modes = func() []mode {
	var modes []mode
	for _, errno := range []unix.Errno{unix.EPERM, unix.ENOMEM, unix.EMFILE, unix.EINTR, unix.EIO, unix.ENOSYS, unix.ENOSPC} {
		modes = append(modes, mode{unix.ErrnoName(errno), "fail", int(errno), 1})
	}
	for _, errno := range slices.Sorted(maps.Keys(lasting)) {
		modes = append(modes, mode{unix.ErrnoName(errno) + "+", "fail", int(errno), 0})
	}
	return append(modes, mode{"lie", "fail", 0, 1}, mode{"kill", "kill", 0, 1},
		mode{"delay", "delay", delayMS, 1}, mode{"stall", "stall", 0, 1})
}()

// job is a login that is disturbed.
type job struct {
	*scenario
	point
	mode
}

// String names the job as -faults.point wants it.
func (j job) String() string {
	return fmt.Sprintf("%s/%s/%s/%d/%s", j.scenario.name, j.role, callName(j.number), j.nth, j.mode.name)
}

func callName(number int) string {
	if name, ok := calls[number]; ok {
		return name
	}
	return strconv.Itoa(number)
}

func parseJob(name string) (job, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 5 {
		return job{}, fmt.Errorf("%q is not SCENARIO/ROLE/CALL/NTH/MODE", name)
	}
	i := slices.IndexFunc(scenarios, func(s *scenario) bool { return s.name == parts[0] })
	k := slices.IndexFunc(modes, func(m mode) bool { return m.name == parts[4] })
	nth, err := strconv.Atoi(parts[3])
	if i < 0 || k < 0 || err != nil || !slices.Contains(roles, parts[1]) {
		return job{}, fmt.Errorf("%q names no scenario, role, place or mode that there is", name)
	}
	for number := range calls {
		if callName(number) == parts[2] {
			return job{scenarios[i], point{parts[1], number, nth}, modes[k]}, nil
		}
	}
	return job{}, fmt.Errorf("%q names no system call", name)
}

// makesSense tells whether the mode can happen at the point.
func (p point) makesSense(m mode) bool {
	name := callName(p.number)
	switch m.action {
	case "stall":
		return p.role != "parent" // nobody waits for that one
	case "fail":
		switch name {
		case "exit", "exit_group", "rt_sigreturn":
			return false // they never return
		case "wait4", "waitid":
			return m.value == int(unix.EINTR) // no other is there for a child that is one's own
		case "futex", "rt_sigprocmask":
			// The kernel gives none of these errors, and glibc (futex) or libnss_systemd
			// (rt_sigprocmask) abort when they get one. A child may do so.
			if p.role == "parent" {
				return false
			}
		}
		if m.name == "lie" {
			return p.role == "parent" && slices.Contains(moves, name)
		}
		return m.times == 1 || slices.Contains(lasting[unix.Errno(m.value)], name)
	default:
		return true
	}
}

// idles tells whether most of the time that the job takes is spent waiting.
func (j job) idles() bool { return j.action == "stall" || j.action == "delay" }

// jobs are all that can be done to the points of a scenario, in order.
func (s *scenario) jobs(points []point) []job {
	slices.SortFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.role, b.role), cmp.Compare(a.number, b.number), cmp.Compare(a.nth, b.nth))
	})
	var jobs []job
	for _, p := range points {
		for _, m := range modes {
			if m.action == "stall" && (s.prune || s.vforks && p.role == "holder" && callName(p.number) != "execve") {
				// Whoever has started prune has all the time, and can end it. And what vfork(2)
				// makes does nothing before it executes the program that could wait.
				continue
			}
			if p.makesSense(m) {
				jobs = append(jobs, job{s, p, m})
			}
		}
	}
	return jobs
}

// sample draws n jobs. Each system call of each role of each scenario has the same
// chance, for most points are of very few system calls: Go's start alone makes
// 130 rt_sigaction.
func sample(all []job, n int, random *rand.Rand) []job {
	type class struct {
		*scenario
		role   string
		number int
	}
	byClass := make(map[class][]job)
	var classes []class
	for _, j := range all {
		c := class{j.scenario, j.role, j.number}
		if byClass[c] == nil {
			classes = append(classes, c)
		}
		byClass[c] = append(byClass[c], j)
	}
	var drawn []job
	for len(drawn) < n && len(classes) > 0 {
		i := random.IntN(len(classes))
		jobs := byClass[classes[i]]
		k := random.IntN(len(jobs))
		drawn = append(drawn, jobs[k])
		byClass[classes[i]] = slices.Delete(jobs, k, k+1)
		if len(jobs) == 1 {
			classes = slices.Delete(classes, i, i+1)
		}
	}
	return drawn
}
