// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/uplink/config"
)

// isLocalRule tells whether a rule is the one for the host's own addresses, at any preference.
func isLocalRule(r netlink.Rule) bool {
	return r.Table == unix.RT_TABLE_LOCAL && r.Src == nil && r.Dst == nil && r.Mark == 0 && r.IifName == "" && r.OifName == "" && !r.Invert
}

// wayBackRule returns the rule that leads answers to the links, whatever rules others have: a
// VPN, for example, has one for all packets. The main table counts for a pool's addresses as
// far as it has routes that lead into the pool. The rest of the pool goes where it went before.
func wayBackRule(pool netip.Prefix, length, preference int) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Dst = &net.IPNet{IP: pool.Addr().AsSlice(), Mask: net.CIDRMask(pool.Bits(), pool.Addr().BitLen())}
	rule.Table, rule.SuppressPrefixlen = unix.RT_TABLE_MAIN, min(pool.Bits(), length-1)
	rule.Priority, rule.Protocol = preference, unix.RTPROT_KERNEL // as that of the gate
	return rule
}

func isWayBackRule(r netlink.Rule) bool {
	return r.Protocol == unix.RTPROT_KERNEL && r.Table == unix.RT_TABLE_MAIN && r.Dst != nil && r.SuppressPrefixlen >= 0
}

// holdWayBack puts the rules for all pools behind that for the host's own addresses, with the
// same preference. The caller must hold uplinksLock.
func (h *host) holdWayBack(c *config.Config) error {
	for _, f := range []struct {
		family int
		config.Family
	}{{netlink.FAMILY_V4, c.IPv4}, {netlink.FAMILY_V6, c.IPv6}} {
		if !f.Enabled || !slices.Contains(families(), f.family) {
			continue
		}
		rules, err := h.rules(f.family)
		if err != nil {
			return err
		}
		local, preference := -1, 0
		for i, r := range rules {
			if isLocalRule(r) {
				local, preference = i, r.Priority
			}
		}
		for _, pool := range f.Pools {
			wanted := wayBackRule(pool, f.PrefixLength, preference)
			place := slices.IndexFunc(rules, func(r netlink.Rule) bool {
				return isWayBackRule(r) && r.Dst.String() == wanted.Dst.String()
			})
			if place > local && rules[place].Priority == preference && rules[place].SuppressPrefixlen == wanted.SuppressPrefixlen {
				continue
			}
			if place >= 0 {
				err = h.RuleDel(&rules[place])
			}
			if err == nil {
				err = h.RuleAdd(wanted)
			}
			if err != nil {
				return fmt.Errorf("add rule of policy routing for %s: %w", pool, err)
			}
		}
	}
	return nil
}

// releaseWayBack undoes holdWayBack. The caller must hold uplinksLock.
func (h *host) releaseWayBack() error {
	for _, family := range families() {
		rules, err := h.rules(family)
		if err != nil {
			return err
		}
		for _, r := range rules {
			if !isWayBackRule(r) {
				continue
			}
			if err := h.RuleDel(&r); err != nil {
				return fmt.Errorf("delete rule of policy routing for %s: %w", r.Dst, err)
			}
		}
	}
	return nil
}

func (h *host) rules(family int) ([]netlink.Rule, error) {
	rules, err := list(func() ([]netlink.Rule, error) { return h.RuleList(family) })
	if err != nil {
		return nil, fmt.Errorf("list rules of policy routing: %w", err)
	}
	return rules, nil
}

// strayWays tells of addresses inside to which the kernel would route by another interface than
// the link.
func (h *host) strayWays(p plan, link netlink.Link) (all []string) {
	for _, e := range p.ends() {
		routes, err := h.RouteGet(e.inside.Addr().AsSlice())
		switch {
		case err != nil:
			all = append(all, fmt.Sprintf("the host has no way back to %s: %v", e.inside.Addr(), err))
		case len(routes) > 0 && routes[0].LinkIndex != link.Attrs().Index:
			all = append(all, fmt.Sprintf("answers to %s do not go by %s: a rule of policy routing leads them elsewhere; "+
				"give it a preference above that of \"lookup local\" (ip rule)", e.inside.Addr(), p.device()))
		}
	}
	return all
}
