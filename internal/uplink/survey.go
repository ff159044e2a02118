// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"net/netip"
	"os/user"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/uplink/config"
)

// Found is an uplink that is up or half made.
type Found struct {
	Name     string   `json:"name"`
	Device   string   `json:"device"`
	State    State    `json:"state"`    // "" if it cannot be told
	Open     bool     `json:"open"`     // the nftables table lacks its part
	Nobody   bool     `json:"nobody"`   // neither a user nor a group has the name, or its number is another
	Renamed  string   `json:"renamed"`  // the name that its user has now, "" if there is none
	Problem  string   `json:"problem"`  // why nothing else is known, "" if it is
	Warnings []string `json:"warnings"` // of the host, with the first uplink alone
}

// confirmed is the number of incomplete uplinks that Survey looks at again, in case that somebody just makes them.
const confirmed = 8

// Survey returns the uplinks that have an interface or a place in the nftables table, by name. It changes nothing
// and waits for no other process, unless an uplink is incomplete.
func Survey(c *config.Config) (all []Found, err error) {
	h := newHost()
	links, err := h.uplinks()
	if err != nil {
		return nil, err
	}
	if h.table, err = openTable(); err != nil {
		return nil, err
	}
	if h.forwarding, err = openForwarding(forwardingFile); err != nil {
		return nil, err
	}
	if err := h.learnAddresses(); err != nil {
		return nil, err
	}
	devices := map[string]string{}
	for _, link := range links {
		devices[link.Attrs().Alias] = link.Attrs().Name
	}
	for _, e := range h.table.links.elements {
		if devices[e.Comment] == "" {
			devices[e.Comment] = h.table.devices(func(name string) bool { return name == e.Comment })[0]
		}
	}
	looked := 0
	for name, device := range devices {
		f := h.find(name, device, c)
		if f.State == StateIncomplete && !f.Nobody && looked < confirmed {
			looked++
			if status, err := Show(name, c); err == nil {
				f.State = status.State
			}
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Found) int { return strings.Compare(a.Name, b.Name) })
	return all, h.warn(all, c)
}

// learnAddresses lists the addresses of all interfaces at once. The kernel lists no fewer for one.
func (h *host) learnAddresses() error {
	addresses, err := list(func() ([]netlink.Addr, error) { return h.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	h.known = map[int][]netip.Prefix{}
	for _, a := range addresses {
		h.known[a.LinkIndex] = append(h.known[a.LinkIndex], prefixOf(a.IPNet))
	}
	return nil
}

// find returns what there is of an uplink.
func (h *host) find(name, device string, c *config.Config) Found {
	f := Found{Name: name, Device: device, State: StateIncomplete}
	p, err := planFor(name, c)
	if errors.Is(err, errNobody) || err == nil && p.device() != device {
		f.Nobody = true
		if who, err := identityOf(device, name); err == nil && !who.group {
			if u, err := user.LookupId(fmt.Sprint(who.id)); err == nil && u.Username != name {
				f.Renamed = u.Username
			}
		}
		return f
	}
	if err != nil {
		f.State, f.Problem = "", err.Error()
		return f
	}
	f.Open = !h.table.has(p, c)
	fd, err := netns.Open(name)
	switch {
	case errors.Is(err, netns.ErrAbsent):
	case err != nil:
		f.State, f.Problem = "", err.Error()
	default:
		defer unix.Close(fd)
		if f.State, err = h.state(p, c, fd); err != nil {
			f.State, f.Problem = "", err.Error()
		}
	}
	return f
}

// warn adds the warnings of the first uplink that is up.
func (h *host) warn(all []Found, c *config.Config) error {
	i := slices.IndexFunc(all, func(f Found) bool { return f.State == StateUp })
	if i < 0 {
		return nil
	}
	p, err := planFor(all[i].Name, c)
	if err != nil {
		return err
	}
	s := newStatus(p, c)
	s.State = StateUp
	all[i].Warnings = h.warnings(s, p, c)
	return nil
}
