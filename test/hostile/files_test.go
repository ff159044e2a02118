// SPDX-License-Identifier: GPL-2.0-or-later

package hostile

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

// What root has checked must be what is mounted, though somebody exchanges it in
// a loop for what belongs to olga.
func TestAnExchangedFileIsNeverMounted(t *testing.T) {
	t.Parallel()
	const (
		source = "cat /etc/hosts" // what stands in for it
		// What /etc has mounted, which is one file; meanwhile nothing moves.
		target = `
			kill -STOP $exchange
			until grep -q State:.T /proc/$exchange/status; do :; done
			cat $(grep -o " /etc/[^ ]*" /proc/self/mountinfo)
			kill -CONT $exchange`
	)
	cases := []struct {
		is, makes, a, b string
		as              string // who exchanges, if not root
		judge           string
		both            bool // some logins must be refused
	}{
		{"a file for a user's", "echo evil >../evil; chown olga ../evil", "hosts", "../evil", "", source, true},
		{"a file for a link to a user's", "echo evil >/tmp/evil; chown olga /tmp/evil; ln -s /tmp/evil ../evil", "hosts", "../evil", "", source, true},
		{"the directory for a user's", "mkdir ../evil; echo evil >../evil/hosts; chown -R olga ../evil", "../ulf", "../evil", "", source, true},
		{"the directory of all names for a user's", "mkdir -p /etc/evil/ulf; echo evil >/etc/evil/ulf/hosts; chown -R olga /etc/evil", "/etc/netns", "/etc/evil", "", source, true},
		{
			"a file in a user's directory for the user's", `
			mkdir ~olga/d; echo good >~olga/d/hosts; echo evil >~olga/d/evil; chown olga ~olga/d ~olga/d/evil
			ln -sf ~olga/d/hosts hosts`, "/home/olga/d/hosts", "/home/olga/d/evil", "", source, true,
		},
		{
			"a link in a user's directory for the user's file, by the user", `
			mkdir ~olga/d; echo evil >~olga/d/evil; ln -s /etc/good ~olga/d/hosts; chown -h olga ~olga/d ~olga/d/*
			mv hosts /etc/good; ln -s ~olga/d/hosts hosts`, "/home/olga/d/hosts", "/home/olga/d/evil", "setpriv --reuid=olga ", source, true,
		},
		{"the namesake for a user's file", "echo evil >/etc/evil; chown olga /etc/evil", "/etc/hosts", "/etc/evil", "", target, false},
		{"the namesake for a user's link", "ln -s shadow /etc/evil; chown -h olga /etc/evil", "/etc/hosts", "/etc/evil", "", target, false},
		{"the namesake for a directory", "mkdir /etc/evil; chown olga /etc/evil", "/etc/hosts", "/etc/evil", "", target, true},
	}
	n := (*logins + len(cases) - 1) / len(cases)
	for _, c := range cases {
		t.Run(c.is, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			b.sh(t, "ls -d /etc/hosts; mkdir -p /etc/netns/ulf; cd /etc/netns/ulf; echo good >hosts\n"+c.makes)
			b.sh(t, "pamhost --bare hostile ulf")
			// As many logins as it takes to see all that must happen.
			outcomes := strings.Fields(b.sh(t, fmt.Sprintf(`
				cd /etc/netns/ulf
				%sexchange %s %s & export exchange=$!
				n=0 good=0 refused=$1
				until [ $n -ge $2 ] && [ $good$refused = 11 ]; do
					n=$((n + 1)) status=0
					outcome=$(pamhost --bare --as-root hostile ulf -- sh -c "$3") || status=$?
					[ $status != 1 ] || outcome=refused
					echo ${outcome:-nothing}
					case $outcome in good) good=1;; refused) refused=1;; esac
				done
				kill $exchange`, c.as, c.a, c.b), map[bool]string{true: "0", false: "1"}[c.both], fmt.Sprint(n), c.judge))
			tally := make(map[string]int)
			for _, outcome := range outcomes {
				tally[outcome]++
			}
			t.Logf("%d logins: %v", len(outcomes), tally)
			for outcome := range tally {
				if outcome != "good" && (outcome != "refused" || !c.both) {
					t.Errorf("%d of %d logins have mounted: %s", tally[outcome], len(outcomes), outcome)
				}
			}
			awaitNoStrays(t, b)
		})
	}
}

func TestAFileSystemThatDoesNotAnswerIsRefusedInTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		is, server, makes, arguments string
	}{
		{"the directory, and nobody reads", "deaf", "ln -s /run/mute/x /etc/netns/ulf", ""},
		{"a file, and nobody reads", "deaf", "mkdir /etc/netns/ulf; ln -s /run/mute/x /etc/netns/ulf/hosts", ""},
		{"a file, and nobody answers", "mute", "mkdir /etc/netns/ulf; ln -s /run/mute/x /etc/netns/ulf/hosts", ""},
		{"the file itself, and nobody answers", "mute", "mkdir /etc/netns/ulf; ln -s /run/mute /etc/netns/ulf/skel", ""},
		{"a file, and its server is stopped", "stopped", "mkdir /etc/netns/ulf; ln -s /run/mute/x /etc/netns/ulf/hosts", ""},
		{"what is to be covered, and nobody reads", "deaf", "", "mask=/run/mute/x"},
		{"what is to be covered, and nobody answers", "mute", "", "mask=/run/mute/x"},
	} {
		t.Run(c.is, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			b.service(t, "late", "timeout=1 "+c.arguments)
			b.sh(t, "mkdir -p /etc/netns /run/mute\n"+c.makes)
			end := b.mount(t, c.server)
			for range 2 {
				start := time.Now()
				result := b.try(t, "exec pamhost late ulf")
				took := time.Since(start)
				r, err := pamhost.Parse([]byte(result.Stdout))
				expect.Check(t, err)
				if got := r.Result("pam_open_session"); got != "PAM_ABORT" {
					t.Errorf("pam_open_session: %s; the log: %s", got, b.tail(t, 1))
				}
				expect.Eventually(t, "the log says why", func() bool {
					return strings.Contains(b.tail(t, 1), "no verdict within 1 s")
				})
				if took > 10*time.Second {
					t.Errorf("the refusal took %v", took)
				}
				var ignored []pamhost.Field
				if c.server == "mute" { // nothing can kill who waits for the answer
					ignored = append(ignored, pamhost.Children)
				}
				for _, sentence := range r.Before.Diff(r.After, ignored...) {
					t.Errorf("changed by the refusal: %s", sentence)
				}
			}
			for _, user := range []string{"nina", "gina"} {
				b.sh(t, "pamhost --bare hostile "+user)
			}
			end()
			b.sh(t, "rm -rf /etc/netns/ulf")
			b.logInAsEver(t)
		})
	}
}

// mount mounts the file system of testdata/mute.c on /run/mute, and returns what
// ends it.
func (b *box) mount(t *testing.T, server string) (end func()) {
	t.Helper()
	_, finish, err := b.hold(t, "mute", "/run/mute", server)
	if err != nil {
		t.Skip(err)
	}
	proceed := func() {}
	if server == "stopped" {
		processes, err := b.Processes()
		expect.Check(t, err)
		i := slices.IndexFunc(processes, func(p sandbox.Process) bool { return p.Name == "mute" })
		expect.Check(t, unix.Kill(processes[i].PID, unix.SIGSTOP))
		// nsenter, its parent, stops and goes on with it.
		proceed = func() { expect.Check(t, unix.Kill(processes[i].Parent, unix.SIGCONT)) }
	}
	return func() {
		t.Helper()
		proceed()
		finish()
		b.sh(t, "umount --lazy /run/mute")
	}
}

func TestAThousandFilesStandInForTheirNamesakes(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(t, `
		mkdir -p /etc/netns/ulf
		for n in $(seq 1000); do echo host >/etc/hostile.$n; echo own >/etc/netns/ulf/hostile.$n; done
		for name in 'two
lines' 'a\040b' ' ' '-rf' '*' 'é' "$(printf '\377')" "$(printf '%0255d' 0)"; do
			echo host >"/etc/$name"; echo own >"/etc/netns/ulf/$name"
		done`)
	for _, how := range []string{"creates", "joins"} {
		start := time.Now()
		got := b.sh(t, `exec pamhost --bare hostile ulf -- sh -c "$1"`, `cd /etc; cat hostile.* ./-rf "two
lines" 'a\040b' é " " ./\* "$(printf '\377')" 0* | sort | uniq -c`)
		if strings.Fields(got)[0] != "1008" || !strings.HasSuffix(got, "1008 own") {
			t.Errorf("a login that %s the namespace sees: %s", how, got)
		}
		t.Logf("a login that %s the namespace takes %v", how, time.Since(start))
	}
	awaitNoStrays(t, b)
}
