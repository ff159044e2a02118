// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const growthSection = "4. Growth: "

// namespaces measures logins beside ever more named networks, which stay.
func (s *suite) namespaces() error {
	const section = growthSection + "named networks"
	var made int
	for _, n := range s.sizes.namespaces {
		s.progress(section, fmt.Sprintf("making %d", n))
		for _, b := range s.withModules() {
			if err := b.fill(made, n); err != nil {
				return err
			}
		}
		made = n
		if err := s.grownRows(section, fmt.Sprintf(", %d", n), nil); err != nil {
			return err
		}
	}
	// Not one by one: each removal is passed on to whoever has a copy.
	return s.renewBeds()
}

// grownRows measures the cases that stand for all.
func (s *suite) grownRows(section, suffix string, goals func(loginCase) []goal) error {
	for _, c := range grown() {
		s.progress(section, c.name+suffix)
		values, err := s.race(max(s.rounds/3, 3), c)
		if err != nil {
			return fmt.Errorf("%s%s: %w", c.name, suffix, err)
		}
		var g []goal
		if goals != nil {
			g = goals(c)
		}
		s.add(newRow(section, c.name+suffix, "ms", values, g...))
	}
	return s.suRow(section, suffix)
}

// suRow measures a whole login.
func (s *suite) suRow(section, suffix string) error {
	name := "su -c true, usernet join" + suffix
	s.progress(section, name)
	c := joinCase()
	var contest []contestant
	for _, b := range s.withModules() {
		if err := b.sh("ip netns add " + c.network); err != nil {
			return err
		}
		defer b.watch.run(floorProgram, "remove", c.network)
		contest = append(contest, contestant{column: b.column, bed: b, argv: []string{"su", "-c", "true", c.user}, value: whole})
	}
	values, err := measure(max(s.rounds/3, 3), contest)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.add(newRow(section, name, "ms", values))
	return nil
}

// sessions measures logins beside ever more live sessions, each of them a host process in the named
// network of the same user, on a machine with many named networks; and what the kernel keeps for each.
func (s *suite) sessions() error {
	many := s.sizes.sessionNamespaces
	section := fmt.Sprintf("%slive sessions, beside %d named networks", growthSection, many)
	live := joinCase()
	live.user, live.network = "ulf", "ulf" // not the one that is measured
	s.progress(section, "making the networks")
	for _, b := range s.withModules() {
		if err := b.fill(0, many); err != nil {
			return err
		}
		if err := b.sh("ip netns add ulf"); err != nil {
			return err
		}
	}
	slab, percpu := make(map[column][]float64), make(map[column][]float64)
	var first float64 // what our join takes without any live session
	held := 0
	for _, n := range s.sizes.sessions {
		for _, b := range s.all() {
			s.progress(section, fmt.Sprintf("opening session %d to %d, %s", held+1, n, b.column))
			if err := b.holdSessions(n-held, live, slab, percpu); err != nil {
				return err
			}
		}
		held = n
		err := s.grownRows(section, fmt.Sprintf(", %d", n), func(c loginCase) []goal {
			if c.name != joinCase().name {
				return nil
			}
			switch {
			case n == 500:
				return []goal{times(0.8, original)}
			case n == s.sizes.sessions[len(s.sizes.sessions)-1] && first > 0:
				g := below(1.3, "of ours with no live session")
				g.value = func(m map[column]Stat) float64 { return m[ours].Median / first }
				return []goal{g}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if n == 0 {
			first = s.row(section, joinCase().name+", 0").Columns[ours].Median
		}
	}
	share := goal{
		text: "≤ 0.1 of original, less none", limit: 0.1, needs: []column{none, original, ours},
		value: func(m map[column]Stat) float64 {
			return (m[ours].Median - m[none].Median) / (m[original].Median - m[none].Median)
		},
	}
	suffix := fmt.Sprintf(" for each live session, beside %d named networks", many)
	s.add(newRow(remainsSection, "kernel slab"+suffix, "KiB", slab, share))
	s.add(newRow(remainsSection, "kernel per-cpu memory"+suffix, "KiB", percpu))
	if err := s.listSessions(held); err != nil {
		return err
	}
	for _, b := range s.all() {
		if err := b.watch.release(); err != nil {
			return err
		}
	}
	return s.renewBeds()
}

// holdSessions opens n sessions, and adds what the kernel keeps for each of them.
func (b *bed) holdSessions(n int, c loginCase, slab, percpu map[column][]float64) error {
	if n == 0 {
		return nil
	}
	time.Sleep(10 * rest)
	before, err := kernelMemory()
	if err != nil {
		return err
	}
	if _, err := b.watch.hold(n, loginProgram, "--hold", c.service, c.user); err != nil {
		return b.failure([]string{c.service, c.user}, answer{text: err.Error()})
	}
	time.Sleep(10 * rest)
	after, err := kernelMemory()
	if err != nil {
		return err
	}
	slab[b.column] = append(slab[b.column], (after[0]-before[0])/float64(n))
	percpu[b.column] = append(percpu[b.column], (after[1]-before[1])/float64(n))
	return nil
}

// kernelMemory is the slab and the per-cpu memory of the whole machine, in KiB.
func kernelMemory() (kib [2]float64, err error) {
	for i, key := range []string{"Slab", "Percpu"} {
		if kib[i], err = kibibytes("/proc/meminfo", key); err != nil {
			return kib, err
		}
	}
	return kib, nil
}

// groups measures logins beside ever more groups.
func (s *suite) groups() error {
	const section = growthSection + "groups in /etc/group"
	cases := []loginCase{noMember("1 module", "one"), noMember("2 modules", "two"), noMember("3 modules", "three"), newnetCase, joinCase()}
	for _, n := range s.sizes.groups {
		for _, b := range s.all() {
			if err := b.setGroups(n); err != nil {
				return err
			}
		}
		for i, c := range cases {
			var goals []goal
			if i < 3 {
				goals = []goal{times(0.9, original)}
			}
			c.floor = nil // asks for no group
			name := fmt.Sprintf("%s, %d", c.name, n)
			s.progress(section, name)
			values, err := s.race(max(s.rounds/3, 3), c)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			s.add(newRow(section, name, "ms", values, goals...))
		}
		if err := s.suRow(section, fmt.Sprintf(", %d", n)); err != nil {
			return err
		}
	}
	return s.renewBeds()
}

// setGroups makes /etc/group one of n groups, those of the cases being the last.
func (b *bed) setGroups(n int) error {
	content, err := b.ReadFile("/etc/group")
	if err != nil {
		return err
	}
	wanted := []string{
		"root", "tty", "newnet", "usernet", "groupnet-lab", "olga", "nina", "ulf", "gina", joinCase().user,
	}
	kept := slices.DeleteFunc(strings.Split(strings.TrimSpace(content), "\n"), func(line string) bool {
		name, _, _ := strings.Cut(line, ":")
		return !slices.Contains(wanted, name)
	})
	var lines []string
	for i := len(kept); i < n; i++ {
		lines = append(lines, fmt.Sprintf("group%d:x:%d:someone%d,other%d", i, 100000+i, i, i))
	}
	return b.WriteFile("/etc/group", strings.Join(append(lines, kept...), "\n")+"\n", 0o644)
}

// parallel measures many logins at once.
func (s *suite) parallel() error {
	const section = growthSection + "logins in parallel"
	for _, c := range []loginCase{newnetCase, joinCase()} {
		for _, atOnce := range s.sizes.parallel {
			name := fmt.Sprintf("%s, %d at once", c.name, atOnce)
			s.progress(section, name)
			each, rate, err := s.crowd(c, max(4*atOnce, 32), atOnce)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			var goals []goal
			if atOnce == 64 {
				goals = []goal{atLeast(0.8, original)}
			}
			s.add(newRow(section, name+": all", "logins/s", rate, goals...))
			s.add(newRow(section, name+": each", "ms", each))
		}
	}
	return nil
}

// crowd makes n logins, so many at once, in each column in turn.
func (s *suite) crowd(c loginCase, n, atOnce int) (each, rate map[column][]float64, err error) {
	each, rate = make(map[column][]float64), make(map[column][]float64)
	for _, b := range s.withModules() {
		if c.network != "" {
			if err := b.sh("ip netns add " + c.network); err != nil {
				return nil, nil, err
			}
			defer b.watch.run(floorProgram, "remove", c.network)
		}
	}
	before, err := networks()
	if err != nil {
		return nil, nil, err
	}
	for range max(s.rounds/20, 2) {
		for _, b := range s.withModules() {
			if err := settle(before); err != nil {
				return nil, nil, err
			}
			argv := []string{loginProgram, c.service, c.user}
			a, took, err := b.watch.many(n, atOnce, argv...)
			if err != nil {
				return nil, nil, err
			}
			if a.status != 0 {
				return nil, nil, b.failure(argv, a)
			}
			rate[b.column] = append(rate[b.column], float64(n)/(float64(a.took)/float64(time.Second)))
			for _, t := range took {
				each[b.column] = append(each[b.column], ms(t))
			}
		}
	}
	return each, rate, nil
}
