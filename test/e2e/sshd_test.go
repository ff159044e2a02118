// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

func TestSSHD(t *testing.T) {
	t.Parallel()
	h := prepared(t)
	// X11 forwarding without an xauth that would have to be installed.
	expect.Check(t, h.StartSSHD("X11Forwarding yes", "XAuthLocation /bin/true"))
	checkUnchanged := h.remember(t)

	t.Run("a command sees its user's network", func(t *testing.T) {
		h.checkViews(t, func(t *testing.T, user string) string {
			return h.Bash(t, "ssh $1@127.0.0.1 view", user)
		})
	})
	t.Run("a login shell on a terminal sees its user's network", func(t *testing.T) {
		h.checkViews(t, func(t *testing.T, user string) string {
			h.Bash(t, "echo 'view >view; exit' | ssh -tt $1@127.0.0.1", user)
			return h.Bash(t, "cat /home/$1/view; rm /home/$1/view", user)
		})
	})
	t.Run("sftp sees its user's network", func(t *testing.T) {
		for _, c := range []struct{ user, interfaces, handles, resolver string }{
			{"olga", "eth0 eth0peer lo to-ulf", "lab ulf una", "nameserver 127.0.0.1"},
			{"nina", "lo", "", "nameserver 127.0.0.1"},
			{"ulf", "eth0 lo", "ulf", "nameserver 198.51.100.53"},
			{"gina", "lo", "lab", "nameserver 203.0.113.53"},
		} {
			h.sftp(t, c.user, "get /etc/resolv.conf /tmp/"+c.user)
			expect.Equal(t, c.user+"'s interfaces", h.sftp(t, c.user, "ls -1 /sys/class/net"), c.interfaces)
			expect.Equal(t, c.user+"'s handles", h.sftp(t, c.user, "ls -1 /run/netns"), c.handles)
			expect.Equal(t, c.user+"'s resolv.conf", h.read(t, "/tmp/"+c.user), c.resolver+"\n")
		}
	})
	t.Run("two logins of nina are in two networks", func(t *testing.T) {
		one, two := h.logIn(t, "nina", "one"), h.logIn(t, "nina", "two")
		defer one.logOut(t)
		defer two.logOut(t)
		if a, b := one.command(t, printNet), two.command(t, printNet); a == b {
			t.Errorf("both are in %s", a)
		}
	})
	t.Run("what a login is made of", func(t *testing.T) { testHeldLogins(t, h) })
	t.Run("all that is left are the networks with a name", func(t *testing.T) {
		checkUnchanged(t)
		expect.Equal(t, "handles", h.Bash(t, "echo $(ls /run/netns)"), "lab ulf una")
	})
}

const printNet = "readlink /proc/self/ns/net"

// sftp returns the base names of the files that a command of sftp lists.
func (h *host) sftp(t *testing.T, user, command string) string {
	t.Helper()
	return h.Bash(t, `echo $(sftp -qb - $1@127.0.0.1 <<<"$2" | sed -n 's|^/.*/||p')`, user, command)
}

// login is an ssh login that is held open, and takes channels.
type login struct {
	*host
	user    string
	control string // socket
	monitor int    // the process of sshd that runs as root
	worker  int    // the one that runs as the user
}

// logIn logs in. Of several logins at once each wants a name of its own.
func (h *host) logIn(t *testing.T, user, name string) *login {
	t.Helper()
	control := "/run/sandbox/ssh-" + user + name
	before, err := h.Processes()
	expect.Check(t, err)
	h.Bash(t, `DISPLAY=127.0.0.1:50 ssh -Y -fNMS $1 $2@127.0.0.1 </dev/null >$1.log 2>&1`, control, user)
	l := &login{host: h, user: user, control: control}
	l.monitor = h.findProcess(t, "new monitor of "+user, func(p sandbox.Process) bool {
		isOld := slices.ContainsFunc(before, func(old sandbox.Process) bool { return old.PID == p.PID })
		return !isOld && strings.HasSuffix(p.Args[0], ": "+user+" [priv]")
	})
	l.worker = h.findProcess(t, "worker of "+user, func(p sandbox.Process) bool {
		title, _, _ := strings.Cut(p.Args[0], "@") // the terminal
		return p.Parent == l.monitor && strings.HasSuffix(title, ": "+user)
	})
	return l
}

// logOut ends the login.
func (l *login) logOut(t *testing.T) {
	t.Helper()
	l.ssh(t, "-O exit", "")
}

// command runs a command in a channel of its own.
func (l *login) command(t *testing.T, command string) string {
	t.Helper()
	return l.ssh(t, "", command)
}

// ssh lets ssh(1) do something with the login.
func (l *login) ssh(t *testing.T, options, command string) string {
	t.Helper()
	return l.Bash(t, "ssh -S $1 "+options+` $2@127.0.0.1 ${3:+"$3"} 2>&1`, l.control, l.user, command)
}

// servers are those of the machine. Some users have one of their own on their
// loopback, at the first address.
var servers = []string{"127.0.0.1:7000", "192.0.2.1:7000", "198.51.100.1:7000"}

func (h *host) startServers(t *testing.T) {
	t.Helper()
	for _, address := range servers {
		serve(t, netnsOf(h.PID()), address, "machine")
	}
}

func testHeldLogins(t *testing.T, h *host) {
	h.startServers(t)
	olga := h.logIn(t, "olga", "")
	defer olga.logOut(t)
	for _, c := range []struct {
		user    string
		answers []string // of the servers
	}{
		{"olga", []string{"machine 127.0.0.1", "machine 192.0.2.1", "machine 198.51.100.1"}},
		{"nina", []string{"nina 127.0.0.1", "", ""}},
		{"ulf", []string{"ulf 127.0.0.1", "", "machine 198.51.100.2"}},
		{"gina", []string{"gina 127.0.0.1", "", ""}},
	} {
		t.Run(c.user, func(t *testing.T) {
			l := olga
			if c.user != "olga" {
				l = h.logIn(t, c.user, "")
				defer l.logOut(t)
				serve(t, netnsOf(l.monitor), "127.0.0.1:7000", c.user)
			}
			t.Run("its channels are in the network of its monitor", func(t *testing.T) {
				network, err := sandbox.Namespace(l.monitor, "net")
				expect.Check(t, err)
				expect.Equal(t, "one channel", l.command(t, printNet), network)
				expect.Equal(t, "another one", l.command(t, printNet), network)
			})
			t.Run("sshd has separated its privileges", func(t *testing.T) {
				expect.Equal(t, "real uid of the monitor", strings.Fields(status(t, l.monitor, "Uid"))[0], "0")
				expect.Equal(t, "real uid of the worker", strings.Fields(status(t, l.worker, "Uid"))[0], l.Bash(t, "id -u $1", l.user))
			})
			t.Run("the processes of sshd are like those of a login that is not isolated", func(t *testing.T) {
				compareProcesses(t, "monitor", l.monitor, olga.monitor)
				compareProcesses(t, "worker", l.worker, olga.worker)
			})
			t.Run("connections that are forwarded leave from inside", func(t *testing.T) {
				l.testForwarding(t, c.answers)
			})
			t.Run("sockets that sshd listens on are inside", l.testListening)
			t.Run("mounts come in and do not go out", l.testPropagation)
		})
	}
}

func (l *login) testForwarding(t *testing.T, answers []string) {
	machine := netnsOf(l.PID())
	for _, way := range []struct {
		name string
		ask  func(address string) string
	}{
		{"-W", func(address string) string {
			return l.Try(t, `ssh -S $1 -W $2 $3@127.0.0.1 2>/dev/null`, l.control, address, l.user).Stdout
		}},
		{"-L", func(address string) string {
			defer l.forward(t, "-L 127.0.0.1:7001:"+address)()
			return ask(t, machine, "127.0.0.1:7001")
		}},
		{"-D", func(address string) string {
			defer l.forward(t, "-D 127.0.0.1:7002")()
			return askThrough(t, machine, "127.0.0.1:7002", address)
		}},
	} {
		for i, address := range servers {
			expect.Equal(t, way.name+" to "+address, way.ask(address), answers[i])
		}
	}
}

// forward adds a forwarding to the login, and returns what takes it away.
func (l *login) forward(t *testing.T, forwarding string) (cancel func()) {
	t.Helper()
	l.ssh(t, "-O forward "+forwarding, "")
	return func() { l.ssh(t, "-O cancel "+forwarding, "") }
}

func (l *login) testListening(t *testing.T) {
	machine, session := netnsOf(l.PID()), netnsOf(l.monitor)
	inside := "" // what is heard on the machine from a listener in the session
	if l.user == "olga" {
		inside = "machine 127.0.0.1"
	}
	t.Run("-R", func(t *testing.T) {
		defer l.forward(t, "-R 127.0.0.1:7003:127.0.0.1:7000")()
		expect.Equal(t, "in the session", ask(t, session, "127.0.0.1:7003"), "machine 127.0.0.1")
		expect.Equal(t, "on the machine", ask(t, machine, "127.0.0.1:7003"), inside)
	})
	t.Run("X11", func(t *testing.T) {
		x := l.start(t, "ssh", "-YS", l.control, l.user+"@127.0.0.1", `echo "DISPLAY=$DISPLAY."; cat`)
		x.await("DISPLAY=localhost:10.0.")
		_, err := dial(t, session, "127.0.0.1:6010")
		expect.Check(t, err)
		_, err = dial(t, machine, "127.0.0.1:6010")
		expect.Equal(t, "can be reached from the machine", err == nil, l.user == "olga")
		_, code := x.end()
		expect.Equal(t, "exit code", code, 0)
	})
}

func (l *login) testPropagation(t *testing.T) {
	const point = "/tmp/mounted"
	l.Bash(t, "mkdir -p $1 && mount -t tmpfs mounted $1", point)
	expect.Equal(t, "the machine's mount is in the session", l.isMounted(t, l.monitor, point), true)
	l.Bash(t, "umount $1", point)
	expect.Equal(t, "it stays there", l.isMounted(t, l.monitor, point), false)

	l.command(t, "sudo mount -t tmpfs mounted "+point)
	expect.Equal(t, "the session's mount is in the session", l.isMounted(t, l.monitor, point), true)
	expect.Equal(t, "it is on the machine", l.isMounted(t, l.PID(), point), l.user == "olga")
	l.command(t, "sudo umount "+point)
}

func (l *login) isMounted(t *testing.T, pid int, point string) bool {
	t.Helper()
	table, err := sandbox.MountTable(pid)
	expect.Check(t, err)
	return slices.ContainsFunc(table, func(m sandbox.Mount) bool { return m.Point == point })
}

func TestManyFirstLoginsAtOnce(t *testing.T) {
	t.Parallel()
	h := newMachine(t)
	expect.Check(t, h.StartSSHD())
	checkUnchanged := h.remember(t)
	var logins sync.WaitGroup
	networks := make(chan string, 50)
	for range cap(networks) {
		logins.Go(func() {
			result, err := h.SSH(t.Context(), "ulf", printNet)
			if err == nil {
				err = result.Err()
			}
			if err != nil {
				t.Error(err)
			}
			networks <- strings.TrimSpace(result.Stdout)
		})
	}
	logins.Wait()
	close(networks)
	one := h.handle(t, "ulf")
	for network := range networks {
		expect.Equal(t, "network", network, one)
	}
	log := strings.Join(h.markLog(t), "\n")
	expect.Equal(t, "logins that made the network", strings.Count(log, `"ulf": created network namespace "ulf"`), 1)
	expect.Equal(t, "logins that joined it", strings.Count(log, `"ulf": joined network namespace "ulf"`), 49)
	checkUnchanged(t)
	expect.Equal(t, "handles", h.Bash(t, "ls /run/netns"), "ulf")
	h.Bash(t, "ip netns del ulf")
	expect.Equal(t, "mounts of handles that are left", h.Bash(t, "grep -c /run/netns/ /proc/self/mountinfo || true"), "0")
}
