// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"cmp"
	"fmt"
	"io"
	"os/user"
	"slices"
	"strings"

	"libpam-net/internal/policy"
	"libpam-net/internal/session"
	"libpam-net/internal/sessions"
)

// place is what status prints as JSON for a user: the network of the session, as far as the user may know it.
type place struct {
	User       string               `json:"user"`
	Service    string               `json:"service"` // that has opened the session; "sshd" if that has ended
	Inode      uint64               `json:"inode"`
	Host       bool                 `json:"host"`    // it is the host's network
	Network    string               `json:"network"` // its name, by the user's groups; "" for one without
	Group      string               `json:"group"`   // that leads the user to it, "" if none
	Problem    string               `json:"problem"` // why the group is unknown, or does not isolate the user
	Managed    bool                 `json:"managed"` // the user owns the network
	Others     []string             `json:"others"`  // the other users in it, without root; none of the host's
	Interfaces []sessions.Interface `json:"interfaces"`
	Routes     []sessions.Route     `json:"default_routes"`
	DNS        []string             `json:"dns"`
}

// findPlace returns where the caller is.
func findPlace() (*place, error) {
	u, err := user.Current()
	if err != nil {
		return nil, err
	}
	here, err := sessions.LookHere()
	if err != nil {
		return nil, err
	}
	p := &place{
		User: u.Username, Service: cmp.Or(here.Service, "sshd"), Inode: here.Inode, Host: here.Host, Managed: here.Managed,
		Others: notNil(here.Others), Interfaces: here.Interfaces, Routes: here.Routes, DNS: nameServers("/etc/resolv.conf"),
	}
	rules, err := policy.Load("/", policy.Live())
	if err != nil {
		p.Problem = err.Error()
		return p, nil
	}
	d := rules.Decide(p.Service, p.User)
	switch step := d.Network(); {
	case step != nil:
		p.Network, p.Group = step.Netns(), step.Group
	case len(d.Holes()) > 0:
		hole := d.Holes()[0]
		p.Group, p.Problem = hole.Group, hole.Missing()
	case slices.ContainsFunc(d.Steps, func(s policy.Step) bool { return s.State == session.Unknown }):
		p.Problem = d.Why
	}
	return p, nil
}

// printPlace prints a sentence.
func printPlace(w io.Writer, p *place) error {
	where := "the host's network"
	switch {
	case p.Host:
	case p.Group == "":
		where = fmt.Sprintf("another network than the host's, net:[%d]", p.Inode)
	case p.Network == "":
		where = "a network of your session's own"
	default:
		where = "network " + p.Network
	}
	parts := []string{"You are in " + where + p.company(), p.wayOut(), p.reason()}
	if p.Managed {
		parts = append(parts, "you own it")
	}
	_, err := fmt.Fprintln(w, plain(strings.Join(parts, "; ")))
	return err
}

// company returns who else is in the network.
func (p *place) company() string {
	switch n := len(p.Others); {
	case p.Host:
		return ""
	case n == 0:
		return ", alone"
	case n == 1:
		return " with " + p.Others[0]
	default:
		return " with " + strings.Join(p.Others[:n-1], ", ") + " and " + p.Others[n-1]
	}
}

func (p *place) wayOut() string {
	var ways []string
	for _, r := range p.Routes {
		if way := strings.TrimSpace(r.Gateway + " by " + r.Interface); !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	switch {
	case len(ways) == 0 && slices.ContainsFunc(p.Interfaces, func(i sessions.Interface) bool { return i.Name != "lo" && i.Up }):
		return "no default route"
	case len(ways) == 0:
		return "no way out"
	case len(p.DNS) == 0:
		return "out through " + strings.Join(ways, ", ") + ", without name server"
	}
	return "out through " + strings.Join(ways, ", ") + ", name server " + strings.Join(p.DNS, ", ")
}

// reason returns why the user is there, or what is odd about it.
func (p *place) reason() string {
	switch {
	case p.Host && p.Group != "":
		return fmt.Sprintf("although you are in group %s: %s", p.Group, cmp.Or(p.Problem, "this session is older, or of another service"))
	case p.Problem != "":
		return "why is unknown: " + p.Problem
	case p.Group != "":
		return "because of " + p.Group
	case p.Host:
		return "no group of yours isolates you"
	default:
		return "no group of yours leads there: su and sudo stay in the network that they start from"
	}
}
