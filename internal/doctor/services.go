// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"slices"
	"strings"

	"libpam-net/internal/pamstack"
)

// sessionless are services that open no sessions, whatever their files say.
var sessionless = []string{
	"chage", "chfn", "chgpasswd", "chpasswd", "chsh", "groupadd", "groupdel", "groupmems", "groupmod", "newusers", "passwd",
	"useradd", "userdel", "usermod", "cups", "i3lock", "swaylock", "vlock", "xscreensaver",
}

// reachable are services, and the beginnings of such names, by which users get
// sessions of their own accord.
var reachable = []string{
	"sshd", "login", "remote", "su", "su-l", "sudo", "sudo-i", "doas", "polkit-1", "cron", "crond", "atd", "systemd-user",
	"gdm-", "lightdm", "sddm", "xdm", "lxdm", "greetd", "cockpit", "xrdp-sesman", "rsh", "rlogin", "vsftpd", "proftpd", "samba",
}

// shared are the files that Debian's services include.
var shared = []string{"/etc/pam.d/common-session", "/etc/pam.d/common-session-noninteractive"}

// profiles is where pam-auth-update(8) has what it puts into the shared files. It also stands for the
// place where a line is to be added.
const profiles = "/usr/share/pam-configs"

// leftovers are the endings of files that no program asks for.
var leftovers = []string{"~", ".bak", ".old", ".orig", ".save", ".swp", ".rej", ".rpmnew", ".rpmsave", ".rpmorig", ".pacnew", ".pacsave", ".ucf-dist"}

// opensSessions tells whether a file is that of a service by which somebody gets a
// session: not one that is there to be included, or lets nobody in.
func (e *examination) opensSessions(s service) bool {
	if slices.Contains(sessionless, s.name) || strings.HasPrefix(s.name, ".") || strings.Contains(s.name, ".dpkg-") ||
		slices.ContainsFunc(leftovers, func(end string) bool { return strings.HasSuffix(s.name, end) }) {
		return false
	}
	if code, _ := s.follow(-1, -1, ""); code != pamstack.Success && !s.alone() {
		return false
	}
	if isReachable(s.name) {
		return true
	}
	// su-l includes su, but common-session is nobody's session.
	included := e.pam.Includers(e.pam.File(s.name))
	return !strings.HasPrefix(s.name, "common-") && !slices.ContainsFunc(included, func(by string) bool {
		return !strings.HasPrefix(by, s.name+"-")
	})
}

func isReachable(name string) bool {
	return slices.ContainsFunc(reachable, func(known string) bool {
		return known == name || strings.HasSuffix(known, "-") && strings.HasPrefix(name, known)
	})
}

// checkServices finds services that open sessions for members without the module.
// There is one finding for each file in which that is put right.
func checkServices(e *examination) {
	type gap struct {
		services []string
		concerns []concern
	}
	gaps := map[string]*gap{}
	var files []string
	for _, s := range e.services {
		for _, c := range e.concerns {
			if len(e.members(c)) == 0 || e.isolates(s, c) {
				continue
			}
			file := e.placeOf(s, c)
			if e.hasProfile(file, c) {
				file = profiles
			}
			if gaps[file] == nil {
				gaps[file] = &gap{}
				files = append(files, file)
			}
			g := gaps[file]
			if !slices.Contains(g.services, s.name) {
				g.services = append(g.services, s.name)
			}
			if !slices.Contains(g.concerns, c) {
				g.concerns = append(g.concerns, c)
			}
		}
	}
	for _, file := range files {
		g := gaps[file]
		f := Finding{ID: "service-without-module", Severity: Warning}
		if slices.ContainsFunc(g.services, isReachable) {
			f.Severity = Error
		}
		var modules, members []string
		for _, c := range g.concerns {
			modules = append(modules, c.module)
			members = append(members, e.members(c)...)
		}
		slices.Sort(members)
		for _, name := range g.services {
			if at := e.pam.File(name); !slices.Contains(f.Evidence, at) {
				f.Evidence = append(f.Evidence, at)
			}
		}
		f.What = fmt.Sprintf("%s %s sessions without %s.", some(g.services), plural(len(g.services), "opens", "open"), list(modules))
		f.Consequence = fmt.Sprintf("There members are in the host's network: %s.", some(slices.Compact(members)))
		f.Remedy = e.addition(file, g.services, g.concerns)
		e.found(f)
	}
}

// some shortens a list of names.
func some(names []string) string {
	const most = 7
	if len(names) > most+1 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return list(names)
}

// isolates tells whether the sessions of a service have a line for a concern.
func (e *examination) isolates(s service, c concern) bool {
	return slices.ContainsFunc(s.ours, func(i int) bool {
		m, _ := moduleOf(s.stack[i])
		return asLine(s.stack[i], m).concern == c
	})
}

// placeOf tells in which file a line is to be added, at the end, for a service: in
// that of Debian's which it includes, unless the administrator has the lines in the
// files of the services, else in its own, or in that of another service that it
// includes, or falls back to.
func (e *examination) placeOf(s service, c concern) string {
	if !e.pam.Own(s.name, pamstack.Session) && s.name != pamstack.Other {
		s = service{name: pamstack.Other, stack: s.stack}
	}
	for _, file := range shared {
		apart := slices.ContainsFunc(e.services, func(t service) bool { return t.includes(file) && e.hasApart(t, c) })
		if s.includes(file) && !apart {
			return file
		}
	}
	for _, other := range e.services {
		if file := e.pam.File(other.name); other.name != s.name && s.includes(file) && !e.isolates(other, c) {
			return file
		}
	}
	return e.pam.File(s.name)
}

// hasProfile tells whether pam-auth-update(8) can put the line of a concern into a file: a shared one,
// which it looks after, and has not put the line into before. If it has, somebody has changed its
// work, and it would ask whether to undo that.
func (e *examination) hasProfile(file string, c concern) bool {
	if !slices.Contains(shared, file) || !slices.Contains(modules, c) || e.argumentsOf(c) != nil {
		return false
	}
	done := strings.Split(e.read(strings.Replace(file, "/etc/pam.d/common-", "/var/lib/pam/", 1)), "\n")
	return e.exists(profiles+"/"+profileOf(c)) && strings.Contains(e.read(file), "# end of pam-auth-update config") &&
		!slices.Contains(done, "Module: "+profileOf(c))
}

func profileOf(c concern) string { return strings.Replace(c.module, "pam_", "libpam-net-", 1) }

// includes tells whether a file has lines in the stack.
func (s service) includes(file string) bool {
	return slices.ContainsFunc(s.stack, func(l pamstack.Line) bool { return l.File == file })
}

// hasApart tells whether a service has a line for a concern elsewhere than in the
// shared files.
func (e *examination) hasApart(s service, c concern) bool {
	return slices.ContainsFunc(s.ours, func(i int) bool {
		m, _ := moduleOf(s.stack[i])
		return asLine(s.stack[i], m).concern == c && !slices.Contains(shared, s.stack[i].File)
	})
}

// addition is what adds lines to the end of a file.
func (e *examination) addition(file string, services []string, concerns []concern) string {
	if file == profiles {
		command := "pam-auth-update --enable"
		for _, c := range concerns {
			command += " " + profileOf(c)
		}
		return command
	}
	var lines []string
	for _, c := range concerns {
		if file != "/etc/pam.conf" {
			services = []string{""}
		}
		for _, service := range services {
			lines = append(lines, `$a\`+escape(text(file, service, pamstack.Session, "required", c.module+".so", e.argumentsOf(c))))
		}
	}
	return edit(file, lines...)
}

// argumentsOf are the arguments that a concern has elsewhere.
func (e *examination) argumentsOf(c concern) []string {
	for _, l := range e.lines {
		if l.concern == c {
			return l.Args
		}
	}
	if i := slices.IndexFunc(modules, func(m concern) bool { return m.module == c.module }); modules[i].group != c.group {
		return []string{"group=" + c.group}
	}
	return nil
}
