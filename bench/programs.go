// SPDX-License-Identifier: GPL-2.0-or-later

package main

// programs measures whole logins, through stacks with all modules.
func (s *suite) programs() error {
	for _, b := range s.withModules() {
		if err := b.sh("ip netns add ulf; ip netns add lab"); err != nil {
			return err
		}
		defer b.watch.run(floorProgram, "remove", "ulf")
		defer b.watch.run(floorProgram, "remove", "lab")
	}
	for _, program := range []struct {
		name string
		argv func(user string) []string
		goal []goal
	}{
		{"su -c true", func(user string) []string { return []string{"su", "-c", "true", user} }, []goal{times(1.5, none)}},
		{"sudo -u USER true", func(user string) []string { return []string{"sudo", "-u", user, "true"} }, nil},
		{"ssh host true", func(user string) []string {
			return []string{"ssh", "-F", "/root/.ssh/config", "-l", user, "127.0.0.1", "true"}
		}, []goal{times(1.03, none)}},
	} {
		for _, u := range concerned {
			var contest []contestant
			for _, b := range s.beds {
				if b.column != u.without {
					contest = append(contest, contestant{column: b.column, bed: b, argv: program.argv(u.name), value: whole})
				}
			}
			r := Row{Section: "3. Whole logins", Name: program.name + ", " + u.what}
			if err := s.measure(r, s.fewer(2), contest, program.goal...); err != nil {
				return err
			}
		}
	}
	return nil
}

// concerned are the users of the machine's own services.
var concerned = []struct {
	name, what string
	without    column // the column in which the user is not concerned
}{
	{"olga", "non-member", ""},
	{"nina", "newnet", ""},
	{"ulf", "usernet join", ""},
	{"gina", "groupnet join", debian12},
}
