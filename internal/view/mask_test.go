// SPDX-License-Identifier: GPL-2.0-or-later

package view_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/view"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestCover(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh(`cd /run; echo secret > file; ln -s file link; ln -s nowhere dangling; ln -s loop loop; mkfifo fifo
		mkdir -p dir/below; echo secret > dir/file; ln -s socket to-socket; ln -s dir to-dir`)
	expect.Check(t, err)
	listener, err := net.Listen("unix", "/run/socket")
	expect.Check(t, err)
	defer listener.Close()

	const empty = `test -d "$1"; test -z "$(ls -A "$1")"; ! touch "$1/new" 2>&1`
	for _, c := range []struct{ what, path, look string }{
		{"a file is empty", "/run/file", `test ! -s "$1"; echo lost > "$1"; test -z "$(cat "$1")"`},
		{"a link to a file is followed", "/run/link", `test -L "$1"; test -z "$(cat /run/file)"`},
		{"a FIFO does not block", "/run/fifo", `test -z "$(cat "$1")"`},
		{"a directory is empty and cannot be written", "/run/dir", empty},
		{"a link to a directory is followed", "/run/to-dir", `set /run/dir; ` + empty},
		{"the root of a mount can be covered", "/run", empty},
		{"what is missing stays so", "/run/missing", `test ! -e "$1"`},
		{"what is below a missing directory stays so", "/run/missing/file", `test ! -e /run/missing`},
		{"what is below a file is missing", "/run/file/below", `grep secret /run/file`},
		{"a link that leads nowhere is missing", "/run/dangling", `test ! -e /run/nowhere`},
	} {
		t.Run(c.what, func(t *testing.T) {
			private.EachMountAPI(t, func(t *testing.T) {
				expect.Check(t, private.InSession(func() error {
					if err := view.Mask(c.path); err != nil {
						return err
					}
					_, err := private.Sh(c.look, c.path)
					return err
				}))
				_, err := private.Sh("grep -q secret /run/file && grep -q secret /run/dir/file")
				expect.Check(t, err)
			})
		})
	}
	for _, path := range []string{"/run/socket", "/run/to-socket"} {
		t.Run("nobody listens any more at "+path, func(t *testing.T) {
			private.EachMountAPI(t, func(t *testing.T) {
				expect.Check(t, connect(path))
				err := private.InSession(func() error {
					if err := view.Mask(path); err != nil {
						return err
					}
					return connect(path)
				})
				if !errors.Is(err, unix.ECONNREFUSED) {
					t.Errorf("connect: %v", err)
				}
				expect.Check(t, connect(path))
			})
		})
	}
	t.Run("it can be done twice", func(t *testing.T) {
		expect.Check(t, private.InSession(func() error {
			for _, path := range []string{"/run/file", "/run/file", "/run/dir", "/run/dir"} {
				if err := view.Mask(path); err != nil {
					return err
				}
			}
			return nil
		}))
	})
	t.Run("a link that leads to itself is an error", func(t *testing.T) {
		if err := private.InSession(func() error { return view.Mask("/run/loop") }); !errors.Is(err, unix.ELOOP) {
			t.Error(err)
		}
	})
}

// A user must not choose what is covered in the view of set-uid programs.
func TestAPathThatAUserCanLeadElsewhereIsRefused(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh(`cd /run; mkdir -p user/5001/below dir; chown 5001 user/5001 user/5001/below; touch user/5001/bus dir/file
		mkdir -m 1777 sticky; mkdir -m 775 group; touch sticky/file group/file; ln -s user/5001/bus to-user; ln -s dir rooted
		ln -s dir theirs; chown -h 5001 theirs; ln -s dir sticky/rooted; ln -s loop loop`)
	expect.Check(t, err)
	for _, c := range []struct{ what, path, because string }{
		{"a file in a user's directory", "/run/user/5001/bus", "/run/user/5001: belongs to uid 5001"},
		{"what is missing in a user's directory", "/run/user/5001/nosuch", "/run/user/5001: belongs to uid 5001"},
		{"a directory in a user's directory", "/run/user/5001/below/", "use mask=/run/user/5001,"},
		{"a link of root's into a user's directory", "/run/to-user", "/run/user/5001: belongs to uid 5001"},
		{"a file in a sticky directory for all", "/run/sticky/file", "/run/sticky: can be written by others than root (mode 01777)"},
		{"a link of root's in a sticky directory for all", "/run/sticky/rooted", "/run/sticky: can be written by others"},
		{"a file in a directory of a group", "/run/group/file", "/run/group: can be written by others"},
		{"a link that is a user's", "/run/theirs", "/run/theirs: belongs to uid 5001"},
		{"a path through a link that is a user's", "/run/theirs/file", "/run/theirs: belongs to uid 5001"},
		{"a link to itself", "/run/loop", "too many levels"},
		{"a user's directory itself", "/run/user/5001", ""},
		{"a user's directory itself, with a slash", "/run/user/5001/", ""},
		{"a sticky directory itself", "/run/sticky", ""},
		{"a path through a link of root's", "/run/rooted/file", ""},
		{"what is missing", "/run/nosuch", ""},
		{"what is below a file", "/run/dir/file/nosuch", ""},
		{"everything", "/", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := view.CheckMask("/", c.path)
			if c.because == "" {
				expect.Check(t, err)
			} else if err == nil || !strings.Contains(err.Error(), c.because) {
				t.Errorf("%v, want %q", err, c.because)
			}
		})
	}
}

// connect does so on the calling thread.
func connect(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

// A file of somebody's in the place of /dev/null would be mounted all over.
func TestAWrongNullDeviceIsRefused(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	expect.Check(t, os.WriteFile("/run/file", nil, 0o600))
	for _, c := range []struct{ what, make string }{
		{"a file", "touch /dev/null"},
		{"another device", "mknod /dev/null c 1 5"},
		{"a block device", "mknod /dev/null b 1 3"},
		{"a link to the right one", "mknod /dev/void c 1 3; ln -s void /dev/null"},
		{"nothing", ":"},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := private.InSession(func() error {
				if _, err := private.Sh("mount -t tmpfs none /dev; " + c.make); err != nil {
					return err
				}
				return view.Mask("/run/file")
			})
			if err == nil || !strings.Contains(err.Error(), "/dev/null") {
				t.Errorf("the error should name /dev/null: %v", err)
			}
		})
	}
}
