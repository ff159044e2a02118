// SPDX-License-Identifier: GPL-2.0-or-later

// Package policy tells what the modules in the session stack of a service will
// decide for a user, without opening a session.
package policy

import (
	"fmt"
	"slices"

	"libpam-net/internal/netns"
	"libpam-net/internal/pamstack"
	"libpam-net/internal/session"
	"libpam-net/pam"
)

// Module is one of ours.
type Module struct {
	Name  string
	Kind  session.Kind
	Group string // the default of group=
}

// Modules are all, as cmd/ makes them.
var Modules = []Module{
	{"pam_groupnet", session.GroupNet, "groupnet"},
	{"pam_newnet", session.NewNet, "newnet"},
	{"pam_usernet", session.UserNet, "usernet"},
}

// Rule is what a line of the stack, or the lack of one, makes of a group.
type Rule struct {
	Module
	Line       *pamstack.Line // nil: the service has no line of this module
	Request    session.Request
	Complaints []pam.Complaint
	at         int // in the stack
}

// Groups describes whom the rule concerns.
func (r Rule) Groups() string {
	if r.Kind == session.GroupNet {
		return r.Request.Group + "-*"
	}
	return r.Request.Group
}

// Policy is the session stack of a service, and the rules in it: of its lines in
// their order, and, of each module that it has no line of, those of the groups that
// other services' lines name, or of the module's own.
type Policy struct {
	Rules []Rule
	stack []pamstack.Line
}

// PolicyOf reads that of a service.
func PolicyOf(c *pamstack.Config, service string) Policy {
	p := Policy{lines(c, service), c.Stack(service, pamstack.Session)}
	for _, m := range Modules {
		if !slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Name == m.Name }) {
			p.Rules = append(p.Rules, missing(c, m)...)
		}
	}
	return p
}

// lines are the rules of those lines that a service has.
func lines(c *pamstack.Config, service string) (rules []Rule) {
	for i, l := range c.Stack(service, pamstack.Session) {
		for _, m := range Modules {
			if l.Is(m.Name) {
				request, complaints := pam.Parse(m.Kind, m.Group, l.Args)
				rules = append(rules, Rule{m, &l, request, complaints, i})
			}
		}
	}
	return rules
}

// missing are the rules of a module that a service has no line of.
func missing(c *pamstack.Config, m Module) []Rule {
	groups := []string{}
	for _, service := range c.Services() {
		for _, r := range lines(c, service) {
			if r.Name == m.Name && !slices.Contains(groups, r.Request.Group) {
				groups = append(groups, r.Request.Group)
			}
		}
	}
	if len(groups) == 0 {
		groups = []string{m.Group}
	}
	slices.Sort(groups)
	var rules []Rule
	for _, group := range groups {
		rules = append(rules, Rule{Module: m, Request: session.Request{Kind: m.Kind, Group: group}})
	}
	return rules
}

// Outcome is what becomes of a login.
type Outcome string

// The outcomes.
const (
	Isolated Outcome = "isolated"
	Refused  Outcome = "refused"
	Host     Outcome = "host" // let into the host's network
)

// Step is what a rule comes to for a user.
type Step struct {
	Rule
	session.Answer
	Asked bool // libpam comes to the line
}

// Isolates tells whether the module takes the user into a network namespace.
func (s Step) Isolates() bool { return s.Asked && s.State == session.Member }

// Netns is the name of the network namespace that a member gets, "" for one without.
func (s Step) Netns() string { return s.Request.NetnsName(s.Answer) }

func (s Step) nameError() error {
	if s.Kind == session.NewNet {
		return nil
	}
	return netns.CheckName(s.Netns())
}

// Missing tells why the module is not asked.
func (s Step) Missing() string {
	if s.Line == nil {
		return "the service has no line of " + s.Name
	}
	return fmt.Sprintf("libpam does not come to %s:%d", s.Line.File, s.Line.Number)
}

// Decision is what the stack of a service comes to for a user.
type Decision struct {
	Outcome Outcome
	Why     string // of a refusal: why, as far as the modules know beforehand
	Steps   []Step
}

// Decide decides by the rules of the service. Other modules are taken to succeed.
func (p Policy) Decide(user string) Decision {
	d := Decision{Outcome: Host}
	for _, r := range p.Rules {
		d.Steps = append(d.Steps, Step{Rule: r, Answer: pam.Lookup(r.Kind, user, r.Request.Group)})
	}
	code, asked := pamstack.Follow(p.stack, func(i int) pamstack.Code {
		for _, s := range d.Steps {
			if s.Line != nil && s.at == i {
				return s.code()
			}
		}
		return pamstack.Success
	})
	for i := range d.Steps {
		s := &d.Steps[i]
		s.Asked = s.Line != nil && asked[s.at]
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
		d.Outcome, d.Why = Refused, "the stack comes to "+string(code)
	}
	return d
}

// code is what the module returns to libpam, if nothing fails.
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

// Holes are the steps that leave a member in the host's network: the service has no
// line of the module, or libpam does not come to it.
func (d Decision) Holes() (holes []Step) {
	for _, s := range d.Steps {
		if s.State == session.Member && !s.Asked {
			holes = append(holes, s)
		}
	}
	return holes
}
