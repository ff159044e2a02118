// SPDX-License-Identifier: GPL-2.0-or-later

package hostile

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
)

// The truth about docs/SECURITY.md's list of that name. What can be done about it
// is tested beside it.
func TestWhatANetworkNamespaceCannotClose(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	expect.Check(t, b.StartSSHD())
	// inside runs a script in a session, and one of root's before.
	inside := func(t *testing.T, user, before, script string) string {
		t.Helper()
		return b.sh(t, `exec bash -ec "$1"' exec pamhost --bare hostile $1 -- bash -c "$2"' bash "$2" "$3"`, before, user, script)
	}
	const interfaces, machines, sessions = "cd /sys/class/net; echo *", "eth0 eth0peer lo", "lo"

	t.Run("a unix socket with a path leads to a daemon of the host, unless it is masked", func(t *testing.T) {
		b.service(t, "masked", "mask=/dev/log")
		b.sh(t, `
			pamhost --bare hostile nina -- logger -t session from a socket
			pamhost --bare masked nina -- sh -c '! logger --socket-errors=on -t session from a masked socket 2>/dev/null'
			logger -t host after it`)
		_, err := b.WaitLog(t.Context(), "host: after it")
		expect.Check(t, err)
		log, err := b.Log()
		expect.Check(t, err)
		if !strings.Contains(log, "session: from a socket") || strings.Contains(log, "from a masked socket") {
			t.Errorf("the log of the host:\n%s", log)
		}
	})
	t.Run("a socket that was open before the switch still leads to the host", func(t *testing.T) {
		// sshd, which first hears from the session, answers with some 1,000 bytes.
		got := inside(t, "nina", "exec 5<>/dev/tcp/127.0.0.1/22;", `
			`+interfaces+`
			: 2>/dev/null <>/dev/tcp/127.0.0.1/22 || echo no new one
			read -r banner <&5; echo ${banner%%-OpenSSH*}
			printf 'SSH-2.0-session\r\n' >&5; head -c 500 <&5 | wc -c`)
		if want := sessions + "\nno new one\nSSH-2.0\n500"; got != want {
			t.Errorf("in the session: %q, want %q", got, want)
		}
	})
	t.Run("AF_VSOCK has one space of ports for all network namespaces", func(t *testing.T) {
		port, end, err := b.hold(t, "vsock")
		if err != nil {
			t.Logf("nothing to be seen on this kernel: %v", err)
			return
		}
		during := inside(t, "nina", "", "vsock "+port)
		end()
		after := inside(t, "nina", "", "vsock "+port)
		if during != "taken" || after != "free" {
			t.Errorf("while the host has a port, it is %q in a session, and afterwards %q", during, after)
		}
	})
	t.Run("a process of the same user outside does what the session asks for", func(t *testing.T) {
		got := b.sh(t, as(b.Nina)+`sh -ec 'mkfifo ~nina/ask ~nina/answer; sh <~nina/ask >~nina/answer' &
			exec pamhost --bare hostile nina -- sh -c '
				until [ -p ~nina/answer ]; do :; done
				`+interfaces+`
				echo "`+interfaces+`" >~nina/ask; cat ~nina/answer'`)
		if want := sessions + "\n" + machines; got != want {
			t.Errorf("in the session, and outside: %q, want %q", got, want)
		}
	})
	t.Run("a rename over a covered file in /etc takes the cover away, one behind a link does not", func(t *testing.T) {
		b.sh(t, `
			mkdir -p /etc/netns/ulf; cd /etc/netns/ulf
			for name in file removed link; do echo own >$name; echo host >/etc/$name; done
			mv /etc/link /run/target; ln -s /run/target /etc/link`)
		end := b.start(t, "pamhost", "--bare", "hostile", "ulf", "--", "cat")
		defer end()
		etc := fmt.Sprintf("/proc/%d/root/etc/", b.find(t, "cat"))
		expect := func(when, file, removed, link string) {
			t.Helper()
			for name, want := range map[string]string{"file": file, "removed": removed, "link": link} {
				if got, _ := os.ReadFile(etc + name); string(got) != want {
					t.Errorf("%s, /etc/%s is %q, want %q", when, name, got, want)
				}
			}
		}
		expect("at first", "own\n", "own\n", "own\n")
		b.sh(t, "echo new >/etc/new; mv /etc/new /etc/file; rm /etc/removed; echo new >/run/new; mv /run/new /run/target")
		expect("afterwards", "new\n", "", "own\n")
	})
	t.Run("what lies deeper in a directory that stands in is not checked", func(t *testing.T) {
		b.sh(t, `
			rm -rf /etc/netns/ulf; mkdir -p /etc/deep /etc/netns/ulf/deep
			echo olgas >/etc/netns/ulf/deep/file; chown olga /etc/netns/ulf/deep/file`)
		if got := inside(t, "ulf", "", "cat /etc/deep/file"); got != "olgas" {
			t.Errorf("the file is %q", got)
		}
	})
}

func TestALocalSourceThatHangsHoldsUpTheLoginBeforeThereIsAChild(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(t, "mv /etc/group /etc/saved; mkfifo /etc/group")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	login := b.CommandContext(ctx, "pamhost", "--bare", "hostile", "olga")
	expect.Check(t, login.Start())
	expect.Eventually(t, "the module opens the list of groups", func() bool {
		call, err := os.ReadFile(fmt.Sprintf("/proc/%d/syscall", b.find(t, "pamhost")))
		return err == nil && strings.HasPrefix(string(call), fmt.Sprint(unix.SYS_OPENAT))
	})
	processes, err := b.Processes()
	expect.Check(t, err)
	if len(processes) != 2 {
		t.Errorf("there are not just process 1 and the login: %+v", processes)
	}
	writer := -1
	expect.Eventually(t, "somebody waits for who writes the list", func() bool {
		writer, err = unix.Open(b.Root()+"/etc/group", unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err == nil
	})
	b.sh(t, "mv /etc/saved /etc/group")
	expect.Check(t, unix.Close(writer))
	_ = login.Wait() // libc takes no groups from a FIFO
}
