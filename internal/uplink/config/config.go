// SPDX-License-Identifier: GPL-2.0-or-later

// Package config reads the configuration of pamnet-uplink.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// Path is the path of the configuration. Without the file the defaults hold.
const Path = "/etc/security/pamnet-uplink.toml"

// Protocol is a transport protocol, by its number in IP.
type Protocol uint8

// The protocols whose ports can be forwarded.
const (
	TCP Protocol = 6
	UDP Protocol = 17
)

func (p Protocol) String() string {
	return map[Protocol]string{TCP: "tcp", UDP: "udp"}[p]
}

// Service is a port of the host.
type Service struct {
	Protocol Protocol
	Port     uint16
}

func (s Service) String() string { return fmt.Sprintf("%s/%d", s.Protocol, s.Port) }

// Ports are ports of a protocol.
type Ports struct {
	Protocol    Protocol
	First, Last uint16
}

func (p Ports) String() string {
	if p.First == p.Last {
		return Service{p.Protocol, p.First}.String()
	}
	return fmt.Sprintf("%s/%d-%d", p.Protocol, p.First, p.Last)
}

// Forward forwards ports of the host to a namespace.
type Forward struct {
	Name    string     // the namespace; "" for those of all users
	Address netip.Addr // of the host; invalid for all that it has
	From    Ports
	To      uint16 // the port that the first one leads to; several lead to ports of the same numbers
	Each    int    // of the ports for all users, how many each gets
	Local   bool   // also for programs of the host itself
}

// Whose returns a phrase for the users whose networks the ports lead to.
func (f Forward) Whose() string {
	if f.Name == "" {
		return "all users"
	}
	return strconv.Quote(f.Name)
}

// overlaps tells whether a connection could be meant by both.
func (f Forward) overlaps(g Forward) bool {
	return f.From.Protocol == g.From.Protocol && f.From.First <= g.From.Last && g.From.First <= f.From.Last &&
		(!f.Address.IsValid() || !g.Address.IsValid() || f.Address == g.Address)
}

// SNAT gives what a namespace sends to others an address of the host's.
type SNAT struct {
	Name    string     // the namespace; "" for all users
	Address netip.Addr // invalid for all users
	Pool    netip.Prefix
}

// Family is the configuration of one IP version.
type Family struct {
	Enabled       bool
	Users, Groups netip.Prefix // do not overlap
	PrefixLength  int          // of the network of one link
	NAT           bool
	ProxyNDP      bool // the host answers its neighbours for addresses of uplinks; IPv6 only

	Pools []netip.Prefix // all that are in use: those of the ranges instead of Users, if there are ranges
}

// Range has the UIDs whose networks are in pools of their own.
type Range struct {
	First      uint32
	Count      uint64
	IPv4, IPv6 netip.Prefix // invalid if the IP version is not enabled
}

// Config is a valid configuration.
type Config struct {
	Interface   string // its name in the namespace
	MTU         int    // 0 for that of the way out
	Isolate     bool
	Inbound     bool
	Forwarding  bool
	Gate        bool // namespaces reach nothing while the nftables table is away
	Manage      bool // other firewalls are told to let uplinks through
	AnyService  bool // all services of the host may be reached, not only Services
	Services    []Service
	Metadata    bool // the metadata service of a cloud may be reached
	Nameservers []netip.Addr
	Group       string // the part before "-NAME" in the name of a group
	FirstUID    uint32
	FirstGID    uint32
	Ranges      []Range // if there are any, other UIDs have no network
	Remembered  bool    // networks are given out in order, whatever the UID and GID
	IPv4, IPv6  Family
	Forwards    []Forward
	SNATs       []SNAT
}

// Load reads a configuration file, which must be root's, and writable by nobody else. If it
// does not exist, Load returns the defaults.
func Load(path string) (*Config, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Parse(path, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if !info.Mode().IsRegular() || owner != 0 || info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("%s can be written by others than root: chown root %s; chmod go-w %s", path, path, path)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, text)
}
