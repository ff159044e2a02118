// SPDX-License-Identifier: GPL-2.0-or-later

package netns_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"

	"libpam-net/internal/netns"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestUndo(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	remember := func(t *testing.T) (before netns.Before) {
		t.Helper()
		expect.Check(t, private.OnThread(func() (err error) {
			before, err = netns.Remember()
			return err
		}))
		return before
	}
	// undo says what has become of what is new, "lab gone", as soon as that is what is wanted.
	undo := func(t *testing.T, before netns.Before, want string, ours func(pid int) bool) {
		t.Helper()
		var got string
		// The threads that have made it take a moment to end.
		expect.Eventually(t, "no thread of the login's is in it", func() bool {
			var pruned []netns.Pruned
			expect.Check(t, private.OnThread(func() (err error) {
				pruned, err = before.Undo(ours, func(program, name string) error { return fmt.Errorf("%s is run", program) })
				return err
			}))
			var said []string
			for _, p := range pruned {
				what := "stays: " + p.Why
				if p.Gone {
					what = "gone"
				}
				said = append(said, p.Name+" "+what)
			}
			got = strings.Join(said, ", ")
			return got == want || !strings.Contains(got, "threads in it")
		})
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	nobody := func(int) bool { return false }
	mounted := func(t *testing.T) bool {
		t.Helper()
		is, err := mountinfo.Mounted("/run/netns")
		expect.Check(t, err)
		return is
	}

	t.Run("of nothing, it makes nothing", func(t *testing.T) {
		undo(t, remember(t), "", nobody)
		if left, err := private.Sh("ls -A /run"); left != "" || err != nil {
			t.Errorf("there is %q: %v", left, err)
		}
	})
	t.Run("of the first namespace ever, the mount of the directory goes as well", func(t *testing.T) {
		before := remember(t)
		_, _, err := open("first")
		expect.Check(t, err)
		if !mounted(t) {
			t.Error("/run/netns is no mount")
		}
		undo(t, before, "first gone", nobody)
		if mounted(t) || record(t, "first") != "" {
			t.Errorf("/run/netns is a mount (%v), or there is the record %q", mounted(t), record(t, "first"))
		}
	})
	t.Run("but not while somebody holds a name's lock", func(t *testing.T) {
		before := remember(t)
		_, _, err := open("first")
		expect.Check(t, err)
		expect.Check(t, private.OnThread(func() error {
			n, err := netns.Acquire(netns.Spec{Name: "other"})
			if err != nil {
				return err
			}
			_, err = private.Sh("ip netns del other")
			undo(t, before, "first gone, other stays: somebody is logging in", nobody)
			n.Close()
			return err
		}))
		if !mounted(t) {
			t.Error("/run/netns is no mount")
		}
		undo(t, before, "", nobody)
	})
	t.Run("what was there before stays", func(t *testing.T) {
		old, _, err := open("old")
		expect.Check(t, err)
		_, err = private.Sh("ip netns add administrators")
		expect.Check(t, err)
		before := remember(t)
		_, _, err = open("new")
		expect.Check(t, err)
		for name, want := range map[string]bool{"old": false, "new": true, "administrators": false} {
			expect.Check(t, private.OnThread(func() error {
				made, err := before.Made(name)
				if made != want {
					t.Errorf("%s: made since: %v", name, made)
				}
				return err
			}))
		}
		undo(t, before, "new gone", nobody)
		leadsTo(t, "old", old)
		if !mounted(t) {
			t.Error("/run/netns is no mount")
		}
	})
	t.Run("one that somebody else is in stays, and goes with nobody but one's own in it", func(t *testing.T) {
		before := remember(t)
		_, _, err := open("new")
		expect.Check(t, err)
		pid, err := private.Sh("ip netns exec new sleep 1000 </dev/null >/dev/null 2>&1 & echo $!")
		expect.Check(t, err)
		expect.Eventually(t, "the process is in it", func() bool {
			said, err := private.Sh("ip netns pids new")
			return err == nil && said != ""
		})
		undo(t, before, "new stays: threads in it: 1", nobody)
		n, err := strconv.Atoi(strings.TrimSpace(pid))
		expect.Check(t, err)
		undo(t, before, "new gone", func(pid int) bool { return pid == n })
		_, err = private.Sh("kill " + pid)
		expect.Check(t, err)
	})
	t.Run("the record of a setup that has failed since goes", func(t *testing.T) {
		before := remember(t)
		_, _, err := acquire(withSetup(t, "failed", "p", "exit 1"))
		if err == nil || record(t, "failed") == "" {
			t.Errorf("%v, record %q", err, record(t, "failed"))
		}
		undo(t, before, "", nobody)
		if _, err := os.Lstat("/run/libpam-net/netns/failed"); !os.IsNotExist(err) {
			t.Errorf("the record is there: %v", err)
		}
	})
}
