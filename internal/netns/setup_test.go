// SPDX-License-Identifier: GPL-2.0-or-later

package netns_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/setup"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

const uid, gid = 4711, 4712

// withSetup is the Spec of a namespace with a setup program, which is the script.
func withSetup(t *testing.T, name, program, script string) netns.Spec {
	t.Helper()
	expect.Check(t, os.MkdirAll("/run/bin", 0o755))
	expect.Check(t, os.WriteFile("/run/bin/"+program, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	return netns.Spec{
		Name: name, Deadline: time.Now().Add(time.Minute),
		Setup: &setup.Program{Path: "/run/bin/" + program, Name: name, Output: func(line string) { t.Log(line) }},
	}
}

func TestOwner(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	// owned calls f in a new namespace of the owner's.
	owned := func(f func(fd int) error) error {
		return private.OnThread(func() error {
			fd, err := netns.New(&netns.Owner{UID: uid, GID: gid})
			if err != nil {
				return err
			}
			return errors.Join(f(fd), unix.Close(fd))
		})
	}
	t.Run("the namespace is the user's, and the thread in it", func(t *testing.T) {
		expect.Check(t, owned(func(fd int) error {
			owner, err := netns.OwnerOf(fd)
			if err != nil || owner != uid {
				return fmt.Errorf("owner %d: %w", owner, err)
			}
			if here, err := current(); here != netns.ID(fd) {
				return fmt.Errorf("in %s, not in %s: %w", here, netns.ID(fd), err)
			}
			return netns.RaiseLoopback()
		}))
	})
	t.Run("the thread is root in its own user namespace as before", func(t *testing.T) {
		status := func() (string, error) {
			s, err := os.ReadFile("/proc/thread-self/status")
			user, err2 := os.Readlink("/proc/thread-self/ns/user")
			return strings.Join(slices.DeleteFunc(strings.Split(string(s), "\n"), func(l string) bool {
				return !strings.HasPrefix(l, "Uid") && !strings.HasPrefix(l, "Gid") && !strings.HasPrefix(l, "Cap")
			}), " ") + user, errors.Join(err, err2)
		}
		expect.Check(t, private.OnThread(func() error {
			before, err := status()
			if err != nil {
				return err
			}
			if _, err := netns.New(&netns.Owner{UID: uid, GID: gid}); err != nil {
				return err
			}
			if after, err := status(); after != before {
				return fmt.Errorf("%s, not %s: %w", after, before, err)
			}
			return nil
		}))
	})
	t.Run("the user administers it without any capability, and others do not", func(t *testing.T) {
		private.Needs(t, "setpriv", "ip")
		for user, may := range map[string]bool{strconv.Itoa(uid): true, "4713": false} {
			err := owned(func(int) error {
				_, err := private.Sh("setpriv --reuid " + user + " --clear-groups ip link add name v0 type veth peer name v1")
				return err
			})
			if (err == nil) != may {
				t.Errorf("uid %s: %v", user, err)
			}
		}
	})
	t.Run("the user can enter its user namespace as root", func(t *testing.T) {
		private.Needs(t, "setpriv", "nsenter")
		expect.Check(t, owned(func(fd int) error {
			user, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
			if err != nil {
				return err
			}
			defer unix.Close(user)
			unix.CloseOnExec(user)
			enter := fmt.Sprintf("exec 3</proc/%d/fd/%d; setpriv --reuid %d --regid %d --clear-groups nsenter --user=/dev/fd/3 --preserve-credentials id -u", os.Getpid(), user, uid, gid)
			out, err := private.Sh(enter)
			if err != nil || out != "0" {
				return fmt.Errorf("%q: %w", out, err)
			}
			return nil
		}))
	})
	t.Run("it leaves no process", func(t *testing.T) {
		expect.Check(t, owned(func(int) error { return nil }))
		out, err := private.Sh("ps -o pid= --ppid " + strconv.Itoa(os.Getpid()) + " | wc -l")
		expect.Check(t, err)
		if out != "1" { // the shell
			t.Errorf("%s processes", out)
		}
	})
	t.Run("in a chroot, too", func(t *testing.T) {
		root := t.TempDir()
		expect.Check(t, os.MkdirAll(root+"/proc", 0o755))
		expect.Check(t, private.OnThread(func() error {
			err := errors.Join(unix.Mount("/proc", root+"/proc", "", unix.MS_BIND, ""), unix.Unshare(unix.CLONE_FS), unix.Chroot(root), unix.Chdir("/"))
			if err != nil {
				return err
			}
			_, err = netns.New(&netns.Owner{UID: uid, GID: gid})
			return err
		}))
		expect.Check(t, unix.Unmount(root+"/proc", unix.MNT_DETACH))
	})
	t.Run("nobody can look into its maker or holder, whatever fs.suid_dumpable is", func(t *testing.T) {
		// Were that 1, the change of user would leave the process dumpable: so it does nothing.
		out, err := tampered(t, "setresuid:retval=0").Output()
		expect.Check(t, err)
		if string(out) != "0 <nil>\n" {
			t.Errorf("%q", out)
		}
	})
	t.Run("its holder dies with its maker", func(t *testing.T) {
		cmd := tampered(t, "kill:retval=0:signal=KILL") // instead of ending the holder
		expect.Check(t, cmd.Start())
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		expect.Eventually(t, "strace has seen the end of both", func() bool { return len(ended) == 1 })
		if err := <-ended; err == nil || err.Error() != "signal: killed" {
			t.Errorf("the maker was not killed: %v", err)
		}
	})
	for _, limit := range []string{"max_user_namespaces", "max_net_namespaces"} {
		t.Run("the error names user."+limit+" where none may be made", func(t *testing.T) {
			// Only who is root in a user namespace may limit those below it.
			root := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), limited+"="+limit)
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
				UidMappings: root, GidMappings: root,
			}
			out, err := cmd.CombinedOutput()
			expect.Check(t, err)
			if !strings.Contains(string(out), "no space left on device") || !strings.Contains(string(out), "user."+limit) {
				t.Errorf("%s", out)
			}
		})
	}
	t.Run("a named one belongs to whom it is made for, and stays", func(t *testing.T) {
		s := netns.Spec{Name: "owned", Owner: &netns.Owner{UID: uid, GID: gid}}
		first, created, err := acquire(s)
		expect.Check(t, err)
		second, again, err := acquire(s)
		expect.Check(t, err)
		if !created || again || first != second {
			t.Errorf("%s (new: %v), then %s (new: %v)", first, created, second, again)
		}
		leadsTo(t, "owned", first)
	})
	t.Run("one that ip-netns has made is root's", func(t *testing.T) {
		private.Needs(t, "ip")
		_, err := private.Sh("ip netns add root")
		expect.Check(t, err)
		expect.Check(t, private.OnThread(func() error {
			n, err := netns.Acquire(netns.Spec{Name: "root", Owner: &netns.Owner{UID: uid}})
			if err != nil {
				return err
			}
			defer n.Close()
			if owner, err := netns.OwnerOf(n.FD); err != nil || owner != 0 {
				return fmt.Errorf("owner %d: %w", owner, err)
			}
			return nil
		}))
	})
}

// maker is what tells a process of TestOwner's to call dumpable.
const maker = "NETNS_TEST_MAKER"

// tampered is such a process, in which strace tampers with a system call.
func tampered(t *testing.T, inject string) *exec.Cmd {
	t.Helper()
	private.Needs(t, "strace")
	self, err := os.Executable()
	expect.Check(t, err)
	cmd := exec.Command("strace", "-f", "-o", "/dev/null", "-e", "inject="+inject, self)
	cmd.Env = append(os.Environ(), maker+"=yes")
	return cmd
}

// dumpable returns whether this process is, after making a namespace for the owner.
func dumpable() (int, error) {
	if _, err := netns.New(&netns.Owner{UID: uid, GID: gid}); err != nil {
		return -1, err
	}
	return unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
}

// limited names a sysctl, to a process of TestOwner's that is to set it to 0.
const limited = "NETNS_TEST_LIMIT"

// newWhere returns what New has to say with the limit.
func newWhere(limit string) error {
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", 0, ""),
		os.WriteFile("/proc/sys/user/"+limit, []byte("0"), 0),
	); err != nil {
		return err
	}
	_, err := netns.New(&netns.Owner{UID: uid, GID: gid})
	return err
}

// record is what is kept of the name.
func record(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("/run/libpam-net/netns/" + name)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	expect.Check(t, err)
	return string(text)
}

func TestSetup(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	gone := func(t *testing.T, name string) {
		t.Helper()
		if _, err := os.Lstat("/run/netns/" + name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the handle is there: %v", err)
		}
		if m := mountsOn(t, "/run/netns/"+name); len(m) != 0 {
			t.Errorf("the mount is there: %v", m)
		}
	}
	fine := func(t *testing.T, name string) netns.Spec { return withSetup(t, name, "fine", "exit 0") }
	const reason = "no uplink\nat all"
	fails := func(t *testing.T, name string) netns.Spec { return withSetup(t, name, reason, "exit 1") }

	t.Run("it runs once, in the host's network, when the name leads to the namespace", func(t *testing.T) {
		host, err := current()
		expect.Check(t, err)
		s := withSetup(t, "once", "program x", "readlink /proc/self/ns/net >>/run/where; cp /run/libpam-net/netns/once /run/record; "+
			"nsenter --net=/run/netns/once readlink /proc/self/ns/net >/run/handle")
		id, created, err := acquire(s)
		expect.Check(t, err)
		_, _, err = acquire(s)
		expect.Check(t, err)
		where, err := os.ReadFile("/run/where")
		expect.Check(t, err)
		if string(where) != host+"\n" || !created {
			t.Errorf("ran in %q, not %s", where, host)
		}
		handle, err := os.ReadFile("/run/handle")
		expect.Check(t, err)
		expect.Equal(t, "the namespace with the name", string(handle), id+"\n")
		leadsTo(t, "once", id)
		meanwhile, err := os.ReadFile("/run/record")
		expect.Check(t, err)
		state := string(meanwhile)
		if !strings.HasPrefix(state, "making ") || !strings.HasSuffix(state, " /run/bin/program x\n") {
			t.Errorf("meanwhile the record is %q", state)
		}
		if after := record(t, "once"); after != strings.Replace(state, "making", "made", 1) {
			t.Errorf("after %q the record is %q", state, after)
		}
	})
	t.Run("if it fails, the namespace is unpublished, and the next login tries again", func(t *testing.T) {
		if _, _, err := acquire(fails(t, "fails")); err == nil || !strings.Contains(err.Error(), reason+": exit status 1") {
			t.Error(err)
		}
		gone(t, "fails")
		id, created, err := acquire(fine(t, "fails"))
		expect.Check(t, err)
		if !created {
			t.Error("is said to have been there")
		}
		leadsTo(t, "fails", id)
	})
	t.Run("others wait for its end, and get the same, whatever that is", func(t *testing.T) {
		for _, result := range []string{"0", "1"} {
			name := "wait " + result
			s := withSetup(t, name, reason, "echo >/run/started; until [ -e /run/go ]; do sleep 0.01; done; exit "+result)
			others, outputs := make([]*exec.Cmd, 7), make([]strings.Builder, 7)
			var id string
			done := make(chan error, 1)
			go func() {
				var err error
				id, _, err = acquire(s)
				done <- err
			}()
			expect.Eventually(t, "the program runs", func() bool {
				_, err := os.Stat("/run/started")
				return err == nil
			})
			for i := range others {
				others[i] = exec.Command("/proc/self/exe") // opener
				others[i].Env = append(os.Environ(), opener+"="+name)
				others[i].Stdout = &outputs[i]
				expect.Check(t, others[i].Start())
			}
			expect.Eventually(t, "all wait for the lock", func() bool {
				locks, err := os.ReadFile("/proc/locks")
				return err == nil && strings.Count(string(locks), "-> POSIX") == len(others)
			})
			expect.Check(t, os.WriteFile("/run/go", nil, 0o600))
			if err := <-done; (err == nil) != (result == "0") {
				t.Errorf("%s: %v", id, err)
			}
			for i := range others {
				expect.Check(t, others[i].Wait())
				got := outputs[i].String()
				switch {
				case result == "0" && got != id+" false <nil>\n":
					t.Errorf("%q, not %s", got, id)
				case result != "0" && !strings.Contains(got, "no uplink"):
					t.Errorf("let in: %q", got)
				}
			}
			if result != "0" {
				gone(t, name)
			}
			_, err := private.Sh("rm /run/started /run/go")
			expect.Check(t, err)
		}
	})
	t.Run("others with another name do not wait", func(t *testing.T) {
		done := make(chan error, 1)
		s := withSetup(t, "one", "waits", "until [ -e /run/go ]; do sleep 0.01; done")
		go func() {
			_, _, err := acquire(s)
			done <- err
		}()
		expect.Eventually(t, "the first is being made", func() bool { return strings.HasPrefix(record(t, "one"), "making ") })
		_, _, err := acquire(fine(t, "another"))
		expect.Check(t, err)
		expect.Check(t, os.WriteFile("/run/go", nil, 0o600))
		expect.Check(t, <-done)
	})
	t.Run("a namespace whose login died before the end of it is made anew", func(t *testing.T) {
		first, _, err := acquire(fine(t, "died"))
		expect.Check(t, err)
		expect.Check(t, os.WriteFile("/run/libpam-net/netns/died", []byte(strings.Replace(record(t, "died"), "made", "making", 1)), 0o600))
		second, created, err := acquire(fine(t, "died"))
		expect.Check(t, err)
		if !created || first == second {
			t.Errorf("%s is used again", first)
		}
		leadsTo(t, "died", second)
	})
	t.Run("but one that ip-netns has made since is not touched", func(t *testing.T) {
		_, _, err := acquire(fine(t, "replaced"))
		expect.Check(t, err)
		expect.Check(t, os.WriteFile("/run/libpam-net/netns/replaced", []byte(strings.Replace(record(t, "replaced"), "made", "making", 1)), 0o600))
		_, err = private.Sh("ip netns del replaced; ip netns add replaced")
		expect.Check(t, err)
		theirs, err := published("replaced")
		expect.Check(t, err)
		id, created, err := acquire(fails(t, "replaced"))
		expect.Check(t, err)
		if created || id != theirs {
			t.Errorf("%s, not %s", id, theirs)
		}
	})
	t.Run("a namespace is complete while what its program has left runs, and is made anew after that", func(t *testing.T) {
		s := withSetup(t, "served", "serves", "sleep 1000 >/dev/null 2>&1 & echo $! >/run/left")
		first, _, err := acquire(s)
		expect.Check(t, err)
		t.Cleanup(func() { expect.Check(t, setup.Group("served").End()) })
		if !strings.HasPrefix(record(t, "served"), "served ") {
			t.Skipf("no control group can be made here: the record is %q", record(t, "served"))
		}
		second, created, err := acquire(s)
		expect.Check(t, err)
		if created || second != first {
			t.Errorf("%s after %s (new: %v)", second, first, created)
		}
		_, err = private.Sh("kill $(cat /run/left)")
		expect.Check(t, err)
		expect.Eventually(t, "it has ended", func() bool {
			running, err := setup.Group("served").IsRunning()
			return err == nil && !running
		})
		third, created, err := acquire(s)
		expect.Check(t, err)
		if !created || third == first {
			t.Errorf("%s after %s (new: %v)", third, first, created)
		}
		leadsTo(t, "served", third)
	})
	for what, text := range map[string]string{
		"empty": "", "cut off": "making 4026", "of an unknown state": "undone 1 x\n", "without a line's end": "made",
	} {
		t.Run("a record that is "+what+" is none", func(t *testing.T) {
			id, _, err := acquire(fine(t, "strange"))
			expect.Check(t, err)
			expect.Check(t, os.WriteFile("/run/libpam-net/netns/strange", []byte(text), 0o600))
			again, created, err := acquire(fails(t, "strange"))
			expect.Check(t, err)
			if created || id != again {
				t.Errorf("%s after %s", again, id)
			}
		})
	}
	t.Run("where no state can be kept, namespaces are joined but not made", func(t *testing.T) {
		theirs, fresh := fine(t, "theirs"), fine(t, "new")
		_, err := private.Sh("ip netns add theirs; rm -r /run/libpam-net; mount --rbind /run /run; mount -o remount,bind,ro /run")
		expect.Check(t, err)
		id, created, err := acquire(theirs)
		expect.Check(t, err)
		if there, err := published("theirs"); created || there != id {
			t.Errorf("%s (new: %v), not %s: %v", id, created, there, err)
		}
		if _, _, err := acquire(fresh); !errors.Is(err, unix.EROFS) {
			t.Errorf("made all the same: %v", err)
		}
		_, err = private.Sh("umount -l /run")
		expect.Check(t, err)
	})
}
