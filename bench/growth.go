// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const growthSection = "5. Growth: "

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
		if err := s.grown(Row{Section: section, Size: fmt.Sprint(n)}, nil); err != nil {
			return err
		}
	}
	return s.renewBeds()
}

// grown adds rows of the cases that stand for all, and of a whole login.
func (s *suite) grown(r Row, goals map[string][]goal) error {
	cases := []loginCase{nonMembers(stranger)[0], newnetCase}
	for _, n := range named() {
		if n.overlays == 0 {
			cases = append(cases, n.login())
		}
	}
	for _, c := range cases {
		if err := s.race(r, s.fewer(3), c, goals[c.name]...); err != nil {
			return err
		}
	}
	return s.su(r)
}

// su adds a row of a whole login.
func (s *suite) su(r Row) error {
	r.Name = "su -c true, usernet join"
	c := joinCase()
	var contest []contestant
	for _, b := range s.withModules() {
		if err := b.sh("ip netns add " + c.network); err != nil {
			return err
		}
		defer b.watch.run(floorProgram, "remove", c.network)
		contest = append(contest, contestant{column: b.column, bed: b, argv: []string{"su", "-c", "true", c.user}, value: whole})
	}
	return s.measure(r, s.fewer(3), contest)
}

// sessions measures logins beside ever more live sessions, each of them a host process in the named
// network of the same user, on a machine with many named networks; and what the kernel keeps for each.
func (s *suite) sessions() error {
	many := s.sizes.sessionNamespaces
	const section = growthSection + "live sessions, beside many named networks"
	live := joinCase()
	live.user, live.network = "ulf", "ulf" // not the one that is measured
	s.progress(section, fmt.Sprintf("making %d", many))
	for _, b := range s.withModules() {
		if err := b.fill(0, many); err != nil {
			return err
		}
		if err := b.sh("ip netns add ulf"); err != nil {
			return err
		}
	}
	slab, percpu := make(map[column][]float64), make(map[column][]float64)
	held := 0
	for _, n := range s.sizes.sessions {
		for _, b := range s.beds {
			s.progress(section, fmt.Sprintf("opening session %d to %d, %s", held+1, n, b.column))
			if err := b.holdSessions(n-held, live, slab, percpu); err != nil {
				return err
			}
		}
		held = n
		goals := map[string][]goal{joinCase().name: s.sessionGoals(section, n)}
		if err := s.grown(Row{Section: section, Size: fmt.Sprint(n)}, goals); err != nil {
			return err
		}
	}
	share := goal{
		text: fmt.Sprintf("≤ 0.1 of %s, less none", debian12), limit: 0.1,
		value: func(m map[column]Stat) float64 {
			return (m[ours].Median - m[none].Median) / (m[debian12].Median - m[none].Median)
		},
	}
	r := Row{Section: remainsSection, Size: fmt.Sprintf("%d named networks", many), Unit: "KiB"}
	r.Name = "kernel slab for each live session"
	s.add(r, slab, share)
	r.Name = "kernel per-cpu memory for each live session"
	s.add(r, percpu)
	if err := s.listSessions(held); err != nil {
		return err
	}
	for _, b := range s.beds {
		if err := b.watch.release(); err != nil {
			return err
		}
	}
	return s.renewBeds()
}

// sessionGoals are those of our join beside n live sessions.
func (s *suite) sessionGoals(section string, n int) (goals []goal) {
	if n == 500 {
		goals = append(goals, times(0.8, debian12))
	}
	without := slices.IndexFunc(s.report.Rows, func(r Row) bool {
		return r.Section == section && r.Name == joinCase().name && r.Size == "0"
	})
	if n == slices.Max(s.sizes.sessions) && without >= 0 {
		first := s.report.Rows[without].Columns[ours].Median
		g := below(1.3, "of ours with no live session")
		g.value = func(m map[column]Stat) float64 { return m[ours].Median / first }
		goals = append(goals, g)
	}
	return goals
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
	join := joinCase()
	for _, n := range s.sizes.groups {
		for _, b := range s.beds {
			if err := b.setGroups(n); err != nil {
				return err
			}
		}
		r := Row{Section: growthSection + "groups in /etc/group", Size: fmt.Sprint(n)}
		for _, c := range append(nonMembers(stranger), newnetCase, join) {
			var goals []goal
			if c.user == stranger {
				goals = []goal{times(0.95, debian12)}
			} else {
				c.floor = nil // asks for no group
			}
			if err := s.race(r, s.fewer(3), c, goals...); err != nil {
				return err
			}
		}
		if err := s.su(r); err != nil {
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
	for _, c := range []struct {
		loginCase
		throughput goal // at 64
	}{{newnetCase, atLeast(0.5, debian12)}, {joinCase(), atLeast(0.45, debian12)}} {
		for _, atOnce := range s.sizes.parallel {
			r := Row{Section: growthSection + "logins in parallel", Name: c.name, Size: fmt.Sprintf("%d at once", atOnce)}
			s.progress(r.Section, r.label())
			each, rate, err := s.crowd(c.loginCase, max(4*atOnce, 32), atOnce)
			if err != nil {
				return fmt.Errorf("%s: %w", r.label(), err)
			}
			var goals []goal
			if atOnce == 64 {
				goals = []goal{c.throughput}
			}
			r.Name, r.Unit = c.name+": all", "logins/s"
			s.add(r, rate, goals...)
			r.Name, r.Unit = c.name+": each", "ms"
			s.add(r, each)
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
	for range s.fewer(20) {
		for _, b := range s.withModules() {
			if err := settle(before, s.sizes.patience); err != nil {
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
