// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/uplink/config"
)

// States returns the state of each uplink by its name. If the state of some cannot be told, it is "", and the error says
// why. An uplink that is being made is incomplete.
func States(c *config.Config) (map[string]State, error) {
	names, err := Names()
	if err != nil {
		return nil, err
	}
	h := newHost()
	if err := h.read(); err != nil && len(names) == 0 {
		return nil, nil // a kernel without nftables has no uplinks
	} else if err != nil {
		return nil, err
	}
	h.table.devices(func(name string) bool { names = append(names, name); return false })
	states := map[string]State{}
	var failed []error
	for _, name := range names {
		if _, ok := states[name]; ok {
			continue
		}
		if states[name], err = h.stateOf(name, c); err != nil {
			failed = append(failed, fmt.Errorf("look at the uplink of %q: %w", name, err))
		}
	}
	return states, errors.Join(failed...)
}

func (h *host) stateOf(name string, c *config.Config) (State, error) {
	p, err := planFor(name, c)
	if errors.Is(err, errNobody) {
		return StateIncomplete, nil
	} else if err != nil {
		return "", err
	}
	fd, err := netns.Open(name)
	if err == nil {
		defer unix.Close(fd)
	} else if !errors.Is(err, netns.ErrAbsent) {
		return "", err
	}
	return h.state(p, c, fd)
}
