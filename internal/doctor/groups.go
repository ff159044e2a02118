// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// checkGroups finds modules without members.
func checkGroups(e *examination) {
	if len(e.concerns) == 0 && !slices.ContainsFunc(modules, func(c concern) bool { return len(e.groups(c)) > 0 }) {
		e.found(Finding{
			Severity: Error, ID: "no-group",
			What:        "There is none of the groups newnet, usernet and groupnet-NAME.",
			Evidence:    []string{"/etc/group"},
			Consequence: "The modules concern nobody: everybody logs in to the host's network. Members of newnet get no network, of usernet one of their own, of groupnet-NAME one that they share.",
			Remedy:      "groupadd --system newnet",
		})
		return
	}
	if len(e.allMembers()) == 0 {
		name := "newnet"
		for _, c := range slices.Concat(slices.Clone(e.concerns), modules) {
			if g := e.groups(c); len(g) > 0 {
				name = g[0].name
				break
			}
		}
		e.found(Finding{
			Severity: Warning, ID: "no-members",
			What:        "Nobody is a member of a group that the modules are for.",
			Evidence:    []string{"/etc/group"},
			Consequence: "Everybody logs in to the host's network.",
			Remedy:      "printf 'Who is to be in group " + name + "? '; read -r user; usermod -aG " + name + ` "$user"`,
		})
	}
	for _, c := range e.concerns {
		name := c.group
		if c.module == groupnet {
			name += "-NAME"
		}
		var places []string
		var lines []line
		for _, l := range e.lines {
			if l.concern == c {
				lines = append(lines, l)
				places = append(places, l.String())
			}
		}
		switch {
		case len(e.groups(c)) == 0 && c.module != groupnet:
			e.found(Finding{
				Severity: Warning, ID: "group-missing",
				What:        fmt.Sprintf("There is no group %s, which %s is for.", name, c.module),
				Evidence:    places,
				Consequence: "Nobody is a member, and each login logs a warning.",
				Remedy:      "groupadd --system " + quote(name),
			})
		case len(e.members(c)) == 0 && len(e.allMembers()) > 0:
			e.found(Finding{
				Severity: Note, ID: "group-empty",
				What:        fmt.Sprintf("Nobody is in group %s, which %s is for.", name, c.module),
				Evidence:    places,
				Consequence: "The lines concern nobody.",
				Remedy:      editAll(lines, func(l line) string { return span(l.Place) + "d" }),
			})
		}
	}
}

// checkMembers finds members who should not be what they are.
func checkMembers(e *examination) {
	type membership struct {
		concern
		group string
	}
	of := map[string][]membership{}
	for _, c := range e.concerns {
		for _, g := range e.groups(c) {
			for _, name := range e.accounts.in(g) {
				of[name] = append(of[name], membership{c, g.name})
			}
		}
	}
	for _, name := range e.allMembers() {
		u := e.accounts.user(name)
		var groups []string
		for _, m := range of[name] {
			groups = append(groups, m.group)
		}
		if u != nil && u.uid == 0 {
			e.found(Finding{
				Severity: Warning, ID: "member-root",
				What:        fmt.Sprintf("%s has uid 0 and is a member of %s.", name, list(groups)),
				Evidence:    []string{"/etc/group"},
				Consequence: "It isolates nothing, as root comes out of every network, and can keep root from administering this one.",
				Remedy:      e.leave(*u, groups),
			})
			continue
		}
		if len(groups) < 2 || u == nil {
			continue
		}
		consequence := fmt.Sprintf("The later line decides; what the earlier one has covered stays so. The remedy keeps %s.", groups[len(groups)-1])
		if of[name][0].concern == of[name][len(groups)-1].concern {
			consequence = fmt.Sprintf("The group that getgrouplist(3) names first decides, with a warning in the log. The remedy keeps %s.", groups[len(groups)-1])
		}
		e.found(Finding{
			Severity: Warning, ID: "member-of-two",
			What:        fmt.Sprintf("%s is a member of %s.", name, list(groups)),
			Evidence:    []string{"/etc/group"},
			Consequence: consequence,
			Remedy:      e.leave(*u, groups[:len(groups)-1]),
		})
	}
}

// leave takes a user out of groups.
func (e *examination) leave(u user, groups []string) string {
	var commands []string
	for _, name := range groups {
		if g := e.accounts.group(name); g.gid == u.gid {
			own := "users"
			if e.accounts.group(u.name) != nil {
				own = u.name
			}
			commands = append(commands, "usermod -g "+quote(own)+" "+quote(u.name))
		} else {
			commands = append(commands, "gpasswd -d "+quote(u.name)+" "+quote(name))
		}
	}
	return strings.Join(commands, "\n")
}
