// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// traced are the system calls at which one step of a login ends and the next begins.
const traced = "socketpair,?fork,?vfork,clone,?clone3,prctl,umask,sendmsg,unshare,mount,?fsopen,kill,wait4"

const tracePath = "/run/trace"

// event is a traced system call, when it begins.
type event struct {
	pid  string
	at   float64 // microseconds since 1970
	call string  // with its arguments
}

// parseTrace reads what strace -f -ttt writes.
func parseTrace(text string) (events []event, err error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 || strings.HasPrefix(fields[2], "<...") || strings.HasPrefix(fields[2], "+++") ||
			strings.HasPrefix(fields[2], "---") {
			continue // the end of a call, of a process, or a signal
		}
		seconds, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return nil, fmt.Errorf("strange line of strace: %q", line)
		}
		events = append(events, event{fields[0], seconds * 1e6, strings.Join(fields[2:], " ")})
	}
	return events, nil
}

// step is a part of pam_open_session, up to a system call of the login process or of its child.
type step struct {
	name   string
	child  bool // who makes the call
	prefix string
	has    string
}

var steps = []step{
	{"lookup", false, "socketpair(", ""},
	{"fork", true, "prctl(PR_SET_DUMPABLE", ""},
	{"the child cuts its ties", true, "umask(", ""},
	{"start of Go's runtime, decision", true, "sendmsg(", ""},
	{"network namespace", true, "sendmsg(", ""},
	{"mount namespace", true, "mount(", "MS_REC"},
	{"/run/netns, mount table", true, "fsopen(\"sysfs\"", ""},
	{"/sys, /etc/netns, resolvers, verdict", true, "sendmsg(", ""},
	{"the login process wakes up", false, "unshare(CLONE_FS", ""},
	{"adoption", false, "wait4(", ""},
}

// lastStep ends when pam_open_session does.
const lastStep = "end of the child"

// durations are how many microseconds each step took, lastStep included. A step whose
// system call is not made (an old kernel has no fsopen) counts to the next one.
func durations(events []event, open, end float64) map[string]float64 {
	took := make(map[string]float64)
	if len(events) == 0 {
		return took
	}
	parent, at := events[0].pid, open
	for _, s := range steps {
		for i, e := range events {
			if (e.pid != parent) == s.child && e.at >= at && strings.HasPrefix(e.call, s.prefix) && strings.Contains(e.call, s.has) {
				took[s.name] = e.at - at
				at = e.at
				events = events[i+1:]
				break
			}
		}
	}
	took[lastStep] = end - at
	return took
}

// What c/login.c prints, in its order.
const (
	inTotal = iota
	inStart
	inOpen
	inEnd
	inDate
	inFaults
	inChildFaults
	inChildCPU
	loginFields
)

func parseLogin(text string) (values [loginFields]float64, err error) {
	fields := strings.Fields(text)
	if len(fields) != loginFields {
		return values, fmt.Errorf("not what a login prints: %q", text)
	}
	for i, field := range fields {
		if values[i], err = strconv.ParseFloat(field, 64); err != nil {
			return values, err
		}
	}
	return values, nil
}

// profile prints where the time of a login goes.
func (s *suite) profile(w io.Writer) error {
	fmt.Fprintln(w, s.report.Date+", "+s.report.Machine+"; load average before: "+s.report.Load)
	b := s.bedOf(ours)
	for _, c := range []loginCase{newnetCase, joinCase(), named()[3].login()} {
		if c.network != "" && !c.created {
			if err := b.sh("ip netns add " + c.network); err != nil {
				return err
			}
		}
		if err := s.profileCase(w, b, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

func (s *suite) profileCase(w io.Writer, b *bed, c loginCase) error {
	s.progress("profile", c.name)
	var plain, traced [loginFields][]float64
	took := make(map[string][]float64)
	for range s.rounds {
		values, _, err := b.profiled(c, false)
		if err != nil {
			return err
		}
		for i, v := range values {
			plain[i] = append(plain[i], v)
		}
		values, events, err := b.profiled(c, true)
		if err != nil {
			return err
		}
		for i, v := range values {
			traced[i] = append(traced[i], v)
		}
		open := values[inDate] / 1e3
		for name, us := range durations(events, open, open+values[inOpen]/1e3) {
			took[name] = append(took[name], us)
		}
	}
	median := func(values [loginFields][]float64, i int) float64 { return summarize(values[i]).Median }
	us := func(i int) string { return format(median(plain, i) / 1e3) }
	fmt.Fprintf(w, "\n### %s\n\n", c.name)
	fmt.Fprintf(w, "Medians of %d. pam_start %s µs, pam_open_session %s µs, pam_end %s µs. Page faults in pam_open_session: %s, "+
		"and %s in the child, which takes %s µs of a processor.\n", s.rounds, us(inStart), us(inOpen), us(inEnd),
		format(median(plain, inFaults)), format(median(plain, inChildFaults)), format(median(plain, inChildCPU)))
	total := median(traced, inOpen) / 1e3
	fmt.Fprintf(w, "Below, pam_open_session with strace(1) looking on at each step's end, which makes it %.2f times as long.\n\n",
		total*1e3/median(plain, inOpen))
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintln(t, "| step\t| µs\t| of all |")
	fmt.Fprintln(t, "| ---\t| ---\t| --- |")
	for _, name := range stepNames() {
		if len(took[name]) > 0 {
			m := summarize(took[name]).Median
			fmt.Fprintf(t, "| %s\t| %.0f\t| %.0f %% |\n", name, m, 100*m/total)
		}
	}
	return t.Flush()
}

func stepNames() (names []string) {
	for _, s := range steps {
		names = append(names, s.name)
	}
	return append(names, lastStep)
}

// profiled makes one login, and lists its system calls if it is to be traced.
func (b *bed) profiled(c loginCase, trace bool) (values [loginFields]float64, events []event, err error) {
	argv := []string{loginProgram, c.service, c.user}
	if trace {
		argv = append([]string{"strace", "-f", "-ttt", "--seccomp-bpf", "-e", "trace=" + traced, "-o", tracePath}, argv...)
	}
	login := contestant{bed: b, argv: argv, value: func(a answer) (float64, error) {
		values, err = parseLogin(a.text)
		return 0, err
	}}
	if c.created {
		login.before = []string{floorProgram, "remove", c.network}
	}
	if _, err := login.runOnce(); err != nil || !trace {
		return values, nil, err
	}
	text, err := b.ReadFile(tracePath)
	if err != nil {
		return values, nil, err
	}
	events, err = parseTrace(text)
	return values, events, err
}
