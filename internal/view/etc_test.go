// SPDX-License-Identifier: GPL-2.0-or-later

package view_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/view"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// fresh makes an empty /etc/netns with a directory name, and runs the script there.
func fresh(t *testing.T, name, script string) {
	t.Helper()
	_, err := private.Sh(`mkdir -p /etc/netns; umount -Rlq /etc/netns || true; mount -t tmpfs -o mode=755 none /etc/netns
		mkdir "/etc/netns/$1"; cd "/etc/netns/$1"; `+script, name)
	expect.Check(t, err)
}

// in calls look in a session of the namespace name.
func in(name string, look func() error) (skipped []string, err error) {
	err = private.OnThread(func() error {
		v, err := view.Build(view.Spec{Network: name, ShowNetns: true, KeepResolver: true})
		skipped = v.Skipped
		if v.Namespace != nil {
			defer func() {
				for _, fd := range []int{v.FD, v.Root, v.Cwd} {
					unix.Close(fd)
				}
			}()
		}
		if err != nil {
			return err
		}
		return look()
	})
	return skipped, err
}

// contains tells, as an error, that the file has another content.
func contains(path, want string) error {
	got, err := os.ReadFile(path)
	if err == nil && string(got) != want {
		err = fmt.Errorf("%q contains %q, not %q", path, got, want)
	}
	return err
}

func TestOverrides(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	for _, c := range []struct {
		what, make, look string
		skipped          []string
	}{
		{
			what: "a file stands in for a file",
			make: `echo ours > hosts; echo host > /etc/hosts`,
			look: `grep -x ours /etc/hosts`,
		},
		{
			what: "a directory stands in for a directory, with what is mounted in it",
			make: `mkdir -p x/deep /etc/x; touch x/new /etc/x/old; mount -t tmpfs none x/deep; touch x/deep/new`,
			look: `test -e /etc/x/new; test -e /etc/x/deep/new; test ! -e /etc/x/old`,
		},
		{
			what: "a file stands in for a symbolic link, even a dangling one",
			make: `echo ours > link; ln -sf nowhere /etc/link`,
			look: `grep -x ours /etc/link; test ! -L /etc/link; test ! -e /etc/nowhere`,
		},
		{
			what: "a file stands in for a device or FIFO",
			make: `echo ours > tee; echo ours > mouse; rm -f /etc/tee /etc/mouse; mkfifo /etc/tee; mknod /etc/mouse c 1 3`,
			look: `grep -x ours /etc/tee; grep -x ours /etc/mouse`,
		},
		{
			what: "a link to a file of root's, or a directory, counts as what it leads to",
			make: `echo ours > /run/far; ln -s /run/far far; mkdir -p /run/d /etc/d; ln -s ../../../run/d d
				touch /etc/far /run/d/new`,
			look: `grep -x ours /etc/far; test -e /etc/d/new`,
		},
		{
			what: "a link may stand for the directory as well",
			make: `cd ..; rmdir "$1"; mkdir lab; echo ours > lab/hosts; ln -s lab "$1"`,
			look: `grep -x ours /etc/hosts`,
		},
		{
			what:    "an entry with no namesake in /etc is skipped and named, the others count",
			make:    `echo ours > absent; echo ours > hosts; echo ours > 'new in town'`,
			look:    `grep -x ours /etc/hosts; test ! -e /etc/absent`,
			skipped: []string{"absent", "new in town"},
		},
		{
			what: "entries may have any name",
			make: `for n in 'a b' 'a
b' "$(printf '\377\376')" Ægir-日本 -rf '*' .hidden '\134'; do printf %s "$n" > "./$n"; touch "/etc/$n"; done`,
			look: `for n in 'a b' 'a
b' "$(printf '\377\376')" Ægir-日本 -rf '*' .hidden '\134'; do test "$(cat "/etc/$n")" = "$n"; done`,
		},
		{
			what: "a thousand files",
			make: `mkdir -p /etc; for i in $(seq 1000); do echo ours > $i; : > /etc/$i; done`,
			look: `test $(cat /etc/[0-9]* | grep -cx ours) = 1000`,
		},
		{what: "an empty directory changes nothing", make: `true`, look: `true`},
	} {
		t.Run(c.what, func(t *testing.T) {
			private.EachMountAPI(t, func(t *testing.T) {
				const name = "lab 1\n日本"
				fresh(t, name, c.make)
				host, err := os.ReadFile("/proc/1/mountinfo")
				expect.Check(t, err)
				skipped, err := in(name, func() error {
					_, err := private.Sh(c.look)
					return err
				})
				expect.Check(t, err)
				if !slices.Equal(skipped, c.skipped) {
					t.Errorf("skipped %q", skipped)
				}
				if now, err := os.ReadFile("/proc/1/mountinfo"); err != nil || string(now) != string(host) {
					t.Errorf("the host's mount table has become %s: %v", now, err)
				}
			})
		})
	}
}

func TestOverridesWithoutADirectoryChangeNothing(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	for _, c := range []struct{ what, make string }{
		{"without /etc/netns", "rm -rf /etc/netns"},
		{"without the name", "mkdir /etc/netns"},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := private.Sh(c.make)
			expect.Check(t, err)
			skipped, err := in("lab", func() error { return nil })
			expect.Check(t, err)
			if skipped != nil {
				t.Errorf("skipped %q", skipped)
			}
		})
	}
}

// systemd-resolved and NetworkManager replace the file that /etc/resolv.conf
// links to. A mount on that file is gone then, and with it the override.
func TestAnOverrideOutlivesWhatTheLinkLeadsTo(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh(`mkdir -p /etc/netns/lab /run/resolve; cd /run/resolve; echo host > resolv.conf; echo new > next
		rm -f /etc/resolv.conf; ln -s ../run/resolve/resolv.conf /etc/resolv.conf; echo ours > /etc/netns/lab/resolv.conf`)
	expect.Check(t, err)
	private.EachMountAPI(t, func(t *testing.T) {
		_, err := in("lab", func() error {
			if err := contains("/etc/resolv.conf", "ours\n"); err != nil {
				return err
			}
			err := private.OnThread(func() error { // on the host
				_, err := private.Sh("cd /run/resolve; cp next tmp; mv tmp resolv.conf")
				return err
			})
			if err != nil {
				return err
			}
			if err := contains("/run/resolve/resolv.conf", "new\n"); err != nil {
				return err
			}
			return contains("/etc/resolv.conf", "ours\n")
		})
		expect.Check(t, err)
		expect.Check(t, contains("/etc/resolv.conf", "new\n"))
	})
}

// Whoever may write to what is mounted rules the session's /etc.
func TestOverridesAreRefused(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	const (
		notRoots  = "belongs to uid 1000: it must be root's"
		writable  = "can be written by others than root"
		strange   = "is neither a file nor a directory"
		different = "are not alike"
	)
	expect.Check(t, unix.Mknod("/run/socket", unix.S_IFSOCK|0o600, 0))
	expect.Check(t, os.WriteFile("/run/listed", nil, 0o644))
	expect.Check(t, unix.Setxattr("/run/listed", "system.posix_acl_access", []byte("\x02\x00\x00\x00"+
		"\x01\x00\x06\x00\xff\xff\xff\xff"+ // user::rw-
		"\x02\x00\x06\x00\xe8\x03\x00\x00"+ // user:1000:rw-
		"\x04\x00\x04\x00\xff\xff\xff\xff"+ // group::r--
		"\x10\x00\x06\x00\xff\xff\xff\xff"+ // mask::rw-
		"\x20\x00\x04\x00\xff\xff\xff\xff"), 0)) // other::r--
	for _, c := range []struct{ what, make, because string }{
		{"a user's directory", `chown 1000 .`, notRoots},
		{"a user's file", `touch hosts; chown 1000 hosts`, notRoots},
		{"a user's directory in it", `mkdir alternatives; chown 1000 alternatives`, notRoots},
		{"a directory that a group may write", `chmod 775 .`, writable},
		{"a directory that everybody may write", `chmod 757 .`, writable},
		{"a sticky one", `chmod 1777 .`, writable},
		{"a file that a group may write", `touch hosts; chmod 664 hosts`, writable},
		{"a file that everybody may write", `touch hosts; chmod 646 hosts`, writable},
		{"a file that one user may write by its access control list", `ln -s /run/listed hosts`, writable},
		{"a directory in it that everybody may write", `mkdir alternatives; chmod 777 alternatives`, writable},
		{"an /etc/netns of a user's", `chown 1000 ..`, notRoots},
		{"an /etc/netns that everybody may write", `chmod 777 ..`, writable},
		{"a link to a user's file", `touch /run/mine; chown 1000 /run/mine; ln -s /run/mine hosts`, notRoots},
		{"a link to a user's directory", `mkdir /run/my; chown 1000 /run/my; cd ..; rmdir lab; ln -s /run/my lab`, notRoots},
		{"a dangling link", `ln -s nothing hosts`, "no such file"},
		{"a link that leads nowhere for the directory", `cd ..; rmdir lab; ln -s nothing lab`, "no such file"},
		{"a link to itself", `ln -s hosts hosts`, "too many levels of symbolic links"},
		{"a file for the directory", `cd ..; rmdir lab; touch lab`, "not a directory"},
		{"a FIFO, without blocking", `mkfifo hosts`, strange},
		{"a device", `mknod hosts c 1 3`, strange},
		{"a socket", `ln -s /run/socket hosts`, strange},
		{"a directory for a file", `mkdir hosts`, different},
		{"a file for a directory", `touch alternatives`, different},
		{"a directory for a link to a directory", `ln -sfn alternatives /etc/link; mkdir link`, different},
		{"the second after a good one", `touch alternatives hosts`, different},
	} {
		t.Run(c.what, func(t *testing.T) {
			fresh(t, "lab", c.make)
			_, err := in("lab", func() error { return nil })
			if err == nil || !strings.Contains(err.Error(), "/etc/netns") || !strings.Contains(err.Error(), c.because) {
				t.Errorf("the error should name the file and say %q: %v", c.because, err)
			}
		})
	}
}

// With what is checked swapped for something else before it is mounted, a user
// could have it all.
func TestAnExchangedFileIsNeverMounted(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh(`mount -t tmpfs -o mode=755 none /etc; echo host > /etc/hosts; mkdir -p /etc/netns/lab /etc/evil/lab; cd /etc/netns
		echo good > lab/hosts; echo evil > evil; ln -s /etc/netns/evil link
		mkdir evil.d; cp evil evil.d/hosts; cp evil /etc/evil/lab/hosts; chown -R 1000 evil evil.d /etc/evil`)
	expect.Check(t, err)
	for _, c := range []struct{ what, good, evil string }{
		{"the file for a user's", "/etc/netns/lab/hosts", "/etc/netns/evil"},
		{"the file for a link to a user's", "/etc/netns/lab/hosts", "/etc/netns/link"},
		{"the directory for a user's", "/etc/netns/lab", "/etc/netns/evil.d"},
		{"all directories for a user's", "/etc/netns", "/etc/evil"},
	} {
		t.Run(c.what, func(t *testing.T) {
			exchange := func() error {
				return unix.Renameat2(unix.AT_FDCWD, c.good, unix.AT_FDCWD, c.evil, unix.RENAME_EXCHANGE)
			}
			stop, stopped := make(chan bool), make(chan error)
			go func() {
				var err error
				for {
					select {
					case <-stop:
						stopped <- err
						return
					default:
						err = cmp.Or(err, exchange(), exchange()) // there and back
					}
				}
			}()
			mounted, refused := 0, 0
			expect.Eventually(t, "both outcomes three hundred times", func() bool {
				_, err := in("lab", func() error {
					mounted++
					return contains("/etc/hosts", "good\n")
				})
				if err != nil && strings.Contains(err.Error(), "belongs to uid 1000") {
					refused++
				} else if err != nil {
					t.Error(err)
				}
				return mounted >= 300 && refused >= 300 || t.Failed()
			})
			close(stop)
			expect.Check(t, <-stopped)
		})
	}
}
