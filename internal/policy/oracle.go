// SPDX-License-Identifier: GPL-2.0-or-later

package policy

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"libpam-net/internal/session"
)

// Oracle knows who is a member of the modules' groups. Live asks the name service of the running machine;
// Files reads the files of one that does not run. An Oracle is for one goroutine.
type Oracle struct {
	ask     func(user string, m Module) session.Answer
	named   func(group string) []groupEntry // the groups of this name that are not listed; nil: none
	listing func() (Listing, error)         // called once
	answers map[question]session.Answer
}

type question struct {
	user string
	Module
}

// Listing is what the sources of nsswitch.conf list.
type Listing struct {
	users  []userEntry
	groups []groupEntry
	Failed []error  // the sources that do not answer: what a login logs of each
	Silent []string // the sources that answer, but do not list their users, or the members of their groups
}

type userEntry struct {
	name     string
	uid, gid uint32
}

type groupEntry struct {
	name    string
	gid     uint32
	members []string // without the users whose primary group it is
}

func newOracle(ask func(string, Module) session.Answer, named func(string) []groupEntry, listing func() (Listing, error)) *Oracle {
	return &Oracle{ask, named, sync.OnceValues(listing), map[question]session.Answer{}}
}

// Listing returns what the sources list.
func (o *Oracle) Listing() (Listing, error) { return o.listing() }

// Complete returns whether the listing has all users, groups and members of the machine.
func (l Listing) Complete() bool { return len(l.Failed) == 0 && len(l.Silent) == 0 }

// Member returns what the module would find out about the user.
func (o *Oracle) Member(user string, m Module) session.Answer {
	q := question{user, m}
	if _, ok := o.answers[q]; !ok {
		o.answers[q] = o.ask(user, m)
	}
	return o.answers[q]
}

// Groups returns the names of the groups of the module that exist, sorted. complete is false if there may be
// more.
func (o *Oracle) Groups(m Module) (names []string, complete bool, err error) {
	groups, complete, err := o.groups(m)
	for _, g := range groups {
		names = append(names, g.name)
	}
	slices.Sort(names)
	return slices.Compact(names), complete, err
}

func (o *Oracle) groups(m Module) (groups []groupEntry, complete bool, err error) {
	l, err := o.Listing()
	if err != nil {
		return nil, false, err
	}
	for _, g := range l.groups {
		if m.Has(g.name) {
			groups = append(groups, g)
		}
	}
	if !l.Complete() && m.Kind != session.GroupNet && o.named != nil {
		groups = append(groups, o.named(m.Group)...)
		return groups, o.Member(nobody, m).IsNonMember(), nil // all sources have answered
	}
	return groups, l.Complete(), nil
}

// nobody is the name of no user.
const nobody = "pamnet-nobody"

// Members returns the answers about the members of the module's groups, by user. complete is false if there
// may be more: a source does not answer, or does not list them. A name in a group that is no user's is left
// out.
func (o *Oracle) Members(m Module) (members []session.Answer, complete bool, err error) {
	groups, all, err := o.groups(m)
	if err != nil || all && len(groups) == 0 {
		return nil, all, err
	}
	l, _ := o.Listing()
	var candidates []string
	gids := map[uint32]bool{}
	for _, g := range groups {
		gids[g.gid] = true
		candidates = append(candidates, g.members...)
	}
	for _, g := range l.groups {
		if gids[g.gid] { // also a group of another name
			candidates = append(candidates, g.members...)
		}
	}
	for _, u := range l.users {
		if gids[u.gid] || !l.Complete() { // a directory may make a local user a member
			candidates = append(candidates, u.name)
		}
	}
	slices.Sort(candidates)
	for _, name := range slices.Compact(candidates) {
		if a := o.Member(name, m); a.State == session.Member && a.Known {
			members = append(members, a)
		}
	}
	return members, l.Complete(), nil
}

// parseUsers parses lines of passwd(5).
func parseUsers(text string) (users []userEntry) {
	for _, fields := range records(text, 7) {
		uid, err1 := parseID(fields[2])
		gid, err2 := parseID(fields[3])
		if err1 == nil && err2 == nil {
			users = append(users, userEntry{fields[0], uid, gid})
		}
	}
	return users
}

// parseGroups parses lines of group(5).
func parseGroups(text string) (groups []groupEntry) {
	for _, fields := range records(text, 4) {
		gid, err := parseID(fields[2])
		if err != nil {
			continue
		}
		g := groupEntry{name: fields[0], gid: gid}
		for name := range strings.SplitSeq(fields[3], ",") {
			if name != "" {
				g.members = append(g.members, name)
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// records returns the fields of the lines that have as many.
func records(text string, fields int) (all [][]string) {
	for line := range strings.SplitSeq(text, "\n") {
		if f := strings.Split(line, ":"); len(f) >= fields {
			all = append(all, f)
		}
	}
	return all
}

func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	return uint32(id), err
}
