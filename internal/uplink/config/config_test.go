// SPDX-License-Identifier: GPL-2.0-or-later

package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"libpam-net/internal/uplink/config"
)

var byDefault = config.Config{
	Interface:  "eth0",
	Isolate:    true,
	Forwarding: true,
	Gate:       true,
	Group:      "groupnet",
	IPv4: config.Family{
		Enabled: true, NAT: true, PrefixLength: 31,
		Users: netip.MustParsePrefix("100.64.0.0/11"), Groups: netip.MustParsePrefix("100.96.0.0/11"),
	},
	IPv6: config.Family{
		Enabled: true, NAT: true, PrefixLength: 127,
		Users: netip.MustParsePrefix("fd5f:72fa:75ba::/64"), Groups: netip.MustParsePrefix("fd5f:72fa:75ba:1::/64"),
	},
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		what, text string
		want       func(*config.Config)
	}{
		{"nothing said, the defaults hold", "# nothing\n", func(*config.Config) {}},
		{"every key", `
interface = "up0"
mtu = 1400
isolate = false
inbound = true
forwarding = false
gate = false
firewall = "manage"
host_services = ["udp/53", "tcp/53"]
metadata = true
nameservers = ["192.0.2.53", "2001:db8::53"]
group = "lab"
first_uid = 1000
first_gid = 4294967295

[ipv4]
enabled = true
users = "10.0.0.0/9"
groups = "10.128.0.0/9"
prefix_length = 30
nat = false

[ipv6]
enabled = false
users = "fd00::/48"
groups = "fd00:0:1::/48"
prefix_length = 64
nat = false
proxy_ndp = true

[[forward]]
name = "alice"
protocol = "tcp"
host_port = 8080
port = 80

[[forward]]
name = "bob"
protocol = "udp"
address = "192.0.2.1"
host_port = 8080
port = 53

[[forward]]
name = "bob"
protocol = "udp"
host_port = "60001-60010"
port = 60001

[[forward]]
each = 10
protocol = "tcp"
host_port = "20000-29999"

[[snat]]
name = "alice"
address = "192.0.2.7"

[[snat]]
pool = "2001:db8::/120"
`, func(c *config.Config) {
			*c = config.Config{
				Interface: "up0", MTU: 1400, Inbound: true, Manage: true, Metadata: true, Group: "lab", FirstUID: 1000, FirstGID: 4294967295,
				Services:    []config.Service{{config.UDP, 53}, {config.TCP, 53}},
				Nameservers: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")},
				IPv4: config.Family{
					Enabled: true, PrefixLength: 30,
					Users: netip.MustParsePrefix("10.0.0.0/9"), Groups: netip.MustParsePrefix("10.128.0.0/9"),
				},
				IPv6: config.Family{
					PrefixLength: 64, ProxyNDP: true,
					Users: netip.MustParsePrefix("fd00::/48"), Groups: netip.MustParsePrefix("fd00:0:1::/48"),
				},
				Forwards: []config.Forward{
					{Name: "alice", From: config.Ports{config.TCP, 8080, 8080}, To: 80},
					{Name: "bob", Address: netip.MustParseAddr("192.0.2.1"), From: config.Ports{config.UDP, 8080, 8080}, To: 53},
					{Name: "bob", From: config.Ports{config.UDP, 60001, 60010}, To: 60001},
					{Each: 10, From: config.Ports{config.TCP, 20000, 29999}, To: 20000},
				},
				SNATs: []config.SNAT{
					{Name: "alice", Address: netip.MustParseAddr("192.0.2.7")},
					{Pool: netip.MustParsePrefix("2001:db8::/120")},
				},
			}
		}},
		{"ranges", `
[[range]]
first = 1000
count = 64
ipv4 = "100.64.0.0/25"
ipv6 = "fd00::/64"
[[range]]
first = 4294967295
count = 1
ipv4 = "100.64.0.128/31"
ipv6 = "fd01::/64"
`, func(c *config.Config) {
			c.Ranges = []config.Range{
				{1000, 64, netip.MustParsePrefix("100.64.0.0/25"), netip.MustParsePrefix("fd00::/64")},
				{4294967295, 1, netip.MustParsePrefix("100.64.0.128/31"), netip.MustParsePrefix("fd01::/64")},
			}
			c.IPv4.Pools = []netip.Prefix{c.IPv4.Groups, c.Ranges[0].IPv4, c.Ranges[1].IPv4}
			c.IPv6.Pools = []netip.Prefix{c.IPv6.Groups, c.Ranges[0].IPv6, c.Ranges[1].IPv6}
		}},
		{"a port for the host, too", "forward = [{ name = 'a', protocol = 'tcp', host_port = 1, local = true }]", func(c *config.Config) {
			c.Forwards = []config.Forward{{Name: "a", From: config.Ports{config.TCP, 1, 1}, To: 1, Local: true}}
		}},
		{"remembered addresses", `addresses = "remembered"`, func(c *config.Config) { c.Remembered = true }},
		{"a key of a table leaves the table's others", "ipv4.prefix_length = 24", func(c *config.Config) { c.IPv4.PrefixLength = 24 }},
		{"all services", `host_services = ["tcp/22", "all"]`, func(c *config.Config) {
			c.AnyService, c.Services = true, []config.Service{{config.TCP, 22}}
		}},
		{"tables in one line", `ipv6 = { nat = false }`, func(c *config.Config) { c.IPv6.NAT = false }},
	} {
		t.Run(c.what, func(t *testing.T) {
			want := byDefault
			c.want(&want)
			if want.Ranges == nil {
				want.IPv4.Pools = []netip.Prefix{want.IPv4.Groups, want.IPv4.Users}
				want.IPv6.Pools = []netip.Prefix{want.IPv6.Groups, want.IPv6.Users}
			}
			got, err := config.Parse("file", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("got %+v, want %+v", *got, want)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	for _, c := range []struct {
		what, text string
		want       []string
	}{
		{"no TOML", "mtu = 1500\nisolate =\n", []string{"f:2: "}},
		{"a key twice", "mtu = 1400\nmtu = 1400\n", []string{"f:2: mtu: key mtu is already defined"}},
		{"a value of another type", "\nmtu = \"1500\"\n", []string{"f:2: mtu: must not have a value of type string"}},
		{"a number too large", "first_uid = 4294967296\n", []string{"f: first_uid: 4294967296 is not from 0 to 4294967295"}},
		{"a negative number", "first_gid = -1\n", []string{"f: first_gid: -1 is not from"}},
		{"unknown keys, and tables, and more", "nta = true\n\n[ipv4]\nmut = 1\n[ipv5]\nx = 1\n[[forward]]\nnmae = 'a'\n", []string{
			"f:1: nta: there is no such key",
			"f:4: ipv4.mut: there is no such key",
			"f:5: ipv5: there is no such key",
			"f:8: forward.nmae: there is no such key",
			"f: forward[0].name: either name or each is needed",
			"f: forward[0].protocol: is missing",
			"f: forward[0].host_port: is missing",
		}},
		{"no interface name", "interface = 'eth0/1'\n", []string{`f: interface: "eth0/1" cannot name an interface`}},
		{"the name of the loopback", "interface = 'lo'\n", []string{`f: interface: "lo" cannot`}},
		{"an interface name that is too long", "interface = '0123456789abcdef'\n", []string{"f: interface: "}},
		{"an interface name that the kernel numbers", "interface = 'eth%d'\n", []string{"f: interface: "}},
		{"an MTU that IPv6 cannot have", "mtu = 1279\n", []string{"f: mtu: 1279 is neither 0 nor from 1280 to 65535"}},
		{"no group", "group = ''\n", []string{`f: group: "" cannot begin`}},
		{"no addresses at all", "[ipv4]\nenabled = false\n[ipv6]\nenabled = false\n", []string{"f: ipv6.enabled: neither IPv4 nor IPv6 is enabled"}},
		{"services", "host_services = [\n'udp/53',\n'udp/0',\n'sctp/1', 'tcp/65536', 'tcp', '']\n", []string{
			`f: host_services[1]: "udp/0" is neither`,
			`f: host_services[2]: "sctp/1" is`,
			`f: host_services[3]: "tcp/65536" is`,
			`f: host_services[4]: "tcp" is`,
			`f: host_services[5]: "" is`,
		}},
		{"nameservers", "nameservers = ['192.0.2.256', 'fe80::1%eth0', '192.0.2.1']\n", []string{
			`f: nameservers[0]: "192.0.2.256" is not an IP address`,
			`f: nameservers[1]: "fe80::1%eth0" is not an IP address`,
		}},
		{"pools", "[ipv4]\nusers = '10.0.0.1/8'\ngroups = 'fd00::/48'\n[ipv6]\nusers = '10.0.0.0/8'\ngroups = 'x'\n", []string{
			`f: ipv4.users: 10.0.0.1/8 is an address in a network: say "10.0.0.0/8"`,
			`f: ipv4.groups: "fd00::/48" is not a network of this IP version, like "10.0.0.0/8"`,
			`f: ipv6.users: "10.0.0.0/8" is not a network of this IP version, like "fd00::/48"`,
			`f: ipv6.groups: "x" is not a network of this IP version`,
		}},
		{"pools of what hosts cannot have", "[ipv4]\nusers = '0.0.0.0/0'\ngroups = '224.0.0.0/4'\n[ipv6]\nusers = 'fe80::/10'\ngroups = '::ffff:10.0.0.0/104'\n", []string{
			"f: ipv4.users: 0.0.0.0/0 has addresses that hosts cannot have",
			"f: ipv4.groups: ",
			"f: ipv6.users: ",
			"f: ipv6.groups: ",
		}},
		{"pools that overlap", "[ipv4]\ngroups = '100.64.0.0/16'\n[ipv6]\nusers = 'fd5f:72fa:75ba::/48'\n", []string{
			"f: ipv4.groups: the pools overlap: 100.64.0.0/11 for users, 100.64.0.0/16 for groups",
			"f: ipv6.groups: the pools overlap",
		}},
		{"pools smaller than a link", "ipv6.prefix_length = 64\nipv6.users = 'fd00::/96'\n", []string{
			"f: ipv6.users: fd00::/96 is smaller than the network of one link, a /64 (ipv6.prefix_length)",
		}},
		{"IPv6 only", "ipv4.proxy_ndp = true\n", []string{"f: ipv4.proxy_ndp: is for IPv6 only"}},
		{"prefix lengths", "ipv4.prefix_length = 32\nipv6.prefix_length = 63\n", []string{
			"f: ipv4.prefix_length: 32 is not from 16 to 31",
			"f: ipv6.prefix_length: 63 is not from 64 to 127",
		}},
		{"forwards", `
[[forward]]
name = "a/b"
protocol = "sctp"
host_port = 0
port = 65536
[[forward]]
name = "alice"
protocol = "tcp"
host_port = 80
port = 80
[[forward]]
name = "bob"
protocol = "tcp"
host_port = 80
port = 80
`, []string{
			`f: forward[0].name: "a/b" cannot name a network namespace`,
			`f: forward[0].protocol: "sctp" is neither "tcp" nor "udp"`,
			"f: forward[0].host_port: 0 is not from 1 to 65535",
			"f: forward[0].port: 65536 is not from 1 to 65535",
			`f: forward[2].host_port: tcp/80 leads to "alice" already`,
		}},
		{"addresses for others", "snat = [{ name = 'a/b', address = '1' }, { name = 'a' }, { name = 'a', address = '192.0.2.1', pool = '192.0.2.0/24' }, { pool = '192.0.2.1/24' }, { pool = 'fe80::/64' }]", []string{
			`f: snat[0].name: "a/b" cannot name`,
			`f: snat[0].address: "1" is not an IP address`,
			"f: snat[1]: either name and address, or pool is needed",
			"f: snat[2]: either name and address, or pool is needed",
			"f: snat[3].pool: 192.0.2.1/24 is an address in a network",
			"f: snat[4].pool: fe80::/64 has addresses that hosts cannot have",
		}},
		{"what to do with other firewalls", "firewall = ''\n", []string{`f: firewall: "" is neither "report" nor "manage"`}},
		{"how addresses are found", "addresses = 'guessed'\n", []string{`f: addresses: "guessed" is neither "computed" nor "remembered"`}},
		{"ranges without a use", "addresses = 'remembered'\n[[range]]\nfirst = 0\ncount = 1\nipv4 = '10.0.0.0/24'\nipv6 = 'fd00::/64'\n", []string{
			`f: range: has no use with addresses = "remembered": remove it`,
		}},
		{"ranges", `range = [
			{ first = 1, count = 10 },
			{ first = 10, count = 3, ipv4 = '10.0.0.0/30', ipv6 = 'fd00::/64' },
			{ first = 4294967295, count = 2, ipv4 = '10.1.0.0/24', ipv6 = 'fd01::/64' },
			{ first = 20, count = 1, ipv4 = '100.96.0.0/24', ipv6 = 'fd00::/48' },
			{ count = 1 },
			{ first = -1, count = 0 },
		]`, []string{
			"f: range[0].ipv4: is missing",
			"f: range[0].ipv6: is missing",
			"f: range[1].first: the range overlaps that of 10 UIDs from 1 on",
			"f: range[1].ipv4: 10.0.0.0/30 has no room for 3 networks of /31",
			"f: range[2].count: 2 is not from 1 to the number of UIDs from 4294967295 on, 1",
			"f: range[3].ipv4: 100.96.0.0/24 overlaps the pool 100.96.0.0/11",
			"f: range[3].ipv6: fd00::/48 overlaps the pool fd00::/64",
			"f: range[4]: first and count are needed",
			"f: range[5].first: -1 is not from 0",
			"f: range[5].count: 0 is not from 1",
		}},
		{"several ports", `forward = [
			{ name = 'a', protocol = 'tcp', host_port = '9-8' },
			{ name = 'a', protocol = 'tcp', host_port = '0-8' },
			{ name = 'a', protocol = 'tcp', host_port = [1] },
			{ name = 'a', protocol = 'tcp', host_port = '100-109', port = 200 },
			{ name = 'a', protocol = 'tcp', host_port = 300, port = '300-301' },
			{ name = 'a', protocol = 'tcp', host_port = '109-110', address = '192.0.2.1' },
			{ name = 'b', protocol = 'tcp', host_port = 110, address = '192.0.2.2' },
			{ name = 'b', protocol = 'tcp', host_port = '100-109' },
			{ name = 'b', each = 2, protocol = 'udp', host_port = '1-2' },
			{ each = 11, protocol = 'udp', host_port = '1-10' },
			{ each = 10, protocol = 'udp', host_port = '1-10' },
			{ name = 'b', protocol = 'udp', host_port = 10, address = 'x' },
			{ name = 'b', protocol = 'udp', host_port = 10, address = '::1' },
		]`, []string{
			`f: forward[0].host_port: 9-8 is neither a port nor several like "60001-60010"`,
			`f: forward[1].host_port: 0-8 is neither`,
			`f: forward[2].host_port: [1] is neither`,
			`f: forward[3].port: several ports lead to ports of the same numbers: leave it out`,
			`f: forward[4].port: several ports`,
			`f: forward[7].host_port: tcp/109-110 leads to "a" already`,
			`f: forward[8].name: either name or each`,
			`f: forward[9].each: 11 is not from 1 to the number of ports, 10`,
			`f: forward[11].address: "x" is not an IP address`,
			`f: forward[12].host_port: udp/1-10 leads to all users already`,
		}},
		{"ports for the host without the gate", "gate = false\nforward = [{ name = 'a', protocol = 'tcp', host_port = 1, local = true }]\n", []string{
			"f: forward[0].local: needs gate = true",
		}},
		{"forwards in one array", "forward = [\n{ name = 'a', protocol = 'tcp', host_port = 1, port = 1 },\n{ name = '', protocol = 'tcp', host_port = 2, port = 1 },\n]\n", []string{
			`f: forward[1].name: "" cannot name`,
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := config.Parse("f", []byte(c.text))
			var problems *config.Error
			if !errors.As(err, &problems) {
				t.Fatalf("got %v", err)
			}
			lines := strings.Split(err.Error(), "\n")
			for i, want := range c.want {
				if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d of\n%s\ndoes not begin with %q", i+1, err, want)
				}
			}
			if len(lines) != len(c.want) {
				t.Errorf("%d lines, not %d:\n%s", len(lines), len(c.want), err)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to own files as root")
	}
	path := filepath.Join(t.TempDir(), "uplink.toml")
	write := func(mode os.FileMode, uid int) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte("mtu = 1400\n"), 0o600), os.Chmod(path, mode), os.Chown(path, uid, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := config.Load(path); err != nil || c.Interface != "eth0" {
		t.Errorf("without a file: %+v, %v", c, err)
	}
	write(0o644, 0)
	if c, err := config.Load(path); err != nil || c.MTU != 1400 {
		t.Errorf("with a file: %+v, %v", c, err)
	}
	for _, c := range []struct {
		what string
		mode os.FileMode
		uid  int
	}{
		{"the group may write", 0o664, 0},
		{"anybody may write", 0o646, 0},
		{"it is somebody else's", 0o600, 1},
	} {
		write(c.mode, c.uid)
		if _, err := config.Load(path); err == nil || !strings.Contains(err.Error(), "can be written by others than root") {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if _, err := config.Load(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "can be written by others than root") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := config.Load(path + "/x"); err == nil {
		t.Error("a path that leads nowhere is taken for no file")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("ipv4 = {users = '10.0.0.0/8'}\n[[forward]]\nname='a'\n"))
	f.Add([]byte("nameservers = ['::1', [1]]\n[a.'b.c'.\"d\\u0041\"]\nx.y=1"))
	f.Add([]byte("forward = [{}, {name={a=[{}]}}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("f", text)
		if err == nil {
			valid(t, c)
			return
		}
		var problems *config.Error
		if !errors.As(err, &problems) || len(problems.Problems) == 0 {
			t.Fatalf("an error without problems: %v", err)
		}
		last := strings.Count(string(text), "\n") + 1
		for _, p := range problems.Problems {
			if p.Line < 0 || p.Line > last {
				t.Errorf("%v: there is no such line", p)
			}
		}
	})
}

// valid checks what the rest of the program relies on.
func valid(t *testing.T, c *config.Config) {
	for _, f := range []config.Family{c.IPv4, c.IPv6} {
		if f.Users.Overlaps(f.Groups) || f.Users != f.Users.Masked() || f.Groups != f.Groups.Masked() ||
			f.PrefixLength < f.Users.Bits() || f.PrefixLength < f.Groups.Bits() || f.PrefixLength >= f.Users.Addr().BitLen() {
			t.Errorf("%+v", f)
		}
	}
	if !c.IPv4.Users.Addr().Is4() || !c.IPv4.Groups.Addr().Is4() || !c.IPv6.Users.Addr().Is6() || !c.IPv6.Groups.Addr().Is6() {
		t.Errorf("%+v %+v", c.IPv4, c.IPv6)
	}
	for _, f := range c.Forwards {
		if (f.Name == "") == (f.Each == 0) || f.From.Protocol.String() == "" || f.From.First == 0 || f.From.Last < f.From.First || f.To == 0 {
			t.Errorf("%+v", f)
		}
	}
}
