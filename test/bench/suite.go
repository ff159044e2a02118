// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// sizes are what growth is measured at.
type sizes struct {
	namespaces        []int
	sessionNamespaces int   // named networks beside live sessions
	sessions          []int // the first is 0
	groups            []int
	parallel          []int
	users, services   int
}

var (
	fullSizes = sizes{
		namespaces: []int{0, 100, 1000, 3000}, sessionNamespaces: 1000, sessions: []int{0, 100, 500, 1000},
		groups: []int{20, 1000, 20000}, parallel: []int{1, 4, 16, 64}, users: 500, services: 200,
	}
	quickSizes = sizes{
		namespaces: []int{100}, sessionNamespaces: 100, sessions: []int{0, 20},
		groups: []int{1000}, parallel: []int{4}, users: 100, services: 50,
	}
)

// suite is a run.
type suite struct {
	sizes  sizes
	rounds int
	log    io.Writer // for what is being done

	dir    string            // of the compiled programs
	inBeds map[string]string // where they go in a bed, and what they are
	theirs string            // the directory of the original's modules, "" if they are missing
	beds   map[column]*bed
	report Report
	began  time.Time

	networks int // network namespaces before there was a bed
}

// newSuite starts a machine for each column that there is. Close it.
func newSuite(z sizes, rounds int, log io.Writer) (*suite, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	s := &suite{sizes: z, rounds: rounds, log: log, dir: dir, inBeds: make(map[string]string), began: time.Now()}
	s.networks, err = networks()
	if err == nil {
		s.report, s.theirs, err = describe()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	for name, path := range map[string]string{"login": loginProgram, "floor": floorProgram, "stopwatch": watchProgram} {
		if s.inBeds[path], err = compile(dir, name); err != nil {
			s.close()
			return nil, err
		}
	}
	if err := s.renewBeds(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *suite) close() error {
	var errs []error
	for _, b := range s.all() {
		errs = append(errs, b.close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// renewBeds starts new machines in the place of the old ones, whose networks are gone then.
func (s *suite) renewBeds() error {
	s.progress("new machines", "")
	for _, b := range s.all() {
		if err := b.close(); err != nil {
			return err
		}
	}
	s.beds = make(map[column]*bed)
	if err := settle(s.networks); err != nil {
		return err
	}
	for _, c := range columns {
		if c == floor || c == original && s.theirs == "" {
			continue
		}
		b, err := newBed(c, s.inBeds, s.theirs)
		if err != nil {
			return err
		}
		s.beds[c] = b
	}
	return nil
}

// all lists the machines, in the order of the columns.
func (s *suite) all() (list []*bed) {
	for _, c := range columns {
		if b := s.beds[c]; b != nil {
			list = append(list, b)
		}
	}
	return list
}

func (s *suite) withModules() []*bed {
	return slices.DeleteFunc(s.all(), func(b *bed) bool { return b.column == none })
}

// progress says what is measured now.
func (s *suite) progress(section, what string) {
	fmt.Fprintf(s.log, "%4ds  %s: %s\n", int(time.Since(s.began).Seconds()), section, what)
}

func (s *suite) add(r Row) { s.report.Rows = append(s.report.Rows, r) }

// row returns one that was added.
func (s *suite) row(section, name string) Row {
	i := slices.IndexFunc(s.report.Rows, func(r Row) bool { return r.Section == section && r.Name == name })
	return s.report.Rows[i]
}

// run measures everything.
func (s *suite) run() error {
	for _, part := range []struct {
		name    string
		measure func() error
	}{
		{"modules", s.modules},
		{"programs", s.programs},
		{"remains", s.remains},
		{"namespaces", s.namespaces},
		{"sessions", s.sessions},
		{"groups", s.groups},
		{"parallel", s.parallel},
		{"tool", s.tool},
	} {
		if *only != "" && *only != part.name {
			continue
		}
		if err := part.measure(); err != nil {
			return err
		}
	}
	slices.SortStableFunc(s.report.Rows, func(a, b Row) int { return strings.Compare(a.Section, b.Section) })
	s.report.Took = time.Since(s.began).Round(time.Second).String()
	return nil
}
