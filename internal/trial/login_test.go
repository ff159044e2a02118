// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/internal/policy"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// This program is the child, too, as pamnetctl is.
func TestMain(m *testing.M) {
	if os.Args[0] == ChildName {
		Child()
	}
	os.Exit(m.Run())
}

// service makes a PAM service of session lines, in a test in private namespaces.
func service(t *testing.T, name string, lines ...string) {
	t.Helper()
	text := "session " + strings.Join(lines, "\nsession ") + "\n"
	expect.Check(t, os.WriteFile("/etc/pam.d/"+name, []byte(text), 0o644))
}

// descendantsEnd fails the test if this program has a descendant.
func descendantsEnd(t *testing.T) {
	t.Helper()
	left, err := descendants()
	expect.Check(t, err)
	if len(left) > 0 {
		t.Errorf("left running: %v", left)
	}
}

func TestLogin(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "setsid", "mount")
	runtime.LockOSThread()
	service(t, "plain", "required pam_permit.so")
	service(t, "denying", "required pam_deny.so")
	mounts, err := mountsInEtc()
	expect.Check(t, err)
	s, err := Begin(Wanted{})
	expect.Check(t, err)
	open := func(t *testing.T, service string) *Login {
		t.Helper()
		l, err := s.Open(t.Context(), "nobody", service, false)
		expect.Check(t, err)
		return l
	}
	end := func(t *testing.T, l *Login) {
		t.Helper()
		expect.Check(t, l.Close())
		stays, err := s.End(t.Context(), func() { t.Error("it waits") })
		expect.Check(t, err)
		expect.Equal(t, "networks that stay", len(stays), 0)
		descendantsEnd(t)
		now, err := mountsInEtc()
		expect.Check(t, err)
		expect.Equal(t, "mounts", fmt.Sprint(now), fmt.Sprint(mounts))
	}
	t.Run("a session in the host's network, and commands there", func(t *testing.T) {
		l := open(t, "plain")
		defer end(t, l)
		r := l.Report("nobody", "plain", policy.Decision{Outcome: policy.Host})
		expect.Equal(t, "outcome", fmt.Sprint(r.Outcome, r.Problems, r.StandIns, r.Sockets, r.Messages), "host[] [] [] []")
		expect.Equal(t, "network", fmt.Sprint(r.Network.Name, r.Network.Created, r.ClassNet), "false [lo]")
	})
	t.Run("what the session leaves running is ended", func(t *testing.T) {
		service(t, "leaving", "required pam_exec.so /usr/bin/env sh -c [setsid sleep 1000 </dev/null >/dev/null 2>&1 &]")
		end(t, open(t, "leaving"))
	})
	t.Run("a mount of the session's goes with it", func(t *testing.T) {
		service(t, "mounting", "required pam_exec.so /usr/bin/env mount --bind /etc/passwd /etc/pam.d/plain")
		l := open(t, "mounting")
		expect.Equal(t, "files of /etc", fmt.Sprint(l.StandIns), "[/etc/pam.d/plain]")
		end(t, l)
	})
	t.Run("a refused login is a view, too", func(t *testing.T) {
		l := open(t, "denying")
		r := l.Report("nobody", "denying", policy.Decision{Outcome: policy.Host})
		expect.Equal(t, "outcome", fmt.Sprint(r.Outcome, r.Problems, r.Network == nil), "refused[refused] true")
		end(t, l)
	})
	t.Run("an unknown user is an error", func(t *testing.T) {
		if l, err := s.Open(t.Context(), "nobody-knows", "plain", false); err == nil || !strings.Contains(err.Error(), `"nobody-knows"`) {
			t.Errorf("%+v: %v", l, err)
		}
		_, err := s.TakeBack()
		expect.Check(t, err)
		descendantsEnd(t)
	})
	t.Run("the end of the context is that of the session", func(t *testing.T) {
		service(t, "hanging", "required pam_exec.so /usr/bin/env sh -c [touch /run/hangs; sleep 1000]")
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			expect.Eventually(t, "the session hangs", func() bool {
				_, err := os.Stat("/run/hangs")
				return err == nil
			})
		}()
		if l, err := s.Open(ctx, "nobody", "hanging", false); err == nil || !strings.Contains(err.Error(), "it has ended unexpectedly") {
			t.Errorf("%+v: %v", l, err)
		}
		_, err := s.TakeBack()
		expect.Check(t, err)
		descendantsEnd(t)
	})
	t.Run("none begins in another network", func(t *testing.T) {
		elsewhere := make(chan error)
		go func() {
			runtime.LockOSThread() // never unlocked
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				elsewhere <- nil
			}
			_, err := Begin(Wanted{})
			elsewhere <- err
		}()
		if err := <-elsewhere; err == nil || !strings.Contains(err.Error(), "logins start in the host's network") {
			t.Error(err)
		}
	})
}

func TestARunIsTheUsersAlone(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "useradd")
	runtime.LockOSThread()
	output, err := exec.Command("useradd", "-m", "-k", "/nosuch", "-d", "/run/una", "-s", "/bin/sh", "una").CombinedOutput()
	expect.Equal(t, "useradd", string(output), "")
	expect.Check(t, err)
	service(t, "limiting", "required pam_limits.so conf=/etc/una.conf", "required pam_env.so conffile=/etc/una.env")
	expect.Check(t, os.WriteFile("/etc/una.conf", []byte("una - nofile 300\n"), 0o644))
	expect.Check(t, os.WriteFile("/etc/una.env", []byte("FROM_PAM DEFAULT=yes\n"), 0o644))
	before := getLimits()
	s, err := Begin(Wanted{})
	expect.Check(t, err)
	l, err := s.Open(t.Context(), "una", "limiting", false)
	expect.Check(t, err)
	ran, err := l.Run("id -un; pwd; ulimit -n; echo $FROM_PAM $SECRET; tty; exit 7")
	expect.Check(t, err)
	expect.Equal(t, "end", fmt.Sprintf("%d %q", ran.ExitCode, ran.Output), `7 "una\n/run/una\n300\nyes\nnot a tty\n"`)
	expect.Check(t, l.Close())
	_, err = s.End(t.Context(), func() {})
	expect.Check(t, err)
	expect.Equal(t, "limits of this process", getLimits() == before, true)
	expect.Equal(t, "what is left", nsfs.Ended(unix.Kill(l.child.Process.Pid, 0)), true)
}

func TestNameServers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                    "[]",
		"nameserver 192.0.2.1":                "[192.0.2.1]",
		"nameserver\t192.0.2.1 x\nsearch a\n": "[192.0.2.1]",
		" nameserver 192.0.2.1\nnameserver\n#nameserver 192.0.2.2\nnameserver 2001:db8::1": "[192.0.2.1 2001:db8::1]",
	} {
		expect.Equal(t, text, fmt.Sprint(nameServers(text)), want)
	}
}
