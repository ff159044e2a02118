// SPDX-License-Identifier: GPL-2.0-or-later

package nsfs_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestIDsAreEqualIfTheNamespaceIsTheSame(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	for kind, flag := range map[nsfs.Kind]int{nsfs.Net: unix.CLONE_NEWNET, nsfs.Mnt: unix.CLONE_NEWNS} {
		expect.Check(t, nsfs.OnSpareThread(func() error {
			host, hostErr := nsfs.Of(nsfs.Host, kind)
			before, beforeErr := nsfs.Of(nsfs.Thread, kind)
			unshareErr := unix.Unshare(flag)
			after, afterErr := nsfs.Of(nsfs.Thread, kind)
			fd, openErr := nsfs.Open(nsfs.Thread, kind)
			defer unix.Close(fd)
			file, fileErr := nsfs.OfFile(fd)
			if before != host || after == host || file != after {
				return fmt.Errorf("%s: %v of process 1, %v before, %v after, %v of the descriptor", kind, host, before, after, file)
			}
			return errors.Join(hostErr, beforeErr, unshareErr, afterErr, openErr, fileErr)
		}))
	}
	_, err := nsfs.OfFile(-1)
	if !errors.Is(err, unix.EBADF) {
		t.Errorf("no file: %v", err)
	}
}

func TestEnded(t *testing.T) {
	cmd := exec.Command("true")
	expect.Check(t, cmd.Start())
	pid := cmd.Process.Pid
	expect.Eventually(t, "the process is a zombie, without namespaces", func() bool {
		_, err := nsfs.Of(pid, nsfs.Net)
		return nsfs.Ended(err)
	})
	expect.Check(t, cmd.Wait())
	if _, err := nsfs.Open(pid, nsfs.Net); !nsfs.Ended(err) {
		t.Errorf("a process that is gone: %v", err)
	}
}

func TestASpareThreadTakesItsPanicAlong(t *testing.T) {
	failure := errors.New("failure")
	if err := nsfs.OnSpareThread(func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("the error has become %v", err)
	}
	if err := nsfs.OnSpareThread(func() error { panic("mishap") }); err == nil || !strings.Contains(err.Error(), "mishap") {
		t.Errorf("the panic has become %v", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, there := unix.Gettid(), 0
	expect.Check(t, nsfs.OnSpareThread(func() error {
		there = unix.Gettid()
		return nil
	}))
	if here == there {
		t.Error("f has run on the caller's thread")
	}
}

func TestReadTakesAFileOfAnySize(t *testing.T) {
	path := t.TempDir() + "/file"
	for _, size := range []int{0, 1, 99, 100, 101, 5000} {
		want := strings.Repeat("x", size)
		expect.Check(t, os.WriteFile(path, []byte(want), 0o600))
		got, err := nsfs.Read(path, 100)
		expect.Check(t, err)
		if string(got) != want {
			t.Errorf("%d bytes, not %d", len(got), size)
		}
	}
	if _, err := nsfs.Read(path+"/nosuch", 100); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("no file: %v", err)
	}
}
