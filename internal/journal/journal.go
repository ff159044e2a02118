// SPDX-License-Identifier: GPL-2.0-or-later

// Package journal returns what the modules have logged: from the journal of systemd, or from the files of another
// syslog daemon.
package journal

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"libpam-net/internal/policy"
)

// Line is a line that a module has logged at a login.
type Line struct {
	Time    time.Time `json:"time"`
	User    string    `json:"user"` // who logs in, "" if unknown
	Service string    `json:"service"`
	PID     int       `json:"pid"` // of the login service
	Module  string    `json:"module"`
	Text    string    `json:"text"`
	Refused bool      `json:"refused"` // it is the reason of a refusal
	Proven  bool      `json:"proven"`  // root has written it; else any user can have done so

	login int // lines of one login have the same number
}

// Query says which lines are wanted.
type Query struct {
	Since    time.Time
	Refusals bool // the reasons of refusals alone
	Most     int  // so many of them, the newest
}

// Log is what Read returns.
type Log struct {
	Lines  []Line // the oldest first
	Source string // "the journal", "/var/log/auth.log"
}

// ErrNone is returned if the machine keeps no log.
var ErrNone = errors.New("no log found")

// Read returns the lines of the modules. If it cannot read some files, it returns the lines of the others as well.
// The caller must be root.
//
// The journal proves a line that root has written: the kernel tells it who has sent it. What a set-uid program logs,
// such as su, it has from the user who runs that. No line of a file is proven.
func Read(ctx context.Context, q Query) (Log, error) {
	if hasJournal() {
		lines, err := readJournal(ctx, q)
		return Log{lines, "the journal"}, err
	}
	lines, source, err := readFiles("/var/log", q)
	return Log{lines, source}, err
}

// collector collects lines in the order of their time.
type collector struct {
	Query
	lines  []Line
	logins int
	open   map[process][]int // the lines of a login whose user no line has told yet
}

type process struct {
	pid    int
	proven bool
}

// A login takes no longer: timeout= is an hour at most.
const longest = time.Hour

// add adds a line if it is wanted. The last line of a login names its user.
func (c *collector) add(l Line) {
	if l.Time.Before(c.Since) || c.Refusals && !l.Refused {
		return
	}
	p := process{l.PID, l.Proven}
	c.logins++
	l.login = c.logins
	if l.User == "" {
		if c.open == nil {
			c.open = map[process][]int{}
		}
		c.open[p] = append(c.open[p], len(c.lines))
	} else {
		for _, i := range c.open[p] {
			if earlier := &c.lines[i]; l.Time.Sub(earlier.Time) < longest {
				earlier.User, earlier.login = l.User, l.login
			}
		}
		delete(c.open, p)
	}
	c.lines = append(c.lines, l)
}

// newest returns as many lines as are wanted.
func (c *collector) newest() []Line { return c.lines[max(0, len(c.lines)-c.Most):] }

var (
	message = regexp.MustCompile(`(?s)^(` + modules() + `)\(([^:()]*):session\): (.*)$`)
	named   = regexp.MustCompile(`^"([^"]*)"( refused)?`)
)

func modules() string {
	var names []string
	for _, m := range policy.Modules {
		names = append(names, m.Name)
	}
	return strings.Join(names, "|")
}

// parse returns a line by its text and the PID of the process. It returns false if no module logs such a text.
func parse(text, pid string) (l Line, ok bool) {
	m := message.FindStringSubmatch(text)
	if m == nil {
		return l, false
	}
	l.Module, l.Service, l.Text = m[1], m[2], m[3]
	l.PID, _ = strconv.Atoi(pid) // 0 where the daemon leaves it out
	if u := named.FindStringSubmatch(l.Text); u != nil {
		l.User, l.Refused = u[1], u[2] != ""
	}
	return l, true
}

// RefusedFirst sorts lines: those of refused logins come first, and of newer logins before those of older ones. The
// lines of one login stay in their order.
func RefusedFirst(lines []Line) {
	refused := map[int]bool{}
	for _, l := range lines {
		if l.Refused {
			refused[l.login] = true
		}
	}
	slices.SortStableFunc(lines, func(a, b Line) int {
		switch {
		case refused[a.login] != refused[b.login] && refused[a.login]:
			return -1
		case refused[a.login] != refused[b.login]:
			return 1
		}
		return b.login - a.login
	})
}
