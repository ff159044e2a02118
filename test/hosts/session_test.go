// SPDX-License-Identifier: GPL-2.0-or-later

package hosts

import (
	"fmt"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

// kernels are those that a session must look alike on.
var kernels = []struct{ is, host string }{{"this kernel", "pamhost"}, {"an old kernel", "old_kernel pamhost"}}

func TestUserNames(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	expect.Check(t, b.WriteFile("/etc/netns/README", "", 0o644))
	for _, name := range []string{"alice.b", "alice@example.org", `EXAMPLE\alice`, "älice", "a b", "...", `"`, "%s%n", strings.Repeat("x", 255)} {
		t.Run(name, func(t *testing.T) {
			_, err := b.AddUser(name, sandbox.Groups("usernet"))
			expect.Check(t, err)
			expect.Check(t, b.WriteFile("/etc/netns/"+name+"/resolv.conf", name+"\n", 0o644))
			for range 2 {
				o := b.open(t, login{host: "pamhost", stack: everything, user: name, command: "cat /etc/resolv.conf; ls -A /run/netns"})
				expect.Equal(t, "pam_open_session", o.Result("pam_open_session"), "PAM_SUCCESS")
				expect.Equal(t, "namespace", o.After.Namespaces["net"], b.inode(t, name))
				expect.Equal(t, "what is there", o.output, name+"\n"+name+"\n")
			}
		})
	}
}

func TestNamesThatNoNamespaceCanHaveAreRefused(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, name := range []string{"a/b", "/", "../../etc/passwd", ".", "..", "a\x01b"} {
		t.Run(name, func(t *testing.T) {
			expect.Check(t, b.AppendFile("/etc/passwd", name+":x:7000:7000::/:/bin/sh\n"))
			expect.Check(t, b.AddToGroup("usernet", name))
			stack := []string{"required pam_usernet.so"}
			o := b.open(t, login{host: "pamhost", stack: stack, user: name})
			expect.Equal(t, "pam_open_session", o.Result("pam_open_session"), "PAM_ABORT")
			unchanged(t, "pam_open_session", o.Before, o.After)
			if len(o.log) != 1 || !strings.Contains(o.log[0], "cannot name a network namespace") {
				t.Errorf("log: %q", o.log)
			}
		})
	}
	for i, name := range []string{"", ".", ".."} {
		t.Run("groupnet-"+name, func(t *testing.T) {
			user := "user" + strconv.Itoa(i)
			_, err := b.AddUser(user)
			expect.Check(t, err)
			expect.Check(t, b.AddGroup("groupnet-"+name, user))
			o := b.open(t, login{host: "pamhost", stack: everything, user: user})
			o.refused(t, member{user: user, module: "pam_groupnet"}, strconv.Quote(name)+" cannot name a network namespace", true)
		})
	}
	if _, err := b.Stat("/run/netns"); err == nil {
		t.Error("there is /run/netns")
	}
}

func TestAMemberWithUID0IsIsolated(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	_, err := b.AddUser("toor", sandbox.UID(0), sandbox.Groups("newnet"))
	expect.Check(t, err)
	expect.Check(t, b.AddToGroup("usernet", "root"))
	for _, user := range []string{"toor", "root"} {
		o := b.open(t, login{host: "pamhost", stack: everything, user: user, command: "id -u; ls /sys/class/net"})
		expect.Equal(t, user, o.output, "0\nlo\n")
	}
}

func TestAPrimaryGroupMakesAMember(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(t, `
echo "first:x:7001:$(getent group newnet | cut -d: -f3)::/:/bin/sh" >>/etc/passwd
echo "second:x:7002:$(getent group usernet | cut -d: -f3)::/:/bin/sh" >>/etc/passwd
echo "third:x:7003:$(getent group groupnet-lab | cut -d: -f3)::/:/bin/sh" >>/etc/passwd
`)
	for user, handles := range map[string]string{"first": "", "second": "second\n", "third": "lab\n"} {
		o := b.open(t, login{host: "pamhost", stack: everything, user: user, command: "ls /sys/class/net; ls /run/netns 2>/dev/null"})
		expect.Equal(t, user, o.output, "lo\n"+handles)
	}
}

func TestWhoIsInANamedNetworkAlreadyJoinsItAgain(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.addUte(t)
	b.sh(t, "ip netns add lab")
	for user, netns := range map[string]string{"ute": "ute", "gina": "lab"} {
		o := b.open(t, login{host: "ip netns exec " + netns + " pamhost", stack: everything, user: user, command: look})
		// The files of a mount namespace that is gone have other paths.
		unchanged(t, "pam_open_session", o.Before, o.After, pamhost.MountNamespace, pamhost.MappedFiles)
		expect.Equal(t, "network namespace", o.After.Namespaces["net"], b.inode(t, netns))
		expect.Equal(t, "handles", parseView(t, o.output).of["handles"], netns)
	}
	o := b.open(t, login{host: "ip netns exec ute pamhost", stack: everything, user: "nina", command: look})
	expect.Equal(t, "interfaces of nina", parseView(t, o.output).of["interfaces"], "lo")
}

func TestTheLaterModuleWins(t *testing.T) {
	t.Parallel()
	for _, kernel := range kernels {
		t.Run(kernel.is, func(t *testing.T) {
			b := newBox(t)
			expect.Check(t, b.AddToGroup("groupnet-lab", "ulf"))
			expect.Check(t, b.AddToGroup("newnet", "ulf"))
			for _, name := range []string{"ulf", "lab"} {
				expect.Check(t, b.WriteFile("/etc/netns/"+name+"/resolv.conf", name+"\n", 0o644))
				b.sh(t, "ip netns add "+name)
			}
			for _, c := range []struct {
				first, second, handles, resolver string
			}{
				{"pam_groupnet", "pam_usernet", "ulf", "ulf"},
				{"pam_usernet", "pam_groupnet", "lab", "lab"},
				{"pam_newnet", "pam_usernet", "ulf", "ulf"},
				{"pam_usernet", "pam_newnet", "", "ulf"}, // the overlay of the first stays
			} {
				t.Run(c.first+" "+c.second, func(t *testing.T) {
					stack := []string{"required " + c.first + ".so", "required " + c.second + ".so"}
					o := b.open(t, login{host: kernel.host, stack: stack, user: "ulf", command: look})
					if o.Command == nil {
						t.Fatalf("refused: %q", o.log)
					}
					unchanged(t, "pam_open_session", o.Before, o.After, pamhost.MountNamespace, pamhost.NetNamespace)
					if c.handles != "" {
						expect.Equal(t, "network namespace", o.After.Namespaces["net"], b.inode(t, c.handles))
					}
					seen := parseView(t, o.output).of
					expect.Equal(t, "interfaces", seen["interfaces"], "lo")
					expect.Equal(t, "handles", seen["handles"], c.handles)
					expect.Equal(t, "resolver", seen["resolver"], c.resolver)
					expect.Equal(t, "lines in the log", len(o.log), 2)
				})
			}
		})
	}
}

func TestTheWorkingDirectory(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(t, `mkdir -p /var/covered/deep /etc/netns/ulf/pam.d; touch /etc/netns/ulf/pam.d/own`)
	expect.Check(t, b.WriteFile("/usr/local/bin/lost", "#!/bin/sh\nmkdir /tmp/lost && cd /tmp/lost && rmdir /tmp/lost && exec pamhost \"$@\"\n", 0o755))
	for _, c := range []struct {
		is, host, user, arguments string
		moved                     bool
		want                      string
	}{
		{"elsewhere", "pamhost --chdir /usr/share", "ulf", "", false, "/usr/share\n"},
		{"below the old /sys", "pamhost --chdir /sys/class/net", "nina", "", true, "/sys/class/net\nlo\n"},
		{"of a named network below the old /sys", "pamhost --chdir /sys/class/net", "ulf", "", true, "/sys/class/net\nlo\n"},
		{"the old /run/netns", "pamhost --chdir /run/netns", "ulf", "", true, "/run/netns\nulf\n"},
		{"covered by an overlay", "pamhost --chdir /etc/pam.d", "ulf", "", true, "/etc/pam.d\nown\n"},
		{"covered by mask=", "pamhost --chdir /var/covered", "nina", "mask=/var/covered", true, "/var/covered\n"},
		{"below what mask= covers", "pamhost --chdir /var/covered/deep", "nina", "mask=/var/covered", true, "/\n"},
		{"removed", "lost", "nina", "", true, "/\n"},
		{"on a kernel without openat2 below the old /sys", "old_kernel pamhost --chdir /sys/class/net", "nina", "", true, "/\n"},
	} {
		t.Run(c.is, func(t *testing.T) {
			b.sh(t, "ip netns add other; ip netns del other") // so that there is a /run/netns
			stack := []string{"required pam_newnet.so " + c.arguments, "required pam_usernet.so " + c.arguments}
			o := b.open(t, login{host: c.host, stack: stack, user: c.user, command: "pwd -P; ls | grep -x 'lo\\|eth0\\|ulf\\|own\\|deep'"})
			expect.Equal(t, "what is there", o.output, c.want)
			expected := []pamhost.Field{pamhost.NetNamespace, pamhost.MountNamespace}
			if c.moved {
				expected = append(expected, pamhost.Cwd)
			}
			unchanged(t, "pam_open_session", o.Before, o.After, expected...)
		})
	}
}

func TestPropagation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		is, host, arguments string
		user                string
		out                 bool // mounts of the session reach the machine
	}{
		{"newnet", "pamhost", "", "nina", false},
		{"usernet", "pamhost", "", "ulf", false},
		{"groupnet", "pamhost", "", "gina", false},
		{"newnet with rootshared", "pamhost", "rootshared", "nina", true},
		{"usernet with rootshared", "pamhost", "rootshared", "ulf", true},
		{"newnet on an old kernel", "old_kernel pamhost", "", "nina", false},
		{"usernet on an old kernel", "old_kernel pamhost", "", "ulf", false},
	} {
		t.Run(c.is, func(t *testing.T) {
			b := newBox(t)
			for _, name := range []string{"ulf", "lab"} {
				expect.Check(t, b.WriteFile("/etc/netns/"+name+"/hosts", name+"\n", 0o644))
			}
			b.sh(t, "mkdir /tmp/in /tmp/out /tmp/gone /run/netns /run/nscd; mount -t tmpfs gone /tmp/gone")
			h := b.start(t, login{host: c.host + " --hold", stack: allWith(c.arguments), user: c.user})
			pid := h.ready(t)
			mounts := b.mountTable(t)

			b.sh(t, "mount -t tmpfs in /tmp/in; umount /tmp/gone")
			const mine = "cut -d' ' -f5 /proc/self/mountinfo | grep ^/tmp/ | sort"
			expect.Equal(t, "the machine's mounts in the session", b.in(t, pid, mine), "/tmp/in")
			b.in(t, pid, "mount -t tmpfs out /tmp/out; mount -t tmpfs sys /sys/kernel; mount -t tmpfs netns /run/netns; mount -t tmpfs nscd /run/nscd")
			if c.user != "nina" {
				b.in(t, pid, "mount --bind /dev/null /etc/hosts")
			}
			want := "/tmp/in"
			if c.out {
				want = "/tmp/in\n/tmp/out"
			}
			expect.Equal(t, "the session's mounts on the machine", b.sh(t, mine), want)
			if c.out {
				b.in(t, pid, "umount /tmp/in; umount /tmp/out")
				expect.Equal(t, "what is left of them on the machine", b.sh(t, mine+" || true"), "")
				b.sh(t, "mount -t tmpfs in /tmp/in")
			}
			b.sh(t, "umount /tmp/in; mount -t tmpfs gone /tmp/gone")
			// The device number of /tmp/gone is another one.
			expect.Equal(t, "other mounts that have come", fmt.Sprint(len(b.mountTable(t))-len(mounts)), "0")
			h.wait(t)
		})
	}
}

func TestMountsOnTheSessionsOwnHandleStayInTheSession(t *testing.T) {
	t.Parallel()
	for _, kernel := range kernels {
		t.Run(kernel.is, func(t *testing.T) {
			b := newBox(t)
			b.sh(t, "ip netns add ulf")
			mounts := b.mountTable(t)
			h := b.start(t, login{host: kernel.host + " --hold", stack: everything, user: "ulf"})
			b.in(t, h.ready(t), "mount --bind /etc/hostname /run/netns/ulf")
			expect.Equal(t, "mounts that have come", fmt.Sprint(b.newMounts(t, mounts)), "[]")
			b.open(t, login{host: "pamhost", stack: everything, user: "ulf"}).
				logs(t, `info pam_usernet: "ulf": joined network namespace "ulf"`)
			h.wait(t)
		})
	}
}

func TestRootsharedWithANamespaceThatIsThere(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.addUte(t)
	for _, user := range []string{"ute", "gina", "gus"} {
		o := b.open(t, login{host: "pamhost", stack: allWith("rootshared"), user: user})
		expect.Equal(t, user+" "+fmt.Sprint(o.log), o.Result("pam_open_session"), "PAM_SUCCESS")
	}
}

func TestRootsharedIsRefusedOnAnOldKernel(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	o := b.open(t, login{host: "old_kernel pamhost", stack: []string{"required pam_newnet.so rootshared"}, user: "nina"})
	o.refused(t, members[0], "rootshared", true)
}

// listen makes a socket that anybody may connect to.
func (b *box) listen(t *testing.T, name string) net.PacketConn {
	t.Helper()
	expect.Check(t, b.MkdirAll(path.Dir(name), 0o755))
	socket, err := net.ListenPacket("unixgram", b.Root()+name)
	expect.Check(t, err)
	expect.Check(t, os.Chmod(b.Root()+name, 0o666))
	t.Cleanup(func() { socket.Close() })
	return socket
}

func TestCoveredPaths(t *testing.T) {
	t.Parallel()
	for _, kernel := range kernels {
		t.Run(kernel.is, func(t *testing.T) {
			b := newBox(t)
			resolvers := []string{"/run/nscd/socket", "/run/avahi-daemon/socket", "/run/systemd/resolve/io.systemd.Resolve"}
			for _, name := range append(resolvers, "/run/docker.sock", "/run/dbus/bus") {
				b.listen(t, name)
			}
			b.sh(t, "mkdir /var/secret; echo >/var/secret/file; ln -s /var/secret /var/link; ln -s /run/docker.sock /var/docker")
			const connect = `for socket in /run/nscd/socket /run/avahi-daemon/socket /run/systemd/resolve/io.systemd.Resolve /run/docker.sock /run/dbus/bus; do
	logger --socket-errors=on --socket $socket hello 2>/dev/null && echo $socket
done
`
			all := strings.Join(append(resolvers, "/run/docker.sock", "/run/dbus/bus"), "\n") + "\n"
			for _, c := range []struct{ is, arguments, user, command, want string }{
				{"nobody's member", "mask=/run/docker.sock", "olga", connect, all},
				{"without arguments", "", "nina", connect, "/run/docker.sock\n/run/dbus/bus\n"},
				{"of a named network", "", "ulf", connect, "/run/docker.sock\n/run/dbus/bus\n"},
				{"keepresolver", "keepresolver", "nina", connect, all},
				{"a socket", "keepresolver mask=/run/docker.sock", "nina", connect, strings.Join(resolvers, "\n") + "\n/run/dbus/bus\n"},
				{"a link to a socket, and a directory", "mask=/var/docker mask=/run/dbus", "nina", connect, ""},
				{"the covered socket", "mask=/run/docker.sock", "nina", "logger --socket-errors=on --socket /run/docker.sock hello; stat -c %t:%T /run/docker.sock", "logger: socket /run/docker.sock: Connection refused\n1:3\n"},
				{"a directory", "mask=/var/secret", "nina", "ls -A /var/secret /var/link/; touch /var/secret/new", "/var/link/:\n\n/var/secret:\ntouch: cannot touch '/var/secret/new': Read-only file system\n"},
				{"by a link to it", "mask=/var/link", "nina", "ls -A /var/secret /var/link/", "/var/link/:\n\n/var/secret:\n"},
				{"a file", "mask=/etc/hostname", "nina", "cat /etc/hostname; echo x >/etc/hostname", ""},
				{"what does not exist", "mask=/nosuch mask=/etc/hostname/nosuch", "nina", "echo here", "here\n"},
			} {
				t.Run(c.is, func(t *testing.T) {
					o := b.open(t, login{host: kernel.host + " --as-root", stack: allWith(c.arguments), user: c.user, command: c.command})
					expect.Equal(t, "output", o.output, c.want)
				})
			}
			expect.Equal(t, "files on the machine", b.sh(t, "ls /var/secret; cat /etc/hostname"), "file\nsandbox")
		})
	}
}

func TestARestartedResolverStaysOutOfReach(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, name := range []string{"/run/nscd/socket", "/run/avahi-daemon/socket"} {
		first := b.listen(t, name)
		h := b.start(t, login{host: "pamhost --hold", stack: everything, user: "nina"})
		pid := h.ready(t)
		expect.Check(t, first.Close())
		expect.Check(t, b.Remove(name))
		b.listen(t, name)
		b.sh(t, "logger --socket-errors=on --socket "+name+" hello")
		expect.Equal(t, name, b.in(t, pid, "logger --socket-errors=on --socket "+name+" hello 2>&1 || true"), "logger: socket "+name+": No such file or directory")
		h.wait(t)
	}
}

func TestHandlesOfOthers(t *testing.T) {
	t.Parallel()
	for _, kernel := range kernels {
		b := newBox(t)
		b.sh(t, "ip netns add one; ip netns add two")
		for _, c := range []struct{ user, arguments, want string }{
			{"olga", "", "one two"},
			{"nina", "", ""},
			{"ulf", "", "ulf"},
			{"gina", "", "lab"},
			{"nina", "shownetns", "lab one two ulf"},
			{"ulf", "shownetns", "lab one two ulf"},
		} {
			o := b.open(t, login{host: kernel.host, stack: allWith(c.arguments), user: c.user, command: look})
			expect.Equal(t, kernel.is+": "+c.user+" with "+c.arguments, parseView(t, o.output).of["handles"], c.want)
		}
	}
}

func TestEtcNetns(t *testing.T) {
	t.Parallel()
	for _, kernel := range kernels {
		t.Run(kernel.is, func(t *testing.T) {
			b := newBox(t)
			// As systemd-resolved has it, with a namesake that is a link and one that is none.
			b.sh(t, `
mkdir -p /run/resolve /etc/netns/ulf/skel /etc/netns/ulf/nosuch.d
echo machine >/run/resolve/stub.conf
rm /etc/resolv.conf
ln -s ../run/resolve/stub.conf /etc/resolv.conf
ln -s nowhere /etc/dangling
cd /etc/netns/ulf
echo own >resolv.conf
echo own >dangling
echo own >hosts
echo own >skel/file
echo own >nosuch
echo own >/var/elsewhere
ln -s /var/elsewhere hostname
`)
			h := b.start(t, login{host: kernel.host + " --hold", stack: everything, user: "ulf"})
			pid := h.ready(t)
			const files = `cd /etc; cat resolv.conf dangling hosts hostname; ls skel; ls nosuch nosuch.d 2>&1 | grep -c 'No such file'`
			want := "own\nown\nown\nown\nfile\n2"
			expect.Equal(t, "the session's files", b.in(t, pid, files), want)

			// NetworkManager writes a new file beside the old one.
			b.sh(t, "echo new >/run/resolve/new; mv /run/resolve/new /run/resolve/stub.conf")
			expect.Equal(t, "the machine's resolver", b.sh(t, "cat /etc/resolv.conf"), "new")
			expect.Equal(t, "the session's files after that", b.in(t, pid, files), want)
			// Where it stands in for the file itself, nothing helps.
			b.sh(t, "cp /etc/hosts /etc/new; mv /etc/new /etc/hosts")
			expect.Equal(t, "a file that was replaced", b.in(t, pid, "grep -c sandbox /etc/hosts"), "2")

			o := h.wait(t)
			o.logs(t,
				`warning pam_usernet: /etc/netns/ulf/"nosuch" skipped: there is no such file in /etc`,
				`warning pam_usernet: /etc/netns/ulf/"nosuch.d" skipped: there is no such file in /etc`,
				`info pam_usernet: "ulf": created network namespace "ulf"`)
		})
	}
}

func TestTheSessionsOwnFilesDoNotDecideWhoIsAMember(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(t, `
for netns in ulf lab; do
	mkdir -p /etc/netns/$netns
	cd /etc/netns/$netns
	echo passwd: nosuch >nsswitch.conf
	echo root:x:0:0::/:/bin/sh >passwd
	echo root:x:0: >group
done
`)
	const own = "passwd: nosuch\nroot:x:0:0::/:/bin/sh\nroot:x:0:\n"
	const files = "cat /etc/nsswitch.conf /etc/passwd /etc/group"
	for _, member := range named {
		for range 2 {
			stack := []string{"required " + member.module + ".so"}
			o := b.open(t, login{host: "pamhost --as-root", stack: stack, user: member.user, command: files})
			expect.Equal(t, "the session's files", o.output, own)
			expect.Equal(t, "network namespace", o.After.Namespaces["net"], b.inode(t, member.netns))
		}
	}
}

func TestWhatSysIsMadeOf(t *testing.T) {
	t.Parallel()
	for _, kernel := range kernels {
		for _, c := range []struct{ is, script, command, want string }{
			{"read-only", "mount -o remount,bind,ro /sys", "ls /sys/class/net; grep ' /sys ' /proc/self/mountinfo | tail -n 1 | grep -o ro,nosuid", "lo\nro,nosuid\n"},
			{"a read-only file system", "mount -o remount,ro /sys", "ls /sys/class/net; grep ' /sys ' /proc/self/mountinfo | tail -n 1 | grep -o ro,nosuid", "lo\nro,nosuid\n"},
			{"one on the other", "mount --rbind /sys /sys", "ls /sys/class/net; ls /sys/fs/cgroup | wc -l", "lo\n" + "CGROUPS"},
			{"one below the other", "mount -t sysfs other /sys/firmware", "ls /sys/class/net /sys/firmware/class/net", "/sys/class/net:\nlo\n\n/sys/firmware/class/net:\nlo\n"},
			{"a part of it below", "mount --bind /sys/class /sys/firmware", "ls /sys/class/net /sys/firmware/net", "/sys/class/net:\nlo\n\n/sys/firmware/net:\nlo\n"},
			{"something else", "mount -t tmpfs other /sys; echo >/sys/file", "ls /sys", "file\n"},
			{"nothing", "umount --recursive /sys", "ls /sys", ""},
		} {
			t.Run(c.is+" on "+kernel.is, func(t *testing.T) {
				b := newBox(t)
				b.sh(t, c.script)
				if c.is == "nothing" || c.is == "something else" {
					c.command += "; ip -oneline link | cut -d: -f2"
					c.want += " lo\n"
				}
				for _, user := range []string{"nina", "ulf", "ulf"} {
					o := b.open(t, login{host: kernel.host, stack: everything, user: user, command: c.command})
					expect.Equal(t, user, o.output, strings.Replace(c.want, "CGROUPS", b.sh(t, "ls /sys/fs/cgroup | wc -l")+"\n", 1))
				}
			})
		}
	}
}

func TestAMountBelowSysThatAnotherHides(t *testing.T) {
	t.Parallel()
	for _, kernel := range kernels {
		t.Run(kernel.is, func(t *testing.T) {
			b := newBox(t)
			// As systemd's InaccessiblePaths=/sys/kernel leaves it.
			b.sh(t, "mount -t tmpfs debug /sys/kernel/debug; mount -t tmpfs cover /sys/kernel")
			for range 2 { // the second time something else is where the hidden one was
				o := b.open(t, login{host: kernel.host, stack: everything, user: "nina", command: "ls /sys/class/net; ls -A /sys/kernel/debug 2>&1 | wc -l; ls /sys/kernel"})
				expect.Equal(t, "log", len(o.log), 1)
				expect.Equal(t, "output", o.output, "lo\n"+b.sh(t, "ls -A /sys/kernel/debug 2>&1 | wc -l; ls /sys/kernel")+"\n")
				b.sh(t, "mkdir -p /sys/kernel/debug")
			}
		})
	}
}
