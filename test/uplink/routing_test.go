// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"testing"

	"libpam-net/test/expect"
)

// vpn takes the pools, and more, before the main table is asked. Tailscale does so.
const vpn = `set -e
	ip link add vpn0 type veth peer name vpn1
	ip link set vpn1 up
	ip link set vpn0 up
	ip route add default dev vpn0 table 77
	ip -6 route add default dev vpn0 table 77
	ip rule add pref 50 to 100.64.0.0/10 lookup 77
	ip -6 rule add pref 50 to fd00::/8 lookup 77
`

func TestTheWayBackBesideAVPN(t *testing.T) {
	for _, first := range []string{"the VPN", "the uplink"} {
		t.Run(first+" is there first", func(t *testing.T) {
			l := newLab(t)
			before := l.state()
			l.serve("outside", ":80", "outside")
			if first == "the VPN" {
				l.sh(vpn)
				before = l.state()
			}
			l.ok("up", "anna")
			if first != "the VPN" {
				l.sh(vpn)
			}
			l.ok("up", "bert")
			l.serve("anna", ":80", "anna")
			both(t, func(t *testing.T, v version) {
				l := l.with(t)
				l.asks("anna reaches the outside", "anna", address(v.outside, 80), "outside "+v.gateway)
				l.asks("the machine reaches anna", "", address(v.anna, 80), "anna "+gatewayOf(v.anna))
			})
			expect.Equal(t, "the rest of the pool", l.sh("ip -o route get 100.64.99.99 | grep -o vpn0; ip -o route get fd5f:72fa:75ba::9999 | grep -o vpn0"), "vpn0\nvpn0")
			if output := l.ok("show", "anna"); contains(output, "answers to") {
				t.Error(output)
			}
			l.ok("down", "anna")
			if first != "the VPN" {
				l.sh("ip rule del pref 50; ip -6 rule del pref 50; ip link del vpn0")
			}
			l.ok("down", "bert")
			same(t, "state in the end", l.state(), before)
		})
	}
	t.Run("up says so if another rule comes before it all the same", func(t *testing.T) {
		l := newLab(t)
		l.sh(vpn + "ip rule add pref 100 lookup local; ip rule del pref 0 lookup local")
		want := `warning: answers to 100.64.39.17 do not go by pnu3uw: a rule of policy routing leads them elsewhere; give it a preference above that of "lookup local" (ip rule)`
		if output := l.ok("up", "anna"); !contains(output, want) {
			t.Errorf("up does not say %q but %q", want, output)
		}
		l.sh("ip rule del pref 50; ip rule add pref 150 to 100.64.0.0/10 lookup 77")
		if output := l.ok("up", "anna"); contains(output, "warning") {
			t.Error(output)
		}
	})
}

func TestTheMTUIsThatOfTheWayOut(t *testing.T) {
	l := newLab(t)
	l.sh("ip link set outside mtu 1420; ip route add default via 198.51.100.2")
	mtus := func() string {
		return l.sh("cat /sys/class/net/pnu3uw/mtu; ip netns exec anna cat /sys/class/net/eth0/mtu")
	}
	l.ok("up", "anna")
	expect.Equal(t, "MTU", mtus(), "1420\n1420")
	l.sh("ip -6 route add default via 2001:db8:1::2 mtu 1380")
	if text := l.ok("show", "anna"); !contains(text, "the MTU of pnu3uw is 1420: pamnet-uplink up sets it to 1380\n") {
		t.Error(text)
	}
	l.ok("up", "anna")
	expect.Equal(t, "MTU of the narrower way", mtus(), "1380\n1380")
	l.sh("ip route replace blackhole default; ip -6 route del default")
	l.ok("up", "anna")
	expect.Equal(t, "MTU without a way out", mtus(), "1500\n1500")
	l.configure("mtu = 1300\n")
	l.ok("up", "anna")
	expect.Equal(t, "MTU as configured", mtus(), "1300\n1300")
}

func TestTCPFitsNarrowerWays(t *testing.T) {
	l := newLab(t)
	l.configure(`forward = [{ name = "anna", protocol = "tcp", host_port = 8080, port = 80 }]`)
	l.ok("up", "anna")
	l.serve("anna", ":80", "anna")
	l.serve("second", ":80", "second")
	l.sh("ip route add 198.51.100.6 dev second mtu 1300; ip -6 route add 2001:db8:5::2 dev second mtu 1300")
	for _, namespace := range []string{"anna", "second"} {
		l.sh(`ip netns exec "$1" nft 'table inet t { chain c { type filter hook prerouting priority 0; tcp option maxseg size vmap { 1240: accept, 1260: accept, 1440: drop, 1460: drop }; }; }'`, namespace)
	}
	both(t, func(t *testing.T, v version) {
		l := l.with(t)
		expect.Equal(t, "a connection out", l.ask("anna", "tcp", address(v.second, 80)), "second "+v.gatewayToSecond())
		expect.Equal(t, "a connection in", l.ask("second", "tcp", address(v.gatewayToSecond(), 8080)), "anna "+v.second)
	})
}

// The outside has no route to the addresses: it asks for them on its link.
func TestAddressesOfAnOnLinkNetwork(t *testing.T) {
	l := newLab(t)
	const anna, bert = "2001:db8:1:0:a::2711", "2001:db8:1:0:a::2713"
	configuration := "[ipv6]\nusers = '2001:db8:1:0:a::/80'\ngroups = '2001:db8:1:0:b::/80'\nnat = false\n"
	l.configure(configuration)
	l.fails([]string{"overlaps 2001:db8:1::1/64 on outside"}, "up", "anna")
	l.configure(configuration + "proxy_ndp = true\n[[forward]]\nname = 'anna'\nprotocol = 'tcp'\nhost_port = 8080\nport = 80\n")
	before := l.state()
	l.serve("outside", ":80", "outside")
	l.ok("up", "bert")
	l.ok("up", "anna")
	good := l.state()
	l.sh("ip -6 neigh del proxy " + anna + " dev outside")
	if text := l.ok("show", "anna"); !contains(text, "anna (uid 5000): incomplete\n") {
		t.Error(text)
	}
	l.ok("up", "anna")
	same(t, "state after up", l.state(), good)
	l.asks("anna", "anna", address(outside6, 80), "outside "+anna)
	l.asks("bert", "bert", address(outside6, 80), "outside "+bert)
	l.serve("anna", ":80", "anna")
	l.asks("anna from outside", "outside", address(anna, 80), "refused")
	expect.Equal(t, "anna's port", l.ask("outside", "tcp", address(gateway6, 8080)), "anna "+outside6)
	l.sh("sed -i s/^bert:x:5001:/bert:x:6000:/ /etc/passwd")
	l.ok("up", "bert")
	expect.Equal(t, "addresses", l.sh("ip -6 neigh show proxy | cut -d' ' -f1 | sort"), "2001:db8:1:0:a::2711\n2001:db8:1:0:a::2ee1")
	l.ok("down", "bert")
	l.ok("down", "anna")
	same(t, "state in the end", l.state(), before)

	l.configure("ipv6.proxy_ndp = true\n")
	if said := l.ok("up", "anna"); !contains(said, "no interface has a network with fd5f:72fa:75ba::2711: proxy_ndp is of no use") {
		t.Error(said)
	}
}
