// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"libpam-net/internal/amend"
	"libpam-net/internal/policy"
	"libpam-net/internal/session"
)

// FixCommand is the remedy of findings that Fix corrects.
const FixCommand = "pamnetctl doctor --fix"

// mostRounds is a bound for the rounds of Fix: corrections lead to findings that were hidden.
const mostRounds = 50

// Fixed is what Fix has done.
type Fixed struct {
	Done   []Finding                // what it has corrected
	Failed map[string]error         // why it has not corrected the rest, by Key
	Unused func(policy.Module) bool // the groups whose lines isolated nobody, for Check
}

// Fix corrects errors and warnings of the PAM configuration in a tree. Each correction passes Check. Where
// corrections contradict each other, those are made after which the least is wrong. Fix would change nothing in
// the result.
func Fix(m Machine, tree *amend.Tree) (*Fixed, error) {
	m.TryModule, m.OpenNetns = nil, nil // what they find is no matter of the configuration
	m.Run = remembered(m.Run)
	f := fixer{machine: m, oracle: m.oracle()}
	first, err := f.examine(tree)
	if err != nil {
		return nil, err
	}
	fixed := &Fixed{Unused: first.isUnused}
	f.now = first
	for range mostRounds {
		f.base, f.tree, f.seen, f.failed = tree.Clone(), tree.Clone(), map[string]bool{state(tree): true}, map[string]error{}
		done, best, err := f.chain()
		fixed.Failed = f.failed
		if err != nil || len(done) == 0 {
			return fixed, err
		}
		fixed.Done = append(fixed.Done, done...)
		*tree = *best
	}
	return fixed, nil
}

// chain makes corrections until there is none to make, or all lead back. It returns the tree in which the least
// is wrong, and the corrections that lead there; none if that is the first one.
func (f *fixer) chain() (best []Finding, tree *amend.Tree, err error) {
	var done []Finding
	least, at := f.now.badness(), f.now
	for range mostRounds {
		now, err := f.round()
		if err != nil {
			return nil, nil, err
		}
		if len(now) == 0 {
			break
		}
		done = append(done, now...)
		if b := f.now.badness(); slices.Compare(b, least) < 0 {
			best, tree, least, at = slices.Clone(done), f.tree.Clone(), b, f.now
		}
	}
	f.now = at
	return best, tree, nil
}

// badness measures what is wrong: by errors, and then by warnings.
func (e *examination) badness() []int {
	all := make([]int, 2)
	for _, f := range e.findings {
		if i := slices.Index(severities, f.Severity); i < len(all) {
			all[i] += 1 + len(f.Evidence)
		}
	}
	return all
}

// state tells trees apart. Lines that keep the place of one that has been moved do not count.
func state(tree *amend.Tree) string {
	var b strings.Builder
	for _, file := range tree.Files() {
		_, before := tree.Before(file)
		if text := withoutPermit(tree.Changed()[file]); text != withoutPermit(before) {
			fmt.Fprintf(&b, "%s\n%s", file, text)
		}
	}
	return b.String()
}

func withoutPermit(text string) string {
	return strings.Join(slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool {
		return strings.HasSuffix(strings.TrimSpace(line), permitted)
	}), "")
}

// remembered returns a function that runs each command once.
func remembered(run func(string, ...string) (string, error)) func(string, ...string) (string, error) {
	if run == nil {
		return nil
	}
	type result struct {
		output string
		err    error
	}
	known := map[string]result{}
	return func(name string, args ...string) (string, error) {
		key := fmt.Sprintf("%q", append([]string{name}, args...))
		r, ok := known[key]
		if !ok {
			r.output, r.err = run(name, args...)
			known[key] = r
		}
		return r.output, r.err
	}
}

// fixable returns whether Fix corrects the finding.
func (f Finding) fixable() bool {
	return f.Severity != Note && (len(f.profiles) > 0 || slices.ContainsFunc(f.Diff, Edit.Changes)) &&
		!slices.ContainsFunc(f.Diff, func(e Edit) bool { return path.Dir(e.File) != amend.Dir && e.File != "/etc/pam.conf" })
}

// Key tells findings apart.
func (f Finding) Key() string { return f.ID + " " + f.What + " " + strings.Join(f.Evidence, " ") }

type fixer struct {
	machine Machine
	oracle  *policy.Oracle
	base    *amend.Tree // with which corrections are compared
	tree    *amend.Tree
	seen    map[string]bool // the texts that have been there: corrections must not undo each other
	failed  map[string]error
	now     *examination
}

func (f *fixer) examine(tree *amend.Tree) (*examination, error) {
	f.machine.tree = tree
	return f.machine.examine(f.oracle)
}

// round makes the corrections that are possible side by side, or, if these make anything worse together, one.
// It returns the findings that it has corrected.
func (f *fixer) round() (done []Finding, err error) {
	var todo []Finding
	for _, finding := range f.now.findings {
		if finding.fixable() && f.failed[finding.Key()] == nil {
			todo = append(todo, finding)
		}
	}
	if done, err = f.attempt(todo); err != nil || len(done) > 0 {
		return done, err
	}
	for i := range todo {
		if done, err = f.attempt(todo[i : i+1]); err != nil || len(done) > 0 {
			return done, err
		}
	}
	return nil, nil
}

// attempt makes corrections. It returns those that it has made, none if that makes anything worse, or brings
// back what has been there. The reason is noted if it is only one.
func (f *fixer) attempt(todo []Finding) (done []Finding, err error) {
	next := f.tree.Clone()
	var problem error
	for _, finding := range todo {
		if problem = f.apply(next, finding); problem == nil { // else another one has changed the line: the next round
			done = append(done, finding)
		}
	}
	if problem == nil || len(done) > 0 {
		problem = next.CheckFrom(f.base, f.now.isUnused)
	}
	if problem == nil && f.seen[state(next)] {
		problem = errors.New("another correction would undo it")
	}
	if problem == nil {
		after, err := f.examine(next)
		if err != nil {
			return nil, err
		}
		if problem = f.useless(done, after); problem == nil {
			f.seen[state(next)] = true
			*f.tree, f.now = *next, after
			return done, nil
		}
	}
	if len(todo) == 1 {
		f.failed[todo[0].Key()] = problem
	}
	return nil, nil
}

// useless returns an error if a finding is still there as often as before.
func (f *fixer) useless(done []Finding, after *examination) error {
	for _, finding := range done {
		alike := func(other Finding) bool { return other.ID == finding.ID && other.What == finding.What }
		if number(after.findings, alike) >= number(f.now.findings, alike) {
			return errors.New("the change would not correct it")
		}
	}
	return nil
}

func number(findings []Finding, matches func(Finding) bool) (n int) {
	for _, f := range findings {
		if matches(f) {
			n++
		}
	}
	return n
}

// isUnused returns whether the lines for a group isolate nobody.
func (e *examination) isUnused(m policy.Module) bool {
	i := slices.IndexFunc(e.concerns, func(c concern) bool { return c.Module == m })
	return i >= 0 && len(e.concerns[i].members) == 0 &&
		(e.concerns[i].complete || len(e.concerns[i].groups) == 0 && m.Kind != session.GroupNet)
}

func (f *fixer) apply(tree *amend.Tree, finding Finding) error {
	if len(finding.profiles) == 0 {
		return tree.Edit(finding.Diff...)
	}
	if f.machine.Live && tree.Updatable() {
		if err := tree.Profiles("--enable", finding.profiles...); err == nil {
			return nil
		}
	}
	return tree.Edit(finding.instead...)
}
