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
