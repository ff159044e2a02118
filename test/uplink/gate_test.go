// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"testing"

	"libpam-net/test/expect"
)

func TestWithoutTheTable(t *testing.T) {
	l := newLab(t)
	l.configure("host_services = ['all']\nisolate = false\nforward = [{ name = 'bert', protocol = 'tcp', host_port = 8080, port = 80 }]\n")
	rules := l.sh("ip rule; ip -6 rule")
	l.serve("outside", ":80", "outside")
	l.serve("", ":90", "machine")
	for _, name := range []string{"anna", "bert"} {
		l.ok("up", name)
		l.serve(name, ":80", name)
	}
	good := l.state()
	reached := func(t *testing.T, want func(string) string) {
		both(t, func(t *testing.T, v version) {
			l := l.with(t)
			l.asks("the world", "anna", address(v.outside, 80), want("outside "+v.gateway))
			l.asks("a neighbour", "anna", address(v.bert, 80), want("bert "+v.anna))
			l.asks("the host, by the link's address", "anna", address(gatewayOf(v.anna), 90), want("machine "+v.anna))
			l.asks("the host, by another address", "anna", address(v.gateway, 90), want("machine "+v.anna))
		})
	}
	t.Run("with it, all is reached", func(t *testing.T) {
		reached(t, func(answer string) string { return answer })
	})
	for damage, repair := range map[string]string{"nft flush ruleset": "--all", "nft delete table inet pamnet": "anna"} {
		t.Run("nothing is reached after "+damage, func(t *testing.T) {
			l := l.with(t)
			l.sh(damage)
			reached(t, func(string) string { return "refused" })

			heard := l.listen("", "0.0.0.0:70")
			for _, to := range []string{"224.0.0.1:70", "255.255.255.255:70", address(gatewayOf(anna4), 70), address(gateway4, 70)} {
				l.sh("ip -n anna route replace 224.0.0.0/4 dev eth0")
				l.send("anna", anna4, to, "from anna to "+to)
			}
			l.send("", "127.0.0.1", "127.0.0.1:70", "from the host")
			expect.Equal(t, "what the host hears first", heard(), "from the host")

			expect.Equal(t, "state shown", l.ok("show", "anna")[:len("anna (uid 5000): incomplete")], "anna (uid 5000): incomplete")
			l.ok("up", repair) // of whichever name: the table comes back for all
			l.sh("ip -n anna route del 224.0.0.0/4 dev eth0")
			same(t, "state after up", l.state(), good)
			reached(t, func(answer string) string { return answer })
		})
	}
	for _, damage := range []string{
		"ip rule del pref 0 fwmark 0x706e6574; ip -6 rule del pref 0 fwmark 0x706e6574",
		"tc qdisc del dev pnu3uw clsact",
	} {
		t.Run("up repairs the gate after "+damage, func(t *testing.T) {
			l := l.with(t)
			l.sh(damage)
			expect.Equal(t, "state shown", l.ok("show", "anna")[:len("anna (uid 5000): incomplete")], "anna (uid 5000): incomplete")
			l.ok("up", "anna")
			same(t, "state", l.state(), good)
		})
	}
	t.Run("the host's rules are as before after the last down", func(t *testing.T) {
		l := l.with(t)
		l.ok("down", "anna")
		l.ok("down", "bert")
		expect.Equal(t, "rules of policy routing", l.sh("ip rule; ip -6 rule"), rules)
	})
	t.Run("a rule that the host has moved stays where it is", func(t *testing.T) {
		l := l.with(t)
		l.sh("ip rule add pref 100 lookup local; ip rule del pref 0 lookup local")
		moved := l.sh("ip rule")
		l.ok("up", "anna")
		l.asks("the world", "anna", address(outside4, 80), "outside "+gateway4)
		l.ok("down", "anna")
		expect.Equal(t, "rules of policy routing", l.sh("ip rule"), moved)
	})
}
