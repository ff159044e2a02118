// SPDX-License-Identifier: GPL-2.0-or-later

package main

import "fmt"

// programs measures whole logins, through stacks with all modules.
func (s *suite) programs() error {
	const section = "2. Whole logins"
	for _, b := range s.all() {
		if b.column == none {
			continue
		}
		if err := b.sh("ip netns add ulf; ip netns add lab"); err != nil {
			return err
		}
		defer b.watch.run(floorProgram, "remove", "ulf")
		defer b.watch.run(floorProgram, "remove", "lab")
	}
	for _, program := range []struct {
		name  string
		argv  func(user string) []string
		goals []goal
	}{
		{"su -c true", func(user string) []string { return []string{"su", "-c", "true", user} }, []goal{times(1.5, none)}},
		{"sudo -u USER true", func(user string) []string { return []string{"sudo", "-u", user, "true"} }, nil},
		{"ssh host true", func(user string) []string {
			return []string{"ssh", "-F", "/root/.ssh/config", "-l", user, "127.0.0.1", "true"}
		}, []goal{times(1.01, none)}},
	} {
		for _, u := range concerned {
			name := program.name + ", " + u.what
			s.progress(section, name)
			var contest []contestant
			for _, b := range s.all() {
				if b.column != u.without {
					contest = append(contest, contestant{column: b.column, bed: b, argv: program.argv(u.name), value: whole})
				}
			}
			values, err := measure(max(s.rounds/2, 3), contest)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			s.add(newRow(section, name, "ms", values, program.goals...))
		}
	}
	return nil
}

// concerned are the users of the machine's own services.
var concerned = []struct {
	name, what string
	without    column // the column in which the user is not concerned
}{
	{"olga", "no member", ""},
	{"nina", "newnet", ""},
	{"ulf", "usernet join", ""},
	{"gina", "groupnet join", original},
}
