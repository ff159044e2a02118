// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"libpam-net/internal/doctor"
	"libpam-net/internal/journal"
	"libpam-net/internal/netns"
	"libpam-net/internal/sessions"
	"libpam-net/internal/uplink"
	"libpam-net/internal/uplink/config"
)

// status is what status prints as JSON for root.
type status struct {
	Version  string             `json:"version"`
	Modules  statusModules      `json:"modules"`
	Groups   []statusGroup      `json:"groups"`
	Services []string           `json:"services"` // that open sessions
	Silent   []string           `json:"silent"`   // the sources of nsswitch.conf that do not list their members
	Networks []statusNetwork    `json:"networks"` // with names
	Sessions []sessions.Session `json:"sessions"`
	Refusals statusRefusals     `json:"refusals"`
	Problems []string           `json:"problems"` // what could not be found out
}

type statusModules struct {
	Directory string   `json:"directory"` // "" if unknown
	Missing   []string `json:"missing"`
}

// statusGroup is what a module does for its groups.
type statusGroup struct {
	Module   string   `json:"module"`
	Group    string   `json:"group"` // "groupnet-*" for all that begin so
	Members  []string `json:"members"`
	Complete bool     `json:"complete"` // there are no other members
	Open     []string `json:"open"`     // the services in which members stay in the host's network
}

// statusNetwork is a network with a name.
type statusNetwork struct {
	Name    string       `json:"name"`
	Inode   uint64       `json:"inode"`  // 0 if there is an uplink without a network
	Uplink  uplink.State `json:"uplink"` // "" if it cannot be told
	DNS     []string     `json:"dns"`
	OwnDNS  bool         `json:"own_dns"` // in /etc/netns; else they are the host's
	Users   []string     `json:"users"`   // with sessions
	Counted int          `json:"sessions"`
}

// statusRefusals has the refusals of the last day.
type statusRefusals struct {
	Since  time.Time      `json:"since"`
	Source string         `json:"source"` // "the journal", a file, or ""
	Lines  []journal.Line `json:"lines"`  // the newest first
}

// mostRefusals is how many refusals status reads.
const mostRefusals = 1000

func statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show all at a glance: members, services, networks, sessions, refusals",
		Long: `Shows root on one screen: the modules, whom they isolate and in which services, the networks with their
uplinks and name servers, the sessions, and the refusals of the last day. Shows others which network they
are in, with whom, and why. "pamnetctl" alone does the same.

Use it to see what goes on. "pamnetctl doctor" finds what is wrong.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return showStatus(c.Context(), c.OutOrStdout(), *asJSON) }
	return c
}

// showStatus shows root the machine, and others their own network.
func showStatus(ctx context.Context, w io.Writer, asJSON bool) error {
	runtime.LockOSThread()
	if os.Geteuid() != 0 {
		p, err := findPlace()
		if err != nil {
			return err
		}
		if asJSON {
			return printObject(w, p)
		}
		return printPlace(w, p)
	}
	s, err := findStatus(ctx, time.Now())
	if err != nil {
		return err
	}
	if asJSON {
		err = printObject(w, s)
	} else {
		err = printStatus(w, s)
	}
	if err == nil && len(s.Problems) > 0 {
		err = errors.New(strings.Join(s.Problems, "; "))
	}
	return err
}

// findStatus looks at this machine. What it cannot find out is among the problems.
func findStatus(ctx context.Context, now time.Time) (*status, error) {
	o, err := doctor.Survey(doctor.This())
	if err != nil {
		return nil, err
	}
	// Empty lists are [] in JSON.
	s := &status{
		Version: version, Modules: statusModules{o.ModuleDir, notNil(o.Missing)}, Services: notNil(o.Services), Silent: notNil(o.Silent),
		Groups: []statusGroup{}, Networks: []statusNetwork{}, Sessions: []sessions.Session{}, Problems: []string{},
		Refusals: statusRefusals{Since: now.AddDate(0, 0, -1), Lines: []journal.Line{}},
	}
	problem := func(err error) {
		if err != nil {
			s.Problems = append(s.Problems, err.Error())
		}
	}
	for _, err := range o.Failed {
		problem(err)
	}
	for _, c := range o.Concerns {
		g := statusGroup{Module: c.Name, Group: c.Groups(), Members: []string{}, Complete: c.Complete, Open: notNil(c.Open)}
		for _, a := range c.Members {
			g.Members = append(g.Members, a.User)
		}
		s.Groups = append(s.Groups, g)
	}
	all, err := listSessions("")
	problem(err)
	s.Sessions = notNil(all)
	networks, err := findNetworks(s.Sessions)
	problem(err)
	s.Networks = notNil(networks)
	log, err := journal.Read(ctx, journal.Query{Since: s.Refusals.Since, Refusals: true, Most: mostRefusals})
	if !errors.Is(err, journal.ErrNone) {
		problem(err)
	}
	slices.Reverse(log.Lines)
	s.Refusals.Source, s.Refusals.Lines = log.Source, notNil(log.Lines)
	return s, nil
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// findNetworks returns the networks that have a name or an uplink.
func findNetworks(all []sessions.Session) ([]statusNetwork, error) {
	names, err := netns.Names()
	if err != nil {
		return nil, err
	}
	uplinks, err := findUplinks()
	without := uplink.StateDown // the state of networks that are not among them
	if err != nil {
		without = ""
	}
	networks := map[string]*statusNetwork{}
	for inode, name := range names {
		networks[name] = &statusNetwork{Name: name, Inode: inode, Uplink: without, Users: []string{}}
	}
	for _, u := range uplinks {
		if networks[u.Name] == nil {
			networks[u.Name] = &statusNetwork{Name: u.Name, Users: []string{}}
		}
		networks[u.Name].Uplink = u.State
	}
	for _, s := range all {
		if n := networks[s.Name]; n != nil {
			n.Counted++
			if !slices.Contains(n.Users, s.User) { // they are sorted
				n.Users = append(n.Users, s.User)
			}
		}
	}
	host := nameServers("/etc/resolv.conf")
	var found []statusNetwork
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		n := networks[name]
		own := path.Join("/etc/netns", name, "resolv.conf")
		if _, err := os.Stat(own); err == nil {
			n.DNS, n.OwnDNS = nameServers(own), true
		} else {
			n.DNS = host
		}
		found = append(found, *n)
	}
	return found, err
}

// findUplinks returns the uplinks of pamnet-uplink.
func findUplinks() ([]uplink.Found, error) {
	c, err := config.Load(config.Path)
	if err != nil {
		return nil, err
	}
	found, err := uplink.Survey(c)
	if err != nil {
		if links, failed := uplink.Names(); failed == nil && len(links) == 0 {
			return nil, nil // a kernel without nftables, perhaps
		}
	}
	return found, err
}

// nameServers returns the name servers of a resolv.conf(5).
func nameServers(file string) []string {
	servers := []string{}
	content, _ := os.ReadFile(file) // without it there are none
	for line := range strings.Lines(string(content)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "nameserver" {
			if _, err := netip.ParseAddr(words[1]); err == nil {
				servers = append(servers, words[1])
			}
		}
	}
	return servers
}

// mostRows is how many rows a table of the screen has.
const mostRows = 10

// printStatus prints a table for each part.
func printStatus(w io.Writer, s *status) error {
	where := "the directory of libpam's modules is unknown"
	if s.Modules.Directory != "" {
		where = "modules in " + s.Modules.Directory
	}
	if len(s.Modules.Missing) > 0 {
		where += ", without " + strings.Join(s.Modules.Missing, ", ")
	}
	fmt.Fprintf(w, "libpam-net %s, %s\n\n", s.Version, where)
	return errors.Join(printGroups(w, s), printNamed(w, s), printNow(w, s), printRefusals(w, s))
}

func printGroups(w io.Writer, s *status) error {
	if len(s.Groups) == 0 {
		_, err := fmt.Fprintln(w, "nobody is isolated: no service has a line of the modules, and their groups have no members; see pamnetctl doctor")
		return err
	}
	t := newTable(w)
	fmt.Fprintln(t, "MODULE\tGROUP\tMEMBERS\tSERVICES\tWITHOUT")
	for _, g := range s.Groups {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d of %d\t%s\n", g.Module, g.Group, members(g), len(s.Services)-len(g.Open), len(s.Services),
			orDash(few(g.Open)))
	}
	if err := t.Flush(); err != nil || len(s.Silent) == 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "(%s of nsswitch.conf: not all members are listed; pamnetctl explain USER tells of one)\n", strings.Join(s.Silent, ", "))
	return err
}

// members returns the members of a group, and whether there may be more.
func members(g statusGroup) string {
	switch text := few(g.Members); {
	case g.Complete:
		return orDash(text)
	case text == "":
		return "unknown"
	default:
		return text + ", perhaps others"
	}
}

// few returns a list that is not longer than a line.
func few(names []string) string {
	const most = 4
	if len(names) > most+1 {
		names = append(slices.Clone(names[:most]), fmt.Sprintf("%d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}

func printNamed(w io.Writer, s *status) error {
	if len(s.Networks) == 0 {
		return nil
	}
	t := newTable(w)
	fmt.Fprintln(t, "\nNETWORK\tUPLINK\tDNS\tSESSIONS\tUSERS")
	for _, n := range s.Networks[:min(mostRows, len(s.Networks))] {
		dns := orDash(strings.Join(n.DNS, ", "))
		if !n.OwnDNS {
			dns += " (the host's)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", plain(n.Name), cmp.Or(n.Uplink, "unknown"), dns, n.Counted, orDash(few(n.Users)))
	}
	return errors.Join(t.Flush(), printMore(w, len(s.Networks), "pamnetctl status --json"))
}

// printMore prints how many rows a table lacks, and where they are.
func printMore(w io.Writer, all int, command string) error {
	if all <= mostRows {
		return nil
	}
	_, err := fmt.Fprintf(w, "and %d more: %s\n", all-mostRows, command)
	return err
}

func printNow(w io.Writer, s *status) error {
	if len(s.Sessions) == 0 {
		_, err := fmt.Fprintln(w, "\nno isolated sessions")
		return err
	}
	t := newTable(w)
	fmt.Fprintln(t, "\nUSER\tSERVICE\tFROM\tSINCE\tNETWORK\tIN\tOUT")
	for _, s := range s.Sessions[:min(mostRows, len(s.Sessions))] {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.User, orDash(s.Service), orDash(s.From), s.Since.Format(time.DateTime),
			s.Network(), size(s.In), size(s.Out))
	}
	return errors.Join(t.Flush(), printMore(w, len(s.Sessions), "pamnetctl list"))
}

func printRefusals(w io.Writer, s *status) error {
	lines := s.Refusals.Lines
	switch {
	case s.Refusals.Source == "":
		_, err := fmt.Fprintln(w, "\nrefusals unknown: no log found")
		return err
	case len(lines) == 0:
		_, err := fmt.Fprintf(w, "\nno refusals in the last day (%s)\n", s.Refusals.Source)
		return err
	}
	proven := 0
	for _, l := range lines {
		if l.Proven {
			proven++
		}
	}
	atLeast, doubtful := "", ""
	if len(lines) == mostRefusals {
		atLeast = "at least "
	}
	if proven < len(lines) {
		doubtful = fmt.Sprintf(", %d of which any user can have written", len(lines)-proven)
	}
	fmt.Fprintf(w, "\n%s%s in the last day (%s)%s:\n", atLeast, count(len(lines), "refusal"), s.Refusals.Source, doubtful)
	t := newTable(w)
	for _, l := range lines[:min(mostRows, len(lines))] {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.Time.Format(time.DateTime), doubt(l), plain(l.User), plain(l.Service), plain(l.Text))
	}
	return errors.Join(t.Flush(), printMore(w, len(lines), "pamnetctl log"))
}
