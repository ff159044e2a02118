// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
	"libpam-net/internal/session"
)

// checkSources finds sources of nsswitch.conf that do not answer, or do not list their members.
func checkSources(e *examination) {
	const conf = "/etc/nsswitch.conf"
	for _, err := range e.listing.Failed {
		e.report(nameService, Finding{Evidence: []string{conf}}, "error", err.Error())
	}
	if silent := e.listing.Silent; len(silent) > 0 && len(e.lines) > 0 {
		e.report(nameListing, Finding{Evidence: []string{conf}}, "sources", "Source "+list(silent), "do", plural(len(silent), "does", "do"))
	}
}

// checkGroups finds groups that do not exist, and groups without members. Where a directory does not list
// them, there may be some, and nothing is found.
func checkGroups(e *examination) {
	var groups []string
	for _, m := range slices.Concat(e.Concerned(), policy.Modules) {
		names, _, _ := e.Groups(m) // survey has returned the error
		groups = append(groups, names...)
	}
	switch {
	case len(e.users) > 0:
	case !e.listing.Complete():
		if len(e.lines) == 0 {
			e.report(noLines, Finding{Evidence: []string{"/etc/pam.d"}})
		}
	case len(groups) == 0 && len(e.lines) == 0:
		e.report(noGroup, Finding{Evidence: []string{"/etc/group"}, Remedy: "pamnetctl enable newnet"})
		return
	default:
		e.report(noMembers, Finding{Evidence: []string{"/etc/group"}}, "name", e.enabling(append(groups, "newnet")[0]))
	}
	for _, c := range e.concerns {
		name := strings.Replace(c.Groups(), "*", "NAME", 1)
		lines := e.linesOf(c.Module)
		var places []string
		for _, r := range lines {
			places = append(places, r.Line.String())
		}
		if of := e.mistakes(c); of != nil {
			diff := e.replaced(lines, func(r policy.Rule) (string, []string) {
				return r.Line.Control, slices.DeleteFunc(slices.Clone(r.Line.Args), func(arg string) bool { return strings.HasPrefix(arg, "group=") })
			})
			e.report(groupMistaken, Finding{Evidence: places, Diff: diff}, "module", c.Name, "group", name,
				"default", strings.Replace(of.Groups(), "*", "NAME", 1), "name", of.Group, "members", some(of.names()))
			continue
		}
		switch {
		case !c.complete:
		case len(c.groups) == 0 && c.Kind != session.GroupNet:
			f := Finding{Evidence: places}
			if e.listing.Complete() { // else a local group could hide one of a directory
				f.Remedy = "pamnetctl enable " + e.enabling(name)
			}
			e.report(groupMissing, f, "group", name, "module", c.Name, "name", strings.TrimPrefix(c.Name, "pam_"))
		case len(c.members) == 0 && len(e.users) > 0:
			e.report(groupEmpty, Finding{Evidence: places, Diff: e.removed(lines...)}, "group", name, "module", c.Name)
		}
	}
}

// mistakes returns the concern of the default group that the lines for a group are probably meant for: the group
// does not exist or has no members, and the default group has members and no line. It returns nil if there is none.
func (e *examination) mistakes(c concern) *concern {
	if len(c.members) > 0 || slices.Contains(policy.Modules, c.Module) || !c.complete && (len(c.groups) > 0 || c.Kind == session.GroupNet) {
		return nil
	}
	for i, of := range e.concerns {
		if of.Name == c.Name && slices.Contains(policy.Modules, of.Module) && len(of.members) > 0 && len(e.linesOf(of.Module)) == 0 {
			return &e.concerns[i]
		}
	}
	return nil
}

// meant returns a concern whose lines are probably meant for the group of c, nil if there is none.
func (e *examination) meant(c concern) *concern {
	for i, other := range e.concerns {
		if of := e.mistakes(other); of != nil && of.Module == c.Module {
			return &e.concerns[i]
		}
	}
	return nil
}

// checkAddedGroups finds groups of the modules that pam_group gives to a login. They are in the process, and the
// modules ask the name service.
func checkAddedGroups(e *examination) {
	const file = "/etc/security/group.conf"
	if !slices.ContainsFunc(e.Stacks.Services(), func(name string) bool {
		return slices.ContainsFunc(e.Stacks.Stack(name, pamstack.Auth), func(l pamstack.Line) bool { return l.Is("pam_group") })
	}) {
		return
	}
	for line := range strings.Lines(strings.ReplaceAll(e.read(file), "\\\n", " ")) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Split(strings.TrimSpace(line), ";") // services, terminals, users, times, groups
		if len(fields) != 5 {
			continue
		}
		for _, group := range strings.FieldsFunc(fields[4], func(r rune) bool { return r == ',' || unicode.IsSpace(r) }) {
			if slices.ContainsFunc(slices.Concat(e.Concerned(), policy.Modules), func(m policy.Module) bool { return m.Has(group) }) {
				e.report(groupAdded, Finding{Evidence: []string{file}}, "file", file, "group", group, "users", strings.TrimSpace(fields[2]))
			}
		}
	}
}

// enabling returns the arguments of `pamnetctl enable` for a group.
func (e *examination) enabling(group string) string {
	for _, m := range slices.Concat(policy.Modules, e.Concerned()) {
		switch {
		case !m.Has(group):
		case slices.Contains(policy.Modules, m):
			return quote(group)
		case m.Kind == session.GroupNet:
			return "groupnet group=" + quote(m.Group)
		default:
			return strings.TrimPrefix(m.Name, "pam_") + " group=" + quote(group)
		}
	}
	return "newnet"
}

// checkMembers finds root as a member, and members of several groups.
func checkMembers(e *examination) {
	groupsOf, severalOf := map[string][]string{}, map[string]string{}
	for _, c := range e.concerns {
		for _, a := range c.members {
			groupsOf[a.User] = append(groupsOf[a.User], a.Group)
			if a.Several {
				severalOf[a.User] = c.Name
			}
		}
	}
	for _, u := range e.users {
		groups, several := groupsOf[u.User], severalOf[u.User]
		f := Finding{Evidence: []string{"/etc/group"}}
		values := []string{"user", u.User, "groups", list(groups), "module", several}
		switch {
		case u.UID == 0:
			if len(groups) == 1 && e.lists(groups[0], u.User) {
				f.Remedy = fmt.Sprintf("gpasswd -d %s %s", quote(u.User), quote(groups[0]))
			}
			e.report(memberRoot, f, values...)
		case several != "":
			e.report(memberOfGroups, f, values...)
		case len(groups) > 1:
			e.report(memberOfModules, f, values...)
		}
	}
}

// lists returns whether a group of /etc/group lists the user.
func (e *examination) lists(group, user string) bool {
	for line := range strings.Lines(e.read("/etc/group") + "\n") {
		if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(f) == 4 && f[0] == group {
			return slices.Contains(strings.Split(f[3], ","), user)
		}
	}
	return false
}
