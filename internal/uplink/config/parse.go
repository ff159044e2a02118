// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"libpam-net/internal/netns"
)

// file has a field for each key of the file.
type file struct {
	Interface    string     `toml:"interface"`
	MTU          int64      `toml:"mtu"`
	Isolate      bool       `toml:"isolate"`
	Inbound      bool       `toml:"inbound"`
	Forwarding   bool       `toml:"forwarding"`
	Gate         bool       `toml:"gate"`
	Firewall     string     `toml:"firewall"`
	HostServices []string   `toml:"host_services"`
	Metadata     bool       `toml:"metadata"`
	Nameservers  []string   `toml:"nameservers"`
	Group        string     `toml:"group"`
	FirstUID     int64      `toml:"first_uid"`
	FirstGID     int64      `toml:"first_gid"`
	Addresses    string     `toml:"addresses"`
	Range        []uidRange `toml:"range"`
	IPv4         family     `toml:"ipv4"`
	IPv6         family     `toml:"ipv6"`
	Forward      []forward  `toml:"forward"`
	SNAT         []snat     `toml:"snat"`
}

// What is missing is nil.
type snat struct {
	Name    *string `toml:"name"`
	Address *string `toml:"address"`
	Pool    *string `toml:"pool"`
}

// What is missing is nil.
type uidRange struct {
	First *int64  `toml:"first"`
	Count *int64  `toml:"count"`
	IPv4  *string `toml:"ipv4"`
	IPv6  *string `toml:"ipv6"`
}

// What is missing is nil.
type forward struct {
	Name     *string `toml:"name"`
	Each     *int64  `toml:"each"`
	Protocol *string `toml:"protocol"`
	Address  *string `toml:"address"`
	HostPort any     `toml:"host_port"` // a number, or "FIRST-LAST"
	Port     any     `toml:"port"`
	Local    bool    `toml:"local"`
}

type family struct {
	Enabled      bool   `toml:"enabled"`
	Users        string `toml:"users"`
	Groups       string `toml:"groups"`
	PrefixLength int64  `toml:"prefix_length"`
	NAT          bool   `toml:"nat"`
	ProxyNDP     bool   `toml:"proxy_ndp"`
}

// defaults returns the values of keys that are not in the file. They suit a host that uses
// these networks for nothing else. Those of IPv6 were drawn at random, as RFC 4193 wants.
func defaults() file {
	return file{
		Interface:  "eth0",
		Isolate:    true,
		Forwarding: true,
		Gate:       true,
		Firewall:   "report",
		Group:      "groupnet",
		Addresses:  "computed",
		IPv4:       family{Enabled: true, Users: "100.64.0.0/11", Groups: "100.96.0.0/11", PrefixLength: 31, NAT: true},
		IPv6:       family{Enabled: true, Users: "fd5f:72fa:75ba::/64", Groups: "fd5f:72fa:75ba:1::/64", PrefixLength: 127, NAT: true},
	}
}

// Problem is a mistake in a configuration.
type Problem struct {
	Line int    // of an unknown key or wrong syntax, from 1; 0 in other cases
	Key  string // "ipv4.users", "forward[0].port"; "" if the syntax is wrong
	Text string
}

// Error has all the mistakes in a configuration.
type Error struct {
	File     string
	Problems []Problem
}

// Error returns a line for each problem: "FILE:LINE: KEY: problem", or "FILE: KEY: problem".
func (e *Error) Error() string {
	var lines []string
	for _, p := range e.Problems {
		line := e.File + ": "
		if p.Line > 0 {
			line = fmt.Sprintf("%s:%d: ", e.File, p.Line)
		}
		if p.Key != "" {
			line += p.Key + ": "
		}
		lines = append(lines, line+p.Text)
	}
	return strings.Join(lines, "\n")
}

// Parse parses a configuration. The error is an *Error, in which the file is called name.
func Parse(name string, text []byte) (*Config, error) {
	f := defaults()
	var p parser
	decoder := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	var unknown *toml.StrictMissingError
	var invalid *toml.DecodeError
	err := decoder.Decode(&f)
	switch {
	case errors.As(err, &unknown):
		for _, e := range unknown.Errors {
			line, _ := e.Position()
			p.problems = append(p.problems, Problem{line, strings.Join(e.Key(), "."), "there is no such key"})
		}
	case errors.As(err, &invalid):
		line, _ := invalid.Position()
		what := strings.TrimPrefix(invalid.Error(), "toml: ")
		if words := strings.Fields(what); strings.HasPrefix(what, "cannot decode TOML ") {
			what = "must not have a value of type " + words[3]
		}
		return nil, &Error{name, []Problem{{line, strings.Join(invalid.Key(), "."), what}}}
	case err != nil:
		return nil, &Error{name, []Problem{{0, "", err.Error()}}}
	}
	c := p.config(f)
	if len(p.problems) > 0 {
		return nil, &Error{name, p.problems}
	}
	return c, nil
}

// parser collects problems.
type parser struct{ problems []Problem }

func (p *parser) complain(key, format string, args ...any) {
	p.problems = append(p.problems, Problem{0, key, fmt.Sprintf(format, args...)})
}

func (p *parser) config(f file) *Config {
	c := &Config{
		Interface:  f.Interface,
		MTU:        int(f.MTU),
		Isolate:    f.Isolate,
		Inbound:    f.Inbound,
		Forwarding: f.Forwarding,
		Gate:       f.Gate,
		Metadata:   f.Metadata,
		Group:      f.Group,
		FirstUID:   p.id("first_uid", f.FirstUID),
		FirstGID:   p.id("first_gid", f.FirstGID),
		IPv4:       p.family("ipv4", f.IPv4, 32, 16, 31),
		IPv6:       p.family("ipv6", f.IPv6, 128, 64, 127),
	}
	if bad := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("/:%", r) }; f.Interface == "" ||
		len(f.Interface) > 15 || f.Interface == "." || f.Interface == ".." || f.Interface == "lo" || strings.ContainsFunc(f.Interface, bad) {
		p.complain("interface", "%q cannot name an interface: say up to 15 letters and digits, not lo", f.Interface)
	}
	if f.MTU != 0 && f.MTU < 1280 || f.MTU > 65535 { // IPv6 wants 1280
		p.complain("mtu", "%d is neither 0 nor from 1280 to 65535", f.MTU)
	}
	c.Manage = p.isSecond("firewall", f.Firewall, "report", "manage")
	c.Remembered = p.isSecond("addresses", f.Addresses, "computed", "remembered")
	if f.Group == "" || strings.ContainsFunc(f.Group, unicode.IsControl) {
		p.complain("group", "%q cannot begin the name of a group", f.Group)
	}
	if !f.IPv4.Enabled && !f.IPv6.Enabled {
		p.complain("ipv6.enabled", "neither IPv4 nor IPv6 is enabled")
	}
	for i, s := range f.HostServices {
		if s == "all" {
			c.AnyService = true
		} else if service, ok := parseService(s); ok {
			c.Services = append(c.Services, service)
		} else {
			p.complain(element("host_services", i), `%q is neither a service like "udp/53" nor "all"`, s)
		}
	}
	for i, s := range f.Nameservers {
		c.Nameservers = append(c.Nameservers, p.address(element("nameservers", i), s))
	}
	p.ranges(c, f)
	p.forwards(c, f)
	p.snats(c, f)
	return c
}

func (p *parser) ranges(c *Config, f file) {
	if len(f.Range) > 0 && c.Remembered {
		p.complain("range", `has no use with addresses = "remembered": remove it`)
	}
	c.IPv4.Pools, c.IPv6.Pools = []netip.Prefix{c.IPv4.Groups}, []netip.Prefix{c.IPv6.Groups}
	for i, table := range f.Range {
		key := element("range", i)
		if table.First == nil || table.Count == nil {
			p.complain(key, "first and count are needed")
			continue
		}
		r := Range{First: p.id(key+".first", *table.First), Count: uint64(*table.Count)}
		if *table.Count < 1 || r.Count > 1<<32-uint64(r.First) {
			p.complain(key+".count", "%d is not from 1 to the number of UIDs from %d on, %d", *table.Count, r.First, 1<<32-uint64(r.First))
			continue
		}
		for _, other := range c.Ranges {
			if uint64(r.First) < uint64(other.First)+other.Count && uint64(other.First) < uint64(r.First)+r.Count {
				p.complain(key+".first", "the range overlaps that of %d UIDs from %d on", other.Count, other.First)
			}
		}
		r.IPv4 = p.rangePool(key+".ipv4", table.IPv4, &c.IPv4, 32, r.Count)
		r.IPv6 = p.rangePool(key+".ipv6", table.IPv6, &c.IPv6, 128, r.Count)
		c.Ranges = append(c.Ranges, r)
	}
	if len(f.Range) == 0 {
		c.IPv4.Pools, c.IPv6.Pools = append(c.IPv4.Pools, c.IPv4.Users), append(c.IPv6.Pools, c.IPv6.Users)
	}
}

// rangePool checks the pool of a range, and adds it to the others of its IP version.
func (p *parser) rangePool(key string, text *string, f *Family, bits int, count uint64) netip.Prefix {
	switch {
	case !f.Enabled:
		return netip.Prefix{}
	case text == nil:
		p.complain(key, "is missing")
		return netip.Prefix{}
	}
	pool := p.pool(key, *text, bits)
	if !pool.IsValid() {
		return pool
	}
	if room := f.PrefixLength - pool.Bits(); room < 0 || room < 33 && count > 1<<room {
		p.complain(key, "%s has no room for %d networks of /%d", pool, count, f.PrefixLength)
	}
	for _, other := range f.Pools {
		if pool.Overlaps(other) {
			p.complain(key, "%s overlaps the pool %s", pool, other)
		}
	}
	f.Pools = append(f.Pools, pool)
	return pool
}

// isSecond tells which of two words a value is.
func (p *parser) isSecond(key, value, first, second string) bool {
	if value != first && value != second {
		p.complain(key, "%q is neither %q nor %q", value, first, second)
	}
	return value == second
}

func (p *parser) id(key string, id int64) uint32 {
	if id < 0 || id > 1<<32-1 {
		p.complain(key, "%d is not from 0 to 4294967295", id)
	}
	return uint32(id)
}

// family checks the table of an IP version, with addresses of bits bits. The network of one
// link has a prefix length from shortest to longest.
func (p *parser) family(key string, f family, bits, shortest, longest int) Family {
	c := Family{
		Enabled:      f.Enabled,
		Users:        p.pool(key+".users", f.Users, bits),
		Groups:       p.pool(key+".groups", f.Groups, bits),
		PrefixLength: int(f.PrefixLength),
		NAT:          f.NAT,
		ProxyNDP:     f.ProxyNDP,
	}
	if f.ProxyNDP && bits == 32 {
		p.complain(key+".proxy_ndp", "is for IPv6 only")
	}
	if f.PrefixLength < int64(shortest) || f.PrefixLength > int64(longest) {
		p.complain(key+".prefix_length", "%d is not from %d to %d", f.PrefixLength, shortest, longest)
		return c
	}
	for _, pool := range []struct {
		name string
		netip.Prefix
	}{{".users", c.Users}, {".groups", c.Groups}} {
		if pool.IsValid() && pool.Bits() > c.PrefixLength {
			p.complain(key+pool.name, "%s is smaller than the network of one link, a /%d (%s.prefix_length)", pool.Prefix, c.PrefixLength, key)
		}
	}
	if c.Users.IsValid() && c.Groups.IsValid() && c.Users.Overlaps(c.Groups) {
		p.complain(key+".groups", "the pools overlap: %s for users, %s for groups", c.Users, c.Groups)
	}
	return c
}

// special has the networks whose addresses a host cannot have.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/3"),
	netip.MustParsePrefix("::/8"),
	netip.MustParsePrefix("fe80::/9"),
	netip.MustParsePrefix("ff00::/8"),
}

func (p *parser) pool(key, text string, bits int) netip.Prefix {
	pool, err := netip.ParsePrefix(text)
	switch {
	case err != nil || pool.Addr().BitLen() != bits:
		p.complain(key, "%q is not a network of this IP version, like %q", text, map[int]string{32: "10.0.0.0/8", 128: "fd00::/48"}[bits])
	case pool != pool.Masked():
		p.complain(key, "%s is an address in a network: say %q", pool, pool.Masked())
	case slices.ContainsFunc(special, pool.Overlaps):
		p.complain(key, "%s has addresses that hosts cannot have", pool)
	default:
		return pool
	}
	return netip.Prefix{}
}

func (p *parser) forwards(c *Config, f file) {
	for i, table := range f.Forward {
		key := element("forward", i)
		before := len(p.problems)
		if (table.Name == nil) == (table.Each == nil) {
			p.complain(key+".name", "either name or each is needed, to say whose the ports are")
		}
		if table.Protocol == nil {
			p.complain(key+".protocol", "is missing")
		}
		if table.HostPort == nil {
			p.complain(key+".host_port", "is missing")
		}
		if len(p.problems) > before {
			continue
		}
		forward := p.forward(key, table, f.Gate)
		if len(p.problems) > before {
			continue
		}
		for _, other := range c.Forwards {
			if forward.overlaps(other) {
				p.complain(key+".host_port", "%s leads to %s already", other.From, other.Whose())
			}
		}
		c.Forwards = append(c.Forwards, forward)
	}
}

func (p *parser) forward(key string, table forward, gate bool) (f Forward) {
	if table.Name != nil {
		f.Name = *table.Name
		if err := netns.CheckName(f.Name); err != nil {
			p.complain(key+".name", "%v", err)
		}
	}
	var ok bool
	if f.From.Protocol, ok = protocols[*table.Protocol]; !ok {
		p.complain(key+".protocol", `%q is neither "tcp" nor "udp"`, *table.Protocol)
	}
	if table.Address != nil {
		f.Address = p.address(key+".address", *table.Address)
	}
	f.From.First, f.From.Last = p.ports(key+".host_port", table.HostPort)
	f.To = f.From.First
	if table.Port != nil {
		first, last := p.ports(key+".port", table.Port)
		if f.From.First < f.From.Last && (first != f.From.First || last != first && last != f.From.Last) || f.From.First == f.From.Last && last != first {
			p.complain(key+".port", "several ports lead to ports of the same numbers: leave it out")
		}
		f.To = first
	}
	if f.Local = table.Local; f.Local && !gate {
		p.complain(key+".local", "needs gate = true: without the gate, it opens the host's loopback while the nftables table is away")
	}
	if table.Each != nil {
		if count := int64(f.From.Last-f.From.First) + 1; *table.Each < 1 || *table.Each > count {
			p.complain(key+".each", "%d is not from 1 to the number of ports, %d", *table.Each, count)
		}
		f.Each = int(*table.Each)
	}
	return f
}

func (p *parser) snats(c *Config, f file) {
	for i, table := range f.SNAT {
		key := element("snat", i)
		switch {
		case table.Name != nil && table.Address != nil && table.Pool == nil:
			if err := netns.CheckName(*table.Name); err != nil {
				p.complain(key+".name", "%v", err)
			}
			c.SNATs = append(c.SNATs, SNAT{Name: *table.Name, Address: p.address(key+".address", *table.Address)})
		case table.Name == nil && table.Address == nil && table.Pool != nil:
			bits := 32
			if strings.Contains(*table.Pool, ":") {
				bits = 128
			}
			c.SNATs = append(c.SNATs, SNAT{Pool: p.pool(key+".pool", *table.Pool, bits)})
		default:
			p.complain(key, "either name and address, or pool is needed")
		}
	}
}

// ports returns the first and last of a port, or of ports "FIRST-LAST".
func (p *parser) ports(key string, value any) (first, last uint16) {
	switch value := value.(type) {
	case int64:
		port := p.port(key, value)
		return port, port
	case string:
		from, to, ok := strings.Cut(value, "-")
		low, err := strconv.ParseUint(from, 10, 16)
		high, err2 := strconv.ParseUint(to, 10, 16)
		if ok && err == nil && err2 == nil && low > 0 && low <= high {
			return uint16(low), uint16(high)
		}
	}
	p.complain(key, `%v is neither a port nor several like "60001-60010"`, value)
	return 0, 0
}

func (p *parser) address(key, text string) netip.Addr {
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		p.complain(key, "%q is not an IP address", text)
	}
	return address
}

func (p *parser) port(key string, port int64) uint16 {
	if port < 1 || port > 65535 {
		p.complain(key, "%d is not from 1 to 65535", port)
	}
	return uint16(port)
}

var protocols = map[string]Protocol{"tcp": TCP, "udp": UDP}

// parseService parses "PROTOCOL/PORT".
func parseService(s string) (Service, bool) {
	name, number, _ := strings.Cut(s, "/")
	protocol, ok := protocols[name]
	port, err := strconv.ParseUint(number, 10, 16)
	return Service{protocol, uint16(port)}, ok && err == nil && port > 0
}

func element(array string, i int) string { return fmt.Sprintf("%s[%d]", array, i) }
