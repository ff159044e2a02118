// SPDX-License-Identifier: GPL-2.0-or-later

package mount_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// place is where a thread is.
type place struct {
	root, cwd string // as "device:inode"
	path      string // of the working directory
	ns        string
}

func here() (p place, err error) {
	var errs [4]error
	p.root, errs[0] = identity("/")
	p.cwd, errs[1] = identity(".")
	p.ns, errs[2] = identity("/proc/thread-self/ns/mnt")
	p.path, errs[3] = unix.Getwd()
	return p, errors.Join(errs[:]...)
}

func identity(path string) (string, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino), err
}

func TestUnshareKeepsThePlace(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh(`mkdir -p /run/plain/proc /run/plain/home/a /run/mounted; mount --bind /proc /run/plain/proc
		mount -t tmpfs none /run/mounted; mkdir -p /run/mounted/proc /run/mounted/home/a; mount --bind /proc /run/mounted/proc`)
	expect.Check(t, err)
	for _, c := range []struct{ what, root, cwd string }{
		{"not chrooted", "/", "/usr/bin"},
		{"not chrooted, in /", "/", "/"},
		{"chrooted where something is mounted", "/run/mounted", "/home/a"},
		{"chrooted where nothing is mounted", "/run/plain", "/home/a"},
		{"chrooted, in /", "/run/plain", "/"},
	} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, shared %t", c.what, shared), func(t *testing.T) {
				var before, after place
				var n *mount.Namespace
				expect.Check(t, private.OnThread(func() error {
					if err := errors.Join(unix.Chroot(c.root), unix.Chdir(c.cwd)); err != nil {
						return err
					}
					if before, err = here(); err != nil {
						return err
					}
					if n, err = mount.Unshare(shared); err != nil {
						return err
					}
					if after, err = here(); err != nil {
						return err
					}
					return errors.Join(n.Share(), n.FindCwd([]string{"/sys", "/run"}))
				}))
				if before.ns == after.ns {
					t.Error("the namespace is the old one")
				}
				before.ns = after.ns
				if before.root != after.root {
					t.Errorf("was at %+v, is at %+v", before, after)
				}
				if after.path != "/" {
					t.Errorf("is in %s, which may be a user's", after.path)
				}
				if n.CwdMoved {
					t.Error("is said to have moved")
				}
				// What the login process does with it.
				expect.Check(t, private.OnThread(func() error {
					err := errors.Join(unix.Setns(n.FD, unix.CLONE_NEWNS), unix.Fchdir(n.Root), unix.Chroot("."), unix.Fchdir(n.Cwd))
					if err != nil {
						return err
					}
					adopted, err := here()
					if err == nil && adopted != before {
						err = fmt.Errorf("adopted at %+v, not at %+v", adopted, before)
					}
					return err
				}))
			})
		}
	}
}

func TestInHost(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	failure := errors.New("failure")
	host, err := identity("/proc/1/ns/mnt")
	expect.Check(t, err)
	for _, c := range []struct {
		what       string
		sameThread bool
		enter      func() error
	}{
		{"on the thread itself if that is there", true, func() error { return nil }},
		{"from a session", false, func() error { return unix.Unshare(unix.CLONE_NEWNS) }},
		{"from a chroot", false, func() error { return errors.Join(unix.Chroot("/run"), unix.Chdir("/")) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := private.Sh("mkdir -p /run/proc; mountpoint -q /run/proc || mount --rbind /proc /run/proc")
			expect.Check(t, err)
			expect.Check(t, private.OnThread(func() error {
				if err := c.enter(); err != nil {
					return err
				}
				tid := unix.Gettid()
				before, err := here()
				if err != nil {
					return err
				}
				err = mount.InHost(func() error {
					there, err := here()
					if there.ns != host || (unix.Gettid() == tid) != c.sameThread {
						return fmt.Errorf("called at %+v: %w", there, err)
					}
					if _, err := os.Stat("/run/proc"); err != nil {
						return err
					}
					return failure
				})
				if !errors.Is(err, failure) {
					return fmt.Errorf("the error has become %w", err)
				}
				if after, err := here(); after != before {
					return fmt.Errorf("was at %+v, is at %+v: %w", before, after, err)
				}
				if c.sameThread {
					return nil
				}
				if err = mount.InHost(func() error { panic("mishap") }); err == nil || !strings.Contains(err.Error(), "mishap") {
					return fmt.Errorf("a panic has become %w", err)
				}
				return nil
			}))
		})
	}
}
