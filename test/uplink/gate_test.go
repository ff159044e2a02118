// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestWithoutTheTable(t *testing.T) {
	l := newLab(t)
	l.configure("host_services = ['all']\nisolate = false\nforward = [{ name = 'bert', protocol = 'tcp', host_port = 8080, port = 80 }]\n")
	rules := l.sh("ip rule; ip -6 rule")
	l.serve("outside", ":80", "outside")
	l.serve("", ":90", "machine")
	for _, gateway := range []string{gateway4, gateway6} { // a server of all addresses would answer UDP from another one
		l.serve("", address(gateway, 91), "machine")
	}
	for _, name := range []string{"anna", "bert"} {
		l.ok("up", name)
		l.serve(name, ":80", name)
	}
	good := l.state()
	reached := func(t *testing.T) {
		both(t, func(t *testing.T, v version) {
			l := l.with(t)
			l.asks("the world", "anna", address(v.outside, 80), "outside "+v.gateway)
			l.asks("a neighbour", "anna", address(v.bert, 80), "bert "+v.anna)
			l.asks("the host, by the link's address", "anna", address(gatewayOf(v.anna), 90), "machine "+v.anna)
			l.asks("the host, by another address", "anna", address(v.gateway, 91), "machine "+v.anna)
		})
	}
	t.Run("with it, all is reached", reached)
	for damage, repair := range map[string]string{
		"nft flush ruleset": "--all", "nft delete table inet pamnet": "anna",
		"nft 'delete table inet pamnet; table inet pamnet { map forwards4 { type ipv4_addr : ipv4_addr; }; }' # as of another version": "anna",
	} {
		t.Run("nothing is reached after "+damage, func(t *testing.T) {
			l := l.with(t)
			l.sh(damage)
			both(t, func(t *testing.T, v version) {
				l := l.with(t)
				for _, target := range []struct{ namespace, address, source string }{
					{"outside", v.outside, v.gateway},
					{"bert", v.bert, gatewayOf(v.bert)},
					{"", gatewayOf(v.anna), gatewayOf(v.anna)},
					{"", v.gateway, v.gateway},
				} {
					heard := l.listen(target.namespace, address(target.address, 70))
					l.send("anna", v.anna, address(target.address, 70), "anna")
					l.send("", target.source, address(target.address, 70), "machine")
					expect.Equal(t, "what "+target.address+" hears first", heard(), "machine")
				}
			})
			l.sh("ip -n anna route replace 224.0.0.0/4 dev eth0")
			heard := l.listen("", "0.0.0.0:70")
			l.send("anna", anna4, "224.0.0.1:70", "a multicast")
			l.broadcast("anna", "255.255.255.255:70", "a broadcast")
			l.send("", "127.0.0.1", "127.0.0.1:70", "machine")
			expect.Equal(t, "what the host hears first", heard(), "machine")
			l.sh("ip -n anna route del 224.0.0.0/4 dev eth0")

			if text := l.ok("show", "anna"); !contains(text, "anna (uid 5000): incomplete\n") {
				t.Error(text)
			}
			l.ok("up", repair) // of whichever name: the table comes back for all
			same(t, "state after up", l.state(), good)
			reached(t)
		})
	}
	for _, damage := range []string{
		"ip rule del pref 0 fwmark 0x706e6574; ip -6 rule del pref 0 fwmark 0x706e6574",
		"tc qdisc del dev pnu3uw clsact",
	} {
		t.Run("up repairs the gate after "+damage, func(t *testing.T) {
			l := l.with(t)
			before := l.state()
			l.sh(damage)
			if text := l.ok("show", "anna"); !contains(text, "anna (uid 5000): incomplete\n") {
				t.Error(text)
			}
			l.ok("up", "anna")
			same(t, "state", l.state(), before)
		})
	}
	t.Run("where a container may not use bpf(2), up says what to do", func(t *testing.T) {
		private.Needs(t, "strace")
		l := l.with(t)
		l.ok("down", "anna")
		noBPF := func() string {
			return l.sh("strace -qq -o /dev/null -f -e trace=bpf -e inject=bpf:error=EPERM " + program + " up anna 2>&1 || :")
		}
		if said := noBPF(); !contains(said, "or set gate = false") {
			t.Error(said)
		}
		l.configure("gate = false\n")
		if said := noBPF(); !contains(said, "is connected by") {
			t.Error(said)
		}
		l.asks("the world", "anna", address(outside4, 80), "outside "+gateway4)
		l.configure("")
		l.ok("up", "anna")
	})
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
