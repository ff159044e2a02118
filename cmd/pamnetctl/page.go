// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"libpam-net/internal/policy"
	"libpam-net/internal/trial"
)

// page is the report of check --html: one file, without scripts and without anything from elsewhere.
//
//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"list":     func(words []string) string { return strings.Join(words, ", ") },
	"some":     some,
	"among":    among,
	"exposure": func(o float64) string { return fmt.Sprintf("%.1f", o) },
	"outcome": func(o policy.Outcome) string {
		return map[policy.Outcome]string{policy.Isolated: "isolated", policy.Refused: "refused", policy.Host: "not isolated"}[o]
	},
}).Parse(page))

// pageData is what the page shows.
type pageData struct {
	*matrix
	Rows                      []*row
	Networks                  []*pageNetwork
	Exposures                 []pageExposure
	Ways                      []*pageWay
	Reasons                   []reasonFor
	Incomplete                string
	Isolated, Refused, InHost int // logins
	Problems                  int // logins with one
}

// pageNetwork is a network with a name.
type pageNetwork struct {
	Name                            string
	Users, Addresses, Gateways, DNS []string
}

// pageExposure is the exposure of a user, through the service with the most.
type pageExposure struct {
	User     string
	Service  string
	Exposure float64
	Open     []string // IDs
}

// pageWay is a way, with the users to whom it is open.
type pageWay struct {
	trial.Way
	Users []string
}

func newPageData(m *matrix) *pageData {
	d := &pageData{matrix: m, Rows: m.rows(), Reasons: m.reasons()}
	if m.incomplete != nil {
		d.Incomplete = m.incomplete.Error()
	}
	for _, r := range m.Logins {
		switch r.Outcome {
		case policy.Isolated:
			d.Isolated++
			d.addNetwork(r)
			d.addWays(r)
		case policy.Refused:
			d.Refused++
		default:
			d.InHost++
		}
		if len(r.Problems) > 0 {
			d.Problems++
		}
	}
	return d
}

// IsolatedUsers returns the users who were isolated through a service.
func (d *pageData) IsolatedUsers() (users []string) {
	for _, e := range d.Exposures {
		users = append(users, e.User)
	}
	return users
}

func (d *pageData) addNetwork(r trial.Report) {
	if r.Network.Name == "" {
		return
	}
	i := slices.IndexFunc(d.Networks, func(n *pageNetwork) bool { return n.Name == r.Network.Name })
	if i < 0 {
		i, d.Networks = len(d.Networks), append(d.Networks, &pageNetwork{Name: r.Network.Name})
	}
	n := d.Networks[i]
	n.Users = add(n.Users, r.User)
	for _, link := range r.Network.Interfaces {
		for _, address := range link.Addresses {
			if link.Name != "lo" {
				n.Addresses = add(n.Addresses, link.Name+" "+address)
			}
		}
	}
	for _, route := range r.Network.Routes {
		n.Gateways = add(n.Gateways, strings.TrimSpace(route.Gateway+" by "+route.Interface))
	}
	for _, server := range r.DNS {
		n.DNS = add(n.DNS, server)
	}
}

func (d *pageData) addWays(r trial.Report) {
	var open []string
	for _, w := range r.Open.Ways {
		i := slices.IndexFunc(d.Ways, func(p *pageWay) bool { return p.ID == w.ID })
		if i < 0 {
			i, d.Ways = len(d.Ways), append(d.Ways, &pageWay{Way: trial.Way{ID: w.ID, What: w.What, Weight: w.Weight}})
		}
		if !w.Open {
			continue
		}
		open = append(open, w.ID)
		p := d.Ways[i]
		p.Open = true
		p.Users = add(p.Users, r.User)
		for _, evidence := range w.Evidence {
			p.Evidence = add(p.Evidence, evidence)
		}
	}
	x := pageExposure{r.User, r.Service, r.Open.Exposure, open}
	i := slices.IndexFunc(d.Exposures, func(e pageExposure) bool { return e.User == r.User })
	switch {
	case i < 0:
		d.Exposures = append(d.Exposures, x)
	case d.Exposures[i].Exposure < x.Exposure:
		d.Exposures[i] = x
	}
}

// add adds what is not in the list yet.
func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// pageFile is a file that gets its name when it is complete.
type pageFile struct {
	*os.File
	name string
}

// createPage creates the file of a report. It replaces one that is there, but follows no link.
func createPage(name string) (*pageFile, error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".pamnetctl-*")
	if err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	return &pageFile{f, name}, nil
}

// commit gives the file its name.
func (f *pageFile) commit() error {
	return errors.Join(f.Chmod(0o644), f.Sync(), os.Rename(f.Name(), f.name))
}

// Close closes the file, and removes it if it has not got its name.
func (f *pageFile) Close() error {
	return errors.Join(f.File.Close(), removeIfThere(f.Name()))
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// printPage prints the report.
func printPage(w io.Writer, m *matrix) error {
	b := bufio.NewWriter(w)
	return errors.Join(pageTemplate.Execute(b, newPageData(m)), b.Flush())
}
