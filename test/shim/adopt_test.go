// SPDX-License-Identifier: GPL-2.0-or-later

package shim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
)

func TestGoodVerdicts(t *testing.T) {
	tests := []struct {
		name    string
		session session
		check   func(o outcome, t *testing.T)
	}{
		{"isolated", session{args: []string{say(isolated+"text", good)}}, outcome.isolated},
		{"from a directory", session{
			args: []string{say(isolated, good)}, options: []string{"--chdir", "/usr/bin"},
		}, outcome.isolated},
		{"from a chroot", session{
			args: []string{say(isolated, good)}, options: []string{"--chroot", "/", "--chdir", "/usr"},
		}, outcome.isolated},
		{"beside other threads", session{
			args: []string{say(isolated, good)}, options: []string{"--threads", "3"},
		}, func(o outcome, t *testing.T) {
			o.refused(t, "the login service opens the session in a thread that is not its main one")
		}},
		{"the child killed after its verdict", session{args: []string{say(isolated, good), word("kill")}}, outcome.isolated},
		{"the child stopped after its verdict", session{args: []string{say(isolated, good), word("stop")}}, outcome.isolated},
		{"two verdicts", session{args: []string{say(isolated+"first", good), say(isolated+"second", good)}}, func(o outcome, t *testing.T) {
			o.isolated(t)
			o.logged(t, "first", 1)
			o.logged(t, "second", 0)
		}},
		{"the working directory moved", session{args: []string{say(isolatedMoved, "nmrd")}}, func(o outcome, t *testing.T) {
			o.ended(t, "PAM_SUCCESS", pamhost.NetNamespace, pamhost.MountNamespace, pamhost.Cwd)
			if o.After.Cwd.Path != "/usr" {
				t.Errorf("in %v", o.After.Cwd)
			}
		}},
		{"in the named network already", session{
			module: "usernet.so", args: []string{say(isolated, "Nmrc"), word("serve")}, front: inNetwork,
		}, func(o outcome, t *testing.T) {
			o.ended(t, "PAM_SUCCESS", pamhost.MountNamespace)
			if got := o.moved(); !slices.Equal(got, []string{"mnt"}) {
				t.Errorf("other namespaces: %v", got)
			}
		}},
		{"refused", session{args: []string{say(refused+"no %s left", "")}}, func(o outcome, t *testing.T) {
			o.refused(t, "no %s left")
		}},
		{"refused, silently", session{args: []string{say(refused+"no", "")}, options: []string{"--silent"}}, func(o outcome, t *testing.T) {
			o.ended(t, "PAM_ABORT")
			if len(o.Messages) > 0 {
				t.Errorf("the user is told %q", o.Messages)
			}
		}},
		{"refused, into an empty network", session{args: []string{"refusal=empty", say(refused+"no", "")}}, func(o outcome, t *testing.T) {
			o.ended(t, "PAM_ABORT", pamhost.NetNamespace)
			if got := o.moved(); !slices.Equal(got, []string{"net"}) {
				t.Errorf("other namespaces: %v", got)
			}
			o.logged(t, "refused: no", 1)
			o.logged(t, "refusal=empty: the login process is in an empty network now", 1)
		}},
		{"refused in a thread, into an empty network", session{
			args: []string{"refusal=empty", say(refused+"no", "")}, options: []string{"--threads", "3"},
		}, func(o outcome, t *testing.T) {
			o.ended(t, "PAM_ABORT", pamhost.NetNamespace)
			o.logged(t, "refusal=empty: this thread is in an empty network now, and no other thread of the login service", 1)
		}},
		{"isolated, and no refusal", session{args: []string{"refusal=empty", say(isolated, good)}}, func(o outcome, t *testing.T) {
			o.isolated(t)
			o.logged(t, "refusal=empty", 0)
		}},

		{"the longest text", session{args: []string{sayMore(isolated, 1021, good)}}, func(o outcome, t *testing.T) {
			o.isolated(t)
			o.logged(t, strings.Repeat("a", 500), 2) // of the 1021, what pam_syslog(3) or syslog takes
		}},
		{"control characters", session{args: []string{say(isolated+"\x1b[2J\nroot\x7f", good)}}, func(o outcome, t *testing.T) {
			o.isolated(t)
			o.logged(t, "?[2J?root?", 1)
		}},
		{"a thousand lines for the log", session{args: []string{word("lines"), say(isolated, good)}}, func(o outcome, t *testing.T) {
			o.isolated(t)
			o.logged(t, "line\n", 1000)
		}},
		{"a line for debugging, not asked for", session{args: []string{say(logDebug+"line", ""), say(isolated, good)}}, func(o outcome, t *testing.T) {
			o.isolated(t)
			o.logged(t, "line", 0)
		}},
		{"a line for debugging", session{args: []string{"debug", say(logDebug+"line", ""), say(isolated, good)}}, func(o outcome, t *testing.T) {
			o.isolated(t)
			o.logged(t, "line", 1)
		}},
	}
	onEachHost(t, func(t *testing.T, m machine, h *host) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				test.check(m.open(t, h, test.session), t)
			})
		}
	})
}

// Each step into the namespaces fails once, or claims to have worked, and the
// login is back where it was.
func TestAdoptionIsAllOrNothing(t *testing.T) {
	m := newMachine(t)
	for _, h := range hosts[:2] { // valgrind would be traced itself
		t.Run(h.name, func(t *testing.T) {
			m.install(t, h)
			testAdoption(t, m, h)
		})
	}
}

func testAdoption(t *testing.T, m machine, h *host) {
	open := func(t *testing.T, inject string) outcome {
		return m.open(t, h, session{
			args:    []string{say(isolated, good)},
			options: []string{"--chdir", "/usr"},
			front:   tracing(t, inject),
		})
	}
	const (
		fails     = ":error=EIO:when="
		claims    = ":retval=0:when="
		inMount   = "enter the mount namespace: Input/output error"
		inNetwork = "enter the network namespace: Input/output error"
	)
	for _, test := range []struct{ name, inject, reason string }{
		{"stop sharing the directories: fails", "unshare" + fails + "1", "unshare CLONE_FS: Input/output error"},
		{"enter the network namespace: fails", "setns" + fails + "1", inNetwork},
		{"enter the mount namespace: fails", "setns" + fails + "2", inMount},
		{"go to its root directory: fails", "fchdir" + fails + "1", inMount},
		{"make that the root directory: fails", "chroot" + fails + "1", inMount},
		{"enter the network namespace: claims to have worked", "setns" + claims + "1", "this process is not in the network namespace it was moved to"},
		{"enter the mount namespace: claims to have worked", "setns" + claims + "2", "this process is not in the mount namespace it was moved to"},
		{"go to the working directory: claims to have worked", "fchdir" + claims + "2", "the working directory has changed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			open(t, test.inject).refused(t, test.reason)
		})
	}
	t.Run("go to the working directory: fails, and the session starts in the root directory", func(t *testing.T) {
		t.Parallel()
		o := open(t, "fchdir"+fails+"2")
		o.ended(t, "PAM_SUCCESS", pamhost.NetNamespace, pamhost.MountNamespace, pamhost.Cwd)
		expect.Equal(t, "working directory", o.After.Cwd.Path, "/")
		o.logged(t, `the session starts in "/": enter the working directory: Input/output error`, 1)
	})
	t.Run("the way back is barred, too", func(t *testing.T) {
		t.Parallel()
		o := open(t, "setns"+fails+"2+")
		if o.Result("pam_open_session") != "PAM_ABORT" {
			t.Errorf("calls: %v", o.Calls)
		}
		o.logged(t, "; restoring the original namespaces also failed: Input/output error", 1)
	})
}

// tracing makes a system call of the host's, one by its number, fail or do nothing.
func tracing(t *testing.T, inject string) []string {
	t.Helper()
	needs(t, "strace")
	// LeakSanitizer does not work where something else traces.
	return []string{"strace", "-o", "/dev/null", "-E", "LSAN_OPTIONS=detect_leaks=0", "-e", "inject=" + inject}
}

// A host in a chroot is not let out of it, by whichever step.
func TestJail(t *testing.T) {
	m := newMachine(t)
	h := hosts[0]
	m.install(t, h)
	result, err := m.Sh(t.Context(), `set -e; mkdir /run/jail; mount -t tmpfs none /run/jail; cd /run/jail
		for dir in bin dev etc lib lib64 proc usr; do mkdir $dir; mount --rbind /$dir $dir; done`)
	expect.Check(t, errors.Join(err, result.Err()))
	open := func(front []string) outcome {
		return m.open(t, h, session{
			args: []string{say(isolated, good)}, options: []string{"--chroot", "/run/jail", "--chdir", "/usr"}, front: front,
		})
	}
	t.Run("isolated inside", func(t *testing.T) { open(nil).isolated(t) })
	t.Run("the step back into it claims to have worked", func(t *testing.T) {
		open(tracing(t, "chroot:retval=0:when=2")).refused(t, "the root directory has changed") // the first is pamhost's
	})
}

// With too few free descriptors the verdict's are cut off, or worse.
func TestFewDescriptors(t *testing.T) {
	m := newMachine(t)
	h := hosts[0]
	m.install(t, h)
	open := func(limit int, verdict string) outcome {
		return m.open(t, h, session{args: []string{verdict}, options: []string{"--rlimit", fmt.Sprintf("NOFILE=%d", limit)}})
	}
	enough := 0
	for limit := 3; enough == 0; limit++ {
		if limit > 64 {
			t.Fatal("never enough")
		}
		o := open(limit, say(isolated, good))
		if o.Result("pam_open_session") == "PAM_SUCCESS" {
			o.isolated(t)
			enough = limit
		} else {
			o.unchanged(t)
		}
	}
	const cut = malformed + " (too few free descriptors?)"
	room := enough - 1 // for those of a verdict: its check takes one more
	open(room-1, say(isolated, good)).refused(t, cut)
	// What is left of too many must not pass for the right ones.
	open(room, say(isolated, good+"n")).refused(t, cut)
}

// Nothing locks root out of the machine but a network that root is a member of.
func TestRoot(t *testing.T) {
	m := newMachine(t)
	h := hosts[0]
	m.install(t, h)
	const letIn = `"root" let in as root, not isolated: `
	open := func(user string, args ...string) outcome {
		return m.open(t, h, session{user: user, args: append([]string{"timeout=1"}, args...)})
	}

	m.withDirectory(t)
	for _, test := range []struct{ name, word, reason string }{
		{"unknown", say(unknownUser+"no answer", ""), "no answer"},
		{"no verdict", word("exit"), noVerdict},
		{"no verdict in time", word("pause"), late},
		{"a malformed verdict", say("text", ""), malformed},
		{"isolated without an answer", say(isolated, good), notMember},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := open("root", test.word)
			o.ended(t, "PAM_SUCCESS")
			o.logged(t, letIn+test.reason, 1)
			open("nobody", test.word).refused(t, test.reason)
		})
	}
	const isMember = "Am--"
	t.Run("refused", func(t *testing.T) { open("root", say(isMember, ""), say(refused+"why", "")).refused(t, "why") })
	t.Run("refused by the adoption", func(t *testing.T) {
		open("root", say(isMember, ""), say(isolated, "Nmrc")).refused(t, "the network namespace is the host's")
	})
	t.Run("no verdict for a member", func(t *testing.T) {
		open("root", say(isMember, ""), word("exit")).refused(t, noVerdict)
	})
	t.Run("unknown after an answer", func(t *testing.T) {
		open("root", say(isMember, ""), say(unknownUser+"why", "")).refused(t, "why")
	})

	t.Run("no verdict for a member by this machine's files", func(t *testing.T) {
		m.sources(t, "files")
		expect.Check(t, m.AddToGroup("members", "root"))
		open("root", word("exit")).refused(t, noVerdict)
	})
}

// Uid 0 counts by this machine's own files alone: a directory makes nobody root here.
func TestADirectorysRootIsRefusedLikeEverybody(t *testing.T) {
	m, h := newMachine(t), hosts[0]
	m.install(t, h)
	m.fake(t)
	expect.Check(t, m.WriteFile("/run/fake/passwd", "toor:x:0:0::/root:/bin/sh\n", 0o644))
	for _, word := range []string{say(unknownUser+"no answer", ""), word("exit")} {
		o := m.open(t, h, session{user: "toor", args: []string{word}})
		o.refused(t, "")
		o.logged(t, "let in as root", 0)
	}
	t.Run("but another name of root is root", func(t *testing.T) {
		passwd, err := m.ReadFile("/etc/passwd")
		expect.Check(t, err)
		expect.Check(t, m.WriteFile("/etc/passwd", passwd+"toor:x:0:0::/root:/bin/sh\n", 0o644))
		o := m.open(t, h, session{user: "toor", args: []string{say(unknownUser+"no answer", "")}})
		o.ended(t, "PAM_SUCCESS")
		o.logged(t, `"toor" let in as root, not isolated: no answer`, 1)
	})
}
