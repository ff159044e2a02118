// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/uplink/config"
)

const attempts = 20 // to list what others change meanwhile

// newHost opens a socket for each request, with a timeout of nl.SocketTimeoutTv, a minute. On a
// socket of a dump that has failed half way the kernel answers the next one with EBUSY.
func newHost() *host { return &host{Handle: &netlink.Handle{}} }

// inside opens a netlink handle in the namespace fd. It moves a thread there, which ends
// afterwards: nothing depends on its way back.
func inside(fd int) (handle *netlink.Handle, err error) {
	err = nsfs.OnSpareThread(func() error {
		if handle, err = netlink.NewHandleAt(netns.Handle(fd), unix.NETLINK_ROUTE); err == nil {
			err = handle.SetSocketTimeout(patience)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open netlink in the namespace: %w", err)
	}
	return handle, nil
}

// list repeats a dump that was interrupted by somebody else's changes.
func list[T any](dump func() ([]T, error)) (all []T, err error) {
	for range attempts {
		if all, err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

// findLink returns an interface, nil if there is none.
func (h *host) findLink(name string) (netlink.Link, error) {
	link, err := h.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find interface %s: %w", name, err)
	}
	return link, nil
}

// uplinks returns the host's ends of all uplinks that have their alias yet.
func (h *host) uplinks() ([]netlink.Link, error) {
	links, err := list(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	return slices.DeleteFunc(links, func(link netlink.Link) bool { return !isOurs(link) || link.Attrs().Alias == "" }), nil
}

func isOurs(link netlink.Link) bool {
	name := link.Attrs().Name
	return link.Type() == "veth" && (strings.HasPrefix(name, "pnu") || strings.HasPrefix(name, "png"))
}

// remove removes a link, if it is there.
func (h *host) remove(device string) error {
	link, err := h.findLink(device)
	if err != nil || link == nil {
		return err
	}
	if err := checkVeth(link); err != nil {
		return err
	}
	if err := h.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %s: %w", device, err)
	}
	return nil
}

func checkVeth(link netlink.Link) error {
	if link.Type() != "veth" {
		return fmt.Errorf("interface %s exists and is not a veth: rename or remove it", link.Attrs().Name)
	}
	return nil
}

// findOwn returns the host's end of a plan's link, nil if there is none, and whether the link
// matches the plan. A link of a name that has the number no more is removed. findOwn fails if
// the other name has the number, too, or if that is not known.
func (h *host) findOwn(p plan, c *config.Config, fd int) (link netlink.Link, good bool, err error) {
	link, err = h.findLink(p.device())
	if err == nil && link != nil {
		err = checkVeth(link)
	}
	if err != nil {
		return nil, false, err
	}
	other := h.table.nameOf(p.device())
	if link != nil && link.Attrs().Alias != "" {
		other = link.Attrs().Alias
	}
	if other != "" && other != p.name {
		who, err := identify(other, c.Group)
		if err == nil && who.device() == p.device() {
			err = fmt.Errorf("run pamnet-uplink down %s first", other)
		}
		if err != nil && !errors.Is(err, errNobody) {
			return nil, false, fmt.Errorf("interface %s, of %s, belongs to %q: %w", p.device(), p.identity, other, err)
		}
		return nil, false, forName(other, func(h *host) error {
			_, err := h.down(other)
			return err
		})
	}
	if link == nil {
		return nil, false, nil
	}
	good, err = h.matches(link, p, c, fd)
	return link, good, err
}

// matches tells whether the host's end of a link is what the plan says, and the other end is
// in the namespace fd. Its MTU can be another, and it can have addresses of others.
func (h *host) matches(link netlink.Link, p plan, c *config.Config, fd int) (bool, error) {
	a := link.Attrs()
	if link.Type() != "veth" || a.Alias != p.name || a.Flags&net.FlagUp == 0 {
		return false, nil
	}
	nsid, err := h.GetNetNsIdByFd(fd)
	if err != nil {
		return false, fmt.Errorf("ask for the namespace's number: %w", err)
	}
	if nsid < 0 || a.NetNsID != nsid {
		return false, nil
	}
	has, err := h.addresses(link)
	if err != nil {
		return false, err
	}
	wants := p.hostAddresses()
	isMissing := func(w netip.Prefix) bool { return !slices.Contains(has, w) }
	isOld := func(a netip.Prefix) bool { return !slices.Contains(wants, a) && !isForeign(a, c) }
	if slices.ContainsFunc(wants, isMissing) || slices.ContainsFunc(has, isOld) {
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
		return false, fmt.Errorf("find the interface inside: %w", err)
	}
	return peer.Attrs().Name == c.Interface, nil
}

// addresses returns the addresses of an interface of the host.
func (h *host) addresses(link netlink.Link) (all []netip.Prefix, err error) {
	if h.known != nil {
		return h.known[link.Attrs().Index], nil
	}
	addresses, err := list(func() ([]netlink.Addr, error) { return h.AddrList(link, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", link.Attrs().Name, err)
	}
	for _, a := range addresses {
		all = append(all, prefixOf(a.IPNet))
	}
	return all, nil
}

// isForeign tells whether an address of a link is outside the pools of uplinks. A DHCP client
// or a network manager may add such an address.
func isForeign(a netip.Prefix, c *config.Config) bool {
	for _, pool := range slices.Concat(c.IPv4.Pools, c.IPv6.Pools) {
		if pool.Contains(a.Addr()) {
			return false
		}
	}
	return a != linkLocal
}

// refuseOverlap fails if another interface of the host has an address in the plan's networks, or
// a network in common with them. With proxy_ndp it may have such a network of IPv6.
func (h *host) refuseOverlap(p plan, c *config.Config) error {
	addresses, err := list(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	for _, address := range addresses {
		for _, e := range p.ends() {
			taken := prefixOf(address.IPNet)
			around := c.IPv6.ProxyNDP && e.version == ipv6 && taken.Bits() < e.host.Bits() && !e.host.Contains(taken.Addr())
			if e.host.Overlaps(taken) && !around {
				link, err := h.LinkByIndex(address.LinkIndex)
				if errors.As(err, new(netlink.LinkNotFoundError)) {
					continue
				}
				if err != nil {
					return fmt.Errorf("find the interface with %s: %w", taken, err)
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

// makeLink makes a link from the host to the namespace fd, in one message, and then sets up
// the host's end. The alias comes late: a link without one is not complete.
func (h *host) makeLink(p plan, c *config.Config, fd int) (netlink.Link, error) {
	device := p.device()
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU = device, p.mtu
	err := h.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: c.Interface, PeerNamespace: netlink.NsFd(fd), PeerTxQLen: -1})
	if errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make interface: the namespace has an interface %q already: remove it, or set interface", c.Interface)
	}
	if err != nil {
		return nil, fmt.Errorf("make interface %s: %w", device, err)
	}
	link, err := h.findLink(device)
	if err == nil && link == nil {
		err = fmt.Errorf("make interface %s: it is gone", device)
	}
	if err != nil {
		return nil, err
	}
	if err := h.markUnchecked(link, c); err != nil {
		return nil, err
	}
	if err := setLinkParameters(p); err != nil {
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
func configureInside(p plan, c *config.Config, link netlink.Link, fd int) error {
	in, err := inside(fd)
	if err != nil {
		return err
	}
	defer in.Close()
	peer, err := in.LinkByIndex(link.Attrs().ParentIndex)
	if err != nil {
		return fmt.Errorf("find the interface inside: %w", err)
	}
	if err := fitMTU(in, peer, p.mtu); err != nil {
		return err
	}
	for _, e := range p.ends() {
		if err := addAddress(in, peer, e.inside); err != nil {
			return err
		}
	}
	if err := bringUp(in, peer); err != nil {
		return err
	}
	for _, e := range p.ends() {
		// A route that exists is ours or the administrator's.
		route := &netlink.Route{LinkIndex: peer.Attrs().Index, Gw: e.host.Addr().AsSlice(), Protocol: unix.RTPROT_STATIC}
		if err := in.RouteAdd(route); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add default route by %s: %w", e.host.Addr(), err)
		}
	}
	return nil
}

// addAddress adds an address that can be used at once. Duplicate address detection is off,
// because nobody else on a link of two can have it.
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

func fitMTU(h *netlink.Handle, link netlink.Link, mtu int) error {
	if link.Attrs().MTU == mtu {
		return nil
	}
	if err := h.LinkSetMTU(link, mtu); err != nil {
		return fmt.Errorf("set MTU of %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// wayOutMTU returns the MTU of the host's way to the Internet, the smaller one if those of the
// IP versions differ. It is 1500 if there is no way, and 1280 at least, as IPv6 wants.
func (h *host) wayOutMTU(p plan) (int, error) {
	mtu := 0
	for _, e := range p.ends() {
		routes, err := h.RouteGet(map[version]net.IP{ipv4: rootServer4, ipv6: rootServer6}[e.version])
		if slices.ContainsFunc(noRoute, func(errno error) bool { return errors.Is(err, errno) }) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("find the way out: %w", err)
		}
		for _, route := range routes {
			link, err := h.LinkByIndex(route.LinkIndex)
			if err != nil {
				return 0, fmt.Errorf("find the way out: %w", err)
			}
			for _, limit := range []int{route.MTU, link.Attrs().MTU} {
				if limit > 0 && (mtu == 0 || limit < mtu) {
					mtu = limit
				}
			}
		}
	}
	if mtu == 0 {
		return 1500, nil
	}
	return max(1280, min(mtu, 65535)), nil
}

// What the kernel answers if it has no route, or one that leads nowhere.
var noRoute = []error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL}

// Addresses of root name servers (a.root-servers.net). Nothing is sent there.
var rootServer4, rootServer6 = net.IPv4(198, 41, 0, 4), net.ParseIP("2001:503:ba3e::2:30")

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
