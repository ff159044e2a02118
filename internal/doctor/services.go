// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"path"
	"slices"
	"strings"

	"libpam-net/internal/amend"
	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
)

// service is a service of PAM.
type service struct {
	name  string
	stack []pamstack.Line
	ours  []policy.Rule // the modules' lines in the stack
}

func (e *examination) service(name string) service {
	return service{name, e.Stacks.Stack(name, pamstack.Session), e.Lines(name)}
}

// hasOurs returns whether a line of the stack is one of the modules'.
func (s service) hasOurs(i int) bool {
	return slices.ContainsFunc(s.ours, func(r policy.Rule) bool { return r.At == i })
}

// includes returns whether a file has lines in the stack.
func (s service) includes(file string) bool {
	return slices.ContainsFunc(s.stack, func(l pamstack.Line) bool { return l.File == file })
}

// sessionless are services that open no sessions, even if their files have session lines.
var sessionless = []string{
	"chage", "chfn", "chgpasswd", "chpasswd", "chsh", "groupadd", "groupdel", "groupmems", "groupmod", "newusers", "passwd",
	"useradd", "userdel", "usermod", "cups", "i3lock", "swaylock", "vlock", "xscreensaver",
}

// reachable are services that users can reach by themselves, or the beginnings of their names.
var reachable = []string{
	"sshd", "login", "remote", "su", "su-l", "sudo", "sudo-i", "doas", "polkit-1", "cron", "crond", "atd", "systemd-user",
	"gdm-", "lightdm", "sddm", "xdm", "lxdm", "greetd", "cockpit", "xrdp-sesman", "rsh", "rlogin", "vsftpd", "proftpd", "samba",
}

// shared are the files that Debian's services include.
var shared = []string{"/etc/pam.d/common-session", "/etc/pam.d/common-session-noninteractive"}

// profiles is where pam-auth-update(8) has the lines that it can put into the shared files.
const profiles = "/usr/share/pam-configs"

// leftovers are the endings of files that no program asks for.
var leftovers = []string{"~", ".bak", ".old", ".orig", ".save", ".swp", ".rej", ".rpmnew", ".rpmsave", ".rpmorig", ".pacnew", ".pacsave", ".ucf-dist"}

// meant returns the service that a file in pam.d is probably meant for, "" if its name is sound.
func meant(name string) string {
	lower := strings.ToLower(name)
	if lower == "ssh" {
		return "sshd"
	}
	for _, end := range []string{"", ".conf", ".pam", ".pamd"} {
		known, cut := strings.CutSuffix(lower, end)
		if cut && known != name && (isReachable(known) || slices.Contains(sessionless, known)) {
			return known
		}
	}
	return ""
}

// checkMisnamed finds files that no program asks for.
func checkMisnamed(e *examination) {
	for _, file := range e.glob("/etc/pam.d/*") {
		if name := meant(path.Base(file)); name != "" && !e.isAsked(path.Base(file)) {
			e.report(serviceMisnamed, Finding{Evidence: []string{file}}, "file", file, "meant", "/etc/pam.d/"+name)
		}
	}
}

// opensSessions returns whether a user gets a session through the service. A file that is only included by
// others, or lets nobody in, is no such service.
func (e *examination) opensSessions(s service) bool {
	if slices.Contains(sessionless, s.name) || meant(s.name) != "" && !e.isAsked(s.name) || strings.HasPrefix(s.name, ".") || strings.Contains(s.name, ".dpkg-") ||
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
	included := e.Stacks.Includers(e.Stacks.File(s.name))
	return !strings.HasPrefix(s.name, "common-") && !slices.ContainsFunc(included, func(by string) bool {
		return !strings.HasPrefix(by, s.name+"-")
	})
}

func isReachable(name string) bool {
	return slices.ContainsFunc(reachable, func(known string) bool {
		return known == name || strings.HasSuffix(known, "-") && strings.HasPrefix(name, known)
	})
}

// isAsked returns whether the configuration of a program names the service, or one that has none of its own.
func (e *examination) isAsked(name string) bool {
	return slices.Contains(e.asked, name) || name == pamstack.Other && slices.ContainsFunc(e.asked, func(asked string) bool {
		return !e.Stacks.Own(asked, pamstack.Session)
	})
}

// gap is a file that lacks lines, with the services that read it.
type gap struct {
	file     string
	profile  bool // pam-auth-update adds the lines
	services []string
	concerns []concern
}

// checkServices finds services that open sessions without a line for a group that has members, or may have
// some. There is one finding for each file that the lines are to be added to.
func checkServices(e *examination) {
	for _, g := range e.gaps() {
		e.reportGap(g)
	}
}

func (e *examination) gaps() (gaps []*gap) {
	for _, s := range e.services {
		for _, c := range e.concerns {
			meant := e.meant(c)
			if e.HasLine(s.name, c.Module) || len(c.members) == 0 && c.complete || meant != nil && e.HasLine(s.name, meant.Module) {
				continue
			}
			file := e.placeOf(s, c.Module)
			profile := e.hasProfile(file, c.Module)
			if profile {
				file = "" // one command for all
			}
			i := slices.IndexFunc(gaps, func(g *gap) bool { return g.file == file && g.profile == profile })
			if i < 0 {
				i, gaps = len(gaps), append(gaps, &gap{file: file, profile: profile})
			}
			g := gaps[i]
			if !slices.Contains(g.services, s.name) {
				g.services = append(g.services, s.name)
			}
			if !slices.ContainsFunc(g.concerns, func(other concern) bool { return other.Module == c.Module }) {
				g.concerns = append(g.concerns, c)
			}
		}
	}
	return gaps
}

// edits are the edits that add the lines without pam-auth-update.
func (e *examination) edits(g *gap) (edits []Edit) {
	for _, c := range g.concerns {
		for _, s := range g.services {
			line := pamstack.Line{Service: s, Type: pamstack.Session, Module: c.Name + ".so"}
			line.File = g.file
			if g.profile {
				line.File = e.placeOf(e.service(s), c.Module)
			}
			edit := Edit{File: line.File, Lines: []string{"+ " + amend.LineText(line, "required", e.argumentsOf(c.Module))}}
			i := slices.IndexFunc(edits, func(other Edit) bool { return other.File == edit.File })
			switch {
			case i < 0:
				edits = append(edits, edit)
			case !slices.Contains(edits[i].Lines, edit.Lines[0]):
				edits[i].Lines = append(edits[i].Lines, edit.Lines[0])
			}
		}
	}
	return edits
}

func (e *examination) reportGap(g *gap) {
	k := otherWithout
	if slices.ContainsFunc(g.services, func(name string) bool { return isReachable(name) || e.isAsked(name) }) {
		k = serviceWithout
	}
	f := Finding{}
	where := "at the end of " + g.file
	if g.profile {
		where = "by pam-auth-update"
		f.instead = e.edits(g)
	} else {
		f.Diff = e.edits(g)
	}
	var modules, members []string
	unlisted := false
	for _, c := range g.concerns {
		modules = append(modules, c.Name)
		members = append(members, c.names()...)
		unlisted = unlisted || !c.complete
		if g.profile {
			f.profiles = append(f.profiles, profileOf(c.Module))
		}
	}
	slices.Sort(members)
	members = slices.Compact(members)
	who := some(members)
	switch {
	case unlisted && who == "":
		who = "any that a directory does not list"
	case unlisted:
		who += ", and any that a directory does not list"
	}
	for _, name := range g.services {
		if at := e.Stacks.File(name); !slices.Contains(f.Evidence, at) {
			f.Evidence = append(f.Evidence, at)
		}
	}
	e.report(k, f, "services", some(g.services), "open", plural(len(g.services), "opens", "open"),
		"modules", list(slices.Compact(modules)), "members", who, "where", where)
}

// placeOf returns the file that a line for a group is to be added to, for a service: a shared file that it
// includes, unless a service that includes it has a line of its own for the group; else its own file, or the
// file of another service that it includes or falls back to.
func (e *examination) placeOf(s service, m policy.Module) string {
	if !e.Stacks.Own(s.name, pamstack.Session) && s.name != pamstack.Other {
		s = service{name: pamstack.Other, stack: s.stack}
	}
	for _, file := range shared {
		apart := slices.ContainsFunc(e.services, func(t service) bool {
			return t.includes(file) && slices.ContainsFunc(t.ours, func(r policy.Rule) bool {
				return r.Module == m && !slices.Contains(shared, r.Line.File)
			})
		})
		if s.includes(file) && !apart {
			return file
		}
	}
	for _, other := range e.services {
		if file := e.Stacks.File(other.name); other.name != s.name && s.includes(file) && !e.HasLine(other.name, m) {
			return file
		}
	}
	return e.Stacks.File(s.name)
}

// hasProfile returns whether pam-auth-update(8) can add the line for a group to a file: a shared one, which it
// manages.
func (e *examination) hasProfile(file string, m policy.Module) bool {
	return slices.Contains(shared, file) && slices.Contains(policy.Modules, m) && e.argumentsOf(m) == nil &&
		e.exists(profiles+"/"+profileOf(m)) && e.tree.Updatable()
}

func profileOf(m policy.Module) string { return strings.Replace(m.Name, "pam_", "libpam-net-", 1) }

// argumentsOf returns the arguments that the line for a group has elsewhere.
func (e *examination) argumentsOf(m policy.Module) []string {
	if lines := e.linesOf(m); len(lines) > 0 {
		return lines[0].Line.Args
	}
	if !slices.Contains(policy.Modules, m) {
		return []string{"group=" + m.Group}
	}
	return nil
}
