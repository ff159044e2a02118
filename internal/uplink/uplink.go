// SPDX-License-Identifier: GPL-2.0-or-later

// Package uplink connects named network namespaces to the host's network: a veth
// pair with addresses that follow from the UID, routes, forwarding, NAT, and a
// firewall between the namespace, its neighbours and the host.
//
// Up and Down do one step after the other, each of which may be repeated: after a
// crash anywhere, either of them makes good what is half made. What protects comes
// before what opens: the firewall is there before the link, and the link is gone
// before the firewall.
package uplink

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/uplink/config"
	"libpam-net/internal/uplink/firewall"
	"libpam-net/internal/uplink/sysctl"
)

// maxName is as long as nft takes a comment to be, with its end.
const maxName = 127

// Up gives the network namespace name its uplink, or repairs it, and returns what
// it is now. If it fails, an uplink that was not there before, or was damaged, is
// not there afterwards.
func Up(name string, c *config.Config) (*Status, error) {
	p, err := planFor(name, c)
	if err != nil {
		return nil, err
	}
	fd, err := netns.Open(name)
	if errors.Is(err, netns.ErrAbsent) {
		err = fmt.Errorf("%w: a login makes it, or: ip netns add", err)
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	status := describe(p, c)
	err = forName(name, func(h *host) error {
		if err := h.up(p, c, fd); err != nil {
			return err
		}
		status.State = StateUp
		status.Changed = h.forwarding.Changed()
		status.Warnings = h.warnings(status, p, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("connect %q: %w", name, err)
	}
	return status, nil
}

// Down takes the uplink of name away, with whatever is left of it; nothing left is
// no error. Neither the namespace nor the user need be there any more.
func Down(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := forName(name, func(h *host) error { return h.down(name) }); err != nil {
		return fmt.Errorf("disconnect %q: %w", name, err)
	}
	return nil
}

// Names returns the names that have an uplink, sorted.
func Names() (names []string, err error) {
	h, err := openHost()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	links, err := h.uplinks()
	for _, link := range links {
		names = append(names, link.Attrs().Alias)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

func checkName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("%.32q... is too long for an uplink: %d bytes, not %d", name, len(name), maxName)
	}
	return netns.CheckName(name)
}

func planFor(name string, c *config.Config) (plan, error) {
	if err := checkName(name); err != nil {
		return plan{}, err
	}
	who, err := identify(name, c.Group)
	if err != nil {
		return plan{}, err
	}
	p, err := makePlan(who, c, sysctl.HasIPv6())
	if err == nil && len(p.families()) == 0 {
		err = errors.New("connect: the host has no IPv6, and ipv4.enabled is false")
	}
	return p, err
}

func (h *host) up(p plan, c *config.Config, fd int) (err error) {
	if err := h.read(); err != nil {
		return err
	}
	for _, device := range h.table.DevicesOf(p.name) {
		if device != p.device() { // the user had another UID
			if err := h.remove(device); err != nil {
				return err
			}
		}
	}
	link, good, err := h.own(p, c, fd)
	if err != nil {
		return err
	}
	if !good {
		if err := h.checkFree(p); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, h.down(p.name))
			}
		}()
		if err := h.remove(p.device()); err != nil {
			return err
		}
	}
	if err := h.locked(func() error { return h.protect(p, c) }); err != nil {
		return err
	}
	if !good {
		if link, err = h.makeLink(p, c, fd); err != nil {
			return err
		}
	}
	return configureInside(p, link, fd)
}

// protect sets up the firewall, and only then forwarding.
func (h *host) protect(p plan, c *config.Config) error {
	if !c.Forwarding {
		if err := h.forwarding.Forget(); err != nil {
			return err
		}
	} else {
		for _, v := range p.versions() {
			if err := h.forwarding.Prepare(v, append(h.table.Devices(), p.device())); err != nil {
				return err
			}
		}
	}
	if err := h.table.Set(h.policy(c), p.uplink()); err != nil {
		return err
	}
	return h.forwarding.SwitchOn()
}

func (h *host) policy(c *config.Config) firewall.Policy {
	guard := func(v sysctl.Version) firewall.Guard {
		on, routers := h.forwarding.Switched(v)
		return firewall.Guard{On: on, Routers: routers}
	}
	return firewall.Policy{
		Isolate:    c.Isolate,
		Inbound:    c.Inbound,
		AnyService: c.AnyService,
		Services:   c.Services,
		NAT4:       c.IPv4.NAT,
		NAT6:       c.IPv6.NAT,
		Guard4:     guard(sysctl.IPv4),
		Guard6:     guard(sysctl.IPv6),
	}
}

func (h *host) down(name string) error {
	if err := h.read(); err != nil {
		return err
	}
	links, err := h.uplinks()
	if err != nil {
		return err
	}
	devices := h.table.DevicesOf(name)
	for _, link := range links {
		if link.Attrs().Alias == name {
			devices = append(devices, link.Attrs().Name)
		}
	}
	for _, device := range devices {
		if err := h.remove(device); err != nil {
			return err
		}
	}
	return h.locked(func() error { return h.unprotect(name) })
}

// unprotect takes a name out of the firewall, and with the last one forwarding back.
func (h *host) unprotect(name string) error {
	links, err := h.uplinks()
	if err != nil {
		return err
	}
	last := h.table.IsLast(name) && !slices.ContainsFunc(links, func(link netlink.Link) bool {
		return link.Attrs().Alias != name // also where somebody has flushed the table
	})
	if last {
		if err := h.forwarding.Undo(); err != nil {
			return err
		}
	}
	return h.table.Remove(name)
}
