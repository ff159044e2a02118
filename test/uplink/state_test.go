// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

func TestUpTwiceIsUpOnceAndDownLeavesNothing(t *testing.T) {
	l := newLab(t)
	l.configure(`forward = [{ name = "anna", protocol = "tcp", host_port = 8080, port = 80 }]`)
	before := l.state()
	said := l.ok("up", "anna")
	expect.Equal(t, "what is said", said, `"anna", uid 5000, is connected by pnu3uw as 100.64.39.17/31 fd5f:72fa:75ba::2711/127`+"\n")
	first := l.state()
	expect.Equal(t, "what is said again", l.ok("up", "anna"), said)
	same(t, "state after up, twice", l.state(), first)

	l.ok("up", "bert")
	both := l.state()
	l.ok("down", "anna")
	l.ok("down", "anna")
	expect.Equal(t, "devices", l.devices(), "pnu3ux")
	l.ok("up", "anna")
	same(t, "state with both again", l.state(), both)
	l.ok("down", "bert")
	same(t, "state without bert", l.state(), first)
	l.ok("down", "anna")
	same(t, "state in the end", l.state(), before)
	l.ok("down", "nobody")
}

// What is there afterwards is what up makes, whatever there was before.
func TestUpRepairs(t *testing.T) {
	l := newLab(t)
	l.ok("up", "anna")
	l.ok("up", "bert")
	good := l.state()
	for _, c := range []struct{ what, damage string }{
		{"the user has deleted the interface", "ip -n anna link del eth0"},
		{"the user has renamed it", "ip -n anna link set eth0 down; ip -n anna link set eth0 name other"},
		{"the user has brought it down", "ip -n anna link set eth0 down"},
		{"the user has taken the addresses away", "ip -n anna address flush dev eth0"},
		{"the user has taken a route away", "ip -n anna route del default"},
		{"the MTU is another inside", "ip -n anna link set eth0 mtu 1400"},
		{"the MTU is another on the host", "ip link set pnu3uw mtu 1400"},
		{"the host's end is down", "ip link set pnu3uw down"},
		{"the host's end has an address of bert's", "ip address add 100.64.39.18/24 dev pnu3uw"},
		{"the host's end lacks an address", "ip address del 100.64.39.16/31 dev pnu3uw"},
		{"the host's end lacks the alias", "ip link set pnu3uw alias ''"},
		{"the other end is not inside", "ip -n anna link set eth0 down; ip -n anna link set eth0 netns second name eth7"},
		{"an interface of another kind is there", "ip link del pnu3uw; ip link add pnu3uw type veth peer name x"},
		{"the namespace is a new one", "ip netns del anna; ip netns add anna; ip -n anna link set lo up"},
		{"the uplink lacks in the firewall", `nft delete element inet pamnet links '{ "pnu3uw" }'`},
		{"a rule is gone", "nft flush chain inet pamnet forward"},
		{"forwarding was switched off", "echo 0 >/proc/sys/net/ipv4/conf/all/forwarding; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding"},
		{"another uplink of the name is in the firewall", `nft add element inet pamnet links '{ "pnu7" comment "anna" }'; ip link add pnu7 type veth peer name pnu7x`},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := l.with(t)
			l.sh("set -e; " + c.damage)
			l.ok("up", "anna")
			l.sh("ip link del x 2>/dev/null; ip link del pnu7x 2>/dev/null; true")
			same(t, "state", l.state(), good)
		})
	}
	t.Run("somebody has flushed all rules: up --all", func(t *testing.T) {
		l := l.with(t)
		l.sh("nft flush ruleset")
		expect.Equal(t, "lines", strings.Count(l.ok("up", "--all"), "is connected by"), 2)
		same(t, "state", l.state(), good)
	})
	t.Run("somebody has flushed all rules: down of one keeps the host forwarding for the other", func(t *testing.T) {
		l := l.with(t)
		l.sh("nft flush ruleset")
		l.ok("down", "bert")
		expect.Equal(t, "forwarding", l.forwards(), "11")
		expect.Equal(t, "devices", l.devices(), "pnu3uw")
		l.ok("up", "bert")
		l.ok("up", "anna")
		same(t, "state", l.state(), good)
	})
}

// A DHCP client takes every interface for its own; root configures something inside.
func TestUpLeavesAGoodLinkAlone(t *testing.T) {
	l := newLab(t)
	l.ok("up", "anna")
	good := l.state()
	index := l.sh("cat /sys/class/net/pnu3uw/ifindex")
	l.sh(`set -e
		ip address add 169.254.7.7/16 dev pnu3uw
		ip link set pnu3uw mtu 1400
		ip -n anna address add 10.3.3.3/24 dev eth0
		ip -n anna route add 10.4.0.0/16 via 10.3.3.1`)
	show := l.ok("show", "anna")
	for _, want := range []string{"anna (uid 5000): up\n", "the MTU of pnu3uw is 1400: pamnet-uplink up sets it to 1500\n", "pnu3uw has the address 169.254.7.7/16 of another program"} {
		if !contains(show, want) {
			t.Errorf("show does not say %q but %s", want, show)
		}
	}
	l.ok("up", "--all")
	expect.Equal(t, "index of the interface", l.sh("cat /sys/class/net/pnu3uw/ifindex"), index)
	expect.Equal(t, "root's route inside", l.sh("ip -n anna route show 10.4.0.0/16"), "10.4.0.0/16 via 10.3.3.1 dev eth0")
	l.sh("ip address del 169.254.7.7/16 dev pnu3uw; ip -n anna route del 10.4.0.0/16; ip -n anna address del 10.3.3.3/24 dev eth0")
	same(t, "state without these", l.state(), good)
}

func TestANumberThatIsUsedAgain(t *testing.T) {
	l := newLab(t)
	l.configure(`forward = [{ name = "anna", protocol = "tcp", host_port = 8080, port = 80 }]`)
	l.serve("outside", ":80", "outside")
	l.ok("up", "anna")
	l.sh("sed -i s/^anna:/carol:/ /etc/passwd; ip netns add carol; ip -n carol link set lo up")
	l.ok("up", "carol")
	l.asks("the new user", "carol", address(outside4, 80), "outside "+gateway4)
	l.asks("the old one", "anna", address(outside4, 80), "refused")
	if rules := l.sh("nft list table inet pamnet"); contains(rules, "anna") {
		t.Error(rules)
	}
	l.ok("down", "carol")
	expect.Equal(t, "devices", l.devices(), "")
}

func TestAnAdministratorsRouteStays(t *testing.T) {
	l := newLab(t)
	l.ok("up", "anna")
	l.sh("ip -n anna route replace default via 100.64.39.16 metric 0 mtu 1300")
	l.ok("up", "anna")
	if routes := l.sh("ip -n anna route show default"); !contains(routes, "mtu 1300") {
		t.Error(routes)
	}
}

func TestAnotherNumberIsAnotherUplink(t *testing.T) {
	l := newLab(t)
	l.configure(`forward = [{ name = "anna", protocol = "tcp", host_port = 8080, port = 80 }]`)
	l.ok("up", "anna")
	l.sh("sed -i s/^anna:x:5000:/anna:x:6000:/ /etc/passwd")
	l.ok("up", "anna")
	expect.Equal(t, "devices", l.devices(), "pnu4mo")
	if rules := l.sh("nft list table inet pamnet"); contains(rules, "pnu3uw") || contains(rules, anna4) || !contains(rules, "100.64.46.225 . 80") {
		t.Error(rules)
	}
	l.sh("sed -i /^anna:/d /etc/passwd; ip netns del anna")
	l.ok("down", "anna") // neither the user nor the namespace is there
	expect.Equal(t, "devices", l.devices(), "")
	expect.Equal(t, "tables", l.sh("nft list tables"), "")
}

func TestUpRefuses(t *testing.T) {
	l := newLab(t)
	for _, user := range []string{"high:x:1048576", "low:x:999", "twin:x:5000", "clash:x:5300", "last:x:4294967294"} {
		name, _, _ := strings.Cut(user, ":")
		l.sh("echo " + user + ":100::/:/bin/sh >>/etc/passwd; ip netns add " + name)
	}
	l.sh("ip address add 100.64.41.105/29 dev second")
	l.ok("up", "anna")
	before := l.state()
	long := strings.Repeat("x", 128)
	for _, c := range []struct {
		what, config, name string
		says               []string
	}{
		{"a number that does not fit", "", "high", []string{"uid 1048576 does not fit into 100.64.0.0/11", "enlarge ipv4.users or raise first_uid"}},
		{"the last number", "", "last", []string{"uid 4294967294 does not fit into 100.64.0.0/11"}},
		{"a number below the first", "first_uid = 1000", "low", []string{"uid 999 is below 1000: lower first_uid"}},
		{"a second name for a number", "", "twin", []string{`interface pnu3uw, of uid 5000, belongs to "anna": run pamnet-uplink down anna first`}},
		{"addresses that the host has", "", "clash", []string{"network 100.64.41.104/31, for uid 5300, overlaps 100.64.41.105/29 on second: give the pools other networks"}},
		{"a neighbour's addresses, after a change of the prefix length", "ipv4.prefix_length = 24\nfirst_uid = 4962", "bert", []string{"overlaps 100.64.39.16/31 on pnu3uw"}},
		{"addresses that the host has, where the uplink has others", "ipv4.users = '100.64.41.104/30'\nfirst_uid = 5000", "anna", []string{"network 100.64.41.104/31, for uid 5000, overlaps 100.64.41.105/29 on second"}},
		{"nobody", "", "outside", []string{`there is no user of that name, and no group "groupnet-outside"`}},
		{"no namespace", "", "root", []string{`open network namespace "root": no such network namespace`, "ip netns add"}},
		{"no name", "", "", []string{`"" cannot name a network namespace`}},
		{"a path", "", "../anna", []string{`"../anna" cannot name a network namespace`}},
		{"a long name", "", long, []string{"too long for an uplink: 128 bytes, not 127"}},
		{"a wrong configuration", "\nmtu = 1\n", "bert", []string{configuration + ": mtu: 1 is neither 0 nor from 1280 to 65535"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := l.with(t)
			l.configure(c.config)
			l.fails(c.says, "up", c.name)
			same(t, "state", l.state(), before)
		})
	}
	l.configure("")
	t.Run("a namespace that has such an interface", func(t *testing.T) {
		l := l.with(t)
		l.sh("ip -n bert link add eth0 type veth peer name x")
		l.fails([]string{`the namespace has an interface "eth0" already: remove it, or set interface`}, "up", "bert")
		l.sh("ip -n bert link del eth0")
		same(t, "state", l.state(), before)
	})
	t.Run("a device of the host that is none of ours", func(t *testing.T) {
		l := l.with(t)
		l.sh("ip link add pnu3ux type bridge")
		l.fails([]string{"interface pnu3ux exists and is not a veth: rename or remove it"}, "up", "bert")
		l.sh("ip link del pnu3ux")
		same(t, "state", l.state(), before)
	})
	t.Run("a configuration that others can write", func(t *testing.T) {
		l := l.with(t)
		l.sh("chmod 666 " + configuration)
		l.fails([]string{"can be written by others than root"}, "up", "bert")
		l.fails([]string{"can be written by others than root"}, "--check")
		l.ok("down", "bert") // needs none
		same(t, "state", l.state(), before)
	})
	t.Run("somebody who is not root", func(t *testing.T) {
		l := l.with(t)
		l.configure("")
		l.sh("! setpriv --reuid=bert --regid=100 --clear-groups " + program + " up bert")
		same(t, "state", l.state(), before)
	})
}

func TestOneIPVersionAlone(t *testing.T) {
	l := newLab(t)
	l.serve("outside", ":80", "outside")
	for _, c := range []struct{ what, config, damage, want, want4, want6 string }{
		{"no IPv6 by configuration", "ipv6.enabled = false", "", "100.64.39.17/31", "outside " + gateway4, "refused"},
		{"no IPv4 by configuration", "ipv4.enabled = false", "", "fd5f:72fa:75ba::2711/127", "refused", "outside " + gateway6},
		{"no IPv6 on the host", "", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6", "100.64.39.17/31", "outside " + gateway4, "refused"},
	} {
		t.Run(c.what, func(t *testing.T) {
			l := l.with(t)
			l.configure(c.config)
			l.sh(c.damage)
			if said := l.ok("up", "anna"); !contains(said, "is connected by pnu3uw as "+c.want+"\n") {
				t.Error(said)
			}
			l.asks("IPv4", "anna", address(outside4, 80), c.want4)
			l.asks("IPv6", "anna", address(outside6, 80), c.want6)
			if c.want6 == "refused" {
				expect.Equal(t, "IPv6 addresses of the link", l.sh("ip -6 address show dev pnu3uw"), "")
			}
		})
	}
	l.configure("ipv4.enabled = false")
	l.fails([]string{"the host has no IPv6, and ipv4.enabled is false"}, "up", "bert")
}

func TestCheck(t *testing.T) {
	l := newLab(t)
	expect.Equal(t, "no file", l.ok("--check"), configuration+": no problems found\n")
	l.configure("mtu = 1400\n")
	expect.Equal(t, "a good file", l.ok("--check"), configuration+": no problems found\n")
	l.configure("mtu = 1\nmut = 2\n")
	result := l.run("--check")
	expect.Equal(t, "exit status", result.ExitCode, 1)
	expect.Equal(t, "what is said", result.Stderr, strings.ReplaceAll(`pamnet-uplink: FILE:2: mut: there is no such key
pamnet-uplink: FILE: mtu: 1 is neither 0 nor from 1280 to 65535
`, "FILE", configuration))
	expect.Check(t, l.WriteFile("/root/draft", "isolate = 1\n", 0o600))
	l.fails([]string{"/root/draft:1: isolate: must not have a value of type integer"}, "--check", "--config", "/root/draft")
}

func TestCheckNamesTheMembersWhoDoNotFit(t *testing.T) {
	l := newLab(t)
	l.sh(`set -e
		echo adam:x:1234601103:100::/:/bin/sh >>/etc/passwd
		echo eva:x:1048576:7777::/:/bin/sh >>/etc/passwd
		sed -i /^usernet:/d /etc/group
		echo usernet:x:7777:anna,adam >>/etc/group
		echo groupnet-lab:x:1048577: >>/etc/group`)
	const misfit = " does not fit into 100.64.0.0/11, which has room for 1048576 from 0 on"
	l.fails([]string{
		"adam: uid 1234601103" + misfit, "eva: uid 1048576" + misfit,
		"lab: gid 1048577 does not fit into 100.96.0.0/11",
	}, "--check")
	if said := l.run("--check").Stderr; contains(said, "anna") {
		t.Error(said)
	}
	l.configure("addresses = 'remembered'\n")
	l.ok("--check")
	l.ok("up", "anna")
	l.sh("setpriv --reuid=bert --regid=100 --clear-groups " + program + " --check")
}

func TestScatteredUIDs(t *testing.T) {
	start := func(t *testing.T, config string) *lab {
		l := newLab(t)
		l.configure(config)
		l.serve("outside", ":80", "outside")
		l.sh("echo adam:x:1234601103:100::/:/bin/sh >>/etc/passwd; ip netns add adam; ip -n adam link set lo up")
		return l
	}
	t.Run("ranges", func(t *testing.T) {
		l := start(t, `
			[[range]]
			first = 5000
			count = 1
			ipv4 = "10.64.0.0/31"
			ipv6 = "fd01::/64"
			[[range]]
			first = 1234600000
			count = 200000
			ipv4 = "10.72.0.0/13"
			ipv6 = "fd02::/64"
			[[forward]]
			each = 10
			protocol = "tcp"
			host_port = "20000-40000"
		`)
		if said := l.ok("up", "anna"); !contains(said, "as 10.64.0.1/31 fd01::1/127\n") {
			t.Error(said)
		}
		if said := l.ok("up", "adam"); !contains(said, "as 10.72.8.159/31 fd02::89f/127\n") {
			t.Error(said)
		}
		l.fails([]string{"uid 5001 is in no range: add a table [[range]]"}, "up", "bert")
		if text := l.ok("show", "adam"); !contains(text, "tcp/31040-31049 of the host") { // the first is anna
			t.Error(text)
		}
		both(t, func(t *testing.T, v version) {
			l := l.with(t)
			l.asks("the world", "anna", address(v.outside, 80), "outside "+v.gateway)
			l.asks("the world", "adam", address(v.outside, 80), "outside "+v.gateway)
		})
	})
	t.Run("remembered addresses", func(t *testing.T) {
		l := start(t, "addresses = 'remembered'\nipv4.users = '10.64.0.0/30'\nforward = [{ each = 10, protocol = 'tcp', host_port = '20000-20029' }]\n")
		if said := l.ok("show", "anna"); !contains(said, "10.64.0.1/31") {
			t.Error(said)
		}
		adam := l.ok("up", "adam") // show gives nothing out
		if !contains(adam, "as 10.64.0.1/31 fd5f:72fa:75ba::1/127\n") {
			t.Error(adam)
		}
		if said := l.ok("up", "anna"); !contains(said, "as 10.64.0.3/31 fd5f:72fa:75ba::3/127\n") {
			t.Error(said)
		}
		l.fails([]string{"uid 5001 does not fit into 10.64.0.0/30, which has room for 2 in all: enlarge ipv4.users, or delete the lines"}, "up", "bert")
		both(t, func(t *testing.T, v version) {
			l := l.with(t)
			l.asks("the world", "anna", address(v.outside, 80), "outside "+v.gateway)
			l.asks("the world", "adam", address(v.outside, 80), "outside "+v.gateway)
		})
		ports := l.sh("nft list map inet pamnet ranges4 | grep -o 'tcp .*[0-9]' | sort")
		if !contains(ports, "20000-20009") || !contains(ports, "20010-20019") {
			t.Error(ports)
		}
		l.sh("nft flush ruleset")
		l.ok("up", "anna")
		expect.Equal(t, "ports after up of one without the table", l.sh("nft list map inet pamnet ranges4 | grep -o 'tcp .*[0-9]' | sort"), ports)

		l.ok("down", "adam")
		l.ok("down", "anna")
		l.sh("rm -r /run/libpam-net; stat -c %a%u /var/lib/libpam-net/addresses | grep -x 6440") // as a boot does
		expect.Equal(t, "what is said after a boot", l.ok("up", "adam"), adam)
		l.ok("down", "adam")
		l.sh("sed -i /1234601103/d /var/lib/libpam-net/addresses")
		if said := l.ok("up", "bert"); !contains(said, "as 10.64.0.1/31") { // the place is free
			t.Error(said)
		}
		l.sh("echo nonsense >>/var/lib/libpam-net/addresses")
		l.fails([]string{`/var/lib/libpam-net/addresses:3: "nonsense\n" is no line like "uid 1000 0": correct or delete it`}, "up", "anna")
	})
	t.Run("addresses are given out once, also to many at once", func(t *testing.T) {
		l := start(t, "addresses = 'remembered'\n")
		l.sh(`set -e
			for n in {0..9}; do
				echo user$n:x:$((RANDOM * 10 + n + 100000)):100::/:/bin/sh >>/etc/passwd
				ip netns add user$n
			done
			for n in {0..9}; do ` + program + ` up user$n & pids="$pids $!"; done
			for pid in $pids; do wait $pid; done`)
		expect.Equal(t, "places", l.sh("cut -d' ' -f3 /var/lib/libpam-net/addresses | sort -n | tr '\n' ' '"), "0 1 2 3 4 5 6 7 8 9")
	})
}

func TestWrongCommandLines(t *testing.T) {
	l := newLab(t)
	for _, args := range []string{"up", "up a b", "up --all a", "down", "down a b", "show", "sideways", "up --nonsense a", "--nonsense"} {
		l.fails(nil, strings.Fields(args)...)
	}
	if help := l.ok(); !contains(help, "pamnet-uplink [command]") {
		t.Error(help)
	}
}

// The modules give the program this environment, and nothing else.
func TestAsTheModulesCallIt(t *testing.T) {
	l := newLab(t)
	l.sh("env -i PAM_USER=anna PAM_SERVICE=sshd PAM_RHOST=192.0.2.9 NETNS=anna NETNS_PATH=/run/netns/anna PATH=/usr/sbin:/usr/bin " +
		program + " up anna </dev/null")
	expect.Equal(t, "devices", l.devices(), "pnu3uw")
}

func TestShow(t *testing.T) {
	l := newLab(t)
	l.sh("rm /etc/resolv.conf; printf 'search x\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver fe80::1\nnameserver 203.0.113.5\n' >/etc/resolv.conf")
	expect.Equal(t, "down", l.ok("show", "anna"), `anna (uid 5000): down
  link         eth0 inside, pnu3uw on the host, MTU 1500
  address      100.64.39.17/31 by 100.64.39.16, the host's to others (NAT)
  address      fd5f:72fa:75ba::2711/127 by fd5f:72fa:75ba::2710, the host's to others (NAT)
  neighbours   not reached
  host         not reached
  from outside nothing
  resolver     /etc/netns/anna/resolv.conf may say: nameserver 192.0.2.1
  resolver     /etc/netns/anna/resolv.conf may say: nameserver 203.0.113.5
  warning      nameserver 192.0.2.1 is the host, which does not answer: set host_services = ["udp/53", "tcp/53"]
`)
	l.sh("printf 'nameserver 127.0.0.53\n' >/etc/resolv.conf; mkdir -p /run/systemd/resolve; printf 'nameserver 203.0.113.6\n' >/run/systemd/resolve/resolv.conf")
	if text := l.ok("show", "anna"); !contains(text, "may say: nameserver 203.0.113.6\n") {
		t.Error(text)
	}
	l.sh("rm /run/systemd/resolve/resolv.conf")
	if text := l.ok("show", "anna"); !contains(text, "warning      the host uses no nameserver that could be reached from here: set nameservers") {
		t.Error(text)
	}
	l.sh("echo 1 >/proc/sys/net/ipv4/conf/all/accept_redirects")
	l.configure(`
		isolate = false
		inbound = true
		host_services = ["udp/53", "tcp/53"]
		nameservers = ["192.0.2.1"]
		ipv6.enabled = false
		ipv4.nat = false
		[[forward]]
		name = "anna"
		protocol = "tcp"
		host_port = 8080
		port = 80
	`)
	l.ok("up", "anna")
	expect.Equal(t, "up", l.ok("show", "anna"), `anna (uid 5000): up
  link         eth0 inside, pnu3uw on the host, MTU 1500
  address      100.64.39.17/31 by 100.64.39.16
  neighbours   reached
  host         udp/53 tcp/53
  from outside all ports
  port         tcp/8080 of the host leads to 80
  resolver     /etc/netns/anna/resolv.conf may say: nameserver 192.0.2.1
  on the host  /proc/sys/net/ipv4/conf/all/forwarding = 1, was 0
  on the host  /proc/sys/net/ipv4/conf/all/accept_redirects = 0, was 1
`)
	var status struct {
		Name, State, Owner, Device, Interface string
		MTU                                   int
		Networks                              []struct {
			Address, Gateway string
			NAT              bool
		}
		Isolated, Inbound bool
		HostServices      []string `json:"host_services"`
		Forwards          []struct {
			Host      string
			Namespace int
		}
		Nameservers, Changed, Warnings []string
	}
	decoder := json.NewDecoder(strings.NewReader(l.ok("show", "--json", "anna")))
	decoder.DisallowUnknownFields()
	expect.Check(t, decoder.Decode(&status))
	expect.Equal(t, "JSON", fmt.Sprintf("%+v", status), "{Name:anna State:up Owner:uid 5000 Device:pnu3uw Interface:eth0 MTU:1500 "+
		"Networks:[{Address:100.64.39.17/31 Gateway:100.64.39.16 NAT:false}] Isolated:false Inbound:true HostServices:[udp/53 tcp/53] "+
		"Forwards:[{Host:tcp/8080 Namespace:80}] Nameservers:[192.0.2.1] Changed:[net/ipv4/conf/all/forwarding = 1, was 0 net/ipv4/conf/all/accept_redirects = 0, was 1] Warnings:[]}")
	for _, c := range []struct{ what, damage, want string }{
		{"a firewall without it", `nft delete element inet pamnet links '{ "pnu3uw" }'`, "incomplete"},
		{"an interface that is down inside", "ip -n anna link set eth0 down", "incomplete"},
		{"no route inside", "ip -n anna route del default", "incomplete"},
		{"no address inside", "ip -n anna address flush dev eth0", "incomplete"},
		{"no link", "ip link del pnu3uw", "incomplete"},
		{"no namespace", "ip netns del anna", "incomplete"},
	} {
		l.sh(c.damage)
		if text := l.ok("show", "anna"); !strings.HasPrefix(text, "anna (uid 5000): "+c.want) {
			t.Errorf("%s: %s", c.what, text)
		}
		if c.what != "no namespace" {
			l.ok("up", "anna")
		}
	}
}
