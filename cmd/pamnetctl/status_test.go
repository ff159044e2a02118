// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"libpam-net/internal/journal"
	"libpam-net/internal/sessions"
)

func TestPrintStatusOnOneScreenHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 29, 9, 5, 7, 0, time.Local)
	s := status{
		Version: "1", Modules: statusModules{Directory: "/lib/security", Missing: []string{"pam_newnet"}}, Services: make([]string, 200), Silent: []string{"sss"},
		Groups: []statusGroup{
			{Module: "pam_newnet", Group: "exam", Members: []string{"a", "b", "c", "d", "e"}, Complete: true},
			{Module: "pam_newnet", Group: "newnet", Complete: true, Open: []string{"a", "b", "c", "d", "e", "f"}},
			{Module: "pam_usernet", Group: "usernet", Members: []string{"ulf"}, Open: []string{"x"}},
			{Module: "pam_groupnet", Group: "groupnet-*"},
		},
		Refusals: statusRefusals{Source: "the journal"},
	}
	for i := range 500 {
		user := fmt.Sprintf("u%03d", i)
		s.Networks = append(s.Networks, statusNetwork{Name: user, Counted: i, Users: []string{user}})
		s.Sessions = append(s.Sessions, sessions.Session{User: user, Since: at, Name: user, In: 2048})
		s.Refusals.Lines = append(s.Refusals.Lines, journal.Line{Time: at, User: user, Service: "su", Text: "no\n", Proven: i > 0})
	}
	s.Networks[0].Name, s.Networks[0].Uplink, s.Networks[0].DNS, s.Networks[0].OwnDNS = "\x1b[2J", "incomplete", []string{"192.0.2.1", "::1"}, true
	var out strings.Builder
	if err := printStatus(&out, &s); err != nil {
		t.Fatal(err)
	}
	var shown []string
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "u00") || strings.HasPrefix(line, "u001") {
			shown = append(shown, strings.TrimSuffix(line, "\n"))
		}
	}
	want := `libpam-net 1, modules in /lib/security, without pam_newnet

MODULE        GROUP       MEMBERS              SERVICES    WITHOUT
pam_newnet    exam        a, b, c, d, e        200 of 200  -
pam_newnet    newnet      -                    194 of 200  a, b, c, d, 2 more
pam_usernet   usernet     ulf, perhaps others  199 of 200  x
pam_groupnet  groupnet-*  unknown              200 of 200  -
(sss of nsswitch.conf: not all members are listed; pamnetctl explain USER tells of one)

NETWORK  UPLINK      DNS             SESSIONS  USERS
?[2J     incomplete  192.0.2.1, ::1  0         u000
u001     unknown     - (the host's)  1         u001
and 490 more: pamnetctl status --json

USER  SERVICE  FROM  SINCE                NETWORK  IN    OUT
u001  -        -     2026-11-29 09:05:07  u001     2.0K  0B
and 490 more: pamnetctl list

500 refusals in the last day (the journal), 1 of which any user can have written:
2026-11-29 09:05:07  ?  u000  su  no?
2026-11-29 09:05:07     u001  su  no?`
	if got := strings.Join(shown[:min(len(shown), strings.Count(want, "\n")+1)], "\n"); got != want {
		t.Errorf("the screen is\n%s", got)
	}
	if lines := strings.Count(out.String(), "\n"); lines > 50 {
		t.Errorf("the screen has %d lines", lines)
	}
	out.Reset()
	if err := printStatus(&out, &status{Version: "1"}); err != nil || !strings.Contains(out.String(), "nobody is isolated") ||
		!strings.Contains(out.String(), "no isolated sessions") || !strings.Contains(out.String(), "refusals unknown") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestPrintPlace(t *testing.T) {
	t.Parallel()
	lo, eth := sessions.Interface{Name: "lo", Up: true}, sessions.Interface{Name: "eth0", Up: true}
	route := []sessions.Route{{Gateway: "10.0.0.1", Interface: "eth0"}, {Gateway: "fe80::1", Interface: "eth0"}, {Gateway: "10.0.0.1", Interface: "eth0"}}
	for want, p := range map[string]place{
		"You are in network lab with gina and greg; no way out; because of groupnet-lab": {
			Network: "lab", Group: "groupnet-lab", Others: []string{"gina", "greg"}, Interfaces: []sessions.Interface{lo},
		},
		"You are in network ulf, alone; out through 10.0.0.1 by eth0, fe80::1 by eth0, name server 10.0.0.1; because of usernet": {
			Network: "ulf", Group: "usernet", Interfaces: []sessions.Interface{lo, eth}, Routes: route, DNS: []string{"10.0.0.1"},
		},
		"You are in network ulf with gina; no default route; because of usernet": {
			Network: "ulf", Group: "usernet", Others: []string{"gina"}, Interfaces: []sessions.Interface{lo, eth},
		},
		"You are in a network of your session's own, alone; no way out; because of newnet; you own it": {Group: "newnet", Managed: true},
		"You are in the host's network; out through 10.0.0.1 by eth0, without name server; no group of yours isolates you": {
			Host: true, Routes: route[:1],
		},
		"You are in the host's network; no way out; although you are in group newnet: this session is older, or of another service": {
			Host: true, Group: "newnet",
		},
		"You are in the host's network; no way out; although you are in group newnet: the service has no line of pam_newnet": {
			Host: true, Group: "newnet", Problem: "the service has no line of pam_newnet",
		},
		"You are in another network than the host's, net:[7], alone; no way out; why is unknown: ?[2J": {Inode: 7, Problem: "\x1b[2J"},
		"You are in another network than the host's, net:[7] with a, b and c; no way out; " +
			"no group of yours leads there: su and sudo stay in the network that they start from": {Inode: 7, Others: []string{"a", "b", "c"}},
	} {
		var out strings.Builder
		if err := printPlace(&out, &p); err != nil || out.String() != want+"\n" {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
}
