// SPDX-License-Identifier: GPL-2.0-or-later

package ctl

import (
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// listen starts a server on the machine that answers each packet, or takes connections, and ends with the test.
func (h *host) listen(t *testing.T, socket, loop string) {
	t.Helper()
	c := h.Command("perl", "-MIO::Socket::INET", "-e", fmt.Sprintf(`$s = IO::Socket::INET->new(%s) or die; open my $f, ">", "/var/listens"; %s`, socket, loop))
	expect.Check(t, c.Start())
	t.Cleanup(func() {
		_ = c.Cancel()
		_ = c.Wait()
	})
	h.Bash(t, "until [ -e /var/listens ]; do sleep 0.01; done; rm /var/listens")
}

func (r report) probes() string {
	var all []string
	for _, p := range r.Net {
		all = append(all, fmt.Sprintf("%s %s %v: %s", p.Kind, p.Address, p.Reached, p.Why))
	}
	return strings.Join(all, "\n")
}

func TestCheckFindsOutWhatASessionReaches(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startSSHD(t)
	h.Bash(t, `ip netns add ulf; ip -n ulf link set lo up; ip link add to-ulf type veth peer name eth0 netns ulf
		ip address add 203.0.113.1/24 dev to-ulf; ip link set to-ulf up; ip -n ulf address add 203.0.113.2/24 dev eth0; ip -n ulf link set eth0 up
		ip -n ulf route add default via 203.0.113.1
		mkdir -p /etc/netns/ulf; echo nameserver 203.0.113.1 >/etc/netns/ulf/resolv.conf; echo "203.0.113.1 gate" >>/etc/hosts`)
	h.listen(t, `Proto => "udp", LocalAddr => "203.0.113.1", LocalPort => 53`,
		`while ($from = $s->recv($q, 512)) { substr($q, 2, 1) = chr(0x81); $s->send($q, 0, $from) }`)
	h.listen(t, `LocalAddr => "203.0.113.1", LocalPort => 8080, Listen => 5`, `sleep`)

	t.Run("all that it should", func(t *testing.T) {
		r := h.check(t, 0, "ulf --net --target gate:8080 --target 203.0.113.1:8080")
		expect.Equal(t, "probes", r.probes(), "gateway 203.0.113.1 true: it answers\nname server 203.0.113.1 true: it answers\n"+
			"target gate:8080 true: it answers\ntarget 203.0.113.1:8080 true: it answers")
	})
	t.Run("what nobody answers", func(t *testing.T) {
		h.Bash(t, "echo nameserver 203.0.113.9 >/etc/netns/ulf/resolv.conf; ip -n ulf route replace default via 203.0.113.7")
		r := h.check(t, 1, "ulf --net --target gate:8081 --target nosuch.invalid:80")
		lines := strings.Split(r.probes(), "\n")
		for i, want := range []string{
			"gateway 203.0.113.7 false: its link address is unknown", "name server 203.0.113.9 false: ",
			"target gate:8081 false: connection refused", "target nosuch.invalid:80 false: look up nosuch.invalid: ",
		} {
			if !strings.HasPrefix(lines[i], want) {
				t.Errorf("%q, not %q", lines[i], want)
			}
		}
		expect.Equal(t, "problems", len(r.Problems), 4)
		expect.Equal(t, "the first problem", r.Problems[0], "the session does not reach gateway 203.0.113.7: its link address is unknown")
	})
	t.Run("nothing with pam_newnet", func(t *testing.T) {
		r := h.check(t, 0, "nina --net --target 192.0.2.1:22")
		expect.Equal(t, "the last probes", strings.Join(strings.Split(r.probes(), "\n")[1:], "\n"), "target 192.0.2.1:22 false: network is unreachable\n"+
			"anything  false: no route to 192.0.2.1, 2001:db8::1, 203.0.113.1, 198.51.100.1, 2001:db8:ffff::1")
	})
	t.Run("an interface that somebody has put into a network of pam_newnet", func(t *testing.T) {
		expect.Check(t, h.PAM("leaky", "session required pam_permit.so", "session required pam_newnet.so", "session required pam_exec.so /usr/local/sbin/leak"))
		expect.Check(t, h.WriteFile("/usr/local/sbin/leak", "#!/bin/sh\nip link add leak type veth peer name other; ip link set other up; ip addr add 198.51.100.9/24 dev leak; ip link set leak up", 0o755))
		r := h.check(t, 1, "nina --service leaky --net")
		expect.Equal(t, "problems", fmt.Sprint(r.Problems), "[pam_newnet has nothing to reach, and the session reaches anything: there is a route to 198.51.100.1]")
	})
	t.Run("the host's network", func(t *testing.T) {
		r := h.check(t, 0, "olga --net --target gate:8080")
		expect.Equal(t, "exposure and target", fmt.Sprint(r.Open.Exposure, r.Net[len(r.Net)-1].Reached), "10 true")
	})
	t.Run("in words", func(t *testing.T) {
		output := masked(h.Bash(t, "pamnetctl check nina --net"))
		for _, want := range []string{" anything (no route to ", "\n  open  ", "\n  exposure  "} {
			if !strings.Contains(output, want) {
				t.Errorf("no %q in\n%s", want, output)
			}
		}
	})
}

func TestCheckFindsTheWaysThatRemainOpen(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startSSHD(t)
	open := func(args string) string {
		r := h.check(t, 0, args+" --net")
		var ids []string
		for _, w := range r.Open.Ways {
			if w.Open != (len(w.Evidence) > 0) {
				t.Errorf("%+v", w)
			}
			// What the machine below has is no matter of the test.
			if w.Open && w.ID != "vsock" && w.ID != "ptrace" && w.ID != "mail" {
				ids = append(ids, w.ID)
			}
		}
		return strings.Join(ids, " ")
	}
	const shared = "home tmp shm ipc"
	h.Bash(t, "chmod 1777 /tmp /var/tmp /dev/shm")
	expect.Equal(t, "ways of a plain session", open("nina"), shared)
	h.Bash(t, "chown root ~nina")
	expect.Equal(t, "a home directory of others", open("nina"), "tmp shm ipc")
	h.Bash(t, "chown nina ~nina; cp /bin/sleep /var/systemd")
	for program, want := range map[string]string{"sleep": "processes " + shared, "/var/systemd": "user-manager " + shared} {
		c := h.Command("setpriv", "--reuid", "nina", "--regid", "nina", "--clear-groups", program, "1000")
		expect.Check(t, c.Start())
		h.Bash(t, "until pgrep -u nina -x ${1##*/}; do sleep 0.01; done", program)
		expect.Equal(t, program+" outside", open("nina"), want)
		_ = c.Cancel()
		_ = c.Wait()
	}
	h.Bash(t, "mkdir -p /run/dbus /run/other")
	for socket, want := range map[string]string{
		"/run/docker.sock": "daemons " + shared, "/run/dbus/system_bus_socket": "system-bus " + shared, "/run/other/socket": "sockets " + shared,
	} {
		c := h.Command("perl", "-MIO::Socket::UNIX", "-e", fmt.Sprintf(`$s = IO::Socket::UNIX->new(Local => "%s", Listen => 1) or die; chmod 0666, "%s"; sleep`, socket, socket))
		expect.Check(t, c.Start())
		h.Bash(t, `until [ "$(stat -c %a $1 2>/dev/null)" = 666 ]; do sleep 0.01; done`, socket)
		expect.Equal(t, socket, open("nina"), want)
		_ = c.Cancel()
		_ = c.Wait()
		h.Bash(t, "rm $1", socket)
	}
	t.Run("fewer where another module separates more", func(t *testing.T) {
		expect.Check(t, h.PAM("separate", "session required pam_permit.so", "session required pam_newnet.so", "session required pam_namespace.so"))
		h.Bash(t, "mkdir -p /var/poly; chmod 000 /var/poly; echo '/tmp /var/poly/ user root' >/etc/security/namespace.conf; touch /etc/security/namespace.init; chmod 755 /etc/security/namespace.init")
		expect.Equal(t, "with a /tmp of its own", open("nina --service separate"), "home tmp shm ipc")
	})
}
