// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os/user"
	"strconv"
	"strings"

	"libpam-net/internal/netns"
	"libpam-net/internal/uplink/config"
)

const maxName = 127 // nft takes a comment of up to 127 bytes

// linkLocal lets the host ask for a namespace's neighbours before duplicate address
// detection has passed an address of the host's own.
var linkLocal = netip.MustParsePrefix("fe80::1/64")

// identity is the user or group that a network namespace is named after.
type identity struct {
	name  string
	group bool   // the group GROUP-NAME, not the user NAME
	id    uint32 // UID or GID
}

func (i identity) String() string {
	if i.group {
		return fmt.Sprintf("gid %d", i.id)
	}
	return fmt.Sprintf("uid %d", i.id)
}

// device returns the name of the link's end on the host, of 10 bytes at most. The kernel
// allows 15. All begin with "pn", for the rules of other firewalls.
func (i identity) device() string {
	prefix := "pnu"
	if i.group {
		prefix = "png"
	}
	return prefix + strconv.FormatUint(uint64(i.id), 36)
}

// identityOf returns the identity whose device has a name.
func identityOf(device, name string) (identity, error) {
	id, err := strconv.ParseUint(device[len("pnu"):], 36, 32)
	i := identity{name, strings.HasPrefix(device, "png"), uint32(id)}
	if err == nil && i.device() != device {
		err = fmt.Errorf("%s is not the name of an uplink's interface", device)
	}
	return i, err
}

// errNobody says that there is neither a user nor a group.
var errNobody = errors.New("there is no user of that name, and no group")

// identify looks up the user name or, if there is none, the group GROUP-name. It asks libc's
// name service, and so finds users of a directory. The error wraps errNobody if there is neither.
func identify(name, group string) (identity, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return newIdentity(name, false, u.Uid)
	}
	if !errors.As(err, new(user.UnknownUserError)) {
		return identity{}, fmt.Errorf("look up user %q: %w", name, err)
	}
	group += "-" + name
	g, err := user.LookupGroup(group)
	if errors.As(err, new(user.UnknownGroupError)) {
		return identity{}, fmt.Errorf("find addresses for %q: %w %q", name, errNobody, group)
	}
	if err != nil {
		return identity{}, fmt.Errorf("look up group %q: %w", group, err)
	}
	return newIdentity(name, true, g.Gid)
}

func newIdentity(name string, group bool, id string) (identity, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return identity{}, fmt.Errorf("look up %q: id: %w", name, err)
	}
	return identity{name, group, uint32(n)}, nil
}

// ends are the addresses of a link's two ends, with the prefix length of the network between
// them. They are invalid if the uplink has no addresses of the IP version.
type ends struct {
	version
	host, inside netip.Prefix
	outside      netip.Addr // what others see (SNAT); invalid if that is as nat says
}

// plan is what an uplink has to be.
type plan struct {
	identity
	ipv4, ipv6 ends
	forwards   []config.Forward
	mtu        int // makePlan does not set it
}

// ends returns the ends of the IP versions that the uplink has.
func (p plan) ends() []ends {
	var all []ends
	for _, e := range []ends{p.ipv4, p.ipv6} {
		if e.host.IsValid() {
			all = append(all, e)
		}
	}
	return all
}

// reaches tells whether the uplink has addresses of the same IP version.
func (p plan) reaches(address netip.Addr) bool {
	if address.Is4() {
		return p.ipv4.host.IsValid()
	}
	return p.ipv6.host.IsValid()
}

// hostAddresses returns the addresses of the host's end.
func (p plan) hostAddresses() []netip.Prefix {
	var all []netip.Prefix
	for _, e := range p.ends() {
		all = append(all, e.host)
	}
	if p.ipv6.host.IsValid() {
		all = append(all, linkLocal)
	}
	return all
}

func checkName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("%.32q... is too long for an uplink: %d bytes, not %d", name, len(name), maxName)
	}
	return netns.CheckName(name)
}

// planFor looks up a name and makes its plan.
func planFor(name string, c *config.Config) (plan, error) { return findPlan(name, c, false) }

// planAndRemember does so, too. If addresses are remembered, the name keeps the plan's.
func planAndRemember(name string, c *config.Config) (plan, error) { return findPlan(name, c, true) }

func findPlan(name string, c *config.Config, remember bool) (plan, error) {
	if err := checkName(name); err != nil {
		return plan{}, err
	}
	who, err := identify(name, c.Group)
	if err != nil {
		return plan{}, err
	}
	var p plan
	if c.Remembered {
		p, err = recall(who, c, remember)
	} else {
		p, err = makePlan(who, c, nil, hasIPv6())
	}
	if err != nil {
		return plan{}, err
	}
	if len(p.ends()) == 0 {
		return plan{}, errors.New("connect: the host has no IPv6, and ipv4.enabled is false")
	}
	if p.mtu = c.MTU; p.mtu == 0 {
		p.mtu, err = newHost().wayOutMTU(p)
	}
	return p, err
}

// makePlan derives the plan from the number of a user or group, or from its remembered place;
// without IPv6 if the host has none.
func makePlan(i identity, c *config.Config, known places, hasIPv6 bool) (p plan, err error) {
	p = plan{identity: i, ipv4: ends{version: ipv4}, ipv6: ends{version: ipv6}}
	at, err := locate(i, c, known)
	if err != nil {
		return plan{}, err
	}
	for _, f := range []struct {
		config.Family
		pool netip.Prefix
		*ends
	}{{c.IPv4, at.ipv4, &p.ipv4}, {c.IPv6, at.ipv6, &p.ipv6}} {
		if !f.Enabled || f.version == ipv6 && !hasIPv6 {
			continue
		}
		network, ok := subnet(f.pool, f.PrefixLength, at.place)
		if !ok {
			return plan{}, fmt.Errorf("%s does not fit into %s, which has room for %d "+at.remedy,
				i, f.pool, 1<<(f.PrefixLength-f.pool.Bits()), string(f.version)+"."+at.pool)
		}
		f.host, f.inside = addressesOf(network)
		if f.outside, err = outsideOf(i, at.number, f.pool.Addr().BitLen(), c); err != nil {
			return plan{}, err
		}
	}
	p.forwards, err = forwardsOf(i, at.number, c)
	return p, err
}

// location is where the network of a user or group is.
type location struct {
	ipv4, ipv6 netip.Prefix // the pools
	place      uint32       // in each pool, from 0
	number     uint64       // among all users

	pool, remedy string // for places that are not in the pools: a key, and what to do about it
}

func locate(i identity, c *config.Config, known places) (location, error) {
	at := location{ipv4: c.IPv4.Users, ipv6: c.IPv6.Users, pool: "users"}
	first, key := c.FirstUID, "first_uid"
	if i.group {
		at = location{ipv4: c.IPv4.Groups, ipv6: c.IPv6.Groups, pool: "groups"}
		first, key = c.FirstGID, "first_gid"
	}
	switch {
	case c.Remembered:
		at.place = known.of(i)
		at.remedy = "in all: enlarge %s, or delete the lines of users who are gone from " + placesFile
	case len(c.Ranges) > 0 && !i.group:
		for _, r := range c.Ranges {
			if i.id >= r.First && uint64(i.id-r.First) < r.Count {
				at.ipv4, at.ipv6, at.place = r.IPv4, r.IPv6, i.id-r.First
				at.number += uint64(at.place)
				return at, nil
			}
			at.number += r.Count
		}
		return location{}, fmt.Errorf("%s is in no range: add a table [[range]]", i)
	case i.id < first:
		return location{}, fmt.Errorf("%s is below %d: lower %s", i, first, key)
	default:
		at.place = i.id - first
		at.remedy = fmt.Sprintf("from %d on: enlarge %%s or raise %s", first, key)
	}
	at.number = uint64(at.place)
	return at, nil
}

// outsideOf returns the address, of so many bits, that a namespace has for others; invalid if it
// has none of its own. A name's own address comes before one of a pool for all users.
func outsideOf(i identity, number uint64, bits int, c *config.Config) (outside netip.Addr, err error) {
	for _, s := range c.SNATs {
		if s.Name == i.name && s.Address.BitLen() == bits {
			return s.Address, nil
		}
		if s.Name != "" || i.group || s.Pool.Addr().BitLen() != bits {
			continue
		}
		one, ok := subnet(s.Pool, bits, uint32(min(number, math.MaxUint32)))
		if !ok {
			err = fmt.Errorf("%s does not fit into %s, which has room for %d users: enlarge snat.pool", i, s.Pool, 1<<(bits-s.Pool.Bits()))
		}
		outside = one.Addr()
	}
	return outside, err
}

// forwardsOf returns the forwards to a namespace, with its own of the ports for all users, which
// follow from its number among the users.
func forwardsOf(i identity, number uint64, c *config.Config) (own []config.Forward, err error) {
	for _, f := range c.Forwards {
		switch {
		case f.Each > 0 && !i.group:
			first := uint64(f.From.First) + number*uint64(f.Each)
			last := first + uint64(f.Each) - 1
			if last > uint64(f.From.Last) {
				return nil, fmt.Errorf("%s does not fit into the ports %s, of which each user has %d: enlarge host_port", i, f.From, f.Each)
			}
			f.From.First, f.From.Last, f.To = uint16(first), uint16(last), uint16(first)
			own = append(own, f)
		case f.Each == 0 && f.Name == i.name:
			own = append(own, f)
		}
	}
	return own, nil
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

// addressesOf returns the first address of a network, for the host, and the second, for the
// namespace. In networks of two both can be used (RFC 3021, RFC 6164); in others the very
// first is reserved.
func addressesOf(network netip.Prefix) (host, inside netip.Prefix) {
	first := network.Addr()
	if network.Bits() < first.BitLen()-1 {
		first = first.Next()
	}
	return netip.PrefixFrom(first, network.Bits()), netip.PrefixFrom(first.Next(), network.Bits())
}
