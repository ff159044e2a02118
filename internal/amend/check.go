// SPDX-License-Identifier: GPL-2.0-or-later

package amend

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
)

// Check returns an error if the changes make any login worse:
//   - a line becomes one that libpam cannot parse
//   - the lines of others in auth, account and password are not what they were
//   - a session stack lets fewer modules of others run, or a login fails that succeeds now, whichever of the
//     modules that run now fails
//   - members of a module's group are isolated by less: the module does not run, its refusal is ignored, or a
//     path is not covered any more. released tells of which modules and groups that is wanted; nil: of none.
//   - pam-auth-update could not update the shared files any more, or would spoil their arguments
func (t *Tree) Check(released func(policy.Module) bool) error {
	return t.CheckFrom(New(t.root), released)
}

// CheckFrom is Check for what has changed since another tree.
func (t *Tree) CheckFrom(old *Tree, released func(policy.Module) bool) error {
	before, err := old.Stacks()
	if err != nil {
		return err
	}
	after, err := t.Stacks()
	if err != nil {
		return err
	}
	if err := checkProblems(before, after); err != nil {
		return err
	}
	classes := classesOf(before, after)
	for _, service := range before.Services() {
		for _, kind := range kinds {
			old, changed := newStack(before.Stack(service, kind)), newStack(after.Stack(service, kind))
			if slices.Equal(old.keys, changed.keys) {
				continue
			}
			if err := compare(old, changed, kind, classes, released); err != nil {
				return fmt.Errorf("service %s, %s: %w", service, kind, err)
			}
		}
	}
	return t.checkDebian(old)
}

// Services returns the services of which a stack changes.
func (t *Tree) Services() (changed []string, err error) {
	before, err := pamstack.Load(t.root)
	if err != nil {
		return nil, err
	}
	after, err := t.Stacks()
	if err != nil {
		return nil, err
	}
	for _, service := range after.Services() {
		if slices.ContainsFunc(kinds, func(kind string) bool {
			return !slices.Equal(newStack(before.Stack(service, kind)).keys, newStack(after.Stack(service, kind)).keys)
		}) {
			changed = append(changed, service)
		}
	}
	return changed, nil
}

var kinds = []string{pamstack.Auth, pamstack.Account, pamstack.Password, pamstack.Session}

func checkProblems(before, after *pamstack.Config) error {
	known := before.Problems()
	for _, p := range after.Problems() {
		i := slices.IndexFunc(known, func(k pamstack.Problem) bool {
			return filepath.Base(k.File) == filepath.Base(p.File) && k.Text == p.Text
		})
		if i < 0 {
			return fmt.Errorf("%s: libpam could not parse the line: %s", p.Place, p.Text)
		}
		known = slices.Delete(slices.Clone(known), i, i+1)
	}
	return nil
}

func (t *Tree) checkDebian(old *Tree) error {
	if old.Updatable() && !t.Updatable() {
		return errors.New("pam-auth-update could not update the shared files any more")
	}
	if line := t.fragile(); line != "" && old.fragile() == "" {
		return fmt.Errorf("pam-auth-update would mix up %q: arguments with blanks or brackets cannot stand in its block", line)
	}
	return nil
}

// stack is a stack to be compared with another.
type stack struct {
	lines []pamstack.Line
	keys  []string // by line: its content, and the number of those before that agree
	rules []policy.Rule
	ours  map[int]policy.Rule // by line
}

func newStack(lines []pamstack.Line) stack {
	s := stack{lines: lines, rules: policy.RulesOf(lines), ours: map[int]policy.Rule{}}
	seen := map[string]int{}
	for _, l := range lines {
		key := fmt.Sprintf("%s %v %q %q %q", l.Type, l.Silent, l.Control, l.Module, l.Args)
		s.keys = append(s.keys, fmt.Sprint(key, " #", seen[key]))
		seen[key]++
	}
	for _, r := range s.rules {
		s.ours[r.At] = r
	}
	return s
}

// others returns the keys of the lines of other modules.
func (s stack) others() (keys []string) {
	for i, key := range s.keys {
		if _, ours := s.ours[i]; !ours {
			keys = append(keys, key)
		}
	}
	return keys
}

// scenario is a login: a member's of one module, or a non-member's, in which a module of others fails, or ours.
type scenario struct {
	member  *policy.Module
	refused bool   // the member's network cannot be had
	failing string // the key of the line; "" for none
	code    pamstack.Code
}

// result is what a stack makes of a scenario.
type result struct {
	opened bool
	others []string // the keys of the lines whose modules run
	masks  []string // of the member's lines that run
	asked  bool     // one of these
}

func (s stack) run(now scenario) (r result) {
	code, asked := pamstack.Follow(s.lines, func(i int) pamstack.Code {
		rule, ours := s.ours[i]
		switch {
		case ours && s.lines[i].Type != pamstack.Session:
			return pamstack.Unknown // the modules have session functions only
		case ours && (now.member == nil || rule.Module != *now.member):
			return pamstack.Ignore
		case ours && now.refused:
			return pamstack.Abort
		case now.failing == s.keys[i]:
			return now.code
		case s.lines[i].Is("pam_deny"):
			return pamstack.Denied
		default:
			return pamstack.Success
		}
	})
	r.opened = code == pamstack.Success
	for i := range s.lines {
		rule, ours := s.ours[i]
		switch {
		case !asked[i]:
		case !ours:
			r.others = append(r.others, s.keys[i])
		case now.member != nil && rule.Module == *now.member:
			r.asked = true
			r.masks = append(r.masks, rule.Request.Masks...)
		}
	}
	return r
}

// classesOf returns nil, for non-members, and the modules with the groups that lines of any service name.
func classesOf(configs ...*pamstack.Config) []*policy.Module {
	classes := []*policy.Module{nil}
	for _, c := range configs {
		for _, service := range c.Services() {
			for _, r := range policy.RulesOf(c.Stack(service, pamstack.Session)) {
				if !slices.ContainsFunc(classes, func(m *policy.Module) bool { return m != nil && *m == r.Module }) {
					classes = append(classes, &r.Module)
				}
			}
		}
	}
	return classes
}

// compare returns an error if the changed stack is worse than the old one.
func compare(old, changed stack, kind string, classes []*policy.Module, released func(policy.Module) bool) error {
	if kind != pamstack.Session && !slices.Equal(old.others(), changed.others()) {
		return errors.New("lines of other modules would change")
	}
	if missing := without(old.others(), changed.others()); len(missing) > 0 {
		return fmt.Errorf("the line %q would go", missing[0])
	}
	if kind != pamstack.Session {
		classes = classes[:1]
	}
	scenarios := []scenario{{}}
	for _, key := range old.others() {
		scenarios = append(scenarios, scenario{failing: key, code: pamstack.Failed}, scenario{failing: key, code: pamstack.Ignore})
	}
	for _, s := range scenarios {
		for _, s.member = range classes {
			if err := compareIn(s, old, changed, kind, released); err != nil {
				return err
			}
		}
	}
	return nil
}

func compareIn(s scenario, old, changed stack, kind string, released func(policy.Module) bool) error {
	if s.member != nil && released != nil && released(*s.member) {
		return nil
	}
	was, is := old.run(s), changed.run(s)
	who := "a non-member"
	if s.member != nil {
		who = "a member of " + s.member.Groups()
	}
	if was.opened && !is.opened && (s.failing == "" || slices.Contains(was.others, s.failing)) {
		return fmt.Errorf("the login of %s would fail", who)
	}
	if kind == pamstack.Session || len(old.rules) == 0 {
		if missing := without(was.others, is.others); len(missing) > 0 {
			return fmt.Errorf("the line %q would be skipped", missing[0])
		}
	}
	if s.member == nil {
		return nil
	}
	s.refused = true
	obeyed := !old.run(s).opened
	switch {
	case is.opened && !is.asked && (was.asked || !was.opened):
		return fmt.Errorf("%s would be in the host's network", who)
	case is.opened && obeyed && changed.run(s).opened:
		return fmt.Errorf("a refusal of %s would be ignored", who)
	}
	for _, mask := range was.masks {
		if !slices.ContainsFunc(is.masks, func(m string) bool { return covers(m, mask) }) {
			return fmt.Errorf("%s would see %s", who, mask)
		}
	}
	return nil
}

// covers returns whether a path is covered with another, or below it.
func covers(mask, file string) bool {
	mask, file = filepath.Clean(mask), filepath.Clean(file)
	return mask == file || strings.HasPrefix(file, strings.TrimSuffix(mask, "/")+"/")
}

// without returns the elements that another list does not have.
func without(list, other []string) (missing []string) {
	for _, x := range list {
		if !slices.Contains(other, x) {
			missing = append(missing, x)
		}
	}
	return missing
}
