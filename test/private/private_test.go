// SPDX-License-Identifier: GPL-2.0-or-later

package private_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// namespaces names those of the process.
func namespaces(t *testing.T) string {
	t.Helper()
	ids, err := private.Sh("cd /proc/self/ns; readlink mnt net pid ipc")
	expect.Check(t, err)
	return ids
}

func TestNamespaces(t *testing.T) {
	private.Needs(t, "ip")
	const variable = "NAMESPACES_OUTSIDE"
	if os.Getenv(variable) == "" {
		t.Setenv(variable, namespaces(t))
	}
	before := machine(t)
	if private.Namespaces(t) {
		if after := machine(t); before != after {
			t.Errorf("the machine was\n%s\nand is\n%s", before, after)
		}
		return
	}
	for id := range strings.SplitSeq(namespaces(t), "\n") {
		if strings.Contains(os.Getenv(variable), id) {
			t.Errorf("%s is the machine's", id)
		}
	}
	if os.Getpid() != 1 {
		t.Errorf("this is process %d", os.Getpid())
	}
	_, err := private.Sh(`test -z "$(ls -A /run)"; test "$(ls /sys/class/net)" = lo; readlink /proc/1/ns/mnt
		grep " / / .* shared:" /proc/self/mountinfo; grep -q root /etc/passwd
		touch /run/new /etc/new; mkdir /run/netns; mount -t tmpfs none /mnt; mount -t tmpfs none /etc; ip link set lo up`)
	expect.Check(t, err)
}

// machine describes what must not change.
func machine(t *testing.T) string {
	t.Helper()
	state, err := private.Sh("cat /proc/self/mountinfo; ls -d /run/new /etc/new /run/netns 2>&1 || true; ip -o link show lo")
	expect.Check(t, err)
	return state
}

// The inner run decides: its result, how it ends, and which subtests it has.
func TestOutcome(t *testing.T) {
	const variable = "OUTCOME"
	if want := os.Getenv(variable); want != "" {
		if private.Namespaces(t) {
			return
		}
		if want == "exit" {
			os.Exit(7)
		}
		t.Run("a case", func(t *testing.T) { t.Log("the first") })
		t.Run("another case", func(t *testing.T) {
			if want == "fail" {
				t.Error("as it should")
			}
		})
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make namespaces")
	}
	for _, c := range []struct {
		what, outcome, run string
		uid                uint32
		says, saysNot      string
		passes             bool
	}{
		{"passes", "pass", "^TestOutcome$", 0, "the first", "SKIP", true},
		{"one subtest passes", "pass", "^TestOutcome$/another", 0, "another_case", "a_case", true},
		{"fails", "fail", "^TestOutcome$", 0, "as it should", "SKIP", false},
		{"ends", "exit", "^TestOutcome$", 0, "exit status 7", "PASS", false},
		{"is skipped without root", "pass", "^TestOutcome$", 65534, "needs root", "the first", true},
	} {
		t.Run(c.what, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run="+c.run)
			cmd.Env = append(os.Environ(), variable+"="+c.outcome)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.uid}}
			out, err := cmd.CombinedOutput()
			if (err == nil) != c.passes || !strings.Contains(string(out), c.says) || strings.Contains(string(out), c.saysNot) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestOnThread(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	here := func() (string, error) {
		ns, err := os.Readlink("/proc/thread-self/ns/net")
		cwd, wd := unix.Getwd()
		return ns + " " + cwd, errors.Join(err, wd)
	}
	before, err := here()
	expect.Check(t, err)
	failure := errors.New("failure")
	for range 20 {
		err := private.OnThread(func() error {
			if now, err := here(); now != before {
				return fmt.Errorf("begins at %s: %w", now, err)
			}
			if err := errors.Join(unix.Unshare(unix.CLONE_NEWNET), unix.Chdir("/run")); err != nil {
				return err
			}
			if now, err := here(); now == before {
				return fmt.Errorf("is still at %s: %w", now, err)
			}
			return failure
		})
		if !errors.Is(err, failure) {
			t.Error(err)
		}
		if now, err := here(); now != before {
			t.Fatalf("the test is at %s now, not at %s: %v", now, before, err)
		}
	}
}
