// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
)

// Wire connects an interface in a network with one of the host's: the ends of a veth pair, or a macvlan with the
// interface that it is on.
type Wire struct {
	Inside, Outside string // the names of the interfaces
	Bridge          string // to which the one of the host's belongs, "" for none
}

// HostLinks are the interfaces of the host's network. Close them.
type HostLinks struct {
	fd      int
	byIndex map[int]*netlink.LinkAttrs
}

// LookAtHost returns the interfaces of the host's network. The caller must be root and hold the OS thread.
func LookAtHost() (*HostLinks, error) {
	fd, err := nsfs.Open(nsfs.Host, nsfs.Net)
	if err != nil {
		return nil, err
	}
	h := &HostLinks{fd, map[int]*netlink.LinkAttrs{}}
	handle, all, err := linksOf(fd)
	if err != nil {
		h.Close()
		return nil, err
	}
	handle.Close()
	for _, link := range all {
		h.byIndex[link.Attrs().Index] = link.Attrs()
	}
	return h, nil
}

// Close closes the descriptor of the network.
func (h *HostLinks) Close() { unix.Close(h.fd) }

// Wires returns the wires between the network namespace fd and the host's. The caller must be root and hold the OS
// thread.
func (h *HostLinks) Wires(fd int) (wires []Wire, err error) {
	handle, all, err := linksOf(fd)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	host, err := handle.GetNetNsIdByFd(h.fd) // as links name the namespace of the other end
	if err != nil {
		return nil, fmt.Errorf("find the host's network in %s: %w", netns.ID(fd), err)
	}
	for _, link := range all {
		a := link.Attrs()
		out := h.byIndex[a.ParentIndex]
		if out == nil || host < 0 || a.NetNsID != host {
			continue
		}
		w := Wire{Inside: a.Name, Outside: out.Name}
		if bridge := h.byIndex[out.MasterIndex]; bridge != nil {
			w.Bridge = bridge.Name
		}
		wires = append(wires, w)
	}
	return wires, nil
}

// linksOf returns the links of a network namespace, and a handle that the caller must close.
func linksOf(fd int) (*netlink.Handle, []netlink.Link, error) {
	handle, err := netlink.NewHandleAt(netns.Handle(fd), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, nil, fmt.Errorf("open netlink socket in %s: %w", netns.ID(fd), err)
	}
	all, err := again(handle.LinkList)
	if err != nil {
		handle.Close()
		return nil, nil, fmt.Errorf("list interfaces in %s: %w", netns.ID(fd), err)
	}
	return handle, all, nil
}
