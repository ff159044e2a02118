// SPDX-License-Identifier: GPL-2.0-or-later

package view_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/view"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestPropagation(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh(`cd /run; mkdir early host session below; mount -t tmpfs early early; mkdir early/host early/session
		mkdir -p /etc/covered /etc/netns/lab; mount -t tmpfs -o mode=755 none /run/below; ln -s /run/below /etc/netns/lab/covered; ip link add host0 type veth peer name host1`)
	expect.Check(t, err)
	const (
		mountAt  = `for d; do mount -t tmpfs new "$d"; done`
		mounted  = `for d; do mountpoint -q "$d"; done`
		nothing  = `for d; do ! mountpoint -q "$d"; done; test -z "$(ls -A /etc/covered)"; test -e /sys/class/net/host0`
		hosts    = "/run/host /run/early/host"
		sessions = "/run/session /run/early/session"
	)
	onHost := func(script, dirs string) error {
		return private.OnThread(func() error {
			_, err := private.Sh(script, strings.Fields(dirs)...)
			return err
		})
	}
	inSession := func(script, dirs string) error {
		_, err := private.Sh(script, strings.Fields(dirs)...)
		return err
	}
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %t", shared), func(t *testing.T) {
			outwards := nothing
			if shared {
				outwards = mounted
			}
			host, err := os.ReadFile("/proc/1/mountinfo")
			expect.Check(t, err)
			expect.Check(t, private.OnThread(func() error {
				if _, err := netns.New(nil); err != nil {
					return err
				}
				// The session's own covers, which are nobody else's in either case.
				if _, err := view.Build(view.Spec{Network: "lab", RootShared: shared, ShowNetns: true}); err != nil {
					return err
				}
				if now, err := os.ReadFile("/proc/1/mountinfo"); string(now) != string(host) {
					return fmt.Errorf("the host's mounts are\n%s, and were\n%s: %w", now, host, err)
				}
				return errors.Join(
					onHost(mountAt, hosts), inSession(mounted, hosts),
					inSession(mountAt, sessions), onHost(outwards, sessions),
					inSession(`mount -t tmpfs new /sys/power; touch /etc/covered/new; mount -t tmpfs new /etc/covered`, ""),
					onHost(nothing, "/sys/power /etc/covered"),
				)
			}))
			_, err = private.Sh(`for d; do umount "$d" 2>/dev/null || true; done; rm -f /run/below/*`, strings.Fields(hosts+" "+sessions)...)
			expect.Check(t, err)
		})
	}
}

func TestFindCwd(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh("ip link add host0 type veth peer name host1; mkdir /run/chroot; mount --bind / /run/chroot; mount --rbind /proc /run/chroot/proc; " +
		"mkdir -p /run/netns /run/masked/below /etc/netns/lab/dir /etc/dir/host0")
	expect.Check(t, err)
	for _, c := range []struct {
		what, cwd, root string // to be in before that is the root
		want            string
		moved           bool
	}{
		{"what no mount of the session covers stays", "/run", "/", "/run", false},
		{"a directory of the old /sys becomes the new one's", "/sys/class/net", "/", "/sys/class/net", true},
		{"what the new /sys has not becomes the root", "/sys/class/net/host0", "/", "/", true},
		{"a directory of the host's /etc becomes the one that replaces it", "/etc/dir", "/", "/etc/dir", true},
		{"what that one has not becomes the root", "/etc/dir/host0", "/", "/", true},
		{"a directory beside it stays", "/etc/netns/lab", "/", "/etc/netns/lab", false},
		{"the host's /run/netns becomes the session's", "/run/netns", "/", "/run/netns", true},
		{"a directory that is masked becomes the mask", "/run/masked", "/", "/run/masked", true},
		{"what is below a mask becomes the root", "/run/masked/below", "/", "/", true},
		{"what has been deleted becomes the root", "/run/deleted", "/", "/", true},
		{"what is outside the root becomes the root", "/run", "/run/chroot", "/", true},
	} {
		t.Run(c.what, func(t *testing.T) {
			private.EachMountAPI(t, func(t *testing.T) {
				expect.Check(t, os.MkdirAll("/run/deleted", 0o755))
				var v view.View
				expect.Check(t, private.OnThread(func() error {
					err := errors.Join(unix.Chdir(c.cwd), unix.Chroot(c.root), os.RemoveAll("/run/deleted"))
					if err != nil {
						return err
					}
					if _, err := netns.New(nil); err != nil {
						return err
					}
					if v, err = view.Build(view.Spec{Network: "lab", Masks: []string{"/run/masked"}}); err != nil {
						return err
					}
					if err := unix.Fchdir(v.Cwd); err != nil {
						return err
					}
					path, err := unix.Getwd()
					if err == nil && path != c.want {
						err = fmt.Errorf("the working directory has become %q", path)
					}
					if names, _ := private.Sh("ls"); c.moved && strings.Contains(names, "host0") {
						err = fmt.Errorf("it shows the host's network: %s", names)
					}
					return err
				}))
				if v.CwdMoved != c.moved {
					t.Errorf("is said to have moved: %t", v.CwdMoved)
				}
			})
		})
	}
}
