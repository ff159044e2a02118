// SPDX-License-Identifier: GPL-2.0-or-later

// Package firewall keeps the uplinks' nftables table, "inet pamnet", of the network
// namespace that the process is in. The rules are the same for any number of
// uplinks; each of these is an element of a set, with the name as its comment.
//
// Every change is one transaction: it is made as a whole or not at all. The caller
// keeps others from changing the table at the same time.
package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/mdlayher/netlink"

	"libpam-net/internal/uplink/config"
)

// TableName is the name of the table, of family inet.
const TableName = "pamnet"

// MaxConnections is how many connections that have begun in it a namespace may have at a
// time. The host has one table for all, net.netfilter.nf_conntrack_max, which is 65,536
// or more: a full one stops the host and all others.
const MaxConnections = 4096

const connectionsSize = 65535 // links at most, as nft has it

// patience is how long the kernel may take to answer. It loads its modules meanwhile; for want of memory it never
// answers.
const patience = time.Minute

// Guard keeps the host from forwarding an IP version, but to and from the uplinks
// and from interfaces that did so before.
type Guard struct {
	On      bool
	Routers []string
}

// Policy is what holds for all uplinks.
type Policy struct {
	Isolate, Inbound bool
	AnyService       bool
	Services         []config.Service
	NAT4, NAT6       bool
	Guard4, Guard6   Guard
}

// Uplink is one of them.
type Uplink struct {
	Name       string
	Device     string     // its end on the host
	IPv4, IPv6 netip.Addr // of the namespace; invalid if it has none
	Forwards   []config.Forward
}

// Table is the table as Open has found it.
type Table struct {
	conn      *nftables.Conn
	exists    bool
	links     set
	forwards4 set
	forwards6 set
	services  set
	routers4  set
	routers6  set

	connections set // of each link, counted by the kernel
}

// set is a set or map with the elements that it has.
type set struct {
	nftables.Set
	elements []nftables.SetElement
}

// wanted are elements that a set is to have.
type wanted struct {
	*set
	elements []nftables.SetElement
}

// wanted is what there has to be of an uplink.
func (t *Table) wanted(u Uplink) []wanted {
	all := []wanted{
		{&t.links, deviceKeys([]string{u.Device})},
		{&t.forwards4, forwards(u.Forwards, u.IPv4)},
		{&t.forwards6, forwards(u.Forwards, u.IPv6)},
	}
	for _, w := range all {
		for i := range w.elements {
			w.elements[i].Comment = u.Name
		}
	}
	return all
}

// find returns the wanted element with a key, nil if there is none.
func (w wanted) find(key []byte) *nftables.SetElement {
	for i := range w.elements {
		if bytes.Equal(w.elements[i].Key, key) {
			return &w.elements[i]
		}
	}
	return nil
}

var (
	service  = nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)
	socket4  = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	socket6  = nftables.MustConcatSetType(nftables.TypeIP6Addr, nftables.TypeInetService)
	theTable = &nftables.Table{Name: TableName, Family: nftables.TableFamilyINet}
)

// Open reads the table.
func Open() (*Table, error) {
	conn, err := nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return c.SetDeadline(time.Now().Add(patience))
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	t := &Table{
		conn:      conn,
		links:     newSet("links", nftables.TypeIFName),
		services:  newSet("host_services", service),
		routers4:  newSet("routers4", nftables.TypeIFName),
		routers6:  newSet("routers6", nftables.TypeIFName),
		forwards4: newMap("forwards4", service, socket4),
		forwards6: newMap("forwards6", service, socket6),

		connections: newSet("connections", nftables.TypeIFName),
	}
	t.connections.Dynamic = true
	t.connections.Size = connectionsSize
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("list nftables tables: %w", err)
	}
	t.exists = slices.ContainsFunc(tables, func(other *nftables.Table) bool { return other.Name == TableName })
	if !t.exists {
		return t, nil
	}
	for _, s := range []*set{&t.links, &t.forwards4, &t.forwards6} {
		if s.elements, err = conn.GetSetElements(&s.Set); err != nil {
			return nil, fmt.Errorf("list nftables set inet %s %s: %w", TableName, s.Name, err)
		}
	}
	return t, nil
}

func newSet(name string, key nftables.SetDatatype) set {
	s := set{Set: nftables.Set{Table: theTable, Name: name, KeyType: key}}
	if key.Name == service.Name {
		s.Concatenation = true
	} else {
		s.KeyByteOrder = binaryutil.NativeEndian // for nft, which prints strings then
	}
	return s
}

func newMap(name string, key, data nftables.SetDatatype) set {
	s := newSet(name, key)
	s.IsMap, s.DataType = true, data
	return s
}

// Devices are the host's ends of all uplinks in the table.
func (t *Table) Devices() []string {
	var all []string
	for _, e := range t.links.elements {
		all = append(all, deviceOf(e))
	}
	return all
}

// DevicesOf are those of one name.
func (t *Table) DevicesOf(name string) []string {
	var own []string
	for _, e := range t.links.elements {
		if e.Comment == name {
			own = append(own, deviceOf(e))
		}
	}
	return own
}

// Set makes the table what the policy says, with this uplink in it, in place of
// what there was of its name.
func (t *Table) Set(p Policy, u Uplink) error {
	t.conn.AddTable(theTable)
	for _, w := range []wanted{
		{&t.services, serviceKeys(p.Services)},
		{&t.routers4, deviceKeys(p.Guard4.Routers)},
		{&t.routers6, deviceKeys(p.Guard6.Routers)},
	} {
		if err := t.conn.AddSet(&w.Set, nil); err != nil {
			return err
		}
		t.conn.FlushSet(&w.Set)
		if err := t.add(w); err != nil {
			return err
		}
	}
	if err := t.conn.AddSet(&t.connections.Set, nil); err != nil {
		return err
	}
	for _, w := range t.wanted(u) {
		if err := t.conn.AddSet(&w.Set, nil); err != nil {
			return err
		}
		// A port that was another's until the configuration was changed goes, too.
		if err := t.remove(w.set, func(e nftables.SetElement) bool { return e.Comment == u.Name || w.find(e.Key) != nil }); err != nil {
			return err
		}
		if err := t.add(w); err != nil {
			return err
		}
	}
	t.addChains(p)
	return t.commit()
}

// IsLast tells whether the table has no uplink of another name.
func (t *Table) IsLast(name string) bool {
	return !slices.ContainsFunc(t.links.elements, func(e nftables.SetElement) bool { return e.Comment != name })
}

// Remove takes all of a name out of the table, and with the last one the table.
func (t *Table) Remove(name string) error {
	if !t.exists {
		return nil
	}
	if t.IsLast(name) {
		t.conn.DelTable(theTable)
		return t.commit()
	}
	for _, s := range []*set{&t.links, &t.forwards4, &t.forwards6} {
		if err := t.remove(s, func(e nftables.SetElement) bool { return e.Comment == name }); err != nil {
			return err
		}
	}
	return t.commit()
}

// Has tells whether an uplink is in the table as it should be.
func (t *Table) Has(u Uplink) bool {
	for _, w := range t.wanted(u) {
		count := 0
		for _, e := range w.set.elements {
			if e.Comment != u.Name {
				continue
			}
			count++
			if same := w.find(e.Key); same == nil || !bytes.Equal(same.Val, e.Val) {
				return false
			}
		}
		if count != len(w.elements) {
			return false
		}
	}
	return true
}

// Dropping names the chains of other tables that drop what they do not know of all
// that is forwarded. No rule of ours can let through what they drop.
func (t *Table) Dropping() ([]string, error) {
	chains, err := t.conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("list nftables chains: %w", err)
	}
	families := map[nftables.TableFamily]string{
		nftables.TableFamilyINet: "inet",
		nftables.TableFamilyIPv4: "ip",
		nftables.TableFamilyIPv6: "ip6",
	}
	var found []string
	for _, c := range chains {
		family := families[c.Table.Family]
		if family != "" && c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward &&
			c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			found = append(found, fmt.Sprintf("%s %s %s", family, c.Table.Name, c.Name))
		}
	}
	return found, nil
}

func (t *Table) add(w wanted) error {
	if len(w.elements) == 0 {
		return nil
	}
	return t.conn.SetAddElements(&w.Set, w.elements)
}

func (t *Table) remove(s *set, which func(nftables.SetElement) bool) error {
	var gone []nftables.SetElement
	for _, e := range s.elements {
		if which(e) {
			gone = append(gone, nftables.SetElement{Key: e.Key})
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return t.conn.SetDeleteElements(&s.Set, gone)
}

func (t *Table) commit() error {
	if err := t.conn.Flush(); err != nil {
		return fmt.Errorf("change nftables table inet %s: %w", TableName, err)
	}
	return nil
}

func deviceKeys(devices []string) []nftables.SetElement {
	var elements []nftables.SetElement
	for _, device := range devices {
		key := make([]byte, nftables.TypeIFName.Bytes)
		copy(key, device)
		elements = append(elements, nftables.SetElement{Key: key})
	}
	return elements
}

func deviceOf(e nftables.SetElement) string {
	name, _, _ := bytes.Cut(e.Key, []byte{0})
	return string(name)
}

func serviceKeys(services []config.Service) []nftables.SetElement {
	var elements []nftables.SetElement
	for _, s := range services {
		key := serviceKey(s)
		if !slices.ContainsFunc(elements, func(e nftables.SetElement) bool { return bytes.Equal(e.Key, key) }) {
			elements = append(elements, nftables.SetElement{Key: key})
		}
	}
	return elements
}

// Parts of a concatenation are padded to 4 bytes.
func serviceKey(s config.Service) []byte {
	return append([]byte{byte(s.Protocol), 0, 0, 0}, portBytes(s.Port)...)
}

func portBytes(port uint16) []byte {
	return append(binary.BigEndian.AppendUint16(nil, port), 0, 0)
}

func forwards(list []config.Forward, to netip.Addr) []nftables.SetElement {
	if !to.IsValid() {
		return nil
	}
	var elements []nftables.SetElement
	for _, f := range list {
		elements = append(elements, nftables.SetElement{
			Key: serviceKey(f.From),
			Val: append(to.AsSlice(), portBytes(f.To)...),
		})
	}
	return elements
}
