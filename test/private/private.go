// SPDX-License-Identifier: GPL-2.0-or-later

// Package private gives a test namespaces of its own, in which it may mount and
// unmount and name networks as it likes: the machine does not notice.
package private

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/test/expect"
)

// The namespaces of the main thread pass for those of the process, and of process
// 1 in here: no goroutine but main's may run there, OnThread's least of all.
func init() { runtime.LockOSThread() }

// variable has, in there, the name of the test.
const variable = "LIBPAM_NET_PRIVATE_TEST"

// Namespaces runs the calling test once more, with its subtests, as process 1 in
// mount, PID, network and IPC namespaces of its own. It returns false in there,
// and true outside once that run is over, having failed the test if it failed:
//
//	if private.Namespaces(t) {
//		return
//	}
//
// In there /run is empty, /etc is the machine's until it is changed, /proc and
// /sys are those of the namespaces, with what the machine has mounted below
// /sys, and all mounts are shared ones, as systemd leaves them. The rest of the
// file system is the machine's, to write to as well. There is only lo, and down.
//
// Without the rights that this takes, the test is skipped.
func Namespaces(t *testing.T) (outside bool) {
	t.Helper()
	if os.Getenv(variable) == t.Name() {
		expect.Check(t, setUp())
		return false
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make namespaces")
	}
	// Of flags that are given twice the later one counts.
	cmd := exec.Command("/proc/self/exe", append(os.Args[1:],
		"-test.run="+only(t.Name()), "-test.count=1", "-test.bench=", "-test.fuzz=", "-test.testlogfile=")...)
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
		Pdeathsig:  unix.SIGKILL, // and with process 1 goes all that it has started
	}
	runtime.LockOSThread() // Pdeathsig is about the thread that forks
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); errors.Is(err, fs.ErrPermission) {
		t.Skipf("needs root with CAP_SYS_ADMIN, to make namespaces: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("in private namespaces: %v", err)
	}
	return true
}

// only is what -test.run needs to run one test, and of its subtests those that
// were asked for.
func only(name string) string {
	var pattern []string
	for element := range strings.SplitSeq(name, "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(element)+"$")
	}
	asked := strings.Split(flag.Lookup("test.run").Value.String(), "/")
	if len(asked) > len(pattern) {
		pattern = append(pattern, asked[len(pattern):]...)
	}
	return strings.Join(pattern, "/")
}

func setUp() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make all mounts private: %w", err)
	}
	below, err := cloneBelow("/sys")
	if err != nil {
		return err
	}
	if err := overlay("/etc"); err != nil {
		return err
	}
	for _, m := range []struct{ path, fstype, options string }{
		{"/proc", "proc", ""},
		{"/sys", "sysfs", ""},
		{"/run", "tmpfs", "mode=755"},
	} {
		if err := replace(m.path, m.fstype, m.options); err != nil {
			return err
		}
	}
	for path, tree := range below {
		if err := unix.MoveMount(tree, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("carry over the mount on %s: %w", path, err)
		}
		unix.Close(tree)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make all mounts shared: %w", err)
	}
	return nil
}

// cloneBelow copies the trees of mounts below the mount on dir.
func cloneBelow(dir string) (map[string]int, error) {
	table, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	top := 0
	trees := make(map[string]int)
	for _, m := range table {
		if m.Mountpoint == dir {
			top = m.ID
		} else if m.Parent == top {
			tree, err := unix.OpenTree(unix.AT_FDCWD, m.Mountpoint, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
			if err != nil {
				return nil, fmt.Errorf("copy the mount on %s: %w", m.Mountpoint, err)
			}
			trees[m.Mountpoint] = tree
		}
	}
	return trees, nil
}

// overlay keeps the changes to dir on a tmpfs that nobody sees.
func overlay(dir string) error {
	if err := replace("/run", "tmpfs", "mode=700"); err != nil {
		return err
	}
	for _, d := range []string{"/run/upper", "/run/work"} {
		if err := unix.Mkdir(d, 0o755); err != nil {
			return fmt.Errorf("mkdir %s: %w", d, err)
		}
	}
	return mountOn("overlay", dir, "overlay", "upperdir=/run/upper,workdir=/run/work,lowerdir="+dir)
}

func replace(path, fstype, options string) error {
	for unix.Unmount(path, unix.MNT_DETACH) == nil {
	}
	return mountOn(fstype, path, fstype, options)
}

func mountOn(source, target, fstype, options string) error {
	if err := unix.Mount(source, target, fstype, 0, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", fstype, target, err)
	}
	return nil
}

// OnThread calls f on a thread of its own, which ends with it: what f does to
// its namespaces, to its "/" and to its "." stays with that thread and with the
// commands that it starts.
//
// f returns its errors. It must not end its goroutine, as t.Fatal does.
func OnThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		err := errors.New("the goroutine was ended")
		defer func() { done <- err }()
		if err = unix.Unshare(unix.CLONE_FS); err == nil {
			err = f()
		}
	}()
	return <-done
}

// InSession calls f like OnThread, in a mount namespace as sessions have it.
func InSession(f func() error) error {
	return OnThread(func() error {
		n, err := mount.Unshare(false)
		if err != nil {
			return err
		}
		defer func() {
			for _, fd := range []int{n.FD, n.Root, n.Cwd} {
				unix.Close(fd)
			}
		}()
		return f()
	})
}

// EachMountAPI runs f with the mount API of Linux 5.2, where the kernel has it,
// and without.
func EachMountAPI(t *testing.T, f func(t *testing.T)) {
	t.Run("with the mount API", func(t *testing.T) {
		if !mount.HasAPI() {
			t.Skip("needs Linux 5.2")
		}
		f(t)
	})
	t.Run("without the mount API", func(t *testing.T) {
		defer func(has func() bool) { mount.HasAPI = has }(mount.HasAPI)
		mount.HasAPI = func() bool { return false }
		f(t)
	})
}

// Needs skips the test where one of the commands is missing.
func Needs(t testing.TB, commands ...string) {
	t.Helper()
	for _, command := range commands {
		if _, err := exec.LookPath(command); err != nil {
			t.Skipf("needs %s", command)
		}
	}
}

// Sh runs a shell script that stops at the first command that fails, with $1,
// $2, ... set to args, and returns what it printed.
func Sh(script string, args ...string) (string, error) {
	cmd := exec.Command("sh", append([]string{"-euc", script, "sh"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", script, err, out)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
