// SPDX-License-Identifier: GPL-2.0-or-later

package netns_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// prune says what has become of the namespaces, sorted: "lab gone", "ulf stays: why", "una fails: why".
func prune(dryRun bool, down func(program, name string) error) (said string, err error) {
	var all []netns.Pruned
	err = private.OnThread(func() (err error) {
		all, err = netns.Prune(dryRun, down)
		return err
	})
	var lines []string
	for _, p := range all {
		switch {
		case p.Gone:
			lines = append(lines, p.Name+" gone")
		case p.Failed:
			lines = append(lines, p.Name+" fails: "+p.Why)
		default:
			lines = append(lines, p.Name+" stays: "+p.Why)
		}
	}
	return strings.Join(lines, "\n"), err
}

func TestPrune(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	noDown := func(program, name string) error { return fmt.Errorf("%s down %s is run", program, name) }
	expectPruned := func(t *testing.T, want string, down func(program, name string) error) {
		t.Helper()
		var got string
		// The threads that have made it take a moment to end.
		expect.Eventually(t, "no other thread is in it", func() (done bool) {
			var err error
			got, err = prune(false, down)
			expect.Check(t, err)
			return got == want || !strings.Contains(got, "threads in it")
		})
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	exists := func(name string) bool {
		_, err := os.Lstat("/run/netns/" + name)
		return err == nil
	}

	t.Run("where no login has made any, nothing is made", func(t *testing.T) {
		for _, dryRun := range []bool{true, false} {
			if said, err := prune(dryRun, noDown); said != "" || err != nil {
				t.Errorf("%q: %v", said, err)
			}
			left, err := private.Sh("ls -A /run")
			expect.Check(t, err)
			if left != "" {
				t.Errorf("there is %q", left)
			}
		}
	})
	t.Run("an empty one goes, with its record, and the next login makes it anew", func(t *testing.T) {
		first, _, err := open("empty")
		expect.Check(t, err)
		expectPruned(t, "empty gone", noDown)
		if exists("empty") || record(t, "empty") != "" {
			t.Errorf("the handle or the record is there: %q", record(t, "empty"))
		}
		expectPruned(t, "", noDown)
		second, created, err := open("empty")
		expect.Check(t, err)
		if !created || first == second {
			t.Errorf("%s after %s (new: %v)", second, first, created)
		}
		expectPruned(t, "empty gone", noDown)
	})
	t.Run("a dry run only tells", func(t *testing.T) {
		id, _, err := open("dry")
		expect.Check(t, err)
		expect.Eventually(t, "it would be gone", func() bool {
			said, err := prune(true, noDown)
			expect.Check(t, err)
			return said == "dry gone"
		})
		leadsTo(t, "dry", id)
		expectPruned(t, "dry gone", noDown)
	})
	t.Run("one stays that a process is in, or a thread alone", func(t *testing.T) {
		_, _, err := open("used")
		expect.Check(t, err)
		_, err = private.Sh("ip netns exec used sleep 1000 </dev/null >/dev/null 2>&1 & echo $! >/run/pid")
		expect.Check(t, err)
		expect.Eventually(t, "the process is in it", func() bool {
			said, err := private.Sh("ip netns pids used")
			return err == nil && said != ""
		})
		expectPruned(t, "used stays: threads in it: 1", noDown)
		_, err = private.Sh("kill $(cat /run/pid)")
		expect.Check(t, err)
		expect.Eventually(t, "the process has ended", func() bool {
			said, err := private.Sh("ip netns pids used")
			return err == nil && said == ""
		})
		expect.Check(t, private.OnThread(func() error {
			n, err := netns.Acquire(netns.Spec{Name: "used"})
			if err != nil {
				return err
			}
			n.Close()
			said, err := prune(false, noDown)
			if !strings.HasPrefix(said, "used stays: threads in it: ") {
				return fmt.Errorf("%q: %w", said, err)
			}
			return nil
		}))
		expectPruned(t, "used gone", noDown)
	})
	t.Run("one stays that somebody is about to enter", func(t *testing.T) {
		expect.Check(t, private.OnThread(func() error {
			n, err := netns.Acquire(netns.Spec{Name: "entering"})
			if err != nil {
				return err
			}
			if err := inHost(t); err != nil {
				return err
			}
			expectPruned(t, "entering stays: somebody is logging in", noDown)
			n.Close()
			return nil
		}))
		expectPruned(t, "entering gone", noDown)
	})
	t.Run("what ip-netns has made is not touched, whatever record there is", func(t *testing.T) {
		_, err := private.Sh("ip netns add theirs")
		expect.Check(t, err)
		_, _, err = open("theirs")
		expect.Check(t, err)
		_, _, err = open("replaced")
		expect.Check(t, err)
		_, err = private.Sh("ip netns del replaced; ip netns add replaced")
		expect.Check(t, err)
		expectPruned(t, "", noDown)
		if !exists("theirs") || !exists("replaced") {
			t.Error("a handle is gone")
		}
		if record(t, "replaced") != "" {
			t.Error("the record is there")
		}
	})
	t.Run("its setup program is told before, in the host's network", func(t *testing.T) {
		host, err := current()
		expect.Check(t, err)
		_, _, err = acquire(withSetup(t, "setup", "program x", "exit 0"))
		expect.Check(t, err)
		failure := errors.New("busy")
		expectPruned(t, "setup fails: busy", func(string, string) error { return failure })
		var said string
		expectPruned(t, "setup gone", func(program, name string) error {
			where, err := current()
			if where != host || !exists(name) {
				t.Errorf("in %s, not %s; handle: %v", where, host, exists(name))
			}
			said = program + " down " + name
			return err
		})
		if said != "/run/bin/program x down setup" {
			t.Errorf("%q", said)
		}
	})
	t.Run("one whose login has died before it was complete goes, too", func(t *testing.T) {
		_, _, err := acquire(withSetup(t, "died", "p", "exit 0"))
		expect.Check(t, err)
		expect.Check(t, os.WriteFile("/run/libpam-net/netns/died", []byte(strings.Replace(record(t, "died"), "made", "making", 1)), 0o600))
		expectPruned(t, "died gone", func(string, string) error { return nil })
	})
	t.Run("a failure of which only a record is left goes without a word", func(t *testing.T) {
		_, _, err := acquire(withSetup(t, "failed", "p", "exit 1"))
		if err == nil || record(t, "failed") == "" {
			t.Errorf("%v, record %q", err, record(t, "failed"))
		}
		expectPruned(t, "", noDown)
		if record(t, "failed") != "" {
			t.Error("the record is there")
		}
	})
	t.Run("a handle that is none is left to its owner", func(t *testing.T) {
		_, _, err := open("strange")
		expect.Check(t, err)
		_, err = private.Sh("ip netns del strange; mkdir /run/netns/strange")
		expect.Check(t, err)
		expectPruned(t, "strange fails: /run/netns/strange: not a network namespace", noDown)
		expect.Check(t, os.Remove("/run/netns/strange"))
		expectPruned(t, "", noDown)
	})
}

// inHost brings the thread, of OnThread, back into the network of the test.
func inHost(t *testing.T) error {
	t.Helper()
	fd, err := unix.Open("/proc/1/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return netns.Join(fd)
}
