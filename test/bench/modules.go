// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
)

const mostOverlays = 20

// A namedCase is a login to a named network.
type namedCase struct {
	module   string // usernet or groupnet
	created  bool   // else joined
	overlays int    // files in /etc/netns/NAME
	name     string // of the network, and of its user
}

// named lists all of them.
func named() (list []namedCase) {
	for _, module := range []string{"usernet", "groupnet"} {
		for _, created := range []bool{false, true} {
			for _, overlays := range []int{0, 1, mostOverlays} {
				did := "join"
				if created {
					did = "create"
				}
				list = append(list, namedCase{module, created, overlays, fmt.Sprintf("%c%s%d", module[0], did, overlays)})
			}
		}
	}
	return list
}

// A loginCase is a login through one service of makeServices.
type loginCase struct {
	name          string
	service, user string
	network       string   // the named one, "" without
	created       bool     // by the login, else it is there before
	floor         []string // the arguments of c/floor.c, nil: there is nothing to compare
	without       column   // a column that cannot do this
}

func noMember(number, service string) loginCase {
	return loginCase{name: "no member, " + number, service: service, user: "olga"}
}

var newnetCase = loginCase{name: "newnet", service: "newnet", user: "nina", floor: []string{"newnet"}}

func (n namedCase) login() loginCase {
	c := loginCase{service: n.module, user: n.name, network: n.name, created: n.created, floor: []string{"join", n.name}}
	did := "join"
	if n.created {
		did, c.floor[0] = "create", "create"
	}
	c.name = n.module + " " + did
	if n.overlays > 0 {
		c.name += fmt.Sprintf(", %d in /etc/netns", n.overlays)
	}
	if n.module == "groupnet" {
		c.without = original
	}
	return c
}

// The cases that stand for all where the machine grows.
func grown() []loginCase {
	list := []loginCase{noMember("1 module", "one"), newnetCase}
	for _, n := range named() {
		if n.overlays == 0 {
			list = append(list, n.login())
		}
	}
	return list
}

// joinCase is the login that most targets are about.
func joinCase() loginCase { return named()[0].login() }

// race measures a case in all columns.
func (s *suite) race(rounds int, c loginCase) (map[column][]float64, error) {
	var contest []contestant
	for _, b := range s.all() {
		if b.column == c.without {
			continue
		}
		if c.network != "" && !c.created && b.column != none {
			if err := b.sh("ip netns add " + c.network); err != nil {
				return nil, err
			}
			defer b.watch.run(floorProgram, "remove", c.network)
		}
		login := contestant{column: b.column, bed: b, argv: []string{loginProgram, c.service, c.user}, value: printed}
		if c.created && b.column != none {
			login.before = []string{floorProgram, "remove", c.network}
		}
		contest = append(contest, login)
		if b.column == ours && c.floor != nil {
			login.column, login.argv = floor, append([]string{floorProgram}, c.floor...)
			contest = append(contest, login)
		}
	}
	values, err := measure(rounds, contest)
	if err == nil && c.created {
		for _, b := range s.all() {
			if _, err := b.watch.run(floorProgram, "remove", c.network); err != nil {
				return nil, err
			}
		}
	}
	return values, err
}

// modules measures the modules alone.
func (s *suite) modules() error {
	const section = "1. pam_start to pam_end"
	for _, c := range []struct {
		loginCase
		goals []goal
	}{
		{noMember("1 module", "one"), []goal{times(0.9, original)}},
		{noMember("2 modules", "two"), []goal{times(0.9, original)}},
		{noMember("3 modules", "three"), []goal{times(0.9, original)}},
		{newnetCase, []goal{times(2, original)}},
	} {
		if err := s.raceRow(section, c.loginCase, c.goals...); err != nil {
			return err
		}
	}
	for i, n := range named() {
		var goals []goal
		if i == 0 {
			goals = []goal{times(2.5, original)}
		}
		if err := s.raceRow(section, n.login(), goals...); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) raceRow(section string, c loginCase, goals ...goal) error {
	s.progress(section, c.name)
	values, err := s.race(s.rounds, c)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	s.add(newRow(section, c.name, "ms", values, goals...))
	return nil
}
