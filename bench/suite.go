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
	patience          time.Duration // how long to wait for namespaces that the kernel has yet to take down
}

var (
	fullSizes = sizes{
		namespaces: []int{0, 100, 1000, 3000}, sessionNamespaces: 1000, sessions: []int{0, 100, 500, 1000},
		groups: []int{20, 1000, 20000}, parallel: []int{1, 4, 16, 64}, users: 500, services: 200,
		patience: time.Minute,
	}
	quickSizes = sizes{
		namespaces: []int{100}, sessionNamespaces: 100, sessions: []int{0, 20},
		groups: []int{1000}, parallel: []int{4}, users: 100, services: 50,
		patience: 2 * time.Second,
	}
)

// parts are what may be measured alone. Each leaves the machines as it has found them.
var parts = []struct {
	name    string
	measure func(*suite) error
}{
	{"logins", (*suite).logins},
	{"programs", (*suite).programs},
	{"remains", (*suite).remains},
	{"namespaces", (*suite).namespaces},
	{"sessions", (*suite).sessions},
	{"groups", (*suite).groups},
	{"parallel", (*suite).parallel},
	{"directory", (*suite).directory},
	{"tool", (*suite).tool},
}

// suite is a run.
type suite struct {
	sizes  sizes
	rounds int
	log    io.Writer // for what is being done

	dir    string            // of the compiled programs
	inBeds map[string]string // where they go in a bed, and what they are
	beds   []*bed            // in the order of the columns
	report Report
	began  time.Time

	networks int // network namespaces before there was a bed
}

// newSuite starts a machine for each column. The caller must close it.
func newSuite(z sizes, rounds int, log io.Writer) (*suite, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	s := &suite{sizes: z, rounds: rounds, log: log, dir: dir, inBeds: make(map[string]string), began: time.Now()}
	if err := s.setUp(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *suite) setUp() (err error) {
	if s.networks, err = networks(); err != nil {
		return err
	}
	if s.report, err = describe(); err != nil {
		return err
	}
	for name, path := range map[string]string{"login": loginProgram, "floor": floorProgram, "stopwatch": watchProgram} {
		if s.inBeds[path], err = compile(s.dir, name); err != nil {
			return err
		}
	}
	return s.renewBeds()
}

func (s *suite) close() error { return errors.Join(s.closeBeds(), os.RemoveAll(s.dir)) }

func (s *suite) closeBeds() (err error) {
	for _, b := range s.beds {
		err = errors.Join(err, b.close())
	}
	s.beds = nil
	return err
}

// renewBeds replaces the machines, and so removes their networks. To remove them one by one is slow: the kernel
// passes each removal on to every copy of /run/netns.
func (s *suite) renewBeds() error {
	s.progress("new machines")
	if err := s.closeBeds(); err != nil {
		return err
	}
	if err := settle(s.networks, s.sizes.patience); err != nil {
		return err
	}
	for _, c := range columns {
		if c == floor {
			continue
		}
		b, err := newBed(c, s.inBeds)
		if err != nil {
			return err
		}
		s.beds = append(s.beds, b)
	}
	return nil
}

// withModules returns the machines of all columns that have modules.
func (s *suite) withModules() []*bed { return s.beds[1:] }

// bedOf returns the machine of a column.
func (s *suite) bedOf(c column) *bed {
	return s.beds[slices.IndexFunc(s.beds, func(b *bed) bool { return b.column == c })]
}

// progress says what is measured now.
func (s *suite) progress(what ...string) {
	fmt.Fprintf(s.log, "%4ds  %s\n", int(time.Since(s.began).Seconds()), strings.Join(what, ": "))
}

// fewer is the number of rounds for what takes longer.
func (s *suite) fewer(times int) int { return max(s.rounds/times, min(s.rounds, 3)) }

// add adds a row of all values of each column.
func (s *suite) add(r Row, values map[column][]float64, goals ...goal) {
	s.report.Rows = append(s.report.Rows, r.of(values, goals...))
}

// measure adds a row, in ms, of what contestants take.
func (s *suite) measure(r Row, rounds int, contest []contestant, goals ...goal) error {
	s.progress(r.Section, r.label())
	r.Unit = "ms"
	values, err := measure(rounds, contest)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", r.Section, r.label(), err)
	}
	s.add(r, values, goals...)
	return nil
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// run measures everything.
func (s *suite) run() error {
	wanted := partNames()
	if *only != "" {
		wanted = strings.Split(*only, ",")
	}
	for _, name := range wanted {
		i := slices.Index(partNames(), name)
		if i < 0 {
			return fmt.Errorf("no part is named %q", name)
		}
		if err := parts[i].measure(s); err != nil {
			return err
		}
	}
	slices.SortStableFunc(s.report.Rows, func(a, b Row) int { return strings.Compare(a.Section, b.Section) })
	s.report.Took = time.Since(s.began).Round(time.Second).String()
	return nil
}
