// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/private"
)

const examples = "/usr/local/libexec/"

func newLabWith(t *testing.T, example string) *lab {
	t.Helper()
	l := newLab(t)
	expect.Check(t, l.Install(filepath.Join(machine.Out(), "../examples", example), examples+example, 0o755))
	return l
}

// tunnels is what both ends of the tunnel are made of. The server, outside, has its
// own end inside the namespace "outside".
const tunnels = `set -e
umask 077
mkdir -p /etc/wireguard
cd /etc/wireguard
for k in anna server; do wg genkey >$k.key; wg pubkey <$k.key >$k.pub; done
cat >anna.conf <<END
[Interface]
PrivateKey = $(cat anna.key)
address = 10.8.0.2/32, fd08::2/128
DNS = 10.8.0.1
MTU = 1380
PostUp = touch /tmp/never

[Peer]
PublicKey = $(cat server.pub)
Endpoint = 198.51.100.2:51820
AllowedIPs = 0.0.0.0/0, ::/0
END
cat >server.conf <<END
[Interface]
PrivateKey = $(cat server.key)
ListenPort = 51820
[Peer]
PublicKey = $(cat anna.pub)
AllowedIPs = 10.8.0.2/32, fd08::2/128
END
ip -n outside link add wgs type wireguard 2>/dev/null || ip netns exec outside wireguard-go wgs 2>/dev/null
ip netns exec outside wg setconf wgs server.conf
ip -n outside address add 10.8.0.1/24 dev wgs
ip -n outside address add fd08::1/64 dev wgs nodad
ip -n outside link set wgs up
`

func TestWireGuardUplink(t *testing.T) {
	private.Needs(t, "wg")
	const example = "wireguard-uplink.sh"
	l := newLabWith(t, example)
	if l.sh("ip link add wgtest type wireguard 2>/dev/null && ip link del wgtest || echo none") == "none" {
		private.Needs(t, "wireguard-go")
		t.Log("the kernel has no WireGuard: wireguard-go makes the tunnels")
	}
	before := l.state()
	l.sh("! " + examples + example + " up anna")
	same(t, "state without a configuration", l.state(), before)

	l.sh(tunnels)
	before = l.state()
	l.sh("sed -i s/^PrivateKey/PrivateKees/ /etc/wireguard/anna.conf; ! " + examples + example + " up anna")
	same(t, "state after a wrong configuration", l.state(), before)
	l.sh("sed -i s/^PrivateKees/PrivateKey/ /etc/wireguard/anna.conf")

	l.serve("outside", "10.8.0.1:80", "server")
	l.serve("outside", "[fd08::1]:80", "server")
	l.serve("outside", "198.51.100.2:81", "outside")
	for range 2 { // once more is the same
		l.sh(examples + example + " up anna")
		l.asks("the server at the other end", "anna", "10.8.0.1:80", "server 10.8.0.2")
		l.asks("the server at the other end", "anna", "[fd08::1]:80", "server fd08::2")
		expect.Equal(t, "interfaces inside", l.sh("ip netns exec anna ls /sys/class/net | tr '\n' ' '"), "lo wg0")
		expect.Equal(t, "MTU", l.sh("ip netns exec anna cat /sys/class/net/wg0/mtu"), "1380")
	}
	// Through the tunnel, and by no other way: the server is not asked to route.
	if routes := l.sh("ip -n anna route get 198.51.100.2; ip -n anna route get 2001:db8:1::2"); strings.Count(routes, "dev wg0") != 2 {
		t.Errorf("other ways than the tunnel: %s", routes)
	}
	l.sh("ip -n outside link del wgs")
	heard := l.listen("outside", "198.51.100.2:70")
	l.send("anna", "10.8.0.2", "198.51.100.2:70", "by another way")
	l.send("", gateway4, "198.51.100.2:70", "from the host")
	expect.Equal(t, "what is heard outside while the tunnel is away", heard(), "from the host")

	l.sh(examples + example + " down anna; " + examples + example + " down anna")
	expect.Equal(t, "interfaces inside after down", l.sh("ip netns exec anna ls /sys/class/net"), "lo")
	if l.sh("ls /tmp") != "" {
		t.Error("what is for wg-quick was run")
	}
	t.Run("where nothing makes a tunnel, there is no uplink", func(t *testing.T) {
		l := l.with(t)
		l.sh(`set -e
			cp "$(command -v ip)" /usr/local/ip
			rm -f /usr/bin/wireguard-go
			rm -f /usr/sbin/ip
			printf '#!/bin/sh\ncase "$*" in *"type wireguard") exit 2 ;; esac\nexec /usr/local/ip "$@"\n' >/usr/sbin/ip
			chmod 755 /usr/sbin/ip`)
		if said := l.sh("! " + examples + example + " up anna 2>&1"); !contains(said, "neither the kernel nor wireguard-go makes a tunnel") {
			t.Error(said)
		}
		expect.Equal(t, "interfaces inside", l.sh("ip netns exec anna ls /sys/class/net"), "lo")
	})
}

func TestMacvlanUplink(t *testing.T) {
	const example = "macvlan-uplink.sh"
	l := newLabWith(t, example)
	l.sh("ip -n outside address add 203.0.113.1/24 dev eth0; ip -n outside address add 2001:db8:3::1/64 dev eth0 nodad")
	l.serve("outside", ":80", "outside")
	before := l.state()
	for _, table := range []string{"", "bert outside 203.0.113.20/24 203.0.113.1\n", "anna nosuch 203.0.113.10/24 203.0.113.1\n", "anna outside 203.0.113.10/24 192.0.2.77\n"} {
		expect.Check(t, l.WriteFile("/etc/security/macvlan-uplink", table, 0o644))
		l.sh("! " + examples + example + " up anna")
		same(t, "state after "+table, l.state(), before)
	}
	expect.Check(t, l.WriteFile("/etc/security/macvlan-uplink",
		"anna outside 203.0.113.10/24 203.0.113.1\nanna outside 2001:db8:3::10/64 2001:db8:3::1\nbert outside 203.0.113.20/24 203.0.113.1\n", 0o644))
	for range 2 {
		l.sh(examples + example + " up anna; " + examples + example + " up bert")
		l.asks("anna", "anna", "203.0.113.1:80", "outside 203.0.113.10")
		l.asks("anna", "anna", "[2001:db8:3::1]:80", "outside 2001:db8:3::10")
		l.asks("bert", "bert", "203.0.113.1:80", "outside 203.0.113.20")
	}
	mac := l.sh("ip netns exec anna cat /sys/class/net/eth0/address")
	l.sh(examples + example + " down anna; " + examples + example + " down anna")
	expect.Equal(t, "interfaces inside after down", l.sh("ip netns exec anna ls /sys/class/net"), "lo")
	l.sh(examples + example + " up anna")
	expect.Equal(t, "Ethernet address", l.sh("ip netns exec anna cat /sys/class/net/eth0/address"), mac)
	l.sh("! " + examples + example + " sideways anna; ! " + examples + example + " up")
}
