// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"libpam-net/internal/netns"
	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
	"libpam-net/internal/trial"
)

// run runs pamnetctl.
func run(args ...string) (code int, stdout, stderr string) {
	var out, errors strings.Builder
	code = execute(args, &out, &errors)
	return code, out.String(), errors.String()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"log one two", usage, "Usage: pamnetctl log [USER]"},
		{"graph lab", usage, "Usage: pamnetctl graph [flags]"},
		{"status now", usage, "Usage: pamnetctl status [flags]"},
		{"--help", fine, "Available Commands"},
		{"help join", fine, "pamnetctl join TAG|PID [-- COMMAND [ARGUMENT...]]"},
		{"completion bash", fine, "bash completion"},
		{"mien", usage, `unknown command "mien"`},
		{"mine all", usage, "Usage: pamnetctl mine [flags]; see pamnetctl mine --help"},
		{"mine --xml", usage, "unknown flag: --xml"},
		{"hold", usage, "Usage: pamnetctl hold TAG"},
		{"hold one two", usage, "Usage: pamnetctl hold TAG"},
		{"release", usage, "Usage: pamnetctl release TAG"},
		{"join", usage, "Usage: pamnetctl join TAG|PID"},
		{"join --json lab", usage, "unknown flag: --json"},
		{"list one two", usage, "Usage: pamnetctl list [USER]"},
		{"--version", fine, "pamnetctl unreleased"},
		{"list --json --watch", usage, "--json and --watch exclude each other"},
		{"enter", usage, "Usage: pamnetctl enter [--as-user] NAME|USER|PID"},
		{"check", usage, "name either a user or --all-members"},
		{"check ulf gina", usage, "name either a user or --all-members"},
		{"check ulf --all-members", usage, "name either a user or --all-members"},
		{"check --all-members --run true", usage, "--run needs a user"},
		{"check ulf --user gina", usage, "name either a user or --all-members"},
		{"check ulf --all-services --run true", usage, "--run needs a user"},
		{"check ulf --all-services --service su", usage, "name either --all-services"},
		{"check ulf --net --target example.org", usage, "write HOST:PORT"},
		{"check ulf --target example.org:80", usage, "--target needs --net"},
		{"enable", usage, "requires at least 1 arg"},
		{"enable othernet", problems, `there is no module "othernet": take newnet, usernet, groupnet or groupnet-NAME`},
		{"enable newnet lodwn -n", problems, `argument "lodwn": no such argument; see pam_newnet(8)`},
		{"enable newnet setup=/x -n", problems, `argument "setup=/x": not supported by pam_newnet`},
		{"enable usernet setup=/nosuch -n", problems, `argument "setup=/nosuch": `},
		{"enable newnet --user nobody-knows -n", problems, `there is no user "nobody-knows"`},
		{"enable newnet --user root -n", problems, "root has uid 0: root can leave any network"},
		{"enable groupnet --user nobody -n", problems, "pamnetctl enable groupnet-NAME --user nobody"},
		{"enable groupnet-lab group=exam -n", problems, "group groupnet-lab is none of exam-*"},
		{"disable groupnet-lab", problems, "the lines are for all groups groupnet-*: pamnetctl disable groupnet"},
		{"disable newnet usernet", usage, "accepts 1 arg"},
		{"set newnet", usage, "name a module and its arguments"},
		{"set newnet timeout=0", problems, `argument "timeout=0": timeout= must be whole seconds`},
		{"hold a/b", problems, `tag "a/b": take 1 to 64 letters`},
		{"release a/b", problems, `tag "a/b": take 1 to 64 letters`},
		{"join -- -a/b", problems, `tag "-a/b": take 1 to 64 letters`},
		{"join nothing-is-held-as-this", problems, "see `pamnetctl mine`"},
		{"join 0", problems, "see `pamnetctl mine`"},
		{"join 2147483647", problems, "no process 2147483647 exists"},
		{"release nothing-is-held-as-this", problems, "see `pamnetctl mine`"},
	} {
		code, stdout, stderr := run(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.says) {
			t.Errorf("%q: exit code %d, not %d, and it says\n%s%s", c.args, code, c.code, stdout, stderr)
		}
		if (code == fine) != (stderr == "") {
			t.Errorf("%q: exit code %d with stderr %q", c.args, code, stderr)
		}
	}
}

func TestSplitCommand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args    string
		command string
	}{
		"a command behind dashes":            {"lab -- ip -6 address", "ip -6 address"},
		"a command":                          {"lab ip -6 address", "ip -6 address"},
		"the dashes of the command":          {"lab -- grep -- -x", "grep -- -x"},
		"no command":                         {"lab", ""},
		"dashes without a command":           {"lab --", ""},
		"a command that is called by dashes": {"lab -- -- x", "-- x"},
	} {
		target, command := splitCommand(strings.Fields(c.args))
		if target != "lab" || !slices.Equal(command, strings.Fields(c.command)) {
			t.Errorf("%s: %q of %q", name, command, target)
		}
	}
}

func TestPrintNetworks(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := printNetworks(&out, []sessions.OwnNetwork{
		{Inode: 4026531840, Processes: 3, Leaders: []int{10, 12}, Interfaces: []string{"eth0", "lo"}},
		{Inode: 4026532180, Current: true, Managed: true, Tags: []string{"lab", "two"}, Processes: 1, Leaders: []int{99}, Interfaces: []string{"lo"}},
	})
	want := `   TAG      INODE       MANAGED  PROCESSES  LEADERS  INTERFACES
   -        4026531840  no       3          10,12    eth0,lo
*  lab,two  4026532180  yes      1          99       lo
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestPrintPruned(t *testing.T) {
	t.Parallel()
	pruned := []netns.Pruned{
		{Name: "lab", Gone: true},
		{Name: "ulf", Why: "threads in it: 2"},
		{Name: "una", Why: "no network namespace", Failed: true},
	}
	var out strings.Builder
	err := errors.Join(printPruned(&out, pruned, false), failures(pruned))
	want := `lab: taken down
ulf: stays: threads in it: 2
una: cannot be taken down: no network namespace
`
	if out.String() != want || err == nil || err.Error() != "1 network could not be taken down" {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := errors.Join(printPruned(&out, pruned[:1], true), failures(pruned[:2])); err != nil || out.String() != "lab: would be taken down\n" {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestPrintSessions(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 24, 9, 5, 0, 0, time.Local)
	lo := sessions.Interface{Name: "lo", Addresses: []string{"127.0.0.1/8"}}
	var out strings.Builder
	err := printSessions(&out, []sessions.Session{
		{User: "nina", Leader: 99, Since: since, Inode: 4026532180, Owner: "nina", Processes: 1, Interfaces: []sessions.Interface{lo}},
		{User: "ulf", Service: "sshd", From: "192.0.2.7", Leader: 1234, Since: since, Inode: 4026532251, Name: "ulf", Processes: 12, In: 1023, Out: 1600000, Interfaces: []sessions.Interface{
			lo, {Name: "eth0", Addresses: []string{"10.0.0.2/30", "fd00::2/64"}}, {Name: "x\x1b[2J"},
		}},
	})
	want := `USER  SERVICE  FROM       LEADER  SINCE                NETWORK           OWNER  PROCESSES  IN     OUT   INTERFACES
nina  -        -          99      2026-11-24 09:05:00  net:[4026532180]  nina   1          0B     0B    lo
ulf   sshd     192.0.2.7  1234    2026-11-24 09:05:00  ulf               -      12         1023B  1.5M  eth0=10.0.0.2/30,fd00::2/64 x?[2J
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{
		0: "0B", 1023: "1023B", 1024: "1.0K", 1<<20 - 1: "1.0M", 1 << 20: "1.0M", 3 << 29: "1.5G", math.MaxUint64: "16.0E",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: %s, not %s", n, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"one\ntwo\n":                "one\r\ntwo",
		"one\ntwo\nthree\n":         "one\r\ntwo\r\nthree",
		"one\ntwo\nthree\nfour\n":   "one\r\ntwo\r\n... and 2 ",
		"a line that is too long\n": "a line tha",
		"ääääääääääää\n":            "ääääääääää",
	} {
		if got := fit(text, 3, 10); got != want {
			t.Errorf("%q: %q, not %q", text, got, want)
		}
	}
}

func TestPrintReport(t *testing.T) {
	t.Parallel()
	lo := sessions.Interface{Name: "lo", Up: true, Addresses: []string{"127.0.0.1/8", "::1/128"}}
	eth := sessions.Interface{Name: "eth0"}
	for _, c := range []struct {
		report trial.Report
		want   string
	}{
		{
			trial.Report{
				User: "ulf", Service: "sshd", Outcome: policy.Isolated, Module: "pam_usernet", Why: "as I say",
				Network: &trial.Network{Inode: 4026532180, Name: "ulf", Created: true, Network: &sessions.Network{
					Interfaces: []sessions.Interface{lo, eth}, Routes: []sessions.Route{{Gateway: "10.0.0.1", Interface: "eth0"}, {Interface: "eth0"}},
				}},
				Shown: trial.Shown{
					StandIns: []string{"/etc/hosts", "/etc/resolv.conf"}, DNS: []string{"10.0.0.1"}, ClassNet: []string{"eth0", "lo"},
					Sockets: []string{"/run/docker.sock"}, Milliseconds: 12.4,
					Log: []trial.Line{{Priority: 6, Module: "pam_usernet", Text: "as I say"}, {Priority: 4, Module: "pam_env", Text: "old"}},
				},
			},
			`ulf through sshd: isolated
  module          pam_usernet
  why             as I say
  network         net:[4026532180] "ulf", created by this check
  interface       lo up 127.0.0.1/8 ::1/128
                  eth0 down
  default route   10.0.0.1 by eth0
                  by eth0
  /sys/class/net  eth0 lo
  replaced        /etc/hosts
                  /etc/resolv.conf
  name server     10.0.0.1
  host's socket   /run/docker.sock
  log             pam_env: old
  time            12 ms
`,
		},
		{
			trial.Report{User: "ulf", Service: "su", Outcome: policy.Refused, Module: "pam_usernet", Why: "no", Problems: []string{"refused"}},
			`ulf through su: refused
  module   pam_usernet
  why      no
  time     0 ms
  problem  refused
`,
		},
	} {
		var out strings.Builder
		if err := printReport(&out, c.report); err != nil || out.String() != c.want {
			t.Errorf("%v\n%s", err, out.String())
		}
	}
}

func TestPrintJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := printJSON[sessions.OwnNetwork](&out, nil); err != nil || out.String() != "[]\n" {
		t.Errorf("%v %q", err, out.String())
	}
}
