// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// start starts a command that says what it is, and returns the PID of what says so.
func start(t *testing.T, name string, args ...string) int {
	t.Helper()
	cmd := exec.Command(name, append(args, "sh", "-c", "echo $$; exec sleep 1000")...)
	out, err := cmd.StdoutPipe()
	expect.Check(t, err)
	expect.Check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var pid int
	_, err = fmt.Fscan(out, &pid)
	expect.Check(t, err)
	return pid
}

func TestPin(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "setpriv", "unshare", "nsenter")
	const user = "65534"
	asUser := []string{"--reuid", user, "--regid", user, "--clear-groups"}
	theirs := start(t, "setpriv", append(asUser, "unshare", "-Urmn")...)

	t.Run("the place of a process is its own, and its user's ID", func(t *testing.T) {
		pid := start(t, "unshare", append([]string{"-mn", "setpriv"}, asUser...)...)
		p, err := pin(pid)
		expect.Check(t, err)
		defer p.Close()
		var st unix.Stat_t
		expect.Check(t, unix.Stat(nsfs.Path(pid, "ns/net"), &st))
		expect.Equal(t, "network", p.inode, st.Ino)
		expect.Equal(t, "user", fmt.Sprint(p.uid), user)
		var got, want string
		done := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked
			err := p.Enter()
			for _, ns := range []string{"net", "mnt"} {
				own, _ := os.Readlink("/proc/thread-self/ns/" + ns)
				its, _ := os.Readlink(nsfs.Path(pid, "ns/"+ns))
				got, want = got+own, want+its
			}
			done <- err
		}()
		expect.Check(t, <-done)
		expect.Equal(t, "namespaces", got, want)
	})
	for name, c := range map[string]struct {
		pid  func(t *testing.T) int
		says string
	}{
		"a process in a user namespace of its own": {
			func(*testing.T) int { return theirs }, "it is in a user namespace of its own",
		},
		"a process in one with the files of all": {
			func(t *testing.T) int { return start(t, "setpriv", append(asUser, "unshare", "-Un")...) }, "it is in a user namespace of its own",
		},
		"a process of root's among the mounts of a user": {
			func(t *testing.T) int {
				return start(t, "nsenter", "--mount="+nsfs.Path(theirs, "ns/mnt"), "--net="+nsfs.Path(theirs, "ns/net"))
			}, "its mount namespace belongs to a user namespace",
		},
	} {
		t.Run("not of "+name, func(t *testing.T) {
			p, err := pin(c.pid(t))
			if p != nil || !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v: %v", p, err)
			}
		})
	}
	t.Run("not of a process that has ended", func(t *testing.T) {
		cmd := exec.Command("true")
		expect.Check(t, cmd.Start())
		pid := cmd.Process.Pid
		expect.Eventually(t, "it has ended", func() bool {
			state, err := os.ReadFile(nsfs.Path(pid, "stat"))
			return err == nil && strings.Contains(string(state), ") Z ")
		})
		if p, err := pin(pid); p != nil || !nsfs.Ended(err) {
			t.Errorf("before it is reaped: %v: %v", p, err)
		}
		expect.Check(t, cmd.Wait())
		if p, err := pin(pid); p != nil || !nsfs.Ended(err) {
			t.Errorf("afterwards: %v: %v", p, err)
		}
	})
}

func TestFind(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "setpriv", "unshare")
	runtime.LockOSThread() // that no other one has been in other namespaces
	pid := start(t, "unshare", "-mn", "setpriv", "--reuid", "65534", "--clear-groups")
	t.Run("a user's process", func(t *testing.T) {
		p, user, err := Find(strconv.Itoa(pid))
		expect.Check(t, err)
		p.Close()
		expect.Equal(t, "user", user, "nobody")
	})
	roots := start(t, "unshare", "-mn")
	for target, says := range map[string]string{
		strconv.Itoa(roots): "is a session of root's",
		"1":                 "process 1 is not isolated",
		"2147483647":        "process 2147483647 does not exist",
		"nobody":            "no isolated session matches",
	} {
		t.Run("not "+says, func(t *testing.T) {
			p, _, err := Find(target)
			if p != nil || err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v: %v", p, err)
			}
		})
	}
}

func TestListTakesNoProcessInAUserNamespaceForALeader(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "ip", "unshare")
	_, err := private.Sh("ip netns add lab")
	expect.Check(t, err)
	start(t, "ip", "netns", "exec", "lab", "unshare", "-Ur")
	all, err := List()
	expect.Check(t, err)
	expect.Equal(t, "sessions", len(all), 0)
	leader := start(t, "ip", "netns", "exec", "lab")
	all, err = List()
	expect.Check(t, err)
	expect.Equal(t, "sessions with another process", len(all), 1)
	expect.Equal(t, "leader", all[0].Leader, leader)
	expect.Equal(t, "network", all[0].Name, "lab")
}

func TestLookReturnsTheSessionsOfNetworksThatItCannotLookInto(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var all, less [2]unix.CapUserData
	expect.Check(t, unix.Capget(&header, &all[0]))
	less = all
	less[0].Effective &^= 1 << unix.CAP_SYS_ADMIN // no network namespace is entered
	pid := start(t, "unshare", "-n")
	network, err := nsfs.Of(pid, nsfs.Net)
	expect.Check(t, err)
	expect.Check(t, unix.Capset(&header, &less[0]))
	live, err := Look([]Session{{Leader: pid, Inode: network.Ino, Interfaces: []Interface{}}})
	expect.Check(t, unix.Capset(&header, &all[0]))
	if err == nil || len(live) != 1 || live[0].Leader != pid {
		t.Errorf("%+v: %v", live, err)
	}
	expect.Equal(t, "interfaces", fmt.Sprint(live[0].Interfaces), "[]")
	// The second has ended, and the PID of the third was reused.
	live, err = Look([]Session{{Leader: pid, Inode: network.Ino}, {Leader: 1 << 22, Inode: 2}, {Leader: pid, Inode: 3}})
	expect.Check(t, err)
	expect.Equal(t, "those that have not ended", strconv.Itoa(len(live))+live[0].Interfaces[0].Name, "1lo")
}
