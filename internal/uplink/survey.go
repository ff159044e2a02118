// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/uplink/config"
)

// Found is an uplink that is up or half made.
type Found struct {
	Name     string   `json:"name"`
	Device   string   `json:"device"`
	State    State    `json:"state"`
	Open     bool     `json:"open"`     // the nftables table lacks its part
	Nobody   bool     `json:"nobody"`   // neither a user nor a group has the name, or its number is another
	Renamed  string   `json:"renamed"`  // the name that its user has now, "" if there is none
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
		f, err := h.find(name, device, c)
		if err != nil {
			return nil, fmt.Errorf("look at uplink %q: %w", name, err)
		}
		if f.State == StateIncomplete && !f.Nobody && looked < confirmed {
			looked++
			status, err := Show(name, c)
			if err != nil {
				return nil, err
			}
			f.State = status.State
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Found) int { return strings.Compare(a.Name, b.Name) })
	return all, h.warn(all, c)
}

// find returns what there is of an uplink.
func (h *host) find(name, device string, c *config.Config) (Found, error) {
	f := Found{Name: name, Device: device, State: StateIncomplete}
	p, err := planFor(name, c)
	if errors.Is(err, errNobody) || err == nil && p.device() != device {
		f.Nobody = true
		if who, err := identityOf(device, name); err == nil && !who.group {
			if u, err := user.LookupId(fmt.Sprint(who.id)); err == nil && u.Username != name {
				f.Renamed = u.Username
			}
		}
		return f, nil
	}
	if err != nil {
		return f, err
	}
	fd, err := netns.Open(name)
	if err != nil && !errors.Is(err, netns.ErrAbsent) {
		return f, err
	}
	if err == nil {
		defer unix.Close(fd)
	}
	f.Open = !h.table.has(p, c)
	f.State, err = h.state(p, c, fd)
	return f, err
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
