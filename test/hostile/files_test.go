// SPDX-License-Identifier: GPL-2.0-or-later

//go:build pending

package hostile

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"libpam-net/test/pamhost"
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
	for _, c := range cases {
		t.Run(c.is, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			b.sh(t, "ls -d /etc/hosts; mkdir -p /etc/netns/ulf; cd /etc/netns/ulf; echo good >hosts\n"+c.makes)
			b.sh(t, "pamhost --report /dev/null hostile ulf")
			n := max(1, *logins/len(cases))
			outcomes := strings.Split(b.sh(t, fmt.Sprintf(`
				cd /etc/netns/ulf
				%sexchange %s %s & export exchange=$!
				for n in $(seq %d); do
					pamhost --report /dev/null --as-root hostile ulf -- sh -c '%s' || echo refused
				done
				kill $exchange`, c.as, c.a, c.b, n, c.judge)), "\n")
			slices.Sort(outcomes)
			want := []string{"good"}
			if c.both {
				want = append(want, "refused")
			}
			if len(outcomes) != n || !slices.Equal(slices.Compact(slices.Clone(outcomes)), want) {
				t.Errorf("%d logins: got %v, want as many, of %v", n, outcomes, want)
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
		{"the directory, and nobody reads", "deaf", "ln -s /tmp/mute/x /etc/netns/ulf", ""},
		{"a file, and nobody reads", "deaf", "mkdir /etc/netns/ulf; ln -s /tmp/mute/x /etc/netns/ulf/hosts", ""},
		{"a file, and nobody answers", "mute", "mkdir /etc/netns/ulf; ln -s /tmp/mute/x /etc/netns/ulf/hosts", ""},
		{"the file itself, and nobody answers", "mute", "mkdir /etc/netns/ulf; ln -s /tmp/mute /etc/netns/ulf/skel", ""},
		{"what is to be covered, and nobody reads", "deaf", "", "mask=/tmp/mute/x"},
		{"what is to be covered, and nobody answers", "mute", "", "mask=/tmp/mute/x"},
	} {
		t.Run(c.is, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			b.service(t, "late", "timeout=1 "+c.arguments)
			b.sh(t, "mkdir -p /etc/netns /tmp/mute\n"+c.makes)
			end := b.mount(t, c.server)
			for range 2 {
				start := time.Now()
				result := b.try(t, "exec pamhost late ulf")
				took := time.Since(start)
				r, err := pamhost.Parse([]byte(result.Stdout))
				check(t, err)
				if got := r.Result("pam_open_session"); got != "PAM_ABORT" {
					t.Errorf("pam_open_session: %s; the log: %s", got, b.tail(t, 1))
				}
				eventually(t, "the log says why", func() bool {
					return strings.Contains(b.tail(t, 1), "no verdict within 1 seconds")
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
				b.sh(t, "pamhost --report /dev/null hostile "+user)
			}
			end()
			b.sh(t, "rm -rf /etc/netns/ulf")
			b.logInAsEver(t)
		})
	}
}

// mount mounts the file system of testdata/mute.c on /tmp/mute, and returns what
// ends it.
func (b *box) mount(t *testing.T, server string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := b.CommandContext(ctx, "mute", "/tmp/mute", server)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	check(t, err)
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "mounted\n" {
		_ = cmd.Wait()
		if cmd.ProcessState.ExitCode() == 3 {
			t.Skip(strings.TrimSpace(stderr.String()))
		}
		t.Fatalf("mute: %v: %s", err, stderr.String())
	}
	return func() {
		t.Helper()
		check(t, stdin.Close())
		check(t, cmd.Wait())
		b.sh(t, "umount --lazy /tmp/mute")
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
		got := b.sh(t, `exec pamhost --report /dev/null hostile ulf -- sh -c "$1"`, `cd /etc; cat hostile.* ./-rf "two
lines" 'a\040b' é " " ./\* "$(printf '\377')" 0* | sort | uniq -c`)
		if strings.Fields(got)[0] != "1008" || !strings.HasSuffix(got, "1008 own") {
			t.Errorf("a login that %s the namespace sees: %s", how, got)
		}
		t.Logf("a login that %s the namespace takes %v", how, time.Since(start))
	}
	awaitNoStrays(t, b)
}
