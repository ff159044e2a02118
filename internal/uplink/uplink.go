// SPDX-License-Identifier: GPL-2.0-or-later

// Package uplink connects named network namespaces to the host's network: a veth
// pair with addresses that follow from the UID, routes, forwarding, NAT, and a
// firewall between the namespace, its neighbours and the host.
//
// Up and Down take steps that may be repeated: after a crash anywhere, either of them
// completes what is half made. What protects is made before what opens, and removed after
// it: Up sets up the firewall before the link, and Down removes the link before the firewall.
package uplink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/state"
	"libpam-net/internal/uplink/config"
)

const (
	// uplinksLock is held to change the nftables table and the parameters, which all uplinks
	// share. With a slash and a name behind it, it is held to change that name's link. No
	// network has a name with a slash.
	uplinksLock = "/uplink"

	// patience is how long the kernel may take to answer on a netlink socket, and another
	// process to release a lock. At boot a slow machine loads modules of the kernel meanwhile,
	// and sets up many uplinks at once. A login ends its setup program earlier (timeout=).
	// Without memory the kernel never answers.
	patience = time.Minute
)

func deadline() time.Time { return time.Now().Add(patience) }

// host is the host's side of the uplinks.
type host struct {
	*netlink.Handle
	known map[int][]netip.Prefix // addresses by interface, for Survey; nil: ask

	// As of the last call of locked.
	table      *table
	forwarding *forwarding
}

// Up connects the network namespace name, or repairs its uplink, and returns its status. If
// Up fails, an uplink that was not there before, or was damaged, is not there afterwards.
func Up(name string, c *config.Config) (*Status, error) {
	p, err := planAndRemember(name, c)
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
	status := newStatus(p, c)
	err = forName(name, func(h *host) error {
		if err := h.up(p, c, fd); err != nil {
			return err
		}
		status.State = StateUp
		var failed error
		if c.Manage {
			failed = h.locked(func() error { return h.openFirewalls(p, c) })
		}
		h.describe(status, p, c)
		if failed != nil {
			status.Warnings = append(status.Warnings, "other firewalls: "+failed.Error())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("connect %q: %w", name, err)
	}
	return status, nil
}

// Down disconnects name, and removes what is left of a half made uplink. It succeeds if there
// is none. It needs neither the namespace nor the user. After the last uplink it puts the
// host's parameters back, unless there are interfaces that may rely on forwarding. It returns
// these.
func Down(name string) (reliant []string, err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	err = forName(name, func(h *host) error {
		reliant, err = h.down(name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("disconnect %q: %w", name, err)
	}
	return reliant, nil
}

// Names returns the names that have an uplink, sorted.
func Names() (names []string, err error) {
	links, err := newHost().uplinks()
	for _, link := range links {
		names = append(names, link.Attrs().Alias)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// forName calls f while no other process changes the uplink of name. Those of other names do
// not wait.
func forName(name string, f func(*host) error) error {
	lock, err := state.Acquire(uplinksLock+"/"+name, patience)
	if err != nil {
		return err
	}
	defer lock.Release()
	return f(newHost())
}

// locked reads what all uplinks share, and calls f while no other process changes it. All
// runs of pamnet-uplink wait for that, so f must do nothing else.
func (h *host) locked(f func() error) error {
	lock, err := state.Acquire(uplinksLock, patience)
	if err != nil {
		return err
	}
	defer lock.Release()
	if h.table, err = openTable(); err != nil {
		return err
	}
	if h.forwarding, err = openForwarding(forwardingFile); err != nil {
		return err
	}
	return f()
}

// read reads what all uplinks share.
func (h *host) read() error {
	return h.locked(func() error { return nil })
}

func (h *host) up(p plan, c *config.Config, fd int) (err error) {
	if err := h.read(); err != nil {
		return err
	}
	for _, device := range h.table.devices(func(name string) bool { return name == p.name }) {
		if device != p.device() { // the user had another UID
			if err := h.remove(device); err != nil {
				return err
			}
		}
	}
	stale := slices.DeleteFunc(h.table.proxiedOf(p.name), func(a netip.Addr) bool { return a == p.proxied(c) })
	if err := h.unproxy(stale); err != nil {
		return err
	}
	link, good, err := h.findOwn(p, c, fd)
	if err != nil {
		return err
	}
	if !good {
		if err := h.refuseOverlap(p, c); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				_, failed := h.down(p.name)
				err = errors.Join(err, failed)
			}
		}()
	}
	if err := h.locked(func() error { return h.applyFirewall(p, c) }); err != nil {
		return err
	}
	// From here on the device is this name's.
	if good {
		err = errors.Join(h.markUnchecked(link, c), fitMTU(h.Handle, link, p.mtu))
	} else if err = h.remove(p.device()); err == nil {
		link, err = h.makeLink(p, c, fd)
	}
	if err != nil {
		return err
	}
	if err := setRouteLocalnet(p); err != nil {
		return err
	}
	if err := h.proxy(p, c); err != nil {
		return err
	}
	return configureInside(p, c, link, fd)
}

// applyFirewall closes the gate, holds the way back, writes the nftables table, and only then switches forwarding
// on. A table that is away comes back for all uplinks at once. applyFirewall fails if the table
// has the device for another name: of two names with one number one is first.
func (h *host) applyFirewall(p plan, c *config.Config) error {
	if other := h.table.nameOf(p.device()); other != "" && other != p.name {
		return fmt.Errorf("interface %s, of %s, belongs to %q: run pamnet-uplink down %s first", p.device(), p.identity, other, other)
	}
	if c.Gate {
		if err := h.closeGate(); err != nil {
			return err
		}
	}
	if err := h.holdWayBack(c); err != nil {
		return err
	}
	if !c.Forwarding {
		if err := h.forwarding.forget(); err != nil {
			return err
		}
	} else {
		devices := append(h.table.devices(func(string) bool { return true }), p.device())
		for _, e := range p.ends() {
			if err := h.forwarding.prepare(e.version, devices); err != nil {
				return err
			}
		}
	}
	if err := h.switchProxyOn(p, c); err != nil {
		return err
	}
	plans := []plan{p}
	if !h.table.exists {
		lost, err := h.plansOfOthers(p.name, c)
		if err != nil {
			return err
		}
		plans = append(plans, lost...)
	}
	if err := h.table.write(c, h.forwarding, plans); err != nil {
		return err
	}
	return h.forwarding.switchOn()
}

// plansOfOthers returns plans for the links of other names, which bring their elements back into
// a table that somebody has deleted. The numbers are those of the links: the name service is not asked.
func (h *host) plansOfOthers(name string, c *config.Config) (plans []plan, err error) {
	links, err := h.uplinks()
	if err != nil {
		return nil, err
	}
	var known places
	if c.Remembered {
		if known, err = readPlaces(placesFile); err != nil {
			return nil, err
		}
	}
	for _, link := range links {
		a := link.Attrs()
		if a.Alias == name {
			continue
		}
		who, err := identityOf(a.Name, a.Alias)
		if err != nil {
			continue // not a name that device returns
		}
		p, err := makePlan(who, c, known, hasIPv6())
		if err != nil { // the configuration has changed
			p = plan{identity: who}
		}
		plans = append(plans, p)
	}
	return plans, nil
}

func (h *host) down(name string) (reliant []string, err error) {
	if err := h.read(); err != nil {
		return nil, err
	}
	if err := h.unproxy(h.table.proxiedOf(name)); err != nil {
		return nil, err
	}
	links, err := h.uplinks()
	if err != nil {
		return nil, err
	}
	devices := h.table.devices(func(other string) bool { return other == name })
	for _, link := range links {
		if link.Attrs().Alias == name {
			devices = append(devices, link.Attrs().Name)
		}
	}
	for _, device := range devices {
		if err := h.remove(device); err != nil {
			return nil, err
		}
	}
	err = h.locked(func() error {
		reliant, err = h.removeFirewall(name)
		return err
	})
	return reliant, err
}

// removeFirewall deletes a name from the nftables table. With the last uplink it deletes the
// gate and the rules for the way back, undoes forwarding, deletes the table and undoes openFirewalls. Forwarding and the rules that close other
// interfaces stay if reliant returns any.
func (h *host) removeFirewall(name string) (reliant []string, err error) {
	links, err := h.uplinks()
	if err != nil {
		return nil, err
	}
	last := h.table.isLast(name) && !slices.ContainsFunc(links, func(link netlink.Link) bool {
		return link.Attrs().Alias != name // the table may have been flushed
	})
	if !last {
		return nil, h.table.delete(name, false)
	}
	if reliant, err = h.reliant(); err != nil {
		return nil, err
	}
	if len(reliant) == 0 {
		if err := h.forwarding.undo(); err != nil {
			return nil, err
		}
	}
	if err := h.table.delete(name, len(reliant) == 0); err != nil {
		return nil, err
	}
	return reliant, errors.Join(h.releaseWayBack(), h.openGate(), closeFirewalls())
}

// reliant returns the virtual interfaces that have come since forwarding was switched on, for
// containers, machines or tunnels. They may rely on it.
func (h *host) reliant() (devices []string, err error) {
	links, err := list(h.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	for _, link := range links {
		a := link.Attrs()
		if link.Type() != "device" && a.MasterIndex == 0 && a.Flags&net.FlagUp != 0 && !isOurs(link) && !h.forwarding.knows(a.Name) {
			devices = append(devices, a.Name)
		}
	}
	return devices, nil
}
