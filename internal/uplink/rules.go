// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"libpam-net/internal/uplink/config"
)

// addChains adds the chains to the transaction, with their rules anew.
func (t *table) addChains(c *config.Config, f *forwarding) {
	from, to := t.links.has(expr.MetaKeyIIFNAME), t.links.has(expr.MetaKeyOIFNAME)
	notFrom, notTo := t.links.hasNot(expr.MetaKeyIIFNAME), t.links.hasNot(expr.MetaKeyOIFNAME)
	related := ct(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)

	// A namespace sends from the networks that lead to its link. It sends nothing to the
	// host's loopback, even if route_localnet is set. The rest passes the gate.
	gate := t.chain("gate", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	gate(from, noWayBack, drop)
	gate(from, isIPv4, toLoopback, drop)
	gate(from, isUnchecked, clearMark)

	// Connections that begin in a namespace. A packet that is dropped before conntrack confirms
	// it takes no entry in the table. What the host's own addresses offer is decided here as
	// well as in chain host, because anybody's DNAT may lead elsewhere in between.
	begin := t.chain("begin", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityMangle)
	begin(notFrom, accept)
	begin(ct(expr.CtKeySTATE, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED|expr.CtStateBitINVALID), accept)
	begin(ct(expr.CtKeySTATE, expr.CtStateBitNEW), t.connections.countOver(MaxConnections), drop)
	begin(protocol(unix.IPPROTO_ICMP), accept)
	begin(protocol(unix.IPPROTO_ICMPV6), accept)
	if !c.Metadata {
		for _, isMetadata := range []phrase{toLinkLocal, toEC2} {
			begin(isMetadata, destinationPort(53), accept)
			begin.refuse(isMetadata)
		}
	}
	if !c.AnyService {
		begin(portIn(&t.services), accept)
		begin(t.ports4.hasDestination(), accept) // chain forward decides
		begin(t.ports6.hasDestination(), accept)
		begin.refuse(toHost)
	}

	// Connections of the host's own programs pass chain local instead.
	ports := t.chain("ports", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	ports(toHost, t.ports4.hasDestination(), setForwarded)
	ports(toHost, t.ports6.hasDestination(), setForwarded)
	local := t.chain("local", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	local(isIPv6, toLoopback6, accept) // the kernel does not route ::1 to another interface
	for _, m := range t.portMaps() {
		ports(toHost, m.dnat())
		locals := &t.locals4
		if m.version == ipv6 {
			locals = &t.locals6
		}
		local(toHost, locals.hasDestination(), m.dnat())
	}

	host := t.chain("host", nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
	host(notFrom, accept)
	host(related, accept)
	host(protocol(unix.IPPROTO_ICMP), accept)
	host(protocol(unix.IPPROTO_ICMPV6), accept)
	if c.AnyService {
		host(accept)
	}
	host(portIn(&t.services), accept)
	host.refuse()

	forward := t.chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	if c.Isolate {
		forward.refuse(from, to)
	}
	forward(isSYN, from, clampMSS)
	forward(isSYN, to, clampMSS)
	forward(from, ct(expr.CtKeySTATE, expr.CtStateBitINVALID), drop) // NAT would not translate it
	forward(related, accept)
	forward(from, accept)
	forward(to, isForwarded, accept)
	if c.Inbound {
		forward(to, accept)
	}
	forward.refuse(to)
	// The sets are empty if the host forwards by itself.
	forward(isIPv4, t.closed4.has(expr.MetaKeyIIFNAME), t.closed4.has(expr.MetaKeyOIFNAME), drop)
	forward(isIPv6, t.closed6.has(expr.MetaKeyIIFNAME), t.closed6.has(expr.MetaKeyOIFNAME), drop)

	nat := t.chain("nat", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	nat(to, isIPv4, fromLoopback, masquerade) // by chain local
	nat(from, notTo, isIPv4, t.snat4.translate(unix.NFPROTO_IPV4))
	nat(from, notTo, isIPv6, t.snat6.translate(unix.NFPROTO_IPV6))
	if c.IPv4.NAT {
		nat(from, notTo, isIPv4, masquerade)
	}
	if c.IPv6.NAT {
		nat(from, notTo, isIPv6, masquerade)
	}
}

// chain appends a rule to a chain.
type chain func(...phrase)

// refuse appends rules that reject with an answer. A client that is connecting obeys a TCP
// reset at once, but an ICMP error only after a second.
func (c chain) refuse(conditions ...phrase) {
	c(append(conditions, protocol(unix.IPPROTO_TCP), reset)...)
	c(append(conditions, unreachable)...)
}

// chain adds an empty chain.
func (t *table) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) chain {
	chain := t.conn.AddChain(&nftables.Chain{Name: name, Table: theTable, Type: kind, Hooknum: hook, Priority: priority})
	t.conn.FlushChain(chain)
	return func(phrases ...phrase) {
		t.conn.AddRule(&nftables.Rule{Table: theTable, Chain: chain, Exprs: slices.Concat(phrases...)})
	}
}

// phrase is a part of a rule: a condition or an action. No phrase reads registers that an
// earlier one has written.
type phrase = []expr.Any

// Registers of 4 bytes; 1 is 8, and the three after it, under another name.
const (
	first  = unix.NFT_REG_1
	second = unix.NFT_REG32_01
)

// From linux/netfilter/nf_conntrack_common.h and nf_tables.h.
const (
	rejectReset        = 1
	rejectICMPX        = 2
	adminProhibited    = 3
	transportPortStart = 2 // of the destination port, in the header
)

var (
	accept     = phrase{&expr.Verdict{Kind: expr.VerdictAccept}}
	drop       = phrase{&expr.Verdict{Kind: expr.VerdictDrop}}
	masquerade = phrase{&expr.Masq{}}

	reset       = phrase{&expr.Reject{Type: rejectReset}}
	unreachable = phrase{&expr.Reject{Type: rejectICMPX, Code: adminProhibited}}

	// The label of connections to ports in the maps, the last of 128.
	label        = append(make([]byte, 15), 1<<7)
	isForwarded  = ctBits(expr.CtKeyLABELS, label)
	setForwarded = phrase{
		&expr.Immediate{Register: first, Data: label},
		&expr.Ct{Key: expr.CtKeyLABELS, Register: first, SourceRegister: true},
	}

	isUnchecked = phrase{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: first},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: binaryutil.NativeEndian.PutUint32(unchecked)},
	}
	clearMark = phrase{
		&expr.Immediate{Register: first, Data: make([]byte, 4)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: first},
	}

	// tcp flags & (syn | rst) == syn
	isSYN = slices.Concat(protocol(unix.IPPROTO_TCP), phrase{
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: first, DestRegister: first, Len: 1, Mask: []byte{6}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{2}},
	})
	// tcp option maxseg size set rt mtu: not above what the routes of both directions take
	clampMSS = phrase{
		&expr.Rt{Register: first, Key: expr.RtTCPMSS},
		&expr.Byteorder{SourceRegister: first, DestRegister: first, Op: expr.ByteorderHton, Len: 2, Size: 2},
		&expr.Exthdr{SourceRegister: first, Type: 2, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt},
	}

	isIPv4 = meta(expr.MetaKeyNFPROTO, unix.NFPROTO_IPV4)
	isIPv6 = meta(expr.MetaKeyNFPROTO, unix.NFPROTO_IPV6)

	// fib saddr . iif oif missing
	noWayBack = phrase{
		&expr.Fib{Register: first, FlagSADDR: true, FlagIIF: true, FlagPRESENT: true, ResultOIF: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: make([]byte, 4)},
	}
	// ip daddr 127.0.0.0/8
	toLoopback = phrase{
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{127}},
	}
	// ip saddr 127.0.0.0/8
	fromLoopback = phrase{
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{127}},
	}
	// ip6 daddr ::1
	toLoopback6 = phrase{
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: 24, Len: 16},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: netip.IPv6Loopback().AsSlice()},
	}
	// ip daddr 169.254.0.0/16
	toLinkLocal = slices.Concat(isIPv4, phrase{
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{169, 254}},
	})
	// ip6 daddr fd00:ec2::/32
	toEC2 = slices.Concat(isIPv6, phrase{
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: 24, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{0xfd, 0, 0xe, 0xc2}},
	})
	// fib daddr type local
	toHost = phrase{
		&expr.Fib{Register: first, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
	// meta l4proto . th dport
	destination = phrase{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first},
		&expr.Payload{DestRegister: second, Base: expr.PayloadBaseTransportHeader, Offset: transportPortStart, Len: 2},
	}
)

func meta(key expr.MetaKey, value byte) phrase {
	return phrase{&expr.Meta{Key: key, Register: first}, &expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{value}}}
}

func protocol(number byte) phrase { return meta(expr.MetaKeyL4PROTO, number) }

// ct is true if one of the bits is set.
func ct(key expr.CtKey, bits uint32) phrase {
	return ctBits(key, binaryutil.NativeEndian.PutUint32(bits))
}

func ctBits(key expr.CtKey, bits []byte) phrase {
	zero := make([]byte, len(bits))
	return phrase{
		&expr.Ct{Key: key, Register: first},
		&expr.Bitwise{SourceRegister: first, DestRegister: first, Len: uint32(len(bits)), Mask: bits, Xor: zero},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: first, Data: zero},
	}
}

func (s *set) has(device expr.MetaKey) phrase {
	return phrase{&expr.Meta{Key: device, Register: first}, &expr.Lookup{SourceRegister: first, SetName: s.Name, SetID: s.ID}}
}

func (s *set) hasNot(device expr.MetaKey) phrase {
	return phrase{&expr.Meta{Key: device, Register: first}, &expr.Lookup{SourceRegister: first, SetName: s.Name, SetID: s.ID, Invert: true}}
}

// translate gives a packet the source address that the map has for the device that it comes from.
func (s *set) translate(family uint32) phrase {
	return phrase{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: first},
		&expr.Lookup{SourceRegister: first, SetName: s.Name, SetID: s.ID, DestRegister: first, IsDestRegSet: true},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: family, RegAddrMin: first},
	}
}

func portIn(s *set) phrase {
	return slices.Concat(destination, phrase{&expr.Lookup{SourceRegister: first, SetName: s.Name, SetID: s.ID}})
}

// hasDestination is true if the set has the protocol, the address and the port of the
// destination. With a map, the first registers are then what it has for these.
func (p *ports) hasDestination() phrase {
	is, offset := isIPv4, uint32(16)
	if p.version == ipv6 {
		is, offset = isIPv6, 24
	}
	lookup := &expr.Lookup{SourceRegister: first, SetName: p.Name, SetID: p.ID}
	if p.IsMap {
		lookup.DestRegister, lookup.IsDestRegSet = first, true
	}
	return slices.Concat(is, phrase{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first},
		&expr.Payload{DestRegister: second, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: p.size()},
		&expr.Payload{DestRegister: second + p.size()/4, Base: expr.PayloadBaseTransportHeader, Offset: transportPortStart, Len: 2},
		lookup,
	})
}

// dnat translates the destination to what the map has for it.
func (p *ports) dnat() phrase {
	nat := &expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: first}
	if p.version == ipv6 {
		nat.Family = unix.NFPROTO_IPV6
	}
	if p.toPort() {
		nat.RegProtoMin, nat.Specified = unix.NFT_REG32_00+p.size()/4, true
	}
	return append(p.hasDestination(), nat)
}

// destinationPort is true for a port, of any protocol that has ports where TCP has them.
func destinationPort(port uint16) phrase {
	return phrase{
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseTransportHeader, Offset: transportPortStart, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: binary.BigEndian.AppendUint16(nil, port)},
	}
}

// countOver is true if the device that a packet comes from has more than n connections. The
// set has a counter for each device.
func (s *set) countOver(n uint32) phrase {
	return phrase{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: first},
		&expr.Dynset{
			SrcRegKey: first, SetName: s.Name, SetID: s.ID, Operation: unix.NFT_DYNSET_OP_ADD,
			Exprs: []expr.Any{&expr.Connlimit{Count: n, Flags: expr.NFT_CONNLIMIT_F_INV}},
		},
	}
}
