// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// password is everybody's.
const password = "secret"

// withCompanions is a machine with cado and VDE, and with the users of
// docs/EXAMPLES.md: alice and dave in newnet, bob and carol in usernet.
func withCompanions(t *testing.T) *host {
	t.Helper()
	unpacked := filepath.Join(machine.Out(), "companions")
	if _, err := os.Stat(unpacked); err != nil {
		t.Skipf("needs cado and VDE: %v (make deps gets them, on Debian)", err)
	}
	h := newMachine(t)
	expect.Check(t, h.InstallTree(unpacked))
	for _, command := range []string{"cado", "vde_switch", "vde_plug"} {
		if h.Try(t, "command -v $1", command).ExitCode != 0 {
			t.Skipf("needs %s", command)
		}
	}
	for user, group := range map[string]string{"alice": "newnet", "dave": "newnet", "bob": "usernet", "carol": "usernet"} {
		_, err := h.AddUser(user, sandbox.Groups(group))
		expect.Check(t, err)
	}
	h.Bash(t, `for user in alice bob carol dave; do echo $user:$1; done | chpasswd`, password)
	h.makeTun(t)
	// As the script of its package does it.
	_, err := h.AddUser("_cado")
	expect.Check(t, err)
	h.Bash(t, "chown _cado: /usr/bin/cado; chmod u+s /usr/bin/cado")
	h.Bash(t, example(t, "docs/EXAMPLES.md", "who may have which"))
	return h
}

// network is what there is to be known of the host's.
func (h *host) network(t *testing.T) string {
	t.Helper()
	return h.Bash(t, "ip -o link; ip -o address | sed 's/ tentative//'; ip route; ip -6 route; ip rule; nft list ruleset; ls /run/netns; cat /proc/sys/net/ipv4/ip_forward")
}

// denied expects a script of a user to fail because of something.
func (h *host) denied(t *testing.T, user, script, because string) {
	t.Helper()
	if result := h.asUser(t, user, script); result.ExitCode == 0 || strings.TrimSpace(result.Stderr) != because {
		t.Errorf("%s: %q: exit code %d, and not %q: %s", user, script, result.ExitCode, because, result.Stderr)
	}
}

func TestUsersOfCadoConfigureTheirNetworks(t *testing.T) {
	t.Parallel()
	h := withCompanions(t)
	expect.Check(t, h.StartSSHD())
	const typed = "echo " + password + " | "
	configure := typed + example(t, "docs/EXAMPLES.md", "configures the session's network")
	h.succeeds(t, "carol", "true") // makes her network
	before := h.network(t)

	for user, later := range map[string]string{
		"carol": "lo tap0", // the network is that of all her sessions
		"dave":  "lo",      // each has one of its own
	} {
		t.Run(user+" does", func(t *testing.T) {
			expect.Equal(t, "the network", h.succeeds(t, user, configure+`
				echo $(ls /sys/class/net)
				ip route | sed "s/ proto kernel//; s/ linkdown//; s/ *$//"
				! ip link set lo down`),
				"lo tap0\n10.1.2.0/24 dev tap0 scope link src 10.1.2.3\n10.9.0.0/16 via 10.1.2.4 dev tap0")
			expect.Equal(t, "interfaces in the next session", h.succeeds(t, user, "echo $(ls /sys/class/net)"), later)
		})
	}
	t.Run("alice, who is not in cado.conf, may not", func(t *testing.T) {
		h.denied(t, "alice", configure, "cado: Permission denied")
		h.denied(t, "alice", "ip tuntap add tap0 mode tap", "ioctl(TUNSETIFF): Operation not permitted")
	})
	t.Run("no other capability is given", func(t *testing.T) {
		h.denied(t, "carol", typed+"cado sys_admin true", "cado: Permission denied")
	})
	expect.Equal(t, "the host's network", h.network(t), before)

	t.Run("they can reach out for the host's", func(t *testing.T) {
		h.succeeds(t, "carol", typed+"cado net_admin "+example(t, "docs/EXAMPLES.md", "the host's network: with CAP_NET_ADMIN"))
		h.Bash(t, "ip link del y")
	})
}

func TestUsersPlugTheirNetworksIntoASwitch(t *testing.T) {
	t.Parallel()
	h := withCompanions(t)
	expect.Check(t, h.PAM("sshd", "account required pam_permit.so", "session required pam_permit.so",
		"session required pam_newnet.so selfmanaged", "session required pam_usernet.so"))
	expect.Check(t, h.StartSSHD())
	h.Bash(t, example(t, "docs/EXAMPLES.md", "for the group lab:"))
	h.Bash(t, example(t, "docs/EXAMPLES.md", "**Root makes the tap**"))
	h.succeeds(t, "carol", "true") // makes her network
	before := h.network(t)

	users := []struct{ name, address, resolver, plug string }{
		{"alice", "10.9.0.1", "127.0.0.1", example(t, "docs/EXAMPLES.md", "**The network is the user's own.**")},
		{"bob", "10.9.0.2", "10.9.0.1", example(t, "docs/EXAMPLES.md", "all that is left to him")},
		{"carol", "10.9.0.3", "127.0.0.1", "echo " + password + " | " + example(t, "docs/EXAMPLES.md", "**cado gives the user CAP_NET_ADMIN**")},
	}
	logins := make([]*login, len(users))
	for i, user := range users {
		logins[i] = h.logIn(t, user.name, "")
		defer logins[i].logOut(t)
		logins[i].command(t, "PATH=$PATH:/usr/sbin; "+user.plug)
	}
	for i, user := range users {
		t.Run(user.name, func(t *testing.T) {
			for _, other := range users {
				expect.Eventually(t, other.name+" answers", func() bool {
					return strings.Contains(logins[i].command(t, "ping -c 1 -W 5 "+other.address+" || true"), " 1 received")
				})
			}
			expect.Equal(t, "interfaces, DNS server", logins[i].command(t, "echo $(ls /sys/class/net; cat /etc/resolv.conf)"),
				"lo tap0 nameserver "+user.resolver)
			expect.Equal(t, "the host's answer", logins[i].command(t, "ping -c 1 192.0.2.1 || true"), "ping: connect: Network is unreachable")
		})
	}
	t.Run("the host is not behind the switch either", func(t *testing.T) {
		alice := logins[0].command(t, "PATH=$PATH:/usr/sbin; ip route add default via 10.9.0.2; ping -c 1 -W 1 192.0.2.1 || true")
		if !strings.Contains(alice, " 0 received") {
			t.Errorf("alice hears %q", alice)
		}
	})
	t.Run("a tap that root has made is not reconfigured", func(t *testing.T) {
		h.denied(t, "bob", "ip address add 10.9.0.9/24 dev tap0", "RTNETLINK answers: Operation not permitted")
	})
	t.Run("nobody else plugs in", func(t *testing.T) {
		h.denied(t, "dave", "vde_plug vde:///run/lab.ctl tap://tap0", "vde_open vde:///run/lab.ctl: Permission denied")
	})
	expect.Equal(t, "the host's network", h.network(t), before)
}
