// SPDX-License-Identifier: GPL-2.0-or-later

package mount_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

const allAttrs = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV |
	unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOATIME | unix.MOUNT_ATTR_NODIRATIME

func TestParseAttrs(t *testing.T) {
	for options, want := range map[string]mount.Attrs{
		"":                            0,
		"rw,relatime":                 0,
		"ro":                          unix.MOUNT_ATTR_RDONLY,
		"rw,nosuid,nodev,noexec":      unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC,
		"ro,noatime,nodiratime":       unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOATIME | unix.MOUNT_ATTR_NODIRATIME,
		"rw,errors=remount-ro":        0,
		"rw,lowerdir=/ro,nodevnosuid": 0,
		",,ro,,ro,":                   unix.MOUNT_ATTR_RDONLY,
		"RO, nosuid":                  0,
	} {
		if got := mount.ParseAttrs(options); got != want {
			t.Errorf("%q: %#x, not %#x", options, got, want)
		}
	}
}

func FuzzParseAttrs(f *testing.F) {
	f.Add("rw,nosuid,nodev,noexec,relatime", "ro,size=4k")
	f.Add("noatime,nodiratime", "")
	f.Add(",", "ro")
	f.Fuzz(func(t *testing.T, a, b string) {
		both := mount.ParseAttrs(a + "," + b)
		if both != mount.ParseAttrs(a)|mount.ParseAttrs(b) || both != mount.ParseAttrs(b+","+a) || both&^allAttrs != 0 {
			t.Errorf("%q and %q together are %#x", a, b, both)
		}
	})
}

func TestNew(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	for _, option := range []string{"rw", "ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "ro,nosuid,nodev,noexec"} {
		t.Run(option, func(t *testing.T) {
			private.EachMountAPI(t, func(t *testing.T) {
				attrs := mount.ParseAttrs(option)
				expect.Check(t, private.InSession(func() error {
					tree, err := mount.New("tmpfs", attrs, "mode=751", "size=64k")
					if err != nil {
						return err
					}
					defer tree.Close()
					if err := at("/run", tree.Attach); err != nil {
						return err
					}
					m, err := top("/run")
					if err == nil && (mount.ParseAttrs(m.Options) != attrs || m.FSType != "tmpfs" || !strings.HasSuffix(m.VFSOptions, ",size=64k,mode=751")) {
						err = fmt.Errorf("mounted: %+v", m)
					}
					return err
				}))
			})
		})
	}
	t.Run("a file system or option that does not exist is an error", func(t *testing.T) {
		private.EachMountAPI(t, func(t *testing.T) {
			for _, c := range []struct{ fstype, option string }{{"nosuchfs", "mode=755"}, {"tmpfs", "nosuch=1"}} {
				err := private.InSession(func() error {
					tree, err := mount.New(c.fstype, 0, c.option)
					if err != nil {
						return err
					}
					defer tree.Close()
					return at("/run", tree.Attach)
				})
				if err == nil {
					t.Errorf("mounted %+v", c)
				}
			}
		})
	})
}

func TestCloneAndDetach(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh(`mkdir /run/from /run/to /run/from/below; mount -t tmpfs none /run/from/below; touch /run/from/below/file /run/file`)
	expect.Check(t, err)
	private.EachMountAPI(t, func(t *testing.T) {
		expect.Check(t, private.InSession(func() error {
			cover := func(source int) error {
				return at("/run/to", func(target int) error { return mount.Cover(target, source) })
			}
			if err := at("/run/from", cover); err != nil {
				return err
			}
			if _, err := private.Sh("test -e /run/to/below/file"); err != nil {
				return err
			}
			if err := mount.Detach("/run/to"); err != nil {
				return err
			}
			if _, err := private.Sh(`test -z "$(ls -A /run/to)"`); err != nil {
				return err
			}
			if err := mount.Detach("/run/to"); !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("detach what is no mount: %w", err)
			}
			if err := at("/run/file", cover); err == nil {
				return errors.New("a file could be mounted on a directory")
			}
			return nil
		}))
	})
}

// at calls f with path pinned.
func at(path string, f func(fd int) error) error {
	fd, err := mount.Pin(path, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fd)
}

// top returns the mount that is seen at path.
func top(path string) (*mountinfo.Info, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_MNT_ID, &st); err != nil {
		return nil, err
	}
	table, err := mount.Table(func(m *mountinfo.Info) (skip, stop bool) { return uint64(m.ID) != st.Mnt_id, false })
	if err == nil && (len(table) != 1 || table[0].Mountpoint != path) {
		err = fmt.Errorf("%s is no mount", path)
	}
	if err != nil {
		return nil, err
	}
	return table[0], nil
}
