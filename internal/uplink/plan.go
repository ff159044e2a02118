// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"libpam-net/internal/uplink/config"
	"libpam-net/internal/uplink/firewall"
	"libpam-net/internal/uplink/sysctl"
)

// identity is whom a network namespace is named after.
type identity struct {
	name  string
	group bool   // a group GROUP-NAME, and not the user NAME
	id    uint32 // UID or GID
}

func (i identity) String() string {
	if i.group {
		return fmt.Sprintf("gid %d", i.id)
	}
	return fmt.Sprintf("uid %d", i.id)
}

// device is the name of the link's end on the host: at most 10 bytes, of 15 that
// the kernel allows. All begin with "pn", for the rules of other firewalls.
func (i identity) device() string {
	prefix := "pnu"
	if i.group {
		prefix = "png"
	}
	return prefix + strconv.FormatUint(uint64(i.id), 36)
}

// ends are the addresses of a link's two ends, with the prefix length of the
// network between them; invalid ones where there is no such IP version.
type ends struct {
	host, inside netip.Prefix
}

// plan is what an uplink is to be.
type plan struct {
	identity
	ipv4, ipv6 ends
	forwards   []config.Forward
}

// families are the ends that there are.
func (p plan) families() []ends {
	var all []ends
	for _, e := range []ends{p.ipv4, p.ipv6} {
		if e.host.IsValid() {
			all = append(all, e)
		}
	}
	return all
}

// reaches tells whether there are addresses of the same IP version.
func (p plan) reaches(address netip.Addr) bool {
	if address.Is4() {
		return p.ipv4.host.IsValid()
	}
	return p.ipv6.host.IsValid()
}

// versions are the IP versions that there are.
func (p plan) versions() []sysctl.Version {
	var all []sysctl.Version
	if p.ipv4.host.IsValid() {
		all = append(all, sysctl.IPv4)
	}
	if p.ipv6.host.IsValid() {
		all = append(all, sysctl.IPv6)
	}
	return all
}

// hostAddresses are the addresses of the host's end.
func (p plan) hostAddresses() []netip.Prefix {
	var all []netip.Prefix
	for _, e := range p.families() {
		all = append(all, e.host)
	}
	if p.ipv6.host.IsValid() {
		all = append(all, linkLocal)
	}
	return all
}

// uplink is what the firewall has to know.
func (p plan) uplink() firewall.Uplink {
	return firewall.Uplink{
		Name:     p.name,
		Device:   p.device(),
		IPv4:     p.ipv4.inside.Addr(),
		IPv6:     p.ipv6.inside.Addr(),
		Forwards: p.forwards,
	}
}

// makePlan derives everything from the number of a user or group. ipv6 tells
// whether the host has IPv6.
func makePlan(i identity, c *config.Config, ipv6 bool) (p plan, err error) {
	p = plan{identity: i, forwards: c.ForwardsOf(i.name)}
	first, firstKey := c.FirstUID, "first_uid"
	if i.group {
		first, firstKey = c.FirstGID, "first_gid"
	}
	if i.id < first {
		return plan{}, fmt.Errorf("%s is below %d: lower %s", i, first, firstKey)
	}
	for _, f := range []struct {
		config.Family
		key  string
		ends *ends
	}{{c.IPv4, "ipv4", &p.ipv4}, {c.IPv6, "ipv6", &p.ipv6}} {
		if !f.Enabled || f.key == "ipv6" && !ipv6 {
			continue
		}
		pool, poolKey := f.Users, f.key+".users"
		if i.group {
			pool, poolKey = f.Groups, f.key+".groups"
		}
		network, ok := subnet(pool, f.PrefixLength, i.id-first)
		if !ok {
			return plan{}, fmt.Errorf("%s does not fit into %s, which has room for %d from %d on: enlarge %s or raise %s",
				i, pool, 1<<(f.PrefixLength-pool.Bits()), first, poolKey, firstKey)
		}
		*f.ends = endsOf(network)
	}
	return p, nil
}

// subnet returns the nth network with a prefix length in a pool.
func subnet(pool netip.Prefix, length int, n uint32) (netip.Prefix, bool) {
	if room := length - pool.Bits(); room < 32 && n>>room > 0 {
		return netip.Prefix{}, false
	}
	address := pool.Addr().As16()
	shift := 128 - length
	if pool.Addr().Is4() {
		shift = 32 - length
	}
	// The bits to set are 0 in the pool's address.
	high, low := binary.BigEndian.Uint64(address[:8]), binary.BigEndian.Uint64(address[8:])
	if shift < 64 {
		low |= uint64(n) << shift
		high |= uint64(n) >> (64 - shift)
	} else {
		high |= uint64(n) << (shift - 64)
	}
	binary.BigEndian.PutUint64(address[:8], high)
	binary.BigEndian.PutUint64(address[8:], low)
	first := netip.AddrFrom16(address)
	if pool.Addr().Is4() {
		first = first.Unmap()
	}
	return netip.PrefixFrom(first, length), true
}

// endsOf gives the host the first address and the namespace the second. Both count
// in networks of two (RFC 3021, RFC 6164); in others the very first is reserved.
func endsOf(network netip.Prefix) ends {
	host := network.Addr()
	if network.Bits() < host.BitLen()-1 {
		host = host.Next()
	}
	return ends{netip.PrefixFrom(host, network.Bits()), netip.PrefixFrom(host.Next(), network.Bits())}
}
