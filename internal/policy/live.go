// SPDX-License-Identifier: GPL-2.0-or-later

package policy

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"libpam-net/internal/session"
	"libpam-net/pam"
)

// patience is how long the name service may take for an answer: the modules' default of timeout=. Tests
// shorten it.
var patience = 10 * time.Second

// Live returns the oracle of this machine. It asks by the modules' own lookup. A name service that hangs is
// asked once, and the answers are unknown from then on.
func Live() *Oracle {
	l := &live{}
	return newOracle(l.ask, l.named, l.listing)
}

type live struct {
	hangs  bool
	silent []string
}

var errHangs = errors.New("does not answer in time")

// within returns what f returns. It gives up after a while; the thread of f then waits on.
func within[T any](f func() T) (result T, err error) {
	done := make(chan T, 1)
	go func() { done <- f() }()
	select {
	case result = <-done:
		return result, nil
	case <-time.After(patience):
		return result, errHangs
	}
}

func (l *live) ask(user string, m Module) session.Answer {
	if !l.hangs {
		a, err := within(func() session.Answer { return pam.Lookup(m.Kind, user, m.Group) })
		if err == nil {
			return a
		}
		l.hangs = true
	}
	files, err := readFiles("/")
	return session.Answer{
		State: session.Unknown, Problem: "the name service " + errHangs.Error(),
		User: user, Root: err == nil && files.answer(user, m).Root, // as lookup_is_local_root has it
	}
}

// listing asks each source whether it answers, and then what it lists. libc's own listing would skip a source
// that fails, and wait for one that hangs.
func (l *live) listing() (all Listing, err error) {
	sources, err := pam.Sources()
	if err != nil {
		return Listing{Failed: []error{err}}, nil
	}
	for _, source := range sources {
		installed, err := l.answers(source)
		switch {
		case err != nil:
			all.Failed = append(all.Failed, err)
			continue
		case !installed:
			continue
		}
		var listed Listing
		if source.Passwd {
			text, err := getent(source.Name, "passwd")
			if err != nil {
				return all, err
			}
			listed.users = parseUsers(text)
		}
		if source.Group {
			text, err := getent(source.Name, "group")
			if err != nil {
				return all, err
			}
			listed.groups = parseGroups(text)
		}
		// A directory lists all or nothing: SSSD by "enumerate" and "ignore_group_members".
		hasMembers := slices.ContainsFunc(listed.groups, func(g groupEntry) bool { return len(g.members) > 0 })
		if !pam.IsLocal(source.Name) && (source.Passwd && len(listed.users) == 0 || source.Group && !hasMembers) {
			all.Silent = append(all.Silent, source.Name)
		}
		all.users, all.groups = append(all.users, listed.users...), append(all.groups, listed.groups...)
	}
	l.silent = all.Silent
	return all, nil
}

// answers returns whether a source is installed, and an error if it does not answer.
func (l *live) answers(source pam.Source) (installed bool, err error) {
	type answer struct {
		installed bool
		err       error
	}
	a, err := within(func() (a answer) { a.installed, a.err = source.Ask(); return a })
	if err != nil {
		l.hangs = true
		return true, fmt.Errorf("source %q of nsswitch.conf %w", source.Name, err)
	}
	return a.installed, a.err
}

// named asks the sources that do not list their groups for the one of this name.
func (l *live) named(name string) (groups []groupEntry) {
	for _, source := range l.silent {
		if text, err := getent(source, "group", name); err == nil {
			groups = append(groups, parseGroups(text)...)
		}
	}
	return groups
}

// getent returns what one source has in a database, "" if it has nothing.
func getent(source, database string, keys ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	output, err := exec.CommandContext(ctx, "getent", append([]string{"-s", source, database}, keys...)...).Output()
	failed := (*exec.ExitError)(nil)
	if errors.As(err, &failed) && failed.Exited() {
		err = nil // no such entry
	}
	if err != nil {
		err = fmt.Errorf("getent -s %s %s: %w", source, database, err)
	}
	return string(output), err
}
