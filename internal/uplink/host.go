// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/state"
	"libpam-net/internal/uplink/config"
	"libpam-net/internal/uplink/firewall"
	"libpam-net/internal/uplink/sysctl"
)

const (
	forwardingFile = state.Dir + "/uplink.forwarding"

	// uplinksLock is on the nftables table and the note on forwarding, which all uplinks
	// share; with a name behind it, on one uplink. No network has a name with a slash.
	uplinksLock = "/uplink"

	// patience is how long the kernel may take to answer on a netlink socket, and another process to give up a lock.
	// At boot a slow machine loads modules of the kernel meanwhile, and sets up many uplinks at once. A login ends its
	// setup program earlier (timeout=).
	patience = time.Minute
	attempts = 20 // to list what others change meanwhile
)

// linkLocal lets the host ask for a namespace's neighbours before there is any
// address of its own that duplicate address detection has passed.
var linkLocal = netip.MustParsePrefix("fe80::1/64")

// host is the host's side. What is of one name alone is changed by one process at a
// time, see forName; what all uplinks share in transactions, see locked.
type host struct {
	*netlink.Handle

	// As they were in the last call of locked.
	table      *firewall.Table
	forwarding *sysctl.Forwarding
}

func openHost() (*host, error) {
	h := &host{}
	var err error
	if h.Handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := h.SetSocketTimeout(patience); err != nil {
		h.Close()
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return h, nil
}

// forName calls f with the host's side, while no other process changes what it has of
// the uplink of a name. Those of other names do not wait.
func forName(name string, f func(*host) error) error {
	lock, err := state.Acquire(uplinksLock+"/"+name, patience)
	if err != nil {
		return err
	}
	defer lock.Release()
	h, err := openHost()
	if err != nil {
		return err
	}
	defer h.Close()
	return f(h)
}

// locked reads what all uplinks share, and calls f while no other process changes it.
// All who change an uplink wait for that: f does nothing else.
func (h *host) locked(f func() error) error {
	lock, err := state.Acquire(uplinksLock, patience)
	if err != nil {
		return err
	}
	defer lock.Release()
	if h.table, err = firewall.Open(); err != nil {
		return err
	}
	if h.forwarding, err = sysctl.OpenForwarding(forwardingFile); err != nil {
		return err
	}
	return f()
}

// read reads what all uplinks share.
func (h *host) read() error {
	return h.locked(func() error { return nil })
}

// inside is a netlink handle in the namespace fd. The thread that goes there to
// open it need not come back.
func inside(fd int) (handle *netlink.Handle, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked
		if handle, err = netlink.NewHandleAt(netns.Handle(fd), unix.NETLINK_ROUTE); err == nil {
			err = handle.SetSocketTimeout(patience)
		}
	}()
	<-done
	if err != nil {
		return nil, fmt.Errorf("open netlink in the namespace: %w", err)
	}
	return handle, nil
}

// list repeats a dump that somebody else's changes have spoilt.
func list[T any](dump func() ([]T, error)) (all []T, err error) {
	for range attempts {
		if all, err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// link returns an interface, nil if there is none.
func (h *host) link(name string) (netlink.Link, error) {
	link, err := h.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for interface %s: %w", name, err)
	}
	return link, nil
}

// uplinks are the host's ends of all uplinks that are complete enough to say so.
func (h *host) uplinks() ([]netlink.Link, error) {
	links, err := list(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	return slices.DeleteFunc(links, func(link netlink.Link) bool {
		name := link.Attrs().Name
		return link.Type() != "veth" || link.Attrs().Alias == "" || !strings.HasPrefix(name, "pnu") && !strings.HasPrefix(name, "png")
	}), nil
}

// remove takes away a link, if it is there.
func (h *host) remove(device string) error {
	link, err := h.link(device)
	if err != nil || link == nil {
		return err
	}
	if link.Type() != "veth" {
		return fmt.Errorf("interface %s is none of an uplink: rename it", device)
	}
	if err := h.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %s: %w", device, err)
	}
	return nil
}

// own returns the link of a plan, if there is one, and whether it is good. One that
// is somebody else's is an error.
func (h *host) own(p plan, c *config.Config, fd int) (link netlink.Link, good bool, err error) {
	link, err = h.link(p.device())
	if err != nil || link == nil {
		return nil, false, err
	}
	if alias := link.Attrs().Alias; alias != "" && alias != p.name {
		return nil, false, fmt.Errorf("interface %s, of %s, belongs to %q: take that down first", p.device(), p.identity, alias)
	}
	good, err = h.isGood(link, p, c, fd)
	return link, good, err
}

// isGood tells whether the host's end of a link is as it should be, and the other
// end is where it should be.
func (h *host) isGood(link netlink.Link, p plan, c *config.Config, fd int) (bool, error) {
	a := link.Attrs()
	if link.Type() != "veth" || a.Alias != p.name || a.MTU != c.MTU || a.Flags&net.FlagUp == 0 {
		return false, nil
	}
	nsid, err := h.GetNetNsIdByFd(fd)
	if err != nil {
		return false, fmt.Errorf("ask for the namespace's number: %w", err)
	}
	if nsid < 0 || a.NetNsID != nsid {
		return false, nil
	}
	addresses, err := list(func() ([]netlink.Addr, error) { return h.AddrList(link, netlink.FAMILY_ALL) })
	if err != nil {
		return false, fmt.Errorf("list addresses of %s: %w", a.Name, err)
	}
	var has []netip.Prefix
	for _, address := range addresses {
		has = append(has, prefixOf(address.IPNet))
	}
	wants := p.hostAddresses()
	if len(has) != len(wants) || slices.ContainsFunc(wants, func(w netip.Prefix) bool { return !slices.Contains(has, w) }) {
		return false, nil
	}
	in, err := inside(fd)
	if err != nil {
		return false, err
	}
	defer in.Close()
	peer, err := in.LinkByIndex(a.ParentIndex)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the interface inside: %w", err)
	}
	return peer.Attrs().Name == c.Interface && peer.Attrs().MTU == c.MTU, nil
}

// checkFree refuses networks in which another interface of the host's has an address.
func (h *host) checkFree(p plan) error {
	addresses, err := list(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, address := range addresses {
		for _, e := range p.families() {
			if taken := prefixOf(address.IPNet); e.host.Overlaps(taken) {
				link, err := h.LinkByIndex(address.LinkIndex)
				if errors.As(err, new(netlink.LinkNotFoundError)) {
					continue
				}
				if err != nil {
					return fmt.Errorf("look for the interface with %s: %w", taken, err)
				}
				name := link.Attrs().Name
				if name == p.device() {
					continue
				}
				return fmt.Errorf("network %s, for %s, overlaps %s on %s: give the pools other networks", e.host.Masked(), p.identity, taken, name)
			}
		}
	}
	return nil
}

// makeLink makes a link from the host to the namespace fd, in one step, and then
// the host's end ready for use.
func (h *host) makeLink(p plan, c *config.Config, fd int) (netlink.Link, error) {
	device := p.device()
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU = device, c.MTU
	err := h.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: c.Interface, PeerNamespace: netlink.NsFd(fd), PeerTxQLen: -1})
	if errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make interface: the namespace has an interface %q already: remove it, or set interface", c.Interface)
	}
	if err != nil {
		return nil, fmt.Errorf("make interface %s: %w", device, err)
	}
	link, err := h.link(device)
	if err == nil && link == nil {
		err = fmt.Errorf("make interface %s: it has gone again", device)
	}
	if err != nil {
		return nil, err
	}
	if err := sysctl.Link(device, p.ipv4.host.IsValid(), p.ipv6.host.IsValid()); err != nil {
		return nil, err
	}
	for _, address := range p.hostAddresses() {
		if err := addAddress(h.Handle, link, address); err != nil {
			return nil, err
		}
	}
	if err := h.LinkSetAlias(link, p.name); err != nil {
		return nil, fmt.Errorf("set alias of %s: %w", device, err)
	}
	return link, bringUp(h.Handle, link)
}

// configureInside sets up the namespace's end of a link.
func configureInside(p plan, link netlink.Link, fd int) error {
	in, err := inside(fd)
	if err != nil {
		return err
	}
	defer in.Close()
	peer, err := in.LinkByIndex(link.Attrs().ParentIndex)
	if err != nil {
		return fmt.Errorf("look for the interface inside: %w", err)
	}
	for _, e := range p.families() {
		if err := addAddress(in, peer, e.inside); err != nil {
			return err
		}
	}
	if err := bringUp(in, peer); err != nil {
		return err
	}
	for _, e := range p.families() {
		// One that is there already is ours, or what an administrator prefers.
		route := &netlink.Route{LinkIndex: peer.Attrs().Index, Gw: e.host.Addr().AsSlice(), Protocol: unix.RTPROT_STATIC}
		if err := in.RouteAdd(route); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add default route by %s: %w", e.host.Addr(), err)
		}
	}
	return nil
}

// addAddress adds an address that can be used at once: nobody else on a link of
// two can have it, so there is no duplicate address detection.
func addAddress(h *netlink.Handle, link netlink.Link, address netip.Prefix) error {
	a := &netlink.Addr{IPNet: &net.IPNet{
		IP:   address.Addr().AsSlice(),
		Mask: net.CIDRMask(address.Bits(), address.Addr().BitLen()),
	}}
	if address.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	if address.Addr().IsLinkLocalUnicast() {
		a.Scope = unix.RT_SCOPE_LINK
	}
	if err := h.AddrReplace(link, a); err != nil {
		return fmt.Errorf("add address %s to %s: %w", address, link.Attrs().Name, err)
	}
	return nil
}

func bringUp(h *netlink.Handle, link netlink.Link) error {
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("bring up %s: %w", link.Attrs().Name, err)
	}
	return nil
}

func prefixOf(n *net.IPNet) netip.Prefix {
	address, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(address.Unmap(), bits)
}
