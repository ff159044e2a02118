// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"fmt"
	"log/syslog"
	"testing"

	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
	"libpam-net/internal/session"
	"libpam-net/internal/sessions"
	"libpam-net/test/expect"
)

// step is what pam_usernet decides for ulf, a member. libpam calls it if asked is true.
func step(asked bool) policy.Step {
	m := policy.Module{Name: "pam_usernet", Kind: session.UserNet, Group: "usernet"}
	return policy.Step{
		Rule:   policy.Rule{Module: m, Line: &pamstack.Line{Place: pamstack.Place{File: "/etc/pam.d/su", Number: 7}}, Request: session.Request{Kind: m.Kind, Group: m.Group}},
		Answer: session.Answer{State: session.Member, User: "ulf", Group: "usernet"},
		Asked:  asked,
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	const inode = 4026532180
	member := policy.Decision{Outcome: policy.Isolated, Steps: []policy.Step{step(true)}}
	skipped := policy.Decision{Outcome: policy.Host, Steps: []policy.Step{step(false)}}
	nobody := policy.Decision{Outcome: policy.Host}
	network := &sessions.Network{}
	line := func(priority syslog.Priority, module, text string) Line { return Line{int(priority), module, text} }
	joined := line(syslog.LOG_INFO, "pam_usernet", `"ulf": joined network namespace "ulf" (net:[4026532180])`)
	for name, c := range map[string]struct {
		login    Login
		decision policy.Decision
		outcome  policy.Outcome
		by       string
		problems string
	}{
		"a member in the network with the right name": {
			Login{View: View{Moved: true, Inode: inode, Network: network, Shown: Shown{Log: []Line{joined}}}, Name: "ulf"},
			member, policy.Isolated, "pam_usernet: " + joined.Text, "[]",
		},
		"a member in another network": {
			Login{View: View{Moved: true, Inode: inode, Network: network}, Name: "lab"},
			member, policy.Isolated, ": ", `[in the network namespace "lab" instead of "ulf"]`,
		},
		"a non-member in a network": {
			Login{View: View{Moved: true, Network: network}}, nobody, policy.Isolated, ": ", "[isolated, but in none of the groups]",
		},
		"a non-member in the host's network": {
			Login{View: View{Network: network}}, nobody, policy.Host, ": ", "[]",
		},
		"a member in the host's network": {
			Login{View: View{Network: network}}, member, policy.Host, ": ", `[a member of "usernet" stays in the host's network]`,
		},
		"a member whose line libpam skips": {
			Login{View: View{Network: network}},
			skipped, policy.Host, ": ",
			fmt.Sprintf(`[a member of "usernet" stays in the host's network: %s]`, step(false).Missing()),
		},
		"root, of whom nothing is known": {
			Login{View: View{Network: network, Shown: Shown{Log: []Line{
				line(syslog.LOG_ERR, "pam_usernet", `"root" let in as root, not isolated: no answer`),
			}}}},
			nobody, policy.Host, `pam_usernet: "root" let in as root, not isolated: no answer`, "[]",
		},
		"a refusal of ours, after an error of another module": {
			Login{View: View{Refused: "aborted", Shown: Shown{Log: []Line{
				line(syslog.LOG_ERR, "pam_env", "no file"), line(syslog.LOG_ERR, "pam_usernet", `"ulf" refused: one`), line(syslog.LOG_ERR, "pam_newnet", `"ulf" refused: two`),
			}}}},
			member, policy.Refused, `pam_usernet: "ulf" refused: one`, "[refused]",
		},
		"a refusal by another module": {
			Login{View: View{Refused: "denied", Shown: Shown{Log: []Line{
				line(syslog.LOG_INFO, "pam_unix", "session opened"), line(syslog.LOG_CRIT, "pam_limits", "too many"), line(syslog.LOG_ERR, "pam_env", "no file"),
			}}}},
			member, policy.Refused, "pam_limits: too many", "[refused]",
		},
		"a refusal that nobody explains": {
			Login{View: View{Refused: "denied"}}, nobody, policy.Refused, ": PAM says: denied", "[refused]",
		},
	} {
		r := c.login.Report("ulf", "su", c.decision)
		expect.Equal(t, name+": outcome", r.Outcome, c.outcome)
		expect.Equal(t, name+": by", r.Module+": "+r.Why, c.by)
		expect.Equal(t, name+": problems", fmt.Sprint(r.Problems), c.problems)
		expect.Equal(t, name+": a network", r.Network != nil, c.outcome != policy.Refused)
	}
}
