// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// as is what stands before a command that a user runs without a session.
func as(u sandbox.User) string {
	return fmt.Sprintf("setpriv --reuid=%d --regid=%d --init-groups ", u.UID, u.GID)
}

func TestSu(t *testing.T) {
	t.Parallel()
	h := prepared(t)
	h.setPasswords(t)
	checkUnchanged := h.remember(t)

	for _, c := range []struct{ name, script string }{
		{"a command sees its user's network", "su $1 -c view"},
		{"a command in a login shell sees its user's network", "su - $1 -c view"},
		{"the words for it make no difference", "su --login --command=view $1"},
		{"a shell sees its user's network", "echo view | su $1"},
		{"a command on a terminal sees its user's network", "script -qefc \"su $1 -c 'view >~/view'\" /dev/null >/dev/null && cat /home/$1/view"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.checkViews(t, func(t *testing.T, user string) string { return h.Bash(t, c.script, user) })
		})
	}
	t.Run("a command for which an ordinary user gives the password sees its user's network", func(t *testing.T) {
		h.checkViews(t, func(t *testing.T, user string) string {
			d := h.startOnTerminal(t, as(h.Olga)+"su "+user+" -c view")
			d.givePassword()
			output, code := d.end()
			expect.Equal(t, "exit code", code, 0)
			return output
		})
	})

	t.Run("the working directory", func(t *testing.T) {
		h.Bash(t, "mkdir /tmp/deleted")
		for _, c := range []struct{ name, script, want string }{
			{"stays", "cd /usr/share && su ulf -c 'pwd -P'", "/usr/share"},
			{"stays for a shell that is no login shell", "cd /usr/share && echo pwd -P | su nina", "/usr/share"},
			{"is the home of a login shell", "cd /usr/share && su - ulf -c 'pwd -P'", "/home/ulf"},
			{"stays below what was carried over", "cd /sys/fs/cgroup && su nina -c 'pwd -P'", "/sys/fs/cgroup"},
			{"shows the new network in /sys", "cd /sys/class/net && su nina -c 'pwd -P; ls'", "/sys/class/net\nlo"},
			{"shows the new network above it, too", "cd /sys/class/net && su nina -c 'ls /sys/class/net/../net'", "lo"},
			{"leaves an interface that is not in the network", "cd -P /sys/class/net/eth0peer && su nina -c 'pwd -P'", "/"},
			{"shows what stands in for it", "cd /etc/stood-in.d && su ulf -c 'pwd -P; ls'", "/etc/stood-in.d\nulf"},
			{"shows no other's handle", "cd /run/netns && su nina -c 'pwd -P; ls'", "/run/netns"},
			{"is / where it has been removed: a removed directory may be of any mount namespace", "cd /tmp/deleted && rmdir $PWD && su nina -c 'readlink /proc/self/cwd'", "/"},
		} {
			t.Run(c.name, func(t *testing.T) {
				expect.Equal(t, "output", strings.TrimSpace(h.Try(t, c.script).Stdout), c.want)
			})
		}
	})

	t.Run("from one session into another", func(t *testing.T) { testNesting(t, h) })
	t.Run("^C", func(t *testing.T) { testInterrupts(t, h) })
	t.Run("nothing is left but the networks with a name", checkUnchanged)
}

// setPasswords gives all users the password "secret".
func (h *host) setPasswords(t *testing.T) {
	t.Helper()
	h.Bash(t, `printf '%s:secret\n' "$@" | chpasswd --crypt-method SHA512`, users...)
}

func (d *dialogue) givePassword() {
	d.t.Helper()
	d.await("Password: ")
	d.say("secret\n")
	d.await("\r\n")
}

func testNesting(t *testing.T, h *host) {
	machine := parseView(h.Bash(t, "view"))
	for _, c := range []struct{ name, from, to string }{
		{"from nina to olga is still nina's network", "nina", "olga"},
		{"from ulf to olga is still ulf's network", "ulf", "olga"},
		{"from ulf to ulf is still ulf's network", "ulf", "ulf"},
		{"from gina to gus is still their network", "gina", "gus"},
		{"from nina to nina is another network", "nina", "nina"},
		{"from ulf to una is una's network", "ulf", "una"},
		{"from nina to una is una's network", "nina", "una"},
		{"from una to nina is a new network", "una", "nina"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.Try(t, "ip netns del una")
			d := h.startOnTerminal(t, fmt.Sprintf("su %s -c 'view >~/view; su %s -c view'", c.from, c.to))
			d.givePassword()
			output, code := d.end()
			expect.Equal(t, "exit code", code, 0)
			h.checkNested(t, c.from, parseView(h.read(t, "/home/"+c.from+"/view")), c.to, parseView(output), machine)
		})
	}
}

// checkNested checks what a session sees that was started from another one.
func (h *host) checkNested(t *testing.T, from string, outer facts, to string, inner, machine facts) {
	t.Helper()
	expect.Equal(t, "user", inner["user"][0], to)
	isMember := slices.Contains(users[1:], to)
	sharesNetwork := networkOf[to] != "" && networkOf[to] == networkOf[from]
	if !isMember || sharesNetwork {
		equalFacts(t, to, inner.without(handedOn...), outer.without(handedOn...))
		return
	}
	want := h.expect(t, to, inner, machine)
	// What stands in for files of /etc, and has no successor, stays.
	want["resolver"], want["stood-in"] = outer["resolver"], outer["stood-in"]
	equalFacts(t, to, inner.without(handedOn...), want.without(handedOn...))
	if slices.Equal(inner["net"], outer["net"]) {
		t.Errorf("%s is in %s's network", to, from)
	}
}

func testInterrupts(t *testing.T, h *host) {
	t.Run("ends a command", func(t *testing.T) {
		d := h.startOnTerminal(t, "su nina -c 'echo started; exec sleep 1000'")
		d.await("started")
		d.say("\x03")
		_, code := d.end()
		expect.Equal(t, "exit code", code, 128+int(unix.SIGINT))
	})
	t.Run("ends what a shell runs, and not the session", func(t *testing.T) {
		d := h.startOnTerminal(t, "su nina")
		d.await("$ ")
		d.say("sh -c 'echo started; exec sleep 1000'\n")
		d.await("started\r\n")
		d.say("\x03")
		d.say("echo $(ls /sys/class/net) is all; exit 7\n")
		output, code := d.end()
		expect.Equal(t, "exit code", code, 7)
		if !strings.Contains(output, "lo is all") {
			t.Errorf("the shell says %q", output)
		}
	})
	t.Run("while the session is opened leaves nothing", func(t *testing.T) {
		h.Try(t, "ip netns del una")
		lock, err := h.LockNames()
		expect.Check(t, err)
		d := h.startOnTerminal(t, "su una -c 'echo started'")
		expect.Eventually(t, "the module waits for its lock", func() bool {
			return strings.Contains(h.read(t, "/proc/locks"), "-> POSIX")
		})
		d.say("\x03")
		expect.Eventually(t, "su has ended, and the module's child with it", func() bool {
			return !slices.Contains(h.processes(t), "su")
		})
		_, code := d.end()
		expect.Equal(t, "exit code", code, 128+int(unix.SIGINT))
		expect.Check(t, lock.Close())
		expect.Equal(t, "handle", h.Try(t, "ls /run/netns/una").Stdout, "")
		expect.Equal(t, "next login", h.Bash(t, "su una -c 'ls /sys/class/net'"), "lo")
	})
}

func TestWhatRootHasMadeWithIPNetnsIsTheUsersNetwork(t *testing.T) {
	t.Parallel()
	h := newMachine(t)
	_, err := h.AddUser("bob", sandbox.Groups("usernet"))
	expect.Check(t, err)
	h.Bash(t, example(t, "docs/GUIDE.md", "One for bob:"))
	expect.Equal(t, "bob's network", h.Bash(t, `su bob -c 'echo $(ls /sys/class/net); cat /etc/resolv.conf; ip route; ping -c 1 -W 10 10.77.0.1 | grep -o "1 received"'`),
		"eth0 lo\nnameserver 10.77.0.1\ndefault via 10.77.0.1 dev eth0 \n10.77.0.0/30 dev eth0 proto kernel scope link src 10.77.0.2 \n1 received")
}
