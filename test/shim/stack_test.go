// SPDX-License-Identifier: GPL-2.0-or-later

package shim

import (
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// What the modules of one stack tell each other, pam/shared.h.

// The lines of a stack: m/ is where the modules are.
const (
	newnetLine    = "m/pam_newnet.so"
	usernetLine   = "m/pam_usernet.so"
	groupnetLine  = "m/pam_groupnet.so"
	meanwhileLine = "m/meanwhile.so "
)

// newStackMachine makes a machine with the real modules, and with nina, ulf and
// gina, who are members of one of them each. Nobody is a member of any.
func newStackMachine(t *testing.T) machine {
	t.Helper()
	m, h := newMachine(t), hosts[0]
	m.install(t, h)
	for _, name := range []string{"pam_newnet.so", "pam_usernet.so", "pam_groupnet.so"} {
		m.installCore(t, h, name)
	}
	expect.Check(t, h.compile("meanwhile.so", []string{"testdata/meanwhile.c"}, "-shared", "-fPIC"))
	expect.Check(t, m.Install(h.path("meanwhile.so"), m.path(h, "meanwhile.so"), 0o755))
	m.fake(t)
	for user, group := range map[string]string{"nina": "newnet", "ulf": "usernet", "gina": "groupnet-lab", "otto": "others"} {
		expect.Check(t, m.AddGroup(group))
		_, err := m.AddUser(user, sandbox.Groups(group))
		expect.Check(t, err)
	}
	return m
}

// A cost is how often a host has been seen to do something for its modules.
type cost struct {
	sources  int // it reads nsswitch.conf, and so it looks something up
	children int
}

// beyond returns what is left of a cost without that of a host without modules.
func (c cost) beyond(host cost) cost {
	return cost{c.sources - host.sources, c.children - host.children}
}

// stack opens a session with these lines, and returns what that has cost.
func (m machine) stack(t *testing.T, user string, lines ...string) (outcome, cost) {
	t.Helper()
	needs(t, "strace")
	h := hosts[0]
	modules := make([]string, len(lines))
	for i, line := range lines {
		modules[i] = "session required " + strings.ReplaceAll(line, "m/", m.path(h, ""))
	}
	o := m.open(t, h, session{
		user: user, lines: modules,
		front: []string{
			"strace", "-o", "/run/trace", "-e", "trace=openat,clone,clone3,fork,vfork", "-E", "LD_PRELOAD=" + m.path(h, "meanwhile.so"),
		},
	})
	trace, err := m.ReadFile("/run/trace")
	expect.Check(t, err)
	var c cost
	for line := range strings.Lines(trace) {
		call, _, _ := strings.Cut(line, "(")
		switch {
		case call != "openat":
			c.children++
		case strings.Contains(line, `"/etc/nsswitch.conf"`):
			c.sources++
		}
	}
	return o, c
}

func TestAStackOfThreeModulesAsksOnce(t *testing.T) {
	m := newStackMachine(t)
	three := []string{newnetLine, usernetLine, groupnetLine}
	m.sources(t, "files")
	_, hosts := m.stack(t, "nobody", meanwhileLine)
	for _, source := range []struct {
		name string
		cost cost // of one line
	}{
		{"files", cost{sources: 1}},
		{"files fake", cost{sources: 1, children: 1}},
	} {
		m.sources(t, source.name)
		for _, c := range []struct {
			what  string
			lines []string
		}{
			{"one", three[:1]},
			{"two", three[:2]},
			{"three", three},
			{"three the other way round", []string{groupnetLine, usernetLine, newnetLine}},
		} {
			t.Run("a non-member, "+source.name+", "+c.what, func(t *testing.T) {
				o, got := m.stack(t, "nobody", c.lines...)
				o.ended(t, "PAM_SUCCESS")
				expect.Equal(t, "the cost", got.beyond(hosts), source.cost)
			})
		}
		t.Run("a member of the first, "+source.name, func(t *testing.T) {
			o, got := m.stack(t, "nina", three...)
			o.isolated(t)
			expect.Equal(t, "the cost", got.beyond(hosts), cost{sources: 1, children: 1})
		})
		t.Run("a member of the last, "+source.name, func(t *testing.T) {
			o, got := m.stack(t, "gina", three...)
			o.isolated(t)
			expect.Equal(t, "the children", got.beyond(hosts).children, 1+source.cost.children)
		})
	}
}

// Each of these is a member, by a question that no module before has asked.
func TestWhatIsSharedAnswersNoOtherQuestion(t *testing.T) {
	for _, sources := range []string{"files", "files fake"} {
		t.Run(sources, func(t *testing.T) {
			m := newStackMachine(t)
			m.sources(t, sources)
			for _, c := range []struct {
				what, user string
				lines      []string
			}{
				{"of another user", "nobody", []string{newnetLine, meanwhileLine + "user=ulf", usernetLine}},
				{"of another user, by the same module", "nobody", []string{newnetLine, meanwhileLine + "user=nina", newnetLine}},
				{"of a user asked for before", "ulf", []string{
					meanwhileLine + "user=nobody", newnetLine, usernetLine, meanwhileLine + "user=ulf", usernetLine,
				}},
				{"of another group", "otto", []string{newnetLine, usernetLine + " group=others"}},
				{"of another group, by the same module", "otto", []string{newnetLine, newnetLine + " group=others"}},
				{"of another prefix", "otto", []string{newnetLine, groupnetLine + " group=other", groupnetLine, newnetLine + " group=others"}},
			} {
				t.Run(c.what, func(t *testing.T) {
					o, _ := m.stack(t, c.user, c.lines...)
					if o.Result("pam_open_session") != "PAM_SUCCESS" || o.Before.Namespaces["net"] == o.After.Namespaces["net"] {
						t.Errorf("not isolated: %v; log: %s", o.Calls, o.log)
					}
				})
			}
		})
	}
}

// A host may keep its PAM handle, and open another session with it later.
func TestWhatIsSharedIsTenSecondsOldAtMost(t *testing.T) {
	m := newStackMachine(t)
	group, err := m.ReadFile("/etc/group")
	expect.Check(t, err)
	for _, sources := range []string{"files", "files fake"} {
		for _, c := range []struct {
			seconds  int
			isolated bool
		}{{0, false}, {5, false}, {10, true}, {11, true}, {100000, true}} {
			t.Run(fmt.Sprintf("%s, %d seconds", sources, c.seconds), func(t *testing.T) {
				m.sources(t, sources)
				expect.Check(t, m.WriteFile("/etc/group", group, 0o644))
				expect.Check(t, m.WriteFile("/etc/group.new", group+"groupnet-late:x:7777:nobody\n", 0o644))
				o, _ := m.stack(t, "nobody", newnetLine,
					meanwhileLine+fmt.Sprintf("group=/etc/group.new seconds=%d", c.seconds), groupnetLine)
				if o.Result("pam_open_session") != "PAM_SUCCESS" || (o.Before.Namespaces["net"] != o.After.Namespaces["net"]) != c.isolated {
					t.Errorf("%v; log: %s", o.Calls, o.log)
				}
			})
		}
	}
}

// A directory that does not answer costs its time once: the later lines know by then.
func TestAStackOfThreeModulesFindsOutOnceThatNobodyAnswers(t *testing.T) {
	m := newStackMachine(t)
	m.spy(t)
	for _, c := range []struct {
		user, result, log string
	}{
		{"nobody", "PAM_ABORT", `"nobody" refused: ` + unknown},
		{"nina", "PAM_ABORT", `"nina" refused: ` + unknown},
		{"root", "PAM_SUCCESS", `"root" let in as root, not isolated: ` + unknown},
	} {
		t.Run(c.user, func(t *testing.T) {
			o, _ := m.stack(t, c.user, usernetLine, newnetLine+" group=others", groupnetLine)
			o.ended(t, c.result)
			o.logged(t, c.log, 3)
			m.child(t, o) // a single one
		})
	}
	t.Run("but the next user is asked for", func(t *testing.T) {
		o, _ := m.stack(t, "root", newnetLine, meanwhileLine+"user=nobody", usernetLine)
		o.ended(t, "PAM_ABORT")
		o.logged(t, `"nobody" refused: `+unknown, 1)
		result, err := m.Sh(t.Context(), "ls /run/spy; rm /run/spy/*")
		expect.Check(t, err)
		expect.Equal(t, "the children", len(strings.Fields(result.Stdout)), 2)
	})
	t.Run("and so it is ten seconds later", func(t *testing.T) {
		m.stack(t, "root", newnetLine, meanwhileLine+"seconds=10", usernetLine)
		result, err := m.Sh(t.Context(), "ls /run/spy")
		expect.Check(t, err)
		expect.Equal(t, "the children", len(strings.Fields(result.Stdout)), 2)
	})
}
