// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"libpam-net/internal/uplink"
	"libpam-net/test/expect"
)

func TestUsersReachTheOutsideAndNotEachOther(t *testing.T) {
	l := newLab(t)
	l.serve("outside", ":80", "outside")
	// Nothing waits for duplicate address detection: these are the first packets.
	l.ok("up", "anna")
	l.asks("the first packets", "anna", address(outside6, 80), "outside "+gateway6)
	l.asks("the first packets", "anna", address(outside4, 80), "outside "+gateway4)
	l.ok("up", "bert")
	for _, name := range []string{"anna", "bert"} {
		l.serve(name, ":80", name) // both the same port
		l.serve(name, "127.0.0.1:81", name+"'s loopback")
		l.serve(name, "[::1]:81", name+"'s loopback")
	}
	l.serve("", ":90", "machine")
	both(t, func(t *testing.T, v version) {
		l := l.with(t)
		for _, c := range []struct{ what, from, to, want string }{
			{"anna reaches the server, which sees the machine", "anna", address(v.outside, 80), "outside " + v.gateway},
			{"bert reaches the server, which sees the machine", "bert", address(v.outside, 80), "outside " + v.gateway},
			{"anna has a port 80", "anna", address(v.loopback, 80), "anna " + v.loopback},
			{"bert has a port 80", "bert", address(v.loopback, 80), "bert " + v.loopback},
			{"anna has a loopback", "anna", address(v.loopback, 81), "anna's loopback " + v.loopback},
			{"bert has a loopback", "bert", address(v.loopback, 81), "bert's loopback " + v.loopback},
			{"anna does not reach bert", "anna", address(v.bert, 80), "refused"},
			{"bert does not reach anna", "bert", address(v.anna, 80), "refused"},
			{"nor what is bert's loopback", "anna", address(v.bert, 81), "refused"},
			{"anna does not reach the machine by one address", "anna", address(v.gateway, 90), "refused"},
			{"nor by another", "anna", address(gatewayOf(v.anna), 90), "refused"},
			{"nor by one of bert's", "anna", address(gatewayOf(v.bert), 90), "refused"},
			{"the machine reaches anna", "", address(v.anna, 80), "anna " + gatewayOf(v.anna)},
		} {
			l.asks(c.what, c.from, c.to, c.want)
		}
	})
	t.Run("the outside does not reach the namespaces by their addresses", func(t *testing.T) {
		l := l.with(t)
		l.sh("ip -n outside route add 100.64.0.0/10 via 198.51.100.1; ip -n outside route add fd00::/8 via 2001:db8:1::1")
		l.asks("IPv4", "outside", address(anna4, 80), "refused")
		l.asks("IPv6", "outside", address(anna6, 80), "refused")
		l.configure("inbound = true\n")
		l.ok("up", "anna")
		l.asks("IPv4, allowed", "outside", address(anna4, 80), "anna "+outside4)
		l.asks("IPv6, allowed", "outside", address(anna6, 80), "anna "+outside6)
	})
}

// gatewayOf is the other end of a link.
func gatewayOf(inside string) string {
	return map[string]string{
		anna4: "100.64.39.16", anna6: "fd5f:72fa:75ba::2710",
		bert4: "100.64.39.18", bert6: "fd5f:72fa:75ba::2712",
	}[inside]
}

func TestWithoutNATTheServerSeesWhoItIs(t *testing.T) {
	l := newLab(t)
	l.configure("ipv4.nat = false\nipv6.nat = false\n")
	l.serve("outside", ":80", "outside")
	l.sh("ip -n outside route add 100.64.0.0/11 via 198.51.100.1; ip -n outside route add fd5f:72fa:75ba::/64 via 2001:db8:1::1")
	l.ok("up", "anna")
	l.ok("up", "bert")
	l.asks("anna", "anna", address(outside4, 80), "outside "+anna4)
	l.asks("anna", "anna", address(outside6, 80), "outside "+anna6)
	l.asks("bert", "bert", address(outside4, 80), "outside "+bert4)
	l.asks("bert", "bert", address(outside6, 80), "outside "+bert6)

	l.configure("ipv6.nat = false\n") // the one, and not the other
	l.ok("up", "anna")
	l.asks("IPv4 again with NAT", "anna", address(outside4, 80), "outside "+gateway4)
	l.asks("IPv6 still without", "anna", address(outside6, 80), "outside "+anna6)
}

func TestAddressesForOthers(t *testing.T) {
	l := newLab(t)
	l.configure(`
		first_uid = 5000
		ipv6.nat = false
		snat = [
			{ pool = "203.0.113.0/29" },
			{ pool = "2001:db8:3::/125" },
			{ name = "bert", address = "203.0.113.77" },
		]
	`)
	l.sh("ip -n outside route add 203.0.113.0/24 via 198.51.100.1; ip -n outside route add 2001:db8:3::/64 via 2001:db8:1::1")
	l.serve("outside", ":80", "outside")
	l.ok("up", "anna")
	l.ok("up", "bert")
	l.asks("the first user", "anna", address(outside4, 80), "outside 203.0.113.0")
	l.asks("the first user", "anna", address(outside6, 80), "outside 2001:db8:3::")
	l.asks("a user with an address of the own", "bert", address(outside4, 80), "outside 203.0.113.77")
	l.asks("the second user", "bert", address(outside6, 80), "outside 2001:db8:3::1")
	if text := l.ok("show", "bert"); !contains(text, "100.64.0.3/31 by 100.64.0.2, 203.0.113.77 to others (NAT)\n") {
		t.Error(text)
	}
	l.configure("first_uid = 5000\n")
	l.ok("up", "anna")
	l.asks("without", "anna", address(outside4, 80), "outside "+gateway4)
	expect.Equal(t, "the other user still", l.ask("bert", "tcp", address(outside4, 80)), "outside 203.0.113.77")
}

func TestWithoutIsolationNeighboursReachEachOther(t *testing.T) {
	l := newLab(t)
	l.configure("isolate = false\n")
	l.ok("up", "anna")
	l.ok("up", "bert")
	l.serve("bert", ":80", "bert")
	l.asks("bert sees anna", "anna", address(bert4, 80), "bert "+anna4)
	l.asks("bert sees anna", "anna", address(bert6, 80), "bert "+anna6)
	l.configure("")
	l.ok("up", "bert")
	l.asks("isolated again", "anna", address(bert4, 80), "refused")
	l.asks("isolated again", "anna", address(bert6, 80), "refused")
}

func TestSpoofedSourcesAreDropped(t *testing.T) {
	for _, nat := range []string{"true", "false"} {
		t.Run("nat = "+nat, func(t *testing.T) {
			l := newLab(t)
			l.configure("ipv4.nat = " + nat + "\nipv6.nat = " + nat + "\nisolate = false\nhost_services = ['all']\n")
			l.ok("up", "anna")
			l.ok("up", "bert")
			for _, v := range []struct {
				outside, bert, machine, honest string
				spoofed                        []string
			}{
				{outside4, bert4, gateway4, anna4, []string{"10.9.9.9", bert4, gatewayOf(anna4), gatewayOf(bert4), gateway4, outside4}},
				{outside6, bert6, gateway6, anna6, []string{"2001:db8:9::9", bert6, gatewayOf(anna6), gatewayOf(bert6), gateway6, outside6, "fd5f:72fa:75ba::9999"}},
			} {
				for _, target := range []struct{ namespace, address string }{
					{"outside", address(v.outside, 70)},
					{"bert", address(v.bert, 70)},
					{"", address(v.machine, 70)},
				} {
					heard := l.listen(target.namespace, target.address)
					for _, source := range v.spoofed {
						l.send("anna", source, target.address, "spoofed "+source)
					}
					l.send("anna", v.honest, target.address, "honest")
					expect.Equal(t, "what "+target.address+" hears first", heard(), "honest")
				}
			}
		})
	}
}

// The table of connections is the host's, and one for all.
func TestOneNamespaceCannotFillTheTableOfConnections(t *testing.T) {
	l := newLab(t)
	l.serve("outside", ":80", "outside")
	for _, name := range []string{"anna", "bert"} {
		l.ok("up", name)
	}
	expect.Check(t, l.in("anna", func() error {
		for i := range uplink.MaxConnections + 500 {
			host := []string{outside4, outside6}[i%2]
			c, err := net.Dial("udp", address(host, 10000+i)) // a connection for each port
			if err != nil {
				return err
			}
			_, _ = c.Write([]byte("x")) // the server may have refused it by now
			c.Close()
		}
		return nil
	}))
	count, err := strconv.Atoi(strings.TrimSpace(l.sh("cat /proc/sys/net/netfilter/nf_conntrack_count")))
	expect.Check(t, err)
	if count < uplink.MaxConnections || count > uplink.MaxConnections+50 {
		t.Errorf("there are %d connections, want %d of anna's", count, uplink.MaxConnections)
	}
	l.asks("bert has room, by IPv4", "bert", address(outside4, 80), "outside "+gateway4)
	l.asks("bert has room, by IPv6", "bert", address(outside6, 80), "outside "+gateway6)
}

func TestTheLoopbackOfTheMachineIsOutOfReach(t *testing.T) {
	l := newLab(t)
	l.configure("host_services = ['all']\n")
	l.ok("up", "anna")
	// As kube-proxy sets it.
	l.sh("echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip netns exec anna sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet'")
	l.sh("ip -n anna address del 127.0.0.1/8 dev lo; ip -n anna route add 127.0.0.1 via 100.64.39.16")
	heard := l.listen("", ":70")
	l.send("anna", anna4, "127.0.0.1:70", "to the loopback")
	l.send("anna", anna4, address(gateway4, 70), "to an address")
	expect.Equal(t, "what the machine hears first", heard(), "to an address")
}

func TestServicesOfTheHost(t *testing.T) {
	l := newLab(t)
	l.serve("", ":53", "machine")
	l.serve("", ":54", "machine")
	l.configure("host_services = ['udp/53', 'tcp/54', 'udp/53']\n")
	l.ok("up", "anna")
	both(t, func(t *testing.T, v version) {
		l := l.with(t)
		gateway := gatewayOf(v.anna)
		expect.Equal(t, "udp/53", l.ask("anna", "udp", address(gateway, 53)), "machine "+v.anna)
		expect.Equal(t, "tcp/53", l.ask("anna", "tcp", address(gateway, 53)), "refused")
		expect.Equal(t, "udp/54", l.ask("anna", "udp", address(gateway, 54)), "refused")
		expect.Equal(t, "tcp/54", l.ask("anna", "tcp", address(gateway, 54)), "machine "+v.anna)
		expect.Equal(t, "tcp/54 of another address", l.ask("anna", "tcp", address(v.gateway, 54)), "machine "+v.anna)
	})
	l.configure("host_services = ['all']\n")
	l.ok("up", "anna")
	l.asks("all services", "anna", address(gatewayOf(anna4), 53), "machine "+anna4)
	l.configure("")
	l.ok("up", "anna")
	l.asks("no service", "anna", address(gatewayOf(anna4), 53), "refused")
}

func TestPortForwards(t *testing.T) {
	l := newLab(t)
	l.configure(`
		forward = [
			{ name = "anna", protocol = "tcp", host_port = 8080, port = 80 },
			{ name = "anna", protocol = "udp", host_port = 8080, port = 80 },
			{ name = "bert", protocol = "tcp", host_port = 8081, port = 80 },
			{ name = "bert", protocol = "udp", host_port = 8081, port = 80 },
		]
	`)
	for _, name := range []string{"anna", "bert"} {
		l.ok("up", name)
		l.serve(name, ":80", name)
	}
	l.serve("", "127.0.0.1:8080", "machine")
	both(t, func(t *testing.T, v version) {
		l := l.with(t)
		l.asks("anna's port, from outside", "outside", address(v.gateway, 8080), "anna "+v.outside)
		l.asks("bert's port, from outside", "outside", address(v.gateway, 8081), "bert "+v.outside)
		l.asks("anna's port, from a neighbour", "bert", address(v.gateway, 8080), "refused")
	})
	l.asks("the machine's own port of that number", "", "127.0.0.1:8080", "machine 127.0.0.1")

	// Ports go to another, and away.
	l.configure(`forward = [{ name = "bert", protocol = "tcp", host_port = 8080, port = 80 }]`)
	l.ok("up", "bert")
	expect.Equal(t, "bert's new port", l.ask("outside", "tcp", address(gateway4, 8080)), "bert "+outside4)
	expect.Equal(t, "bert's old port", l.ask("outside", "tcp", address(gateway4, 8081)), "refused")
	expect.Equal(t, "anna's port", l.ask("outside", "udp", address(gateway6, 8080)), "anna "+outside6)
	l.ok("up", "anna")
	expect.Equal(t, "anna's old port", l.ask("outside", "udp", address(gateway6, 8080)), "refused")
}

func TestPortsForTheHostItself(t *testing.T) {
	l := newLab(t)
	l.configure(`
		isolate = false
		forward = [
			{ name = "anna", protocol = "tcp", host_port = 8080, port = 80, local = true },
			{ name = "anna", protocol = "udp", host_port = 8080, port = 80, local = true },
			{ name = "anna", protocol = "tcp", host_port = "9000-9001", local = true },
			{ name = "anna", protocol = "tcp", host_port = 8081, port = 80 },
		]
	`)
	l.serve("outside", ":80", "outside")
	for _, name := range []string{"anna", "bert"} {
		l.ok("up", name)
		l.serve(name, ":80", name)
	}
	l.serve("anna", ":9001", "anna")
	for _, loopback := range []string{"127.0.0.1", "[::1]"} {
		l.serve("", loopback+":90", "machine")
	}
	both(t, func(t *testing.T, v version) {
		l := l.with(t)
		byLoopback := "anna " + gatewayOf(v.anna)
		if v.name == "IPv6" {
			byLoopback = "refused"
		}
		l.asks("by the loopback", "", address(v.loopback, 8080), byLoopback)
		l.asks("by an address", "", address(v.gateway, 8080), "anna "+v.gateway)
		l.asks("from outside", "outside", address(v.gateway, 8080), "anna "+v.outside)
		expect.Equal(t, "one of several", l.ask("", "tcp", address(v.loopback, 9001)), byLoopback)
		expect.Equal(t, "a port that is not for the host", l.ask("", "tcp", address(v.loopback, 8081)), "refused")
		l.asks("a port of the host's loopback", "", address(v.loopback, 90), "machine "+v.loopback)
	})
	// The loopback stays out of reach, with the table and without it.
	l.sh("ip netns exec anna sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet'")
	l.sh("ip -n anna address del 127.0.0.1/8 dev lo; ip -n anna route add 127.0.0.1 via 100.64.39.16")
	for i, damage := range []string{"true", "nft flush ruleset"} {
		port := 70 + i
		l.sh(damage)
		heard := l.listen("", address("127.0.0.1", port))
		l.send("anna", anna4, address("127.0.0.1", port), "anna")
		l.send("", "127.0.0.1", address("127.0.0.1", port), "machine")
		expect.Equal(t, "what the machine hears first after "+damage, heard(), "machine")
	}
	l.configure("")
	l.ok("up", "anna")
	expect.Equal(t, "route_localnet", l.sh("cat /proc/sys/net/ipv4/conf/pnu3uw/route_localnet"), "0")
	expect.Equal(t, "without", l.ask("", "tcp", address("127.0.0.1", 8080)), "refused")
}

func TestManyPortsAndOneAddress(t *testing.T) {
	l := newLab(t)
	l.configure(`
		first_uid = 5000
		forward = [
			{ name = "anna", protocol = "udp", host_port = "60001-60010", port = 60001 },
			{ name = "anna", protocol = "tcp", host_port = "60001-60010" },
			{ name = "anna", protocol = "tcp", address = "198.51.100.1", host_port = 80, port = 8000 },
			{ name = "bert", protocol = "tcp", address = "198.51.100.5", host_port = 80, port = 8000 },
			{ name = "bert", protocol = "tcp", address = "2001:db8:5::1", host_port = 80, port = 8000 },
			{ each = 10, protocol = "tcp", host_port = "20000-20019" },
			{ each = 10, protocol = "udp", host_port = "20000-20019" },
		]
	`)
	for _, name := range []string{"anna", "bert"} {
		l.ok("up", name)
		for _, port := range []int{8000, 20000, 20009, 20010, 20019, 60001, 60010, 60011} {
			l.serve(name, ":"+strconv.Itoa(port), name)
		}
	}
	good := l.state()
	for _, name := range []string{"anna", "bert"} {
		l.ok("up", name)
	}
	same(t, "state after up again", l.state(), good)
	l.sh("nft flush ruleset")
	l.ok("up", "bert")
	same(t, "state after up of one without the table", l.state(), good)
	both(t, func(t *testing.T, v version) {
		l := l.with(t)
		l.asks("the first of several ports", "outside", address(v.gateway, 60001), "anna "+v.outside)
		l.asks("the last of several ports", "outside", address(v.gateway, 60010), "anna "+v.outside)
		l.asks("the one after", "outside", address(v.gateway, 60011), "refused")
		l.asks("the first user's first port", "outside", address(v.gateway, 20000), "anna "+v.outside)
		l.asks("the first user's last port", "outside", address(v.gateway, 20009), "anna "+v.outside)
		l.asks("the second user's first port", "outside", address(v.gateway, 20010), "bert "+v.outside)
		l.asks("the second user's last port", "outside", address(v.gateway, 20019), "bert "+v.outside)
		l.asks("a port of all users, from a neighbour", "bert", address(v.gateway, 20000), "refused")
	})
	expect.Equal(t, "a port of one address", l.ask("outside", "tcp", address(gateway4, 80)), "anna "+outside4)
	expect.Equal(t, "the same port of another", l.ask("outside", "tcp", address("198.51.100.5", 80)), "bert "+outside4)
	expect.Equal(t, "the same port of an IPv6 address", l.ask("second", "tcp", address("2001:db8:5::1", 80)), "bert "+second6)
	expect.Equal(t, "the same port of another IPv6 address", l.ask("outside", "tcp", address(gateway6, 80)), "refused")
	if text := l.ok("show", "anna"); !contains(text, "port         udp/60001-60010 of the host leads to 60001\n") || !contains(text, "port         tcp/80 of 198.51.100.1 leads to 8000\n") {
		t.Error(text)
	}
	l.sh("echo carl:x:5002:100::/:/bin/sh >>/etc/passwd; ip netns add carl")
	l.fails([]string{"uid 5002 does not fit into the ports tcp/20000-20019, of which each user has 10: enlarge host_port"}, "up", "carl")

	// A part of the ports goes to another.
	l.configure(`forward = [{ name = "bert", protocol = "tcp", host_port = "60005-60006" }]`)
	l.serve("bert", ":60005", "bert")
	l.ok("up", "bert")
	expect.Equal(t, "a port that went to another", l.ask("outside", "tcp", address(gateway4, 60005)), "bert "+outside4)
}

func TestGroupsHaveAddressesOfTheirOwn(t *testing.T) {
	l := newLab(t)
	l.configure("ipv4.nat = false\nipv6.nat = false\n")
	l.serve("outside", ":80", "outside")
	l.sh("ip -n outside route add 100.64.0.0/10 via 198.51.100.1; ip -n outside route add fd00::/8 via 2001:db8:1::1")
	l.sh("echo groupnet-lab:x:5000: >>/etc/group; echo groupnet-anna:x:5001: >>/etc/group; ip netns add lab")
	l.ok("up", "anna") // a user comes before a group
	l.ok("up", "lab")
	expect.Equal(t, "devices", l.devices(), "png3uw pnu3uw")
	l.asks("anna", "anna", address(outside4, 80), "outside "+anna4)
	l.asks("anna", "anna", address(outside6, 80), "outside "+anna6)
	l.asks("the group of the same number", "lab", address(outside4, 80), "outside 100.96.39.17")
	l.asks("the group of the same number", "lab", address(outside6, 80), "outside fd5f:72fa:75ba:1::2711")

	l.sh("echo room-den:x:5002: >>/etc/group; ip netns add den")
	l.fails([]string{`no user of that name, and no group "groupnet-den"`}, "up", "den")
	l.configure("group = 'room'\n")
	l.ok("up", "den")
}

func TestOtherFirewallsThatRefuse(t *testing.T) {
	for _, c := range []struct{ what, rules, chain, command string }{
		{
			"a policy", "table ip site { chain forward { type filter hook forward priority 10; policy drop; }; chain own { }; }",
			"nftables chain ip site forward", `nft insert rule ip site forward iifname "pn*" accept && nft insert rule ip site forward oifname "pn*" accept`,
		},
		{
			"a last rule", "table inet site { chain forward { type filter hook forward priority -10; ct state established accept; counter log reject with icmpx admin-prohibited; }; }",
			"nftables chain inet site forward", `nft insert rule inet site forward iifname "pn*" accept && nft insert rule inet site forward oifname "pn*" accept`,
		},
		{
			"services of the host", "table inet site { chain input { type filter hook input priority 10; policy drop; iifname lo accept; }; }",
			"nftables chain inet site input", `nft insert rule inet site input iifname "pn*" accept`,
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := newLab(t)
			l.configure("host_services = ['tcp/90', 'udp/90']\n")
			l.serve("outside", ":80", "outside")
			l.serve("", ":90", "machine")
			l.sh(`nft "$1"`, c.rules)
			want := c.chain + " refuses what it does not know, and so the packets of uplinks: " + c.command + "\n"
			for _, command := range []string{"up", "show"} {
				if output := l.ok(command, "anna"); !contains(output, want) {
					t.Errorf("%s does not say %q but %q", command, want, output)
				}
			}
			l.sh(c.command)
			if output := l.ok("up", "anna"); contains(output, "warning") {
				t.Errorf("up still says %q", output)
			}
			l.asks("the world", "anna", address(outside4, 80), "outside "+gateway4)
			l.asks("the host", "anna", address(gatewayOf(anna4), 90), "machine "+anna4)
		})
	}
	t.Run("rules that refuse some packets only are no obstacle", func(t *testing.T) {
		l := newLab(t)
		l.sh(`nft 'table inet site { chain forward { type filter hook forward priority 0; tcp dport 25 reject; }; chain input { type filter hook input priority 0; policy drop; }; }'`)
		if output := l.ok("up", "anna"); contains(output, "warning") {
			t.Error(output)
		}
	})
}

// What the machine did not forward before, it does not forward now.
func TestForwardingIsForNamespacesOnly(t *testing.T) {
	l := newLab(t)
	l.serve("outside", ":80", "outside")
	l.serve("second", ":80", "second")
	before := l.state()
	l.ok("up", "anna")
	expect.Equal(t, "forwarding", l.forwards(), "11")
	both(t, func(t *testing.T, v version) {
		l := l.with(t)
		for _, protocol := range []string{"tcp", "udp"} {
			expect.Equal(t, "anna reaches the outside", l.ask("anna", protocol, address(v.outside, 80)), "outside "+v.gateway)
		}
		heard := l.listen("outside", address(v.outside, 70))
		l.send("second", v.second, address(v.outside, 70), "second")
		l.send("", v.gateway, address(v.outside, 70), "machine")
		expect.Equal(t, "what is heard outside", heard(), "machine")
	})
	expect.Equal(t, "routes by router advertisements", l.sh("cat /proc/sys/net/ipv6/conf/outside/accept_ra"), "2")
	l.ok("down", "anna")
	same(t, "state", l.state(), before)
}

// The rules are like docker's, which finds forwarding switched on.
func TestForwardingThatOthersRelyOnStays(t *testing.T) {
	l := newLab(t)
	l.sh("for f in /proc/sys/net/ipv[46]/conf/*/accept_redirects; do echo 0 >$f; done") // a hardened host
	before := l.state()
	l.serve("outside", ":80", "outside")
	l.ok("up", "anna")
	l.sh(`set -e
		ip netns add container
		ip link add docker9 type bridge
		ip address add 172.30.9.1/24 dev docker9
		ip link set docker9 up
		ip link add veth9 type veth peer name eth0 netns container
		ip link set veth9 master docker9 up
		ip -n container address add 172.30.9.2/24 dev eth0
		ip -n container link set eth0 up
		ip -n container route add default via 172.30.9.1
		nft -f - <<-END
			table ip docker {
				chain prerouting {
					type nat hook prerouting priority dstnat
					fib daddr type local meta l4proto {tcp, udp} th dport 8080 dnat to 172.30.9.2:80
				}
				chain postrouting {
					type nat hook postrouting priority srcnat
					ip saddr 172.30.9.0/24 oifname != docker9 masquerade
				}
			}
		END`)
	l.serve("container", ":80", "container")
	check := func(when string) {
		l.asks("a container reaches the world "+when, "container", address(outside4, 80), "outside "+gateway4)
		l.asks("a container's port is reached "+when, "outside", address(gateway4, 8080), "container "+outside4)
		both(t, func(t *testing.T, v version) {
			l := l.with(t)
			heard := l.listen("outside", address(v.outside, 70))
			l.send("second", v.second, address(v.outside, 70), "second")
			l.send("", v.gateway, address(v.outside, 70), "machine")
			expect.Equal(t, "what is heard outside "+when, heard(), "machine")
		})
	}
	check("beside an uplink")
	if text := l.ok("show", "anna"); !contains(text, "warning      docker9 came after forwarding was switched on for uplinks") {
		t.Error(text)
	}
	expect.Equal(t, "what down says", l.ok("down", "anna"), "pamnet-uplink: forwarding stays switched on: docker9 may rely on it\n")
	check("after the last uplink")
	l.sh("ip link del veth9; ip netns del container; ip link del docker9; nft delete table ip docker")
	l.ok("down", "anna")
	same(t, "state without docker9", l.state(), before)
}

func TestRouterAdvertisementsAreHeardAgain(t *testing.T) {
	l := newLab(t)
	l.sh("echo 1 >/proc/sys/net/ipv6/conf/outside/accept_ra")
	l.ok("up", "anna")
	l.sh("echo 1 >/proc/sys/net/ipv6/conf/outside/accept_ra") // ifup and network managers do
	if text := l.ok("show", "anna"); !contains(text, "warning      net.ipv6.conf.outside.accept_ra is 1") {
		t.Error(text)
	}
	l.ok("up", "anna")
	expect.Equal(t, "accept_ra", l.sh("cat /proc/sys/net/ipv6/conf/outside/accept_ra"), "2")
}

func TestARouterGoesOnToForward(t *testing.T) {
	for _, c := range []struct {
		what, before string
		ipv6         bool
	}{
		{"one by the switch for all", "echo 1 >/proc/sys/net/ipv4/conf/all/forwarding; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding", true},
		{"one by the switch of an interface", "echo 1 >/proc/sys/net/ipv4/conf/second/forwarding", false},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := newLab(t)
			l.serve("outside", ":80", "outside")
			l.sh(c.before)
			before := l.state()
			l.ok("up", "anna")
			l.asks("a machine behind the router", "second", address(outside4, 80), "outside "+second4)
			if c.ipv6 {
				l.asks("a machine behind the router", "second", address(outside6, 80), "outside "+second6)
			}
			l.asks("anna", "anna", address(outside4, 80), "outside "+gateway4)
			l.asks("anna", "anna", address(outside6, 80), "outside "+gateway6)
			l.ok("down", "anna")
			same(t, "state", l.state(), before)
		})
	}
}

func TestForwardingIsLeftToTheAdministrator(t *testing.T) {
	l := newLab(t)
	l.serve("outside", ":80", "outside")
	l.configure("forwarding = false\n")
	for _, says := range []string{"warning: the host does not forward: set net.ipv4.conf.all.forwarding", "warning: the host does not forward: set net.ipv6.conf.all.forwarding"} {
		if output := l.ok("up", "anna"); !contains(output, says) {
			t.Errorf("does not say %q but %q", says, output)
		}
	}
	expect.Equal(t, "forwarding", l.forwards(), "00")
	l.sh("echo 1 >/proc/sys/net/ipv4/conf/all/forwarding; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
	l.asks("anna", "anna", address(outside4, 80), "outside "+gateway4)
	l.asks("others", "second", address(outside4, 80), "outside "+second4)
	l.ok("down", "anna")
	expect.Equal(t, "forwarding", l.forwards(), "11")
}

// What conntrack takes for no part of a connection, NAT leaves as it is.
func TestNothingLeavesWithoutNAT(t *testing.T) {
	l := newLab(t)
	l.ok("up", "anna")
	l.sh("ip netns exec outside nft 'table inet t { chain c { type filter hook prerouting priority 0; ip saddr 100.64.0.0/10 counter; ip6 saddr fd00::/8 counter; }; }'")
	for _, outside := range []string{outside4, outside6} {
		heard := l.listen("outside", address(outside, 70))
		expect.Check(t, l.in("anna", func() error {
			conn, err := net.Dial("ip:tcp", outside)
			if err != nil {
				return err
			}
			defer conn.Close()
			reset := []byte{0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 4, 0, 0, 0, 0, 0, 0} // of no connection
			_, err = conn.Write(reset)
			return err
		}))
		l.send("anna", map[string]string{outside4: anna4, outside6: anna6}[outside], address(outside, 70), "after it")
		expect.Equal(t, "what is heard outside", heard(), "after it")
	}
	if counters := l.sh("ip netns exec outside nft list ruleset"); strings.Count(counters, "packets 0 bytes 0") != 2 {
		t.Errorf("addresses of the namespace have left: %s", counters)
	}
}

// Whoever administers a namespace may send what only routers should.
func TestTheHostTakesNoRoutesFromANamespace(t *testing.T) {
	l := newLab(t)
	l.sh("for d in default outside; do echo 2 >/proc/sys/net/ipv6/conf/$d/accept_ra; done")
	l.ok("up", "anna")
	for _, namespace := range []string{"anna", "outside"} { // the second is believed
		expect.Eventually(t, namespace+" has an address to advertise", func() bool {
			return l.sh("ip -n "+namespace+" -6 address show dev eth0 scope link -tentative") != ""
		})
		l.advertise(namespace)
	}
	expect.Eventually(t, "the host has the route from outside", func() bool {
		return l.sh("ip -6 route show default dev outside") != ""
	})
	expect.Equal(t, "routes from anna", l.sh("ip -6 route show dev pnu3uw | grep -v '^f[de]' || true"), "")
}

// The rules are like docker's: DNAT of packets to one of the host's own addresses.
func TestPortsThatOthersForward(t *testing.T) {
	l := newLab(t)
	l.sh(`echo 1 >/proc/sys/net/ipv4/conf/all/forwarding; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
		nft -f - <<-END
			table inet docker {
				chain prerouting {
					type nat hook prerouting priority dstnat
					fib daddr type local meta l4proto {tcp, udp} th dport 8080 dnat ip to ` + second4 + `:80
					fib daddr type local meta l4proto {tcp, udp} th dport 8080 dnat ip6 to [` + second6 + `]:80
					fib daddr type local meta l4proto {tcp, udp} th dport 8081 dnat ip to ` + bert4 + `:80
					fib daddr type local meta l4proto {tcp, udp} th dport 8081 dnat ip6 to [` + bert6 + `]:80
				}
			}
		END`)
	l.serve("second", ":80", "second")
	for _, name := range []string{"anna", "bert"} {
		l.ok("up", name)
		l.serve(name, ":80", name)
	}
	check := func(what, config string, container, neighbour, fromOutside string) {
		t.Run(what, func(t *testing.T) {
			l.with(t).configure(config)
			l.with(t).ok("up", "anna")
			both(t, func(t *testing.T, v version) {
				l := l.with(t)
				answer := func(name, from string) string {
					if name == "refused" {
						return name
					}
					return name + " " + from
				}
				l.asks("a container's port, from outside", "outside", address(v.gateway, 8080), "second "+v.outside)
				l.asks("a container's port, from a namespace", "anna", address(v.gateway, 8080), answer(container, v.gatewayToSecond()))
				l.asks("the same by the link's address", "anna", address(gatewayOf(v.anna), 8080), answer(container, v.gatewayToSecond()))
				l.asks("a port that leads to a neighbour", "anna", address(v.gateway, 8081), answer(neighbour, v.anna))
				l.asks("a port that leads to a namespace, from outside", "outside", address(v.gateway, 8081), answer(fromOutside, v.outside))
			})
		})
	}
	check("by default", "", "refused", "refused", "refused")
	check("as services of the host", "host_services = ['tcp/8080', 'udp/8080', 'tcp/8081', 'udp/8081']\n", "second", "refused", "refused")
	check("without isolation", "host_services = ['all']\nisolate = false\n", "second", "bert", "refused")
	check("with inbound", "inbound = true\n", "refused", "refused", "bert")
}

// gatewayToSecond is the machine's address, seen from the second network.
func (v version) gatewayToSecond() string {
	return map[string]string{"IPv4": "198.51.100.5", "IPv6": "2001:db8:5::1"}[v.name]
}

func TestMetadata(t *testing.T) {
	l := newLab(t)
	const metadata4, metadata6, other4 = "169.254.169.254", "fd00:ec2::254", "169.254.170.2"
	for _, a := range []string{metadata4, metadata6, other4} {
		l.sh(`ip -n outside address add "$1" dev lo; ip route add "$1" via "$2"`, a, map[bool]string{true: outside6, false: outside4}[strings.Contains(a, ":")])
		// A server of all addresses would answer UDP from another one.
		l.serve("outside", address(a, 80), "metadata")
		l.serve("outside", address(a, 53), "nameserver")
	}
	l.serve("outside", address(outside4, 80), "metadata")
	for config, want := range map[string]string{"": "refused", "metadata = true\n": "metadata "} {
		l.configure(config)
		l.ok("up", "anna")
		for _, a := range []string{metadata4, metadata6, other4} {
			gateway, want := gateway4, want
			if strings.Contains(a, ":") {
				gateway = gateway6
			}
			if want != "refused" {
				want += gateway
			}
			l.asks("metadata, with "+config, "anna", address(a, 80), want)
			l.asks("the nameserver, with "+config, "anna", address(a, 53), "nameserver "+gateway)
		}
	}
	l.asks("the rest", "anna", address(outside4, 80), "metadata "+gateway4)
}
