// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"maps"
	"testing"
)

const trace = `7 100.000010 socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0, [3, 4]) = 0
7 100.000020 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
8 100.000050 prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE) = 0
7 100.000055 <... clone resumed>) = 8
8 100.000060 umask(022) = 022
9 100.000070 umask(022) = 022
8 100.001000 sendmsg(3, {...}, 0) = 4
8 100.002000 sendmsg(3, {...}, 0) = 4
8 100.002500 mount("", "/", NULL, MS_REC|MS_SLAVE, NULL) = 0
8 100.004000 sendmsg(3, {...}, 0) = 4
7 100.004100 unshare(CLONE_FS) = 0
7 100.004300 wait4(8, NULL, WNOHANG, NULL) = 0
8 100.004310 +++ killed by SIGKILL +++
7 100.004320 --- SIGCHLD {si_signo=SIGCHLD} ---
7 100.004400 wait4(8, NULL, WNOHANG, NULL) = 8
`

func TestStepsOfALogin(t *testing.T) {
	events, err := parseTrace(trace)
	if err != nil {
		t.Fatal(err)
	}
	took := durations(events, 100e6, 100e6+4500)
	for name, us := range took {
		took[name] = float64(int(us + 0.5))
	}
	want := map[string]float64{
		"lookup": 10, "fork": 40, "the child cuts its ties": 10, "start of Go's runtime, decision": 940,
		"network namespace": 1000, "mount namespace": 500,
		// There is no fsopen in this trace: what comes before it counts to the step after it.
		"/sys, /etc/netns, resolvers, verdict": 1500, "the login process wakes up": 100, "adoption": 200, "end of the child": 200,
	}
	if !maps.Equal(took, want) {
		t.Errorf("got\n%v\nwant\n%v", took, want)
	}
	if got := durations(nil, 1, 2); len(got) != 0 {
		t.Errorf("of nothing there are steps: %v", got)
	}
	if _, err := parseTrace("7 now socketpair()\n"); err == nil {
		t.Error("a line without a time is taken for a call")
	}
}

func TestParseLogin(t *testing.T) {
	if v, err := parseLogin("8 1 6 1 1700000000000000000 100 200 3000"); err != nil || v[inOpen] != 6 || v[inChildCPU] != 3000 {
		t.Errorf("%v, %v", v, err)
	}
	for _, text := range []string{"", "1 2 3", "a b c d e f g h", "1 2 3 4 5 6 7 8 9"} {
		if _, err := parseLogin(text); err == nil {
			t.Errorf("%q is taken for what a login prints", text)
		}
	}
}
