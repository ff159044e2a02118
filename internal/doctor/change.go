// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"libpam-net/internal/amend"
	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
)

// Enable adds lines for a group to a tree: each service that opens sessions gets one, with these arguments.
// Lines that are there get the arguments. A service in which a line would have no effect, because libpam cannot
// parse what is before it, gets none.
func Enable(m Machine, tree *amend.Tree, module policy.Module, args []string) error {
	f := fixer{machine: m, oracle: m.oracle()}
	var hopeless []string
	for {
		e, gaps, err := f.gaps(tree, module, hopeless)
		if err != nil {
			return err
		}
		if len(gaps) == 0 {
			break
		}
		next := tree.Clone()
		for _, g := range gaps {
			finding := Finding{Diff: e.edits(g)}
			if g.profile {
				finding = Finding{profiles: []string{profileOf(module)}, instead: e.edits(g)}
			}
			if err := f.apply(next, finding); err != nil {
				return err
			}
		}
		_, still, err := f.gaps(next, module, hopeless)
		if err != nil {
			return err
		}
		before := len(hopeless)
		for _, g := range still {
			hopeless = append(hopeless, g.services...)
		}
		if len(hopeless) == before {
			*tree = *next
		}
	}
	_, err := Set(m, tree, func(other policy.Module) bool { return other == module }, args, nil)
	return err
}

// gaps returns the files that lack a line for a group, but for some services.
func (f *fixer) gaps(tree *amend.Tree, module policy.Module, without []string) (*examination, []*gap, error) {
	f.machine.tree = tree
	e, err := f.machine.survey(f.oracle)
	if err != nil {
		return nil, nil, err
	}
	e.concerns = []concern{{Module: module}}
	e.services = slices.DeleteFunc(e.services, func(s service) bool { return slices.Contains(without, s.name) })
	return e, e.gaps(), nil
}

// Set adds arguments to all lines of the modules that match, and removes arguments. An argument with a value
// replaces those with other values, except mask=. One that is removed may be given without its value. Set
// returns the number of lines.
func Set(m Machine, tree *amend.Tree, matches func(policy.Module) bool, add, remove []string) (lines int, err error) {
	m.tree = tree
	e, err := m.survey(m.oracle())
	if err != nil {
		return 0, err
	}
	rules := slices.DeleteFunc(slices.Clone(e.lines), func(r policy.Rule) bool { return !matches(r.Module) })
	return len(rules), tree.Edit(e.replaced(rules, func(r policy.Rule) (string, []string) {
		return r.Line.Control, merged(r.Line.Args, add, remove)
	})...)
}

// merged returns the arguments of a line after Set.
func merged(args, add, remove []string) []string {
	drop := func(matches func(arg, key string) bool) {
		args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
			key, _, _ := strings.Cut(arg, "=")
			return matches(arg, key)
		})
	}
	for _, gone := range remove {
		drop(func(arg, key string) bool { return arg == gone || key == gone })
	}
	for _, new := range add {
		if slices.Contains(args, new) {
			continue
		}
		if name, _, hasValue := strings.Cut(new, "="); hasValue && name != "mask" {
			drop(func(_, key string) bool { return key == name })
		}
		args = append(args, new)
	}
	return args
}

// Disable removes all lines of a module, of any type. It returns their number.
func Disable(m Machine, tree *amend.Tree, module policy.Module) (lines int, err error) {
	rules, err := named(m, tree, module.Name)
	if err != nil || len(rules) == 0 {
		return 0, err
	}
	lines = len(rules)
	if saved, err := tree.Text("/var/lib/pam/session"); m.Live && err == nil && tree.Updatable() &&
		strings.Contains(saved, "Module: "+profileOf(module)+"\n") {
		if err := tree.Profiles("--disable", profileOf(module)); err != nil {
			return 0, err
		}
		if rules, err = named(m, tree, module.Name); err != nil {
			return 0, err
		}
	}
	released := func(other policy.Module) bool { return other.Name == module.Name }
	m.tree = tree
	e := &examination{Machine: m}
	removed := tree.Clone()
	err = removed.Edit(e.removed(rules...)...)
	if err == nil {
		err = removed.Check(released)
	}
	if err != nil { // it may be that a jump counts the line
		removed = tree.Clone()
		edits := e.edited(rules, func(r policy.Rule) []string {
			return append(amend.Marked("+ ", amend.Comments(e.at(r.Line.Place))...), "+ "+amend.LineText(pamstack.Line{
				Place: r.Line.Place, Service: r.Line.Service, Type: r.Line.Type, Module: "pam_permit.so",
			}, "optional", nil))
		})
		if failed := removed.Edit(edits...); failed != nil {
			return 0, errors.Join(err, failed)
		}
		if removed.Check(released) != nil {
			return 0, fmt.Errorf("remove the lines of %s: %w", module.Name, err)
		}
	}
	*tree = *removed
	return lines, nil
}

// named returns the lines of a module, of any type, each once.
func named(m Machine, tree *amend.Tree, module string) (rules []policy.Rule, err error) {
	stacks, err := tree.Stacks()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, service := range stacks.Services() {
		for _, kind := range []string{pamstack.Auth, pamstack.Account, pamstack.Password, pamstack.Session} {
			for _, l := range stacks.Stack(service, kind) {
				if l.Is(module) && !seen[l.String()] {
					seen[l.String()] = true
					rules = append(rules, policy.Rule{Line: &l})
				}
			}
		}
	}
	return rules, nil
}
