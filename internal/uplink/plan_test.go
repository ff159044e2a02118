// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/internal/uplink/config"
)

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("file", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAddressesFollowFromTheNumber(t *testing.T) {
	for _, c := range []struct {
		what, config string
		who          identity
		want         string // device, and the addresses of host and namespace
	}{
		{
			"root", "",
			identity{id: 0},
			"pnu0 100.64.0.0/31 100.64.0.1/31 fd5f:72fa:75ba::/127 fd5f:72fa:75ba::1/127",
		},
		{
			"a user", "",
			identity{id: 1000},
			"pnurs 100.64.7.208/31 100.64.7.209/31 fd5f:72fa:75ba::7d0/127 fd5f:72fa:75ba::7d1/127",
		},
		{
			"a group with the same number", "",
			identity{group: true, id: 1000},
			"pngrs 100.96.7.208/31 100.96.7.209/31 fd5f:72fa:75ba:1::7d0/127 fd5f:72fa:75ba:1::7d1/127",
		},
		{
			"the last that fits", "",
			identity{id: 1<<20 - 1},
			"pnumh33 100.95.255.254/31 100.95.255.255/31 fd5f:72fa:75ba::1f:fffe/127 fd5f:72fa:75ba::1f:ffff/127",
		},
		{
			"the last there is, from there on", "first_uid = 4294967295",
			identity{id: math.MaxUint32},
			"pnu1z141z3 100.64.0.0/31 100.64.0.1/31 fd5f:72fa:75ba::/127 fd5f:72fa:75ba::1/127",
		},
		{
			"the last there is, without IPv4", "ipv4.enabled = false",
			identity{id: math.MaxUint32},
			"pnu1z141z3 invalid Prefix invalid Prefix fd5f:72fa:75ba::1:ffff:fffe/127 fd5f:72fa:75ba::1:ffff:ffff/127",
		},
		{
			"networks of more than two", "ipv4.prefix_length = 29\nipv6.prefix_length = 64\nipv6.users = 'fd00::/32'",
			identity{id: 3},
			"pnu3 100.64.0.25/29 100.64.0.26/29 fd00:0:0:3::1/64 fd00:0:0:3::2/64",
		},
		{
			"all numbers in networks of /64", "ipv4.enabled = false\nipv6.prefix_length = 64\nipv6.users = 'fd00::/32'\nipv6.groups = 'fd01::/32'",
			identity{group: true, id: math.MaxUint32},
			"png1z141z3 invalid Prefix invalid Prefix fd01:0:ffff:ffff::1/64 fd01:0:ffff:ffff::2/64",
		},
		{
			"a UID of the second range", "[[range]]\nfirst = 1000\ncount = 64\nipv4 = '10.1.0.0/25'\nipv6 = 'fd01::/64'\n" +
				"[[range]]\nfirst = 1234600000\ncount = 200000\nipv4 = '10.8.0.0/13'\nipv6 = 'fd02::/64'\n",
			identity{id: 1234601103},
			"pnukf1sb3 10.8.8.158/31 10.8.8.159/31 fd02::89e/127 fd02::89f/127",
		},
		{
			"a number across the two halves of an address", "ipv4.enabled = false\nipv6.prefix_length = 72\nipv6.users = 'fd00::/40'",
			identity{id: math.MaxUint32},
			"pnu1z141z3 invalid Prefix invalid Prefix fd00:0:ff:ffff:ff00::1/72 fd00:0:ff:ffff:ff00::2/72",
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			p, err := makePlan(c.who, parse(t, c.config), nil, true)
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(p.device(), " ", p.ipv4.host, " ", p.ipv4.inside, " ", p.ipv6.host, " ", p.ipv6.inside)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestNumbersThatDoNotFit(t *testing.T) {
	for _, c := range []struct {
		what, config string
		who          identity
		want         string
	}{
		{"IPv4", "", identity{id: 1 << 20}, "uid 1048576 does not fit into 100.64.0.0/11, which has room for 1048576 from 0 on: enlarge ipv4.users or raise first_uid"},
		{"a group's", "", identity{group: true, id: math.MaxUint32}, "gid 4294967295 does not fit into 100.96.0.0/11, which has room for 1048576 from 0 on: enlarge ipv4.groups or raise first_gid"},
		{"IPv6", "ipv4.enabled = false\nipv6.users = 'fd00::/126'", identity{id: 2}, "uid 2 does not fit into fd00::/126, which has room for 2 from 0 on: enlarge ipv6.users or raise first_uid"},
		{"a pool of one", "first_uid = 5\nipv4.users = '10.0.0.0/31'", identity{id: 6}, "uid 6 does not fit into 10.0.0.0/31, which has room for 1 from 5 on: enlarge ipv4.users or raise first_uid"},
		{
			"a UID in no range", "[[range]]\nfirst = 1000\ncount = 64\nipv4 = '10.1.0.0/25'\nipv6 = 'fd01::/64'\n",
			identity{id: 1064},
			"uid 1064 is in no range: add a table [[range]]",
		},
		{
			"a pool of addresses for others", "first_uid = 10\nsnat = [{ pool = '192.0.2.0/30' }]",
			identity{id: 14},
			"uid 14 does not fit into 192.0.2.0/30, which has room for 4 users: enlarge snat.pool",
		},
		{
			"a pool that is full", "addresses = 'remembered'\nipv4.users = '10.0.0.0/30'",
			identity{id: 70},
			"uid 70 does not fit into 10.0.0.0/30, which has room for 2 in all: enlarge ipv4.users, or delete the lines of users who are gone from /var/lib/libpam-net/addresses",
		},
		{"below the first", "first_uid = 1000", identity{id: 999}, "uid 999 is below 1000: lower first_uid"},
		{"a group's below the first", "first_gid = 1000", identity{group: true}, "gid 0 is below 1000: lower first_gid"},
	} {
		t.Run(c.what, func(t *testing.T) {
			_, err := makePlan(c.who, parse(t, c.config), places{"uid 5": 1, "uid 6": 0}, true)
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAHostWithoutIPv6(t *testing.T) {
	p, err := makePlan(identity{}, parse(t, ""), nil, false)
	if err != nil || p.ipv6.host.IsValid() || !p.ipv4.host.IsValid() {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPlacesAreRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "addresses")
	known, err := readPlaces(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, who := range []identity{{id: math.MaxUint32}, {id: 5}, {group: true, id: 5}, {id: 7}} {
		if got, want := known.of(who), []uint32{0, 1, 0, 2}[i]; got != want {
			t.Errorf("%s has place %d, want %d", who, got, want)
		}
		known[who.String()] = known.of(who)
	}
	delete(known, "uid 5") // as an administrator does in the file
	if err := known.write(path); err != nil {
		t.Fatal(err)
	}
	again, err := readPlaces(path)
	if err != nil || !maps.Equal(again, known) {
		t.Errorf("got %v, %v, want %v", again, err, known)
	}
	if place := again.of(identity{id: 9}); place != 1 {
		t.Errorf("the first free place is %d", place)
	}
	for _, line := range []string{"uid 5", "uid x 0", "user 5 0", "uid 5 -1", "uid 4294967296 0", "uid 7 5", "uid 8 2", "uid 08 02"} {
		if err := os.WriteFile(path, []byte("uid 7 2\n\n"+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readPlaces(path); err == nil || !strings.Contains(err.Error(), "addresses:3: ") || !strings.Contains(err.Error(), "delete") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// Whatever the configuration and the numbers, networks are in their pools and two
// of them do not overlap.
func FuzzPlan(f *testing.F) {
	f.Add(byte(11), byte(31), byte(64), byte(127), uint32(0), uint32(0), uint32(1), false, true)
	f.Add(byte(8), byte(24), byte(32), byte(64), uint32(1000), uint32(70000), uint32(70000), true, false)
	f.Add(byte(31), byte(31), byte(127), byte(127), uint32(math.MaxUint32), uint32(math.MaxUint32), uint32(0), false, false)
	f.Fuzz(func(t *testing.T, bits4, length4, bits6, length6 byte, base, a, b uint32, groupA, groupB bool) {
		c, err := config.Parse("file", fmt.Appendf(nil,
			"first_uid = %d\nfirst_gid = %d\n[ipv4]\nusers = '10.0.0.0/%d'\ngroups = '192.0.0.0/%d'\nprefix_length = %d\n"+
				"[ipv6]\nusers = 'fc00::/%d'\ngroups = 'fd00::/%d'\nprefix_length = %d\n",
			base, base, bits4, bits4, length4, bits6, bits6, length6))
		if err != nil {
			return
		}
		who := []identity{{group: groupA, id: a}, {group: groupB, id: b}}
		var plans []plan
		for _, i := range who {
			p, err := makePlan(i, c, nil, true)
			if err != nil {
				if !strings.Contains(err.Error(), "first_") {
					t.Errorf("%v: does not say what to change", err)
				}
				return
			}
			check(t, p.ipv4, pool(c.IPv4, i), c.IPv4.PrefixLength)
			check(t, p.ipv6, pool(c.IPv6, i), c.IPv6.PrefixLength)
			plans = append(plans, p)
		}
		same := who[0] == who[1]
		for _, overlap := range []bool{
			plans[0].ipv4.host.Overlaps(plans[1].ipv4.host),
			plans[0].ipv6.host.Overlaps(plans[1].ipv6.host),
			plans[0].device() == plans[1].device(),
		} {
			if overlap != same {
				t.Errorf("%+v and %+v", plans[0], plans[1])
			}
		}
	})
}

func pool(f config.Family, i identity) netip.Prefix {
	if i.group {
		return f.Groups
	}
	return f.Users
}

func check(t *testing.T, e ends, pool netip.Prefix, length int) {
	t.Helper()
	for _, address := range []netip.Prefix{e.host, e.inside} {
		if !pool.Contains(address.Addr()) || address.Bits() != length || address.Masked() != e.host.Masked() {
			t.Errorf("%v of %s", e, pool)
		}
	}
	if e.host.Addr() == e.inside.Addr() {
		t.Errorf("both ends have %s", e.host)
	}
}
