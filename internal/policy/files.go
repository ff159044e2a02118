// SPDX-License-Identifier: GPL-2.0-or-later

package policy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"libpam-net/internal/session"
	"libpam-net/pam"
)

// Files returns the oracle of a machine that does not run, from the files below its root directory. What its
// directories know is not in them: the listing is incomplete if nsswitch.conf names one.
func Files(root string) *Oracle {
	listing := sync.OnceValues(func() (Listing, error) { return readFiles(root) })
	ask := func(name string, m Module) session.Answer {
		l, err := listing()
		if err != nil {
			return session.Answer{State: session.Unknown, Problem: err.Error()}
		}
		return l.answer(name, m)
	}
	return newOracle(ask, nil, listing)
}

func readFiles(root string) (l Listing, err error) {
	read := func(name string) string {
		content, failure := os.ReadFile(filepath.Join(root, name))
		if failure != nil && !errors.Is(failure, fs.ErrNotExist) {
			err = failure
		}
		return string(content)
	}
	l.users, l.groups = parseUsers(read("/etc/passwd")), parseGroups(read("/etc/group"))
	for _, line := range databases.FindAllStringSubmatch(read("/etc/nsswitch.conf"), -1) {
		for _, name := range strings.Fields(actions.ReplaceAllString(line[1], " ")) {
			if !pam.IsLocal(name) && !slices.Contains(l.Silent, name) {
				l.Silent = append(l.Silent, name)
			}
		}
	}
	return l, err
}

// The lines of nsswitch.conf(5) for accounts, and the actions in them.
var (
	databases = regexp.MustCompile(`(?m)^\s*(?:passwd|group|initgroups)[:\s](.*)$`)
	actions   = regexp.MustCompile(`\[[^]]*\]`)
)

// answer returns what a module finds out about a user if the listing is all there is.
func (l Listing) answer(name string, m Module) session.Answer {
	a := session.Answer{State: session.NoGroup, User: name}
	if i := slices.IndexFunc(l.users, func(u userEntry) bool { return u.name == name }); i >= 0 {
		u := l.users[i]
		a.Known, a.UID, a.GID, a.Root = true, u.uid, u.gid, u.uid == 0
	}
	if m.Kind == session.GroupNet {
		a.State = session.NonMember
	}
	for _, g := range l.groups {
		if slices.Contains(g.members, name) {
			a.GIDs = append(a.GIDs, g.gid)
		}
	}
	for _, g := range l.groups {
		listed := slices.Contains(g.members, name)
		switch in := listed || a.Known && a.GID == g.gid || slices.Contains(a.GIDs, g.gid); {
		case !m.Has(g.name):
		case in && a.State == session.Member:
			a.Several = true
		case in:
			a.State, a.Group, a.GroupID, a.Listed = session.Member, g.name, g.gid, listed
		case a.State == session.NoGroup:
			a.State = session.NonMember
		}
	}
	return a
}
