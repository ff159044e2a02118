// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/uplink/config"
)

// A provider often gives a host a network of IPv6 on the link to it, and routes nothing there:
// neighbours ask for each address. The host answers for the uplinks (proxy_ndp).

// proxied returns the address inside for which the host answers its neighbours, invalid if it
// does for none.
func (p plan) proxied(c *config.Config) netip.Addr {
	if !c.IPv6.ProxyNDP {
		return netip.Addr{}
	}
	return p.ipv6.inside.Addr()
}

// onLink returns the interface whose network has an address, nil if there is none.
func (h *host) onLink(address netip.Addr) (netlink.Link, error) {
	addresses, err := list(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_V6) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range addresses {
		if network := prefixOf(a.IPNet); !network.Contains(address) || network.Addr().IsLinkLocalUnicast() {
			continue
		}
		link, err := h.LinkByIndex(a.LinkIndex)
		if errors.As(err, new(netlink.LinkNotFoundError)) || err == nil && isOurs(link) {
			continue
		}
		return link, err
	}
	return nil, nil
}

// switchProxyOn makes the host's interface answer for addresses that it is told. The caller must
// hold uplinksLock.
func (h *host) switchProxyOn(p plan, c *config.Config) error {
	address := p.proxied(c)
	if !address.IsValid() || !c.Forwarding {
		return nil
	}
	link, err := h.onLink(address)
	if err != nil || link == nil {
		return err
	}
	key := ipv6.key(link.Attrs().Name, "proxy_ndp")
	if value, err := getParameter(key); err != nil || value != "0" {
		return err
	}
	h.forwarding.pending = append(h.forwarding.pending, setting{key, "1"})
	return h.forwarding.note([]setting{{key, "0"}})
}

// proxy lets the host answer its neighbours for the plan's address.
func (h *host) proxy(p plan, c *config.Config) error {
	address := p.proxied(c)
	if !address.IsValid() {
		return nil
	}
	link, err := h.onLink(address)
	if err != nil || link == nil {
		return err
	}
	neighbour := &netlink.Neigh{LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V6, Flags: netlink.NTF_PROXY, IP: address.AsSlice()}
	if err := h.NeighSet(neighbour); err != nil {
		return fmt.Errorf("answer for %s on %s: %w", address, link.Attrs().Name, err)
	}
	return nil
}

// isProxied tells whether the host answers for the plan's address, if it should.
func (h *host) isProxied(p plan, c *config.Config) (bool, error) {
	address := p.proxied(c)
	if !address.IsValid() {
		return true, nil
	}
	link, err := h.onLink(address)
	if err != nil || link == nil {
		return true, err // warnings says so
	}
	neighbours, err := h.proxies()
	return slices.ContainsFunc(neighbours, func(n netlink.Neigh) bool {
		return n.LinkIndex == link.Attrs().Index && n.IP.Equal(address.AsSlice())
	}), err
}

// unproxy makes the host answer for addresses no more.
func (h *host) unproxy(addresses []netip.Addr) error {
	if len(addresses) == 0 {
		return nil
	}
	neighbours, err := h.proxies()
	if err != nil {
		return err
	}
	for _, n := range neighbours {
		address, _ := netip.AddrFromSlice(n.IP)
		if !slices.Contains(addresses, address) {
			continue
		}
		if err := h.NeighDel(&n); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("answer for %s no more: %w", address, err)
		}
	}
	return nil
}

func (h *host) proxies() ([]netlink.Neigh, error) {
	neighbours, err := list(func() ([]netlink.Neigh, error) { return h.NeighProxyList(0, netlink.FAMILY_V6) })
	if err != nil {
		return nil, fmt.Errorf("list addresses to answer for: %w", err)
	}
	return neighbours, nil
}

// proxiedOf returns the addresses of a name for which the host answers, as the table has them.
func (t *table) proxiedOf(name string) (addresses []netip.Addr) {
	for _, e := range t.proxied.elements {
		if address, ok := netip.AddrFromSlice(e.Key); ok && e.Comment == name {
			addresses = append(addresses, address)
		}
	}
	return addresses
}
