// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"fmt"
	"strings"

	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
)

// Report is what a login gets, and whether that is what the user's groups say.
type Report struct {
	User         string         `json:"user"`
	Service      string         `json:"service"`
	Outcome      policy.Outcome `json:"outcome"`
	Problems     []string       `json:"problems"`                      // why it is not what the groups say
	Module       string         `json:"module"`                        // that has decided, "" for none of ours
	Why          string         `json:"why"`                           // in its words
	Network      *Network       `json:"network" jsonschema:"nullable"` // nil for a refused login
	StandIns     []string       `json:"etc"`
	DNS          []string       `json:"dns"`
	ClassNet     []string       `json:"sys_class_net"`
	Sockets      []string       `json:"host_sockets"`
	Log          []Line         `json:"log"`
	Messages     []string       `json:"messages"`
	Milliseconds float64        `json:"milliseconds"`
}

// Network is the one that a login is in.
type Network struct {
	Inode   uint64 `json:"inode"`
	Name    string `json:"name"`    // "" for one without
	Created bool   `json:"created"` // by this login
	*sessions.Network
}

// Report compares what the login has got with what was decided beforehand.
func (l *Login) Report(user, service string, d policy.Decision) Report {
	r := Report{
		User: user, Service: service, Outcome: policy.Host, Problems: []string{},
		StandIns: l.StandIns, DNS: l.DNS, ClassNet: l.ClassNet, Sockets: l.Sockets,
		Log: l.Log, Messages: l.Messages, Milliseconds: l.Milliseconds,
	}
	for _, list := range []*[]string{&r.StandIns, &r.DNS, &r.ClassNet, &r.Sockets, &r.Messages} {
		if *list == nil {
			*list = []string{}
		}
	}
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
	r.Problems = append(r.Problems, l.problems(r.Outcome, d)...)
	return r
}

// reason finds the line of the log that tells why.
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

func isOurs(module string) bool {
	for _, m := range policy.Modules {
		if m.Name == module {
			return true
		}
	}
	return false
}

// problems tells where a login has not got what the groups say.
func (l *Login) problems(o policy.Outcome, d policy.Decision) (problems []string) {
	if o == policy.Refused {
		return []string{"refused"}
	}
	step := d.Network()
	switch {
	case o == policy.Isolated && step == nil:
		problems = append(problems, "isolated, though no group says so")
	case o == policy.Isolated && l.Name != step.Netns():
		problems = append(problems, fmt.Sprintf("in the network namespace %q, and not in %q", l.Name, step.Netns()))
	case o == policy.Host && step != nil:
		problems = append(problems, fmt.Sprintf("let into the host's network, as a member of %q", step.Group))
	case o == policy.Host:
		for _, s := range d.Holes() {
			problems = append(problems, fmt.Sprintf("let into the host's network, as a member of %q: %s", s.Group, s.Missing()))
		}
	}
	return problems
}
