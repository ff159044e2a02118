// SPDX-License-Identifier: GPL-2.0-or-later

package state_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/state"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// holder has the name that a process, started in a test, is to lock.
const holder = "STATE_TEST_HOLDER"

func TestMain(m *testing.M) {
	name, is := os.LookupEnv(holder)
	if !is {
		os.Exit(m.Run())
	}
	l, err := state.Acquire(name, time.Minute)
	fmt.Println("locked", err)
	io.Copy(io.Discard, os.Stdin)
	l.Release()
	fmt.Println("released")
}

// lockElsewhere starts a process that has the lock of a name, in a control group if one is
// given, until the standard input that is returned is closed.
func lockElsewhere(t *testing.T, name, group string) (*exec.Cmd, io.Closer) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `[ -z "$1" ] || echo $$ >$1/cgroup.procs; exec /proc/$PPID/exe`, "sh", group)
	cmd.Env = append(os.Environ(), holder+"="+name)
	stdin, err := cmd.StdinPipe()
	expect.Check(t, err)
	stdout, err := cmd.StdoutPipe()
	expect.Check(t, err)
	expect.Check(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	expect.Check(t, err)
	expect.Equal(t, "the process that locks", line, "locked <nil>\n")
	return cmd, stdin
}

// startStuck starts a process in a control group, which waits for a FUSE server that does nothing.
func startStuck(t *testing.T, group string) {
	t.Helper()
	server, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	expect.Check(t, unix.Mount("none", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", server)))
	cmd := exec.Command("sh", "-c", `echo $$ >$1/cgroup.procs; cd $2`, "sh", group, dir)
	expect.Check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		unix.Close(server)
		expect.Check(t, unix.Unmount(dir, unix.MNT_DETACH))
	})
	expect.Eventually(t, "the process waits for the server", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		return err == nil && strings.Contains(string(stat), ") D ")
	})
}

func TestWhoWaitsForALockEndsAProcessThatStandsStill(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	ended := func(t *testing.T, cmd *exec.Cmd) {
		t.Helper()
		l, err := state.Acquire("lab", 20*time.Second)
		if err != nil {
			_ = cmd.Process.Kill()
		}
		expect.Check(t, err)
		l.Release()
		if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Errorf("the process that stood still: %v", err)
		}
	}
	t.Run("a stopped one", func(t *testing.T) {
		cmd, _ := lockElsewhere(t, "lab", "")
		expect.Check(t, cmd.Process.Signal(unix.SIGSTOP))
		ended(t, cmd)
	})
	for _, c := range []struct {
		parents, file, word, thaw string
		beside                    bool
	}{
		{"/sys/fs/cgroup/unified /sys/fs/cgroup", "cgroup.freeze", "1", "0", false},
		{"/sys/fs/cgroup/unified /sys/fs/cgroup", "cgroup.freeze", "1", "0", true},
		{"/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED", false},
		{"/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED", true},
	} {
		t.Run(fmt.Sprintf("a frozen one: %s, beside one that cannot be frozen: %t", c.file, c.beside), func(t *testing.T) {
			group := ""
			for parent := range strings.FieldsSeq(c.parents) {
				if _, err := os.Stat(parent + "/cgroup.procs"); err == nil && group == "" {
					group, err = os.MkdirTemp(parent, "state-test.")
					expect.Check(t, err)
				}
			}
			if group == "" {
				t.Skipf("no control groups in %s", c.parents)
			}
			t.Cleanup(func() {
				expect.Eventually(t, "the group is gone", func() bool { return unix.Rmdir(group) == nil })
			})
			if _, err := os.Stat(group + "/" + c.file); err != nil {
				t.Skip(err)
			}
			if c.beside {
				startStuck(t, group)
			}
			cmd, _ := lockElsewhere(t, "lab", group)
			expect.Check(t, os.WriteFile(group+"/"+c.file, []byte(c.word), 0))
			t.Cleanup(func() { expect.Check(t, os.WriteFile(group+"/"+c.file, []byte(c.thaw), 0)) })
			ended(t, cmd)
		})
	}
	t.Run("but not one that runs", func(t *testing.T) {
		cmd, life := lockElsewhere(t, "lab", "")
		if _, err := state.Acquire("lab", 3*time.Second); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d has it", cmd.Process.Pid)) {
			t.Errorf("the lock of a process that runs: %v", err)
		}
		expect.Check(t, life.Close())
		expect.Check(t, cmd.Wait())
	})
	t.Run("nor one that has another lock", func(t *testing.T) {
		cmd, life := lockElsewhere(t, "other", "")
		expect.Check(t, cmd.Process.Signal(unix.SIGSTOP))
		l, free, err := state.Try("lab")
		expect.Check(t, err)
		expect.Equal(t, "free", free, true)
		l.Release()
		expect.Check(t, cmd.Process.Signal(unix.SIGCONT))
		expect.Check(t, life.Close())
		expect.Check(t, cmd.Wait())
	})
}
