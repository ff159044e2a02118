// SPDX-License-Identifier: GPL-2.0-or-later

// Package policy answers three questions without opening a session: which groups the lines of the modules are
// for, who is a member of them, and what the stack of a service decides for a user.
package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"libpam-net/internal/netns"
	"libpam-net/internal/pamstack"
	"libpam-net/internal/session"
	"libpam-net/pam"
)

// Module is a module, and the group whose members it takes into a network namespace.
type Module struct {
	Name  string
	Kind  session.Kind
	Group string // of pam_groupnet: what stands before "-NAME"
}

// Modules are the modules with their defaults of group=, in the order of docs/GUIDE.md. cmd/ and the Makefile
// have the same.
var Modules = []Module{
	{"pam_groupnet", session.GroupNet, "groupnet"},
	{"pam_newnet", session.NewNet, "newnet"},
	{"pam_usernet", session.UserNet, "usernet"},
}

// Has returns whether the module is for the members of a group of this name.
func (m Module) Has(group string) bool {
	if m.Kind == session.GroupNet {
		name, ok := strings.CutPrefix(group, m.Group+"-")
		return ok && name != ""
	}
	return group == m.Group
}

// Groups returns the names of the module's groups as a pattern: "newnet", "groupnet-*".
func (m Module) Groups() string {
	if m.Kind == session.GroupNet {
		return m.Group + "-*"
	}
	return m.Group
}

// NetnsName returns the name of the network namespace of a member, "" for one without.
func (m Module) NetnsName(a session.Answer) string {
	return session.Request{Kind: m.Kind, Group: m.Group}.NetnsName(a)
}

// Rule is a line of a module in the stack of a service, or the lack of one.
type Rule struct {
	Module
	Line       *pamstack.Line // nil: the service has no line for the group
	At         int            // the index of the line in the stack
	Request    session.Request
	Complaints []pam.Complaint
}

// Policy is what the modules do on a machine.
type Policy struct {
	*Oracle
	Stacks *pamstack.Config
	lines  map[string][]Rule // by service
	groups []Module          // see Concerned
}

// Load reads the policy of the machine whose root directory is root.
func Load(root string, o *Oracle) (*Policy, error) {
	stacks, err := pamstack.Load(root)
	if err != nil {
		return nil, fmt.Errorf("read the PAM configuration: %w", err)
	}
	return New(stacks, o)
}

// New returns the policy of a configuration.
func New(stacks *pamstack.Config, o *Oracle) (*Policy, error) {
	p := &Policy{o, stacks, map[string][]Rule{}, nil}
	for _, service := range stacks.Services() {
		p.lines[service] = RulesOf(stacks.Stack(service, pamstack.Session))
		for _, r := range p.lines[service] {
			p.groups = append(p.groups, r.Module)
		}
	}
	for _, m := range Modules {
		if slices.ContainsFunc(p.groups, func(g Module) bool { return g.Name == m.Name }) && !slices.Contains(p.groups, m) {
			members, _, err := p.Members(m)
			if err != nil {
				return nil, err
			}
			if len(members) == 0 {
				continue
			}
		}
		p.groups = append(p.groups, m)
	}
	slices.SortFunc(p.groups, func(a, b Module) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group))
	})
	p.groups = slices.Compact(p.groups)
	return p, nil
}

// RulesOf returns the rules of the modules' lines in a stack, in their order.
func RulesOf(stack []pamstack.Line) (rules []Rule) {
	for i, l := range stack {
		for _, m := range Modules {
			if l.Is(m.Name) {
				request, complaints := pam.Parse(m.Kind, m.Group, l.Args)
				rules = append(rules, Rule{Module{m.Name, m.Kind, request.Group}, &l, i, request, complaints})
			}
		}
	}
	return rules
}

// Concerned returns the modules with the groups that the lines of any service name. A module's default group
// is among them if no line names another one, or if it has members.
func (p *Policy) Concerned() []Module { return p.groups }

// Lines returns the rules of the lines that a service has, in their order.
func (p *Policy) Lines(service string) []Rule {
	if lines, ok := p.lines[service]; ok {
		return lines
	}
	return p.lines[pamstack.Other]
}

// HasLine returns whether a service has a line for a group.
func (p *Policy) HasLine(service string, m Module) bool {
	return slices.ContainsFunc(p.Lines(service), func(r Rule) bool { return r.Module == m })
}

// Rules returns the rules of the lines that a service has, and of the groups that it has no line for.
func (p *Policy) Rules(service string) []Rule {
	rules := slices.Clone(p.Lines(service))
	for _, m := range p.groups {
		if !p.HasLine(service, m) {
			rules = append(rules, Rule{Module: m, Request: session.Request{Kind: m.Kind, Group: m.Group}})
		}
	}
	return rules
}

// ServiceMembers returns the names of the members that the rules of a service are for, sorted. complete is
// false if there may be more.
func (p *Policy) ServiceMembers(service string) (names []string, complete bool, err error) {
	complete = true
	for _, r := range p.Rules(service) {
		members, all, err := p.Members(r.Module)
		if err != nil {
			return nil, false, err
		}
		complete = complete && all
		for _, a := range members {
			names = append(names, a.User)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), complete, nil
}

// CheckUser returns an error if no user has this name. It returns nil if a source that does not answer may know the user.
func (p *Policy) CheckUser(name string) error {
	if a := p.Member(name, Modules[0]); a.State != session.Unknown && !a.Known {
		return fmt.Errorf("there is no user %q", name)
	}
	return nil
}

// Outcome is the result of a login.
type Outcome string

// The outcomes.
const (
	Isolated Outcome = "isolated"
	Refused  Outcome = "refused"
	Host     Outcome = "host" // in the host's network
)

// Step is a rule with its answer about a user.
type Step struct {
	Rule
	session.Answer
	Asked bool // libpam calls the module
}

// Isolates returns whether the module takes the user into a network namespace.
func (s Step) Isolates() bool { return s.Asked && s.State == session.Member }

// Netns returns the name of the network namespace of a member, "" for one without.
func (s Step) Netns() string { return s.NetnsName(s.Answer) }

func (s Step) nameError() error {
	if s.Kind == session.NewNet {
		return nil
	}
	return netns.CheckName(s.Netns())
}

// Missing returns why the module is not called.
func (s Step) Missing() string {
	switch {
	case s.Line != nil:
		return fmt.Sprintf("libpam skips %s:%d", s.Line.File, s.Line.Number)
	case slices.Contains(Modules, s.Module):
		return "the service has no line of " + s.Name
	default:
		return "the service has no line of " + s.Name + " with group=" + s.Module.Group
	}
}

// Decision is the result of a service's stack for a user.
type Decision struct {
	Outcome Outcome
	Why     string // the cause of a refusal
	Steps   []Step
}

// Decide returns the result of a service's stack for a user if all modules of others succeed.
func (p *Policy) Decide(service, user string) Decision {
	d := Decision{Outcome: Host}
	for _, r := range p.Rules(service) {
		d.Steps = append(d.Steps, Step{Rule: r, Answer: p.Member(user, r.Module)})
	}
	code, asked := pamstack.Follow(p.Stacks.Stack(service, pamstack.Session), func(i int) pamstack.Code {
		for _, s := range d.Steps {
			if s.Line != nil && s.At == i {
				return s.code()
			}
		}
		return pamstack.Success
	})
	for i := range d.Steps {
		s := &d.Steps[i]
		s.Asked = s.Line != nil && asked[s.At]
		switch {
		case s.Isolates() && s.nameError() != nil:
			d.Outcome, d.Why = Refused, s.nameError().Error()
		case s.Isolates() && d.Outcome == Host:
			d.Outcome = Isolated
		case s.Asked && s.code() == pamstack.Abort:
			d.Outcome, d.Why = Refused, fmt.Sprintf("%s cannot tell whether the user is a member: %s", s.Name, s.Problem)
		}
	}
	if code != pamstack.Success && d.Outcome != Refused {
		d.Outcome, d.Why = Refused, "libpam returns "+string(code)
	}
	return d
}

// code is the return code of the module if nothing fails.
func (s Step) code() pamstack.Code {
	switch {
	case s.State == session.Member:
		return pamstack.Success
	case s.IsNonMember() || s.Root:
		return pamstack.Ignore
	default:
		return pamstack.Abort
	}
}

// Network returns the step that decides which network namespace the user gets: the
// last one that isolates.
func (d Decision) Network() *Step {
	for i := range slices.Backward(d.Steps) {
		if d.Steps[i].Isolates() {
			return &d.Steps[i]
		}
	}
	return nil
}

// Holes returns the steps that leave a member in the host's network: the service has no line for the group,
// or libpam skips it.
func (d Decision) Holes() (holes []Step) {
	for _, s := range d.Steps {
		if s.State == session.Member && !s.Asked {
			holes = append(holes, s)
		}
	}
	return holes
}
