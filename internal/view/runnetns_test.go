// SPDX-License-Identifier: GPL-2.0-or-later

package view_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/view"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestRunNetns(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh("ip netns add own; ip netns add other")
	expect.Check(t, err)
	id, err := nsfs.At("/run/netns/own")
	expect.Check(t, err)
	for _, c := range []struct {
		what, name string
		left       []string
	}{
		{"a session in a named namespace sees that only", "own", []string{"own"}},
		{"a session in an unnamed one sees none", "", nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			private.EachMountAPI(t, func(t *testing.T) {
				host, err := os.ReadFile("/proc/1/mountinfo")
				expect.Check(t, err)
				err = hidden(c.name, func() error {
					left, err := readDir()
					if !slices.Equal(left, c.left) {
						return fmt.Errorf("sees %q: %w", left, err)
					}
					if c.name == "" {
						return nil
					}
					if now, err := nsfs.At("/run/netns/own"); now != id {
						return fmt.Errorf("sees %v for %v: %w", now, id, err)
					}
					_, err = private.Sh("ip netns exec own true")
					return err
				})
				expect.Check(t, err)
				if now, err := os.ReadFile("/proc/1/mountinfo"); err != nil || string(now) != string(host) {
					t.Errorf("the host's mount table has become %s: %v", now, err)
				}
				if names, err := readDir(); !slices.Equal(names, []string{"other", "own"}) {
					t.Errorf("the host sees %q: %v", names, err)
				}
			})
		})
	}
	t.Run("where the kernel has mounted the handles on /run as well a session keeps neither", func(t *testing.T) {
		host, err := private.Sh("umount -l /run/netns; mount --make-shared /run; ip netns add first; ip netns add second; " +
			"grep -c ' /run/netns/first ' /proc/self/mountinfo")
		expect.Check(t, err)
		if host != "2" {
			t.Fatalf("the host has %s mounts of a handle, not 2", host)
		}
		expect.Check(t, hidden("first", func() error {
			left, err := mount.Table(func(m *mountinfo.Info) (skip, stop bool) {
				return !strings.HasPrefix(m.Mountpoint, "/run/netns/"), false
			})
			if err == nil && len(left) != 1 {
				err = fmt.Errorf("has %d mounts of handles, not its own alone", len(left))
			}
			run, tableErr := mount.Table(mountinfo.SingleEntryFilter("/run"))
			if err = errors.Join(err, tableErr); err == nil && strings.Contains(run[0].Optional, "shared") {
				err = fmt.Errorf("shares /run: %s", run[0].Optional)
			}
			return err
		}))
		after, err := private.Sh("grep -c ' /run/netns/first ' /proc/self/mountinfo")
		if expect.Check(t, err); after != "2" {
			t.Errorf("the host has %s mounts of a handle, not 2", after)
		}
	})
	t.Run("what the host makes later is not seen", func(t *testing.T) {
		_, err := private.Sh("rm -f /run/netns/own; ip netns add own")
		expect.Check(t, err)
		expect.Check(t, hidden("own", func() error {
			expect.Check(t, private.OnThread(func() error {
				_, err := private.Sh("ip netns add later")
				return err
			}))
			if left, err := readDir(); !slices.Equal(left, []string{"own"}) {
				return fmt.Errorf("sees %q: %w", left, err)
			}
			return nil
		}))
	})
	t.Run("where there is no /run/netns what comes later is hidden, too", func(t *testing.T) {
		_, err := private.Sh("umount -l /run/netns; rm -r /run/netns")
		expect.Check(t, err)
		expect.Check(t, hidden("", func() error {
			left, err := private.Sh("nsenter --target 1 --mount ip netns add later; ls /run/netns")
			if err == nil && left != "" {
				err = fmt.Errorf("sees %q", left)
			}
			return err
		}))
	})
}

// readDir returns what the calling thread sees in /run/netns.
func readDir() (names []string, err error) {
	entries, err := os.ReadDir("/run/netns")
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// hidden calls look in a session of the namespace name.
func hidden(name string, look func() error) error {
	return private.OnThread(func() error {
		if name != "" {
			fd, err := netns.Open(name)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := netns.Join(fd); err != nil {
				return err
			}
		}
		if _, err := view.Build(view.Spec{Network: name, KeepResolver: true}); err != nil {
			return err
		}
		return look()
	})
}
