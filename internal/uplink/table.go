// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/mdlayher/netlink"

	"libpam-net/internal/uplink/config"
)

const tableName = "pamnet"

// MaxConnections is the number of connections that may have begun in one namespace at a
// time. All namespaces and the host share one connection table of
// net.netfilter.nf_conntrack_max entries, 65,536 or more. A full table stops them all.
const MaxConnections = 4096

const (
	connectionsSize = 65535 // links at most, as nft sets it

	// transactionSize is more than the elements of 10,000 uplinks take in one transaction. One
	// message of it has up to 64 KiB.
	transactionSize    = 4 << 20
	elementsPerMessage = 500
)

// table is the nftables table "inet pamnet" as openTable found it. Its rules are the same
// for any number of uplinks: each uplink is an element of the sets, with the name as the
// element's comment. Each change is one transaction. The caller must hold uplinksLock.
type table struct {
	conn     *nftables.Conn
	exists   bool
	obsolete bool // it is there, but another version has made it; exists is false

	links        set // the devices of all uplinks
	snat4, snat6 set // maps of the devices to what others see
	proxied      set // their addresses for which the host answers its neighbours

	// The ports of the host that lead to uplinks, and maps of where to: a single port to an address
	// and a port, several to an address.
	ports4, ports6, forwards4, forwards6, ranges4, ranges6 ports
	locals4, locals6                                       ports // those that lead there for the host itself, too

	services, closed4, closed6 set
	connections                set // the kernel counts the connections of each link
}

// set is an nftables set or map, with the elements that it has or is to have.
type set struct {
	nftables.Set
	elements []nftables.SetElement
}

var (
	service  = nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)
	theTable = &nftables.Table{Name: tableName, Family: nftables.TableFamilyINet}
)

// openTable reads the table of the calling thread's network namespace.
func openTable() (*table, error) {
	conn, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetDeadline(deadline()), c.SetWriteBuffer(transactionSize))
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	t := &table{
		conn:        conn,
		links:       newSet("links", nftables.TypeIFName),
		snat4:       newMap("snat4", nftables.TypeIPAddr),
		snat6:       newMap("snat6", nftables.TypeIP6Addr),
		proxied:     newSet("proxied", nftables.TypeIP6Addr),
		services:    newSet("host_services", service),
		closed4:     newSet("closed4", nftables.TypeIFName),
		closed6:     newSet("closed6", nftables.TypeIFName),
		ports4:      newPorts("ports4", ipv4),
		ports6:      newPorts("ports6", ipv6),
		locals4:     newPorts("locals4", ipv4),
		locals6:     newPorts("locals6", ipv6),
		forwards4:   newPorts("forwards4", ipv4, nftables.TypeIPAddr, nftables.TypeInetService),
		forwards6:   newPorts("forwards6", ipv6, nftables.TypeIP6Addr, nftables.TypeInetService),
		ranges4:     newPorts("ranges4", ipv4, nftables.TypeIPAddr),
		ranges6:     newPorts("ranges6", ipv6, nftables.TypeIP6Addr),
		connections: newSet("connections", nftables.TypeIFName),
	}
	t.connections.Dynamic, t.connections.Size = true, connectionsSize
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("list nftables tables: %w", err)
	}
	t.exists = slices.ContainsFunc(tables, func(other *nftables.Table) bool { return other.Name == tableName })
	if !t.exists {
		return t, nil
	}
	if err := t.readSets(); err != nil {
		return nil, err
	}
	return t, nil
}

// readSets reads the elements of each uplink. A table without one of the sets, or with a set of
// another type, counts as one that is not there: write replaces it for all uplinks.
func (t *table) readSets() error {
	sets, err := t.conn.GetSets(theTable)
	if err != nil {
		return fmt.Errorf("list nftables sets of inet %s: %w", tableName, err)
	}
	for _, s := range t.perUplink() {
		t.obsolete = t.obsolete || !slices.ContainsFunc(sets, func(other *nftables.Set) bool {
			return other.Name == s.Name && other.Interval == s.Interval && other.KeyType.Bytes == s.KeyType.Bytes && other.DataType.Bytes == s.DataType.Bytes
		})
	}
	if t.obsolete {
		t.exists = false
		return nil
	}
	for _, s := range t.perUplink() {
		if s.elements, err = t.conn.GetSetElements(&s.Set); err != nil {
			return fmt.Errorf("list nftables set inet %s %s: %w", tableName, s.Name, err)
		}
	}
	return nil
}

func newSet(name string, key nftables.SetDatatype) set {
	s := set{Set: nftables.Set{Table: theTable, Name: name, KeyType: key}}
	switch key.Name {
	case nftables.TypeIFName.Name:
		s.KeyByteOrder = binaryutil.NativeEndian // nft then prints the names as strings
	case nftables.TypeIP6Addr.Name:
	default:
		s.Concatenation = true
	}
	return s
}

// newMap returns a map of devices.
func newMap(name string, to nftables.SetDatatype) set {
	s := newSet(name, nftables.TypeIFName)
	s.IsMap, s.DataType = true, to
	return s
}

// ports is a set of ports of the host, or a map of them. Its keys are the protocol, the address
// and the port that a connection to the host has, each as an interval.
type ports struct {
	set
	version
	local bool
}

func newPorts(name string, v version, to ...nftables.SetDatatype) ports {
	address := nftables.TypeIPAddr
	if v == ipv6 {
		address = nftables.TypeIP6Addr
	}
	p := ports{newSet(name, nftables.MustConcatSetType(nftables.TypeInetProto, address, nftables.TypeInetService)), v, strings.HasPrefix(name, "locals")}
	p.Interval = true
	if p.IsMap = len(to) > 0; p.IsMap {
		p.DataType = nftables.MustConcatSetType(to...)
	}
	return p
}

// toPort tells whether p maps to addresses and ports.
func (p *ports) toPort() bool { return p.IsMap && p.DataType.Bytes > p.size() }

// size returns the size of an address, in bytes.
func (p *ports) size() uint32 {
	if p.version == ipv4 {
		return 4
	}
	return 16
}

func (t *table) ports() []*ports {
	return append(t.portMaps(), &t.ports4, &t.ports6, &t.locals4, &t.locals6)
}

func (t *table) portMaps() []*ports {
	return []*ports{&t.forwards4, &t.forwards6, &t.ranges4, &t.ranges6}
}

// perUplink returns the sets that have elements of each uplink.
func (t *table) perUplink() []*set {
	all := []*set{&t.links, &t.proxied, &t.snat4, &t.snat6}
	for _, m := range t.ports() {
		all = append(all, &m.set)
	}
	return all
}

// elementsOf returns the elements that a plan wants in each of the sets of perUplink.
func (t *table) elementsOf(p plan, c *config.Config) [][]nftables.SetElement {
	all := [][]nftables.SetElement{deviceKeys(p.device()), nil, nil, nil}
	for i, e := range []ends{p.ipv4, p.ipv6} {
		if e.outside.IsValid() {
			all[2+i] = deviceKeys(p.device())
			all[2+i][0].Val = e.outside.AsSlice()
		}
	}
	if address := p.proxied(c); address.IsValid() {
		all[1] = []nftables.SetElement{{Key: address.AsSlice()}}
	}
	for _, m := range t.ports() {
		all = append(all, m.elementsOf(p))
	}
	for _, elements := range all {
		for i := range elements {
			elements[i].Comment = p.name
		}
	}
	return all
}

// find returns the element with a key, nil if there is none.
func find(elements []nftables.SetElement, key []byte) *nftables.SetElement {
	i := slices.IndexFunc(elements, func(e nftables.SetElement) bool { return bytes.Equal(e.Key, key) })
	if i < 0 {
		return nil
	}
	return &elements[i]
}

// devices returns the host's ends of the uplinks in the table for whose names is is true.
func (t *table) devices(is func(name string) bool) []string {
	var devices []string
	for _, e := range t.links.elements {
		if is(e.Comment) {
			name, _, _ := bytes.Cut(e.Key, []byte{0})
			devices = append(devices, string(name))
		}
	}
	return devices
}

// nameOf returns the name that has a device, "" if none has.
func (t *table) nameOf(device string) string {
	if e := find(t.links.elements, deviceKeys(device)[0].Key); e != nil {
		return e.Comment
	}
	return ""
}

// write makes the table what the configuration, the forwarding and the plans say. It
// replaces the elements of the plans' names and leaves those of other names.
func (t *table) write(c *config.Config, f *forwarding, plans []plan) error {
	if t.obsolete {
		t.conn.DelTable(theTable)
	}
	t.conn.AddTable(theTable)
	for _, common := range []struct {
		*set
		elements []nftables.SetElement
	}{
		{&t.services, serviceKeys(c.Services)},
		{&t.closed4, deviceKeys(f.closed(ipv4)...)},
		{&t.closed6, deviceKeys(f.closed(ipv6)...)},
	} {
		if err := t.conn.AddSet(&common.Set, nil); err != nil {
			return err
		}
		t.conn.FlushSet(&common.Set)
		if err := t.add(common.set, common.elements); err != nil {
			return err
		}
	}
	if err := t.conn.AddSet(&t.connections.Set, nil); err != nil {
		return err
	}
	for i, s := range t.perUplink() {
		if err := t.conn.AddSet(&s.Set, nil); err != nil {
			return err
		}
		var wanted []nftables.SetElement
		for _, p := range plans {
			wanted = append(wanted, t.elementsOf(p, c)[i]...)
		}
		// A port that led to another name before the configuration changed goes, too.
		err := t.remove(s, func(e nftables.SetElement) bool {
			return slices.ContainsFunc(wanted, func(w nftables.SetElement) bool { return overlap(e, w) }) || slices.ContainsFunc(plans, func(p plan) bool { return p.name == e.Comment })
		})
		if err != nil {
			return err
		}
		if err := t.add(s, wanted); err != nil {
			return err
		}
	}
	t.addChains(c, f)
	return t.commit()
}

// isLast tells whether no uplink of another name is in the table.
func (t *table) isLast(name string) bool {
	return len(t.devices(func(other string) bool { return other != name })) == 0
}

// delete deletes a name's elements, or the whole table.
func (t *table) delete(name string, whole bool) error {
	if !t.exists && !(t.obsolete && whole) {
		return nil
	}
	if whole {
		t.conn.DelTable(theTable)
		return t.commit()
	}
	for _, s := range t.perUplink() {
		if err := t.remove(s, func(e nftables.SetElement) bool { return e.Comment == name }); err != nil {
			return err
		}
	}
	return t.commit()
}

// has tells whether the table has exactly the elements that a plan wants.
func (t *table) has(p plan, c *config.Config) bool {
	wanted := t.elementsOf(p, c)
	for i, s := range t.perUplink() {
		count := 0
		for _, e := range s.elements {
			if e.Comment != p.name {
				continue
			}
			count++
			if same := find(wanted[i], e.Key); same == nil || !bytes.Equal(same.KeyEnd, e.KeyEnd) || !bytes.Equal(same.Val, e.Val) {
				return false
			}
		}
		if count != len(wanted[i]) {
			return false
		}
	}
	return true
}

func (t *table) add(s *set, elements []nftables.SetElement) error {
	for chunk := range slices.Chunk(elements, elementsPerMessage) {
		if err := t.conn.SetAddElements(&s.Set, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) remove(s *set, which func(nftables.SetElement) bool) error {
	var gone []nftables.SetElement
	for _, e := range s.elements {
		if which(e) {
			gone = append(gone, nftables.SetElement{Key: e.Key, KeyEnd: e.KeyEnd})
		}
	}
	if len(gone) == 0 { // the kernel takes an empty list for all elements
		return nil
	}
	return t.conn.SetDeleteElements(&s.Set, gone)
}

func (t *table) commit() error {
	if err := t.conn.Flush(); err != nil {
		return fmt.Errorf("change nftables table inet %s: %w", tableName, err)
	}
	return nil
}

func deviceKeys(devices ...string) []nftables.SetElement {
	var elements []nftables.SetElement
	for _, device := range devices {
		key := make([]byte, nftables.TypeIFName.Bytes)
		copy(key, device)
		elements = append(elements, nftables.SetElement{Key: key})
	}
	return elements
}

func serviceKeys(services []config.Service) []nftables.SetElement {
	var elements []nftables.SetElement
	for _, s := range services {
		if key := serviceKey(s); find(elements, key) == nil {
			elements = append(elements, nftables.SetElement{Key: key})
		}
	}
	return elements
}

// Each part of a concatenation is padded to 4 bytes.
func serviceKey(s config.Service) []byte {
	return append([]byte{byte(s.Protocol), 0, 0, 0}, portBytes(s.Port)...)
}

func portBytes(port uint16) []byte {
	return append(binary.BigEndian.AppendUint16(nil, port), 0, 0)
}

// elementsOf returns the elements for the forwards of a plan.
func (m *ports) elementsOf(p plan) (elements []nftables.SetElement) {
	to, lowest := p.ipv4.inside.Addr(), netip.IPv4Unspecified()
	if m.version == ipv6 {
		to, lowest = p.ipv6.inside.Addr(), netip.IPv6Unspecified()
	}
	highest, _ := netip.AddrFromSlice(bytes.Repeat([]byte{255}, lowest.BitLen()/8))
	for _, f := range p.forwards {
		single := f.From.First == f.From.Last
		if !to.IsValid() || m.IsMap && single != m.toPort() || m.local && !f.Local || f.Address.IsValid() && f.Address.BitLen() != to.BitLen() {
			continue
		}
		from, until := lowest, highest
		if f.Address.IsValid() {
			from, until = f.Address, f.Address
		}
		e := nftables.SetElement{
			Key:    portKey(f.From.Protocol, from, f.From.First),
			KeyEnd: portKey(f.From.Protocol, until, f.From.Last),
		}
		if m.IsMap {
			e.Val = to.AsSlice()
		}
		if m.toPort() {
			e.Val = append(e.Val, portBytes(f.To)...)
		}
		elements = append(elements, e)
	}
	return elements
}

func portKey(protocol config.Protocol, address netip.Addr, port uint16) []byte {
	return slices.Concat([]byte{byte(protocol), 0, 0, 0}, address.AsSlice(), portBytes(port))
}

// overlap tells whether a key matches both elements. An element without an end has one key. The
// parts of portKey are compared one by one.
func overlap(a, b nftables.SetElement) bool {
	end := func(e nftables.SetElement) []byte {
		if len(e.KeyEnd) == 0 {
			return e.Key
		}
		return e.KeyEnd
	}
	port := len(a.Key) - 4
	for _, part := range [][2]int{{0, 4}, {4, port}, {port, len(a.Key)}} {
		from, to := part[0], part[1]
		if bytes.Compare(a.Key[from:to], end(b)[from:to]) > 0 || bytes.Compare(b.Key[from:to], end(a)[from:to]) > 0 {
			return false
		}
	}
	return true
}
