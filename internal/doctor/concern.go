// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"maps"
	"slices"
	"strings"

	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
	"libpam-net/internal/session"
	"libpam-net/pam"
)

// concern is a module and whom it concerns.
type concern struct {
	module string // "pam_newnet"
	group  string // for pam_groupnet what stands before "-NAME"
}

// modules are the modules with the default of group=, in the order in which docs/GUIDE.md
// puts their lines.
var modules = func() (all []concern) {
	for _, m := range policy.Modules {
		all = append(all, concern{m.Name, m.Group})
	}
	return all
}()

const (
	groupnet = "pam_groupnet"
	newnet   = "pam_newnet"
	usernet  = "pam_usernet"
)

// line is one of the modules', with what libpam would make of its arguments.
type line struct {
	pamstack.Line
	concern
	options
	problems []pam.Complaint
}

// service is one through which sessions are opened.
type service struct {
	name  string
	stack []pamstack.Line
	ours  []int // the modules' lines in the stack
}

// groups lists the groups of a concern that there are.
func (e *examination) groups(c concern) (groups []group) {
	for _, g := range e.accounts.groups {
		if name, ok := strings.CutPrefix(g.name, c.group+"-"); c.module == groupnet && ok && name != "" ||
			c.module != groupnet && g.name == c.group {
			groups = append(groups, g)
		}
	}
	return groups
}

// members lists whom a concern is about, sorted.
func (e *examination) members(c concern) (names []string) {
	for _, g := range e.groups(c) {
		names = append(names, e.accounts.in(g)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// allMembers lists the members of all concerns, sorted.
func (e *examination) allMembers() (names []string) {
	for _, c := range e.concerns {
		names = append(names, e.members(c)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// users returns the accounts of all members, but root's.
func (e *examination) users() (users []user) {
	for _, name := range e.allMembers() {
		if u := e.accounts.user(name); u != nil && u.uid != 0 {
			users = append(users, *u)
		}
	}
	return users
}

func (c concern) kind() session.Kind {
	i := slices.IndexFunc(policy.Modules, func(m policy.Module) bool { return m.Name == c.module })
	return policy.Modules[i].Kind
}

// network names the network that a user has from a concern, "" if a new one each time.
func (c concern) network(group, user string) string {
	return session.Request{Kind: c.kind(), Group: c.group}.NetnsName(session.Answer{User: user, Group: group})
}

// networks lists the names of all networks that members have, sorted.
func (e *examination) networks() []string {
	names := map[string]bool{}
	for _, c := range e.concerns {
		for _, g := range e.groups(c) {
			for _, user := range e.accounts.in(g) {
				names[c.network(g.name, user)] = true
			}
		}
	}
	delete(names, "")
	return slices.Sorted(maps.Keys(names))
}

// moduleOf tells which of the modules a line is of.
func moduleOf(l pamstack.Line) (concern, bool) {
	for _, m := range modules {
		if l.Is(m.module) {
			return m, true
		}
	}
	return concern{}, false
}

// asLine reads a line of a module's.
func asLine(l pamstack.Line, m concern) line {
	o, problems := parseArguments(m, l.Args)
	return line{l, concern{m.module, o.group}, o, problems}
}

// survey lists the services, lines and concerns of the machine.
func (e *examination) survey() {
	seen := map[string]bool{}
	concerns := map[concern]bool{}
	for _, name := range e.pam.Services() {
		s := service{name: name, stack: e.pam.Stack(name, pamstack.Session)}
		for i, l := range s.stack {
			m, ok := moduleOf(l)
			if !ok {
				continue
			}
			s.ours = append(s.ours, i)
			ours := asLine(l, m)
			concerns[ours.concern] = true
			if place := l.String(); !seen[place] {
				seen[place] = true
				e.lines = append(e.lines, ours)
			}
		}
		if e.opensSessions(s) {
			e.services = append(e.services, s)
			if len(s.ours) > 0 {
				e.isolating++
			}
		}
	}
	for _, c := range modules {
		if len(e.members(c)) > 0 {
			concerns[c] = true
		}
	}
	for c := range concerns {
		e.concerns = append(e.concerns, c)
	}
	slices.SortFunc(e.concerns, func(a, b concern) int {
		return strings.Compare(a.module+" "+a.group, b.module+" "+b.group)
	})
}
