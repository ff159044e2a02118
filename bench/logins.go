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
	floor         []string // the command of the floor, nil: there is nothing to compare
	without       column   // a column that cannot do this
}

const stranger = "olga" // in no group of a module's

// nonMembers returns the logins of user, a non-member, through one, two and three modules.
func nonMembers(user string) (cases []loginCase) {
	for _, stack := range []struct{ service, modules string }{{"one", "1 module"}, {"two", "2 modules"}, {"three", "3 modules"}} {
		cases = append(cases, loginCase{
			name: "non-member, " + stack.modules, service: stack.service, user: user,
			floor: []string{loginProgram, floorService(stack.service), user},
		})
	}
	return cases
}

var newnetCase = loginCase{name: "newnet", service: "newnet", user: "nina", floor: memberFloor("newnet")}

// memberFloor returns the command of the floor of a member's login.
func memberFloor(session ...string) []string {
	return append([]string{floorProgram, "go", floorLibrary}, session...)
}

func (n namedCase) login() loginCase {
	did := "join"
	if n.created {
		did = "create"
	}
	c := loginCase{service: n.module, user: n.name, network: n.name, created: n.created, floor: memberFloor(did, n.name)}
	c.name = n.module + " " + did
	if n.overlays > 0 {
		c.name += fmt.Sprintf(", %d in /etc/netns", n.overlays)
	}
	if n.module == "groupnet" {
		c.without = debian12
	}
	return c
}

// joinCase is the login that most targets are about.
func joinCase() loginCase { return named()[0].login() }

// race adds a row of a case in all columns.
func (s *suite) race(r Row, rounds int, c loginCase, goals ...goal) error {
	r.Name = c.name
	var contest []contestant
	for _, b := range s.beds {
		if b.column == c.without {
			continue
		}
		login := contestant{column: b.column, bed: b, argv: []string{loginProgram, c.service, c.user}, value: printed}
		if c.network != "" && b.column != none {
			if c.created {
				login.before = []string{floorProgram, "remove", c.network}
			} else if err := b.sh("ip netns add " + c.network); err != nil {
				return err
			}
			defer b.watch.run(floorProgram, "remove", c.network)
		}
		contest = append(contest, login)
		if b.column == ours && c.floor != nil {
			login.column, login.argv = floor, c.floor
			contest = append(contest, login)
		}
	}
	return s.measure(r, rounds, contest, goals...)
}

// logins measures the modules alone.
func (s *suite) logins() error {
	cases := append(nonMembers(stranger), newnetCase)
	for _, n := range named() {
		cases = append(cases, n.login())
	}
	goals := map[string][]goal{newnetCase.name: {times(2.3, debian12)}, joinCase().name: {times(2.8, debian12)}}
	for _, c := range nonMembers(stranger) {
		goals[c.name] = []goal{times(0.95, debian12)}
	}
	for _, c := range cases {
		if err := s.race(Row{Section: "1. pam_start to pam_end"}, s.rounds, c, goals[c.name]...); err != nil {
			return err
		}
	}
	return s.startOfGo()
}

// startOfGo measures the greatest part of the floor of a member's login by itself.
func (s *suite) startOfGo() error {
	r := Row{Section: "1. pam_start to pam_end", Name: "start of an empty Go library in a child"}
	return s.measure(r, s.rounds, []contestant{{column: floor, bed: s.bedOf(ours), argv: memberFloor(), value: printed}})
}
