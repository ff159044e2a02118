// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/uplink/config"
)

// State tells how complete an uplink is.
type State string

// The states of an uplink.
const (
	StateUp         State = "up"
	StateDown       State = "down"
	StateIncomplete State = "incomplete" // Up repairs it
)

// Status describes an uplink, as it is or would be.
type Status struct {
	Name         string       `json:"name"`
	State        State        `json:"state"`
	Owner        string       `json:"owner"` // "uid 1000", "gid 1000"
	Device       string       `json:"device"`
	Interface    string       `json:"interface"`
	MTU          int          `json:"mtu"`
	Networks     []Network    `json:"networks"`
	Isolated     bool         `json:"isolated"`
	Inbound      bool         `json:"inbound"`
	HostServices []string     `json:"host_services"`
	Forwards     []PortNumber `json:"forwards"`
	Nameservers  []netip.Addr `json:"nameservers"`
	Changed      []string     `json:"changed"` // of the host's parameters, by any uplink
	Warnings     []string     `json:"warnings"`
}

// Network describes an uplink's addresses of one IP version.
type Network struct {
	Address netip.Prefix `json:"address"`
	Gateway netip.Addr   `json:"gateway"`
	NAT     bool         `json:"nat"`
	Outside string       `json:"outside,omitempty"` // what others see, if it is an address of its own
}

// PortNumber is one or more ports of the host that are forwarded to ports of the namespace.
type PortNumber struct {
	Host      string `json:"host"`              // "tcp/8080", "udp/60001-60010"
	Address   string `json:"address,omitempty"` // of the host, if it is one of several
	Namespace uint16 `json:"namespace"`
}

// Show returns the status of the uplink of name.
func Show(name string, c *config.Config) (*Status, error) {
	p, err := planFor(name, c)
	if err != nil {
		return nil, err
	}
	fd, err := netns.Open(name)
	if err != nil && !errors.Is(err, netns.ErrAbsent) {
		return nil, err
	}
	if err == nil {
		defer unix.Close(fd)
	}
	status := newStatus(p, c)
	err = forName(name, func(h *host) error {
		if err := h.read(); err != nil {
			return err
		}
		status.State, err = h.state(p, c, fd)
		h.describe(status, p, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("show %q: %w", name, err)
	}
	return status, nil
}

// newStatus returns the part of the status that follows from the plan and the configuration.
func newStatus(p plan, c *config.Config) *Status {
	s := &Status{
		Name:         p.name,
		Owner:        p.identity.String(),
		Device:       p.device(),
		Interface:    c.Interface,
		MTU:          p.mtu,
		Isolated:     c.Isolate,
		Inbound:      c.Inbound,
		HostServices: []string{},
		Forwards:     []PortNumber{},
	}
	for _, n := range []struct {
		ends
		nat bool
	}{{p.ipv4, c.IPv4.NAT}, {p.ipv6, c.IPv6.NAT}} {
		if n.host.IsValid() {
			network := Network{Address: n.inside, Gateway: n.host.Addr(), NAT: n.nat || n.outside.IsValid()}
			if n.outside.IsValid() {
				network.Outside = n.outside.String()
			}
			s.Networks = append(s.Networks, network)
		}
	}
	if c.AnyService {
		s.HostServices = []string{"all"}
	} else {
		for _, service := range c.Services {
			s.HostServices = append(s.HostServices, service.String())
		}
	}
	for _, f := range p.forwards {
		n := PortNumber{Host: f.From.String(), Namespace: f.To}
		if f.Address.IsValid() {
			n.Address = f.Address.String()
		}
		s.Forwards = append(s.Forwards, n)
	}
	s.Nameservers = nameservers(p, c)
	return s
}

// describe adds to the status what the host says.
func (h *host) describe(s *Status, p plan, c *config.Config) {
	s.Changed = h.forwarding.changed()
	s.Warnings = h.warnings(s, p, c)
}

// state returns the state of the plan's uplink. fd is -1 if there is no namespace.
func (h *host) state(p plan, c *config.Config, fd int) (State, error) {
	link, err := h.findLink(p.device())
	if err != nil {
		return "", err
	}
	if link == nil && len(h.table.devices(func(name string) bool { return name == p.name })) == 0 {
		return StateDown, nil
	}
	if link == nil || fd < 0 || !h.table.has(p, c) {
		return StateIncomplete, nil
	}
	good, err := h.matches(link, p, c, fd)
	if good && err == nil && c.Gate {
		good, err = h.isGated(link)
	}
	if good && err == nil {
		good, err = h.isProxied(p, c)
	}
	if good && err == nil {
		good, err = insideMatches(p, link, fd)
	}
	if !good || err != nil {
		return StateIncomplete, err
	}
	return StateUp, nil
}

// insideMatches tells whether the namespace's end of a link is up, has the plan's addresses
// and has default routes.
func insideMatches(p plan, link netlink.Link, fd int) (bool, error) {
	in, err := inside(fd)
	if err != nil {
		return false, err
	}
	defer in.Close()
	peer, err := in.LinkByIndex(link.Attrs().ParentIndex)
	if err != nil {
		return false, fmt.Errorf("find the interface inside: %w", err)
	}
	addresses, err := list(func() ([]netlink.Addr, error) { return in.AddrList(peer, netlink.FAMILY_ALL) })
	if err != nil {
		return false, fmt.Errorf("list addresses inside: %w", err)
	}
	routes, err := list(func() ([]netlink.Route, error) { return in.RouteList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return false, fmt.Errorf("list routes inside: %w", err)
	}
	for _, e := range p.ends() {
		hasAddress := slices.ContainsFunc(addresses, func(a netlink.Addr) bool { return prefixOf(a.IPNet) == e.inside })
		hasRoute := slices.ContainsFunc(routes, func(r netlink.Route) bool { return isDefault(r, e.inside.Addr().BitLen()) })
		if !hasAddress || !hasRoute {
			return false, nil
		}
	}
	return peer.Attrs().Flags&net.FlagUp != 0, nil
}

// isDefault tells whether r is a default route for addresses of so many bits.
func isDefault(r netlink.Route, bits int) bool {
	family := netlink.FAMILY_V4
	if bits == 128 {
		family = netlink.FAMILY_V6
	}
	if r.Family != family {
		return false
	}
	return r.Dst == nil || prefixOf(r.Dst).Bits() == 0
}

// warnings returns the reasons why an uplink may not work although it is up.
func (h *host) warnings(s *Status, p plan, c *config.Config) []string {
	warnings := []string{}
	obstacles, err := h.table.obstacles(p, c)
	if err != nil {
		warnings = append(warnings, "other firewalls: "+err.Error())
	}
	for _, o := range obstacles {
		warnings = append(warnings, o.String())
	}
	for _, e := range p.ends() {
		if on, err := getParameter(e.key("all", "forwarding")); err == nil && on == "0" && s.State == StateUp {
			warnings = append(warnings, fmt.Sprintf("the host does not forward: set net.%s.conf.all.forwarding, or forwarding = true", e.version))
		}
	}
	if link, err := h.findLink(p.device()); err == nil && link != nil {
		if now := link.Attrs().MTU; now != p.mtu {
			warnings = append(warnings, fmt.Sprintf("the MTU of %s is %d: pamnet-uplink up sets it to %d", p.device(), now, p.mtu))
		}
		if s.State == StateUp {
			warnings = append(warnings, h.strayWays(p, link)...)
		}
		has, _ := h.addresses(link)
		for _, a := range has {
			if isForeign(a, c) {
				warnings = append(warnings, fmt.Sprintf("%s has the address %s of another program: let that program leave interfaces pn* alone", p.device(), a))
			}
		}
	}
	if address := p.proxied(c); address.IsValid() {
		link, err := h.onLink(address)
		if err == nil && link == nil {
			warnings = append(warnings, fmt.Sprintf("no interface has a network with %s: proxy_ndp is of no use", address))
		} else if err == nil {
			if value, err := getParameter(ipv6.key(link.Attrs().Name, "proxy_ndp")); err == nil && value == "0" && s.State == StateUp {
				warnings = append(warnings, fmt.Sprintf("the host does not answer for %s: set net.ipv6.conf.%s.proxy_ndp", address, link.Attrs().Name))
			}
		}
	}
	if reliant, err := h.reliant(); err == nil && len(reliant) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s came after forwarding was switched on for uplinks, and may rely on it: "+
			"switch forwarding on at boot, in sysctl.d(5)", strings.Join(reliant, ", ")))
	}
	for _, device := range h.forwarding.deaf() {
		warnings = append(warnings, fmt.Sprintf("net.ipv6.conf.%s.accept_ra is 1, with which a host that forwards loses its routes by router advertisements: "+
			"run pamnet-uplink up again", device))
	}
	dns := config.Service{Protocol: config.UDP, Port: 53}
	for _, server := range s.Nameservers {
		if h.isOwn(server) && !c.AnyService && !slices.Contains(c.Services, dns) {
			warnings = append(warnings, fmt.Sprintf(`nameserver %s is the host, which does not answer: set host_services = ["udp/53", "tcp/53"]`, server))
		}
	}
	if len(s.Nameservers) == 0 {
		warnings = append(warnings, "the host uses no nameserver that could be reached from here: set nameservers")
	}
	return warnings
}

// isOwn tells whether an address is the host's own.
func (h *host) isOwn(address netip.Addr) bool {
	routes, err := h.RouteGet(address.AsSlice())
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// ResolvConf returns what /etc/netns/NAME/resolv.conf may contain.
func (s *Status) ResolvConf() string {
	var text strings.Builder
	for _, server := range s.Nameservers {
		fmt.Fprintf(&text, "nameserver %s\n", server)
	}
	return text.String()
}

// nameservers returns the configured nameservers or, without any, those of the host that are
// not on its loopback or link.
func nameservers(p plan, c *config.Config) []netip.Addr {
	servers := []netip.Addr{}
	if len(c.Nameservers) > 0 {
		return append(servers, c.Nameservers...)
	}
	// The second file has the servers that systemd-resolved asks.
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "nameserver" {
				continue
			}
			server, err := netip.ParseAddr(words[1])
			if err == nil && !server.IsLoopback() && !server.IsLinkLocalUnicast() && p.reaches(server) {
				servers = append(servers, server)
			}
		}
		if len(servers) > 0 {
			break
		}
	}
	return servers
}
