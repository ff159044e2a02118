// SPDX-License-Identifier: GPL-2.0-or-later

package join

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/sessions"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestHold(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	left, err := unix.Open("/etc/shadow", unix.O_RDONLY, 0) // and left open for programs
	expect.Check(t, err)
	defer unix.Close(left)
	pid, err := Hold("lab")
	expect.Check(t, err)
	t.Run("starts a process with nothing of the caller's", func(t *testing.T) {
		files, err := os.ReadDir(nsfs.Path(pid, "fd"))
		expect.Check(t, err)
		expect.Equal(t, "open files", len(files), 3)
		environment, err := os.ReadFile(nsfs.Path(pid, "environ"))
		expect.Check(t, err)
		expect.Equal(t, "environment", string(environment), "")
		session, err := unix.Getsid(pid)
		expect.Check(t, err)
		expect.Equal(t, "session", session, pid)
	})
	t.Run("gives a tag away once", func(t *testing.T) {
		if second, err := Hold("lab"); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d holds net:[", pid)) {
			t.Errorf("%d: %v", second, err)
		}
		holders, err := sessions.Holders("lab")
		expect.Check(t, err)
		expect.Equal(t, "holders", fmt.Sprint(len(holders), holders[0].PID), fmt.Sprint(1, pid))
	})
	t.Run("and is found by the tag, or else by PID", func(t *testing.T) {
		for target, want := range map[string]int{"lab": pid, "1": 1, "2147483647": 2147483647} {
			got, err := find(target)
			expect.Check(t, err)
			expect.Equal(t, target, got, want)
		}
		for target, says := range map[string]string{
			"": "take 1 to 64", "-1": "no network of yours", "0": "no network of yours", "other": "no network of yours", "a b": "take 1 to 64",
		} {
			if got, err := find(target); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%q: %d, %v", target, got, err)
			}
		}
	})
	t.Run("until it is released", func(t *testing.T) {
		expect.Check(t, Release("lab"))
		holders, err := sessions.Holders("lab")
		expect.Check(t, err)
		expect.Equal(t, "holders", len(holders), 0)
		for _, tag := range []string{"lab", "", "a/b"} {
			if Release(tag) == nil {
				t.Errorf("%q is released", tag)
			}
		}
	})
}

func TestReleaseKillsNoProcessThatHasAPlaceholdersPID(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	for name, cmd := range map[string]*exec.Cmd{
		"another program":               exec.Command("sleep", "1000"),
		"a placeholder of another tag":  {Path: "/bin/sleep", Args: sessions.PlaceholderArgs("other")},
		"a placeholder of another user": nobodys("/bin/sleep", sessions.PlaceholderArgs("lab")),
	} {
		t.Run(name, func(t *testing.T) {
			expect.Check(t, cmd.Start())
			expect.Check(t, end(cmd.Process.Pid, "lab"))
			if ended, err := unix.Wait4(cmd.Process.Pid, nil, unix.WNOHANG, nil); ended != 0 {
				t.Fatalf("it has ended: %v", err)
			}
			expect.Check(t, cmd.Process.Kill())
			_ = cmd.Wait()
		})
	}
	expect.Check(t, end(1<<22-1, "lab")) // no process has it
}

// nobodys returns a command of nobody's.
func nobodys(path string, args []string) *exec.Cmd {
	c := AsUser(nobody, nil)
	c.Path, c.Args = path, args
	return c
}

func TestOwnRefusesTheNetworksOfOthers(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	process := func(cmd *exec.Cmd) int {
		expect.Check(t, cmd.Start())
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		return cmd.Process.Pid
	}
	plain := exec.Command("sleep", "1000")
	plain.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	pid := process(plain)
	network, err := unix.Open(nsfs.Path(pid, "ns/net"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	expect.Check(t, err)
	defer unix.Close(network)
	theirs := make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked
		fd, err := netns.New(&netns.Owner{UID: nobody.UID, GID: nobody.GID})
		if err != nil {
			t.Error(err)
		}
		theirs <- fd
	}()
	for name, c := range map[string]struct {
		fd   int
		says string
	}{
		"one made without selfmanaged": {network, "root does `nsenter --net=/proc/" + strconv.Itoa(pid) + "/ns/net"},
		"one of another user":          {<-theirs, "belongs to uid 65534"},
	} {
		if user, err := ownersNamespace(c.fd, pid); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %d, %v", name, user, err)
		}
	}
	for target, says := range map[string]string{
		"2147483647":      "no process 2147483647 exists",
		strconv.Itoa(pid): "made without selfmanaged",
		"lab":             "no network of yours is held",
	} {
		if err := Own(target, []string{"/nosuch"}, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", target, err)
		}
	}
	// In the caller's own network the command runs as it is.
	if err := Own("1", []string{"/nosuch"}, nil); err == nil || !strings.Contains(err.Error(), `run exec: "/nosuch"`) {
		t.Errorf("own: %v", err)
	}
}
