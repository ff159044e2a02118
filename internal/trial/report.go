// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"fmt"
	"slices"
	"strings"

	"libpam-net/internal/policy"
	"libpam-net/internal/session"
	"libpam-net/internal/sessions"
)

// Report tells what a login gets, and whether the user's groups call for that.
type Report struct {
	User     string         `json:"user"`
	Service  string         `json:"service"`
	Outcome  policy.Outcome `json:"outcome"`
	Problems []string       `json:"problems"`                      // where the login differs from what the groups call for
	Module   string         `json:"module"`                        // that decided, "" for none of ours
	Why      string         `json:"why"`                           // in its words
	Network  *Network       `json:"network" jsonschema:"nullable"` // nil for a refused login
	Shown
}

// Network is the network namespace of a login.
type Network struct {
	Inode   uint64 `json:"inode"`
	Name    string `json:"name"`    // "" for one without
	Created bool   `json:"created"` // by this login
	*sessions.Network
}

// Report compares the login with the decision of the policy.
func (l *Login) Report(user, service string, d policy.Decision) Report {
	r := Report{User: user, Service: service, Outcome: policy.Host, Shown: l.Shown}
	switch {
	case l.Refused != "":
		r.Outcome = policy.Refused
	case l.Moved:
		r.Outcome = policy.Isolated
	}
	r.Module, r.Why = l.reason(r.Outcome)
	if r.Outcome != policy.Refused {
		r.Network = &Network{l.Inode, l.Name, l.Created, l.Network}
	}
	r.Problems = append(l.problems(r.Outcome, d), l.netProblems(d)...)
	return r
}

// reason returns the line of the log that gives the reason for an outcome, and the module that logged it.
func (l *Login) reason(o policy.Outcome) (module, why string) {
	for _, line := range l.Log {
		ours := isOurs(line.Module)
		switch {
		case o == policy.Refused && ours && strings.Contains(line.Text, " refused: "): // the first
			return line.Module, line.Text
		case o == policy.Isolated && ours && strings.HasSuffix(line.Text, fmt.Sprintf(" (net:[%d])", l.Inode)),
			o == policy.Host && ours && strings.Contains(line.Text, " let in as root, not isolated: "): // the last
			module, why = line.Module, line.Text
		case o == policy.Refused && why == "" && line.failed():
			module, why = line.Module, line.Text
		}
	}
	if o == policy.Refused && why == "" {
		why = "PAM says: " + l.Refused
	}
	return module, why
}

// SetupLines returns what a setup program has said before the login was refused.
func (r Report) SetupLines() (lines []Line) {
	for _, l := range r.Log {
		if r.Outcome == policy.Refused && isOurs(l.Module) && strings.HasPrefix(l.Text, "setup of ") {
			lines = append(lines, l)
		}
	}
	return lines
}

func isOurs(module string) bool {
	return slices.ContainsFunc(policy.Modules, func(m policy.Module) bool { return m.Name == module })
}

// problems returns where the outcome differs from the decision.
func (l *Login) problems(o policy.Outcome, d policy.Decision) []string {
	problems := []string{}
	if o == policy.Refused {
		return append(problems, "refused")
	}
	step := d.Network()
	switch {
	case o == policy.Isolated && step == nil:
		problems = append(problems, "isolated, but in none of the groups")
	case o == policy.Isolated && l.Name != step.Netns():
		problems = append(problems, fmt.Sprintf("in the network namespace %q instead of %q", l.Name, step.Netns()))
	case o == policy.Host && step != nil:
		problems = append(problems, fmt.Sprintf("a member of %q stays in the host's network", step.Group))
	case o == policy.Host:
		for _, s := range d.Holes() {
			problems = append(problems, fmt.Sprintf("a member of %q stays in the host's network: %s", s.Group, s.Missing()))
		}
	}
	return problems
}

// netProblems returns where the session reaches what it should not, or does not reach what it should. With pam_newnet
// that is nothing. Without a default route no gateway and no name server is expected.
func (l *Login) netProblems(d policy.Decision) (problems []string) {
	step := d.Network()
	for _, p := range l.Probes {
		switch alone := step != nil && step.Kind == session.NewNet; {
		case alone && p.Reached:
			problems = append(problems, fmt.Sprintf("pam_newnet has nothing to reach, and the session reaches %s: %s", p, p.Why))
		case !alone && !p.Reached && (p.Kind == Target || p.Kind != Anything && len(l.Routes) > 0):
			problems = append(problems, fmt.Sprintf("the session does not reach %s: %s", p, p.Why))
		}
	}
	return problems
}
