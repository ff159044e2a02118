// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
)

// Interface is an interface, with the bytes that it has received and sent.
type Interface struct {
	Name      string   `json:"name"`
	Up        bool     `json:"up"`
	Addresses []string `json:"addresses"`
	In        uint64   `json:"bytes_in"`
	Out       uint64   `json:"bytes_out"`
}

// Route is a default route.
type Route struct {
	Gateway   string `json:"gateway"` // "" if there is none
	Interface string `json:"interface"`
}

// Network is what is in a network namespace.
type Network struct {
	Interfaces []Interface `json:"interfaces"`
	Routes     []Route     `json:"default_routes"`
}

const attempts = 20 // to list what changes meanwhile

// LookInto returns what is in the network namespace fd. The caller must be root and hold the OS thread.
func LookInto(fd int) (*Network, error) {
	handle, err := netlink.NewHandleAt(netns.Handle(fd), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket in %s: %w", netns.ID(fd), err)
	}
	defer handle.Close()
	n, err := again(func() (*Network, error) { return look(handle) })
	if err != nil {
		return nil, fmt.Errorf("look into %s: %w", netns.ID(fd), err)
	}
	return n, nil
}

// again lists what there is until nothing changes meanwhile.
func again[T any](list func() (T, error)) (T, error) {
	found, err := list()
	for i := 1; errors.Is(err, netlink.ErrDumpInterrupted) && i < attempts; i++ {
		found, err = list()
	}
	return found, err
}

func look(handle *netlink.Handle) (*Network, error) {
	links, err := handle.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	addresses, err := handle.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	routes, err := handle.RouteList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	n := &Network{Interfaces: []Interface{}, Routes: []Route{}} // empty lists are [] in JSON
	names := map[int]string{}
	for _, link := range links {
		a := link.Attrs()
		names[a.Index] = a.Name
		i := Interface{Name: a.Name, Up: a.Flags&net.FlagUp != 0, Addresses: []string{}}
		for _, address := range addresses {
			if address.LinkIndex == a.Index {
				i.Addresses = append(i.Addresses, address.IPNet.String())
			}
		}
		if a.Statistics != nil {
			i.In, i.Out = a.Statistics.RxBytes, a.Statistics.TxBytes
		}
		n.Interfaces = append(n.Interfaces, i)
	}
	for _, r := range routes {
		if r.Type != unix.RTN_UNICAST || !isDefault(r.Dst) {
			continue
		}
		n.addRoute(r.Gw, names[r.LinkIndex])
		for _, hop := range r.MultiPath {
			n.addRoute(hop.Gw, names[hop.LinkIndex])
		}
	}
	return n, nil
}

func (n *Network) addRoute(gateway net.IP, name string) {
	r := Route{Interface: name}
	if gateway != nil {
		r.Gateway = gateway.String()
	}
	if r != (Route{}) { // a route with several hops has neither itself
		n.Routes = append(n.Routes, r)
	}
}

func isDefault(destination *net.IPNet) bool {
	if destination == nil {
		return true
	}
	ones, _ := destination.Mask.Size()
	return ones == 0 && destination.IP.IsUnspecified()
}
