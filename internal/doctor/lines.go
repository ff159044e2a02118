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

// checkProblems finds lines of any module that libpam cannot parse.
func checkProblems(e *examination) {
	for _, p := range e.Stacks.Problems() {
		e.report(pamLine, Finding{Evidence: []string{p.String()}, Diff: e.shown(p.Place)}, "problem", p.Text)
	}
}

// checkMissingModules finds lines of any module whose file does not exist, where libpam counts that as a
// failure.
func checkMissingModules(e *examination) {
	dir := e.moduleDir()
	if dir == "" {
		return
	}
	for _, name := range e.Stacks.Services() {
		for _, kind := range []string{pamstack.Auth, pamstack.Account, pamstack.Session} {
			for _, l := range e.Stacks.Stack(name, kind) {
				file := path.Join(dir, l.Module)
				if strings.HasPrefix(l.Module, "/") {
					file = l.Module
				}
				if l.Module == "" || strings.Contains(l.Module, "$") || !l.Bad(pamstack.Unknown) || e.exists(file) {
					continue
				}
				e.report(pamModule, Finding{Evidence: []string{l.Place.String()}, Diff: e.shown(l.Place)}, "file", file)
			}
		}
	}
}

// checkTypes finds lines of the modules that are not of type session. The modules have no function for them, and
// libpam takes that for a failure.
func checkTypes(e *examination) {
	for _, name := range e.Stacks.Services() {
		for _, kind := range []string{pamstack.Auth, pamstack.Account, pamstack.Password} {
			for _, l := range e.Stacks.Stack(name, kind) {
				i := slices.IndexFunc(policy.Modules, func(m policy.Module) bool { return l.Is(m.Name) })
				if i < 0 {
					continue
				}
				k := lineIdle
				if l.Bad(pamstack.Unknown) {
					k = lineType
				}
				e.report(k, Finding{Evidence: []string{l.String()}, Diff: e.removed(policy.Rule{Line: &l})}, "module", policy.Modules[i].Name, "type", kind)
			}
		}
	}
}

// follow simulates the stack. The module of the line at ours returns PAM_SUCCESS and the other modules of
// this project PAM_IGNORE (ours < 0: all return PAM_SUCCESS). The line at index line returns code (line < 0:
// none), pam_deny fails, and every other module succeeds.
func (s service) follow(ours, line int, returns pamstack.Code) (code pamstack.Code, asked []bool) {
	return pamstack.Follow(s.stack, func(i int) pamstack.Code {
		switch {
		case i == line:
			return returns
		case s.stack[i].Is("pam_deny"):
			return pamstack.Denied
		case ours >= 0 && i != ours && s.hasOurs(i):
			return pamstack.Ignore
		default:
			return pamstack.Success
		}
	})
}

// checkLines finds lines of the modules that work otherwise than a required line at the end of the stack.
func checkLines(e *examination) {
	for _, s := range e.services {
		for n, r := range s.ours {
			e.checkControl(s, r)
			e.checkSkipped(s, r)
			e.checkOrder(s, r)
			for _, earlier := range s.ours[:n] {
				if earlier.Module == r.Module {
					e.checkTwice(r, earlier)
				}
			}
		}
	}
}

// checkControl finds lines whose control overrides the return code of the module.
func (e *examination) checkControl(s service, r policy.Rule) {
	plain, asked := s.follow(r.At, -1, "")
	if !asked[r.At] || plain != pamstack.Success {
		return
	}
	l := r.Line
	f := Finding{
		Evidence: []string{l.String()},
		Diff: e.replaced([]policy.Rule{r}, func(r policy.Rule) (string, []string) {
			return "required", r.Line.Args
		}),
	}
	values := []string{"module", l.Module, "control", l.Control, "service", s.name}
	refused, _ := s.follow(r.At, r.At, pamstack.Abort)
	ignored, without := s.follow(r.At, r.At, pamstack.Ignore)
	switch {
	case refused == pamstack.Success:
		e.report(lineControl, f, values...)
	case ignored != pamstack.Success && s.alone():
		f.Diff = []Edit{{File: l.File, Lines: append([]string{"+ " + permit(*l, "required")}, amend.Marked("  ", e.at(l.Place)...)...)}}
		e.report(lineAlone, f, values...)
	case ignored != pamstack.Success:
		e.report(lineIgnore, f, values...)
	}
	for j := r.At + 1; j < len(s.stack); j++ {
		if other := s.stack[j]; !asked[j] && without[j] && other.Module != "" {
			f.Evidence = []string{l.String(), other.String()}
			e.report(lineEnds, f, append(values, "skipped", other.Module)...)
			break
		}
	}
}

// permitted is how a line ends that keeps the place of another one.
const permitted = "session optional pam_permit.so"

// permit is a line of pam_permit beside another line.
func permit(beside pamstack.Line, control string) string {
	return amend.LineText(pamstack.Line{
		Place: beside.Place, Service: beside.Service, Type: pamstack.Session, Module: "pam_permit.so",
	}, control, nil)
}

// alone returns whether the session stack of a service has no other modules than those of this project.
func (s service) alone() bool {
	for i, l := range s.stack {
		if l.Module != "" && !s.hasOurs(i) {
			return false
		}
	}
	return true
}

// checkSkipped finds lines that another line makes libpam skip, in a session that is opened all the same.
func (e *examination) checkSkipped(s service, r policy.Rule) {
	skips := func(j int, code pamstack.Code) bool {
		result, asked := s.follow(r.At, j, code)
		return result == pamstack.Success && !asked[r.At]
	}
	k, culprit := lineSkipped, -1
	if skips(-1, "") {
		culprit = 0
		for j := range s.stack[:r.At] {
			if _, asked := s.follow(r.At, j, pamstack.Failed); asked[r.At] {
				culprit = j
			}
		}
		for j := r.At - 1; culprit == 0 && j > 0; j-- {
			if _, asked := s.follow(r.At, -1, ""); asked[j] {
				culprit = j
			}
		}
	} else {
		k = lineMaySkip
		for j := range s.stack[:r.At] {
			if skips(j, pamstack.Failed) || skips(j, pamstack.Ignore) {
				culprit = j
			}
		}
	}
	if culprit < 0 {
		return
	}
	l, by := r.Line, s.stack[culprit]
	diff := e.swapped(by, *l, false)
	if by.File == l.File && slices.Equal(by.Via, l.Via) {
		diff = []Edit{{File: l.File, Lines: slices.Concat(amend.Marked("+ ", e.at(l.Place)...), amend.Marked("  ", e.at(by.Place)...), amend.Marked("- ", e.at(l.Place)...))}}
		if strings.HasPrefix(by.Control, "[") { // what the number of a jump counts is to stay
			diff[0].Lines = append(diff[0].Lines, "+ "+permit(*l, "optional"))
		}
	}
	e.report(k, Finding{Evidence: []string{l.String(), by.String()}, Diff: diff},
		"module", l.Module, "other", by.Module, "control", by.Control)
}

// later are modules that do not do their work behind the modules of this project, with the effect. A module
// may come later that has the mounts of the session right when it is done (pam_namespace: it unshares and
// mounts for this session alone), and one that is about the process (pam_limits, pam_loginuid): the child
// lifts limits.
var later = []struct {
	module string
	masks  []string // only where one of these paths is covered; none: always
	effect string
}{
	{"pam_mount", nil, "Its mounts stay in the first session of a user, and the next one lacks them. It mounts over the session's network."},
	{"pam_afs_session", nil, "It looks for its server in the session's network."},
	{"pam_systemd", []string{"/run/dbus/system_bus_socket", "/run/systemd"}, "It cannot reach logind, which does not know the session then."},
	{"pam_oddjob_mkhomedir", []string{"/run/dbus/system_bus_socket"}, "It cannot reach oddjobd, and makes no home directory."},
}

// checkOrder finds modules that come too late.
func (e *examination) checkOrder(s service, r policy.Rule) {
	for _, other := range s.stack[r.At+1:] {
		for _, o := range later {
			if !other.Is(o.module) || len(o.masks) > 0 && !slices.ContainsFunc(o.masks, func(file string) bool { return covers(r, file) }) {
				continue
			}
			e.report(lineOrder, Finding{Evidence: []string{r.Line.String(), other.String()}, Diff: e.swapped(*r.Line, other, true)},
				"module", r.Name, "other", o.module, "effect", o.effect)
		}
	}
}

// checkTwice reports a line that is twice in one stack. The one that fewer services share is to go.
func (e *examination) checkTwice(r, earlier policy.Rule) {
	remove := earlier
	if len(r.Line.Via) < len(earlier.Line.Via) {
		remove = r
	}
	e.report(lineTwice, Finding{Evidence: []string{earlier.Line.String(), r.Line.String()}, Diff: e.removed(remove)}, "module", r.Line.Module)
}
