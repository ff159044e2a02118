// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"libpam-net/internal/pamstack"
)

// checkProblems finds what libpam itself stumbles over, whoever's line it is.
func checkProblems(e *examination) {
	for _, p := range e.pam.Problems() {
		e.found(Finding{
			Severity: Error, ID: "pam-line",
			What:        "libpam stumbles over a line: " + p.Text + ".",
			Evidence:    []string{p.String()},
			Consequence: "Logins are refused, for everybody, root included.",
			Remedy:      fmt.Sprintf("${EDITOR:-vi} +%d %s", p.Number, quote(p.File)),
		})
	}
}

// checkMissingModules finds lines that refuse everybody because their module is not
// there.
func checkMissingModules(e *examination) {
	dir := e.moduleDir()
	if dir == "" {
		return
	}
	for _, name := range e.pam.Services() {
		for _, kind := range []string{pamstack.Auth, pamstack.Account, pamstack.Session} {
			for _, l := range e.pam.Stack(name, kind) {
				file := path.Join(dir, l.Module)
				if strings.HasPrefix(l.Module, "/") {
					file = l.Module
				}
				if l.Module == "" || strings.Contains(l.Module, "$") || !l.Bad(pamstack.Unknown) || e.exists(file) {
					continue
				}
				e.found(Finding{
					Severity: Error, ID: "pam-module",
					What:        fmt.Sprintf("A line needs %s, and there is no such file.", file),
					Evidence:    []string{l.Place.String()},
					Consequence: "Whoever comes to this line is refused, root included.",
					Remedy:      fmt.Sprintf("${EDITOR:-vi} +%d %s", l.Number, quote(l.File)),
				})
			}
		}
	}
}

// follow goes through the stack of a service for somebody whom of the modules only
// the one of line ours concerns (-1: all do). All others are content but for the line
// that returns something else (-1: none), and pam_deny.
func (s service) follow(ours, line int, returns pamstack.Code) (code pamstack.Code, asked []bool) {
	return pamstack.Follow(s.stack, func(i int) pamstack.Code {
		switch {
		case i == line:
			return returns
		case s.stack[i].Is("pam_deny"):
			return pamstack.Denied
		case ours >= 0 && i != ours && slices.Contains(s.ours, i):
			return pamstack.Ignore
		default:
			return pamstack.Success
		}
	})
}

// checkLines finds lines of the modules that do not do what a line "required" at the
// end does.
func checkLines(e *examination) {
	for _, s := range e.services {
		for n, i := range s.ours {
			l := s.stack[i]
			m, _ := moduleOf(l)
			ours := asLine(l, m)
			e.checkControl(s, i)
			e.checkSkipped(s, i)
			e.checkOrder(s, ours, i)
			for _, j := range s.ours[:n] {
				earlier := s.stack[j]
				if other, _ := moduleOf(earlier); asLine(earlier, other).concern == ours.concern {
					e.checkTwice(s, l, earlier)
				}
			}
		}
	}
}

// checkControl finds lines whose control makes something else of what the module says.
func (e *examination) checkControl(s service, i int) {
	l := s.stack[i]
	plain, asked := s.follow(i, -1, "")
	if !asked[i] || plain != pamstack.Success {
		return
	}
	f := Finding{
		Severity: Error, ID: "line-control", Evidence: []string{l.String()},
		Remedy: replace(l, "required", l.Args),
	}
	refused, _ := s.follow(i, i, pamstack.Abort)
	ignored, _ := s.follow(i, i, pamstack.Ignore)
	switch {
	case refused == pamstack.Success:
		f.What = fmt.Sprintf("%s is %s, not required.", l.Module, l.Control)
		f.Consequence = "Members whose login it refuses come into the host's network."
		e.found(f)
	case ignored != pamstack.Success && s.alone():
		f.ID = "line-alone"
		f.What = fmt.Sprintf("In the sessions of %s no other module than %s has a say.", s.name, l.Module)
		f.Consequence = "Whoever is no member is refused: libpam wants at least one module to be content."
		f.Remedy = edit(l.File, fmt.Sprint(l.Number)+`i\`+text(l.File, l.Service, pamstack.Session, "required", "pam_permit.so", nil))
		e.found(f)
	case ignored != pamstack.Success:
		f.What = fmt.Sprintf("%s is %s, which makes a failure of \"no member\".", l.Module, l.Control)
		f.Consequence = "Whoever is no member is refused, root included."
		e.found(f)
	}
	for j := i + 1; j < len(s.stack); j++ {
		_, without := s.follow(i, i, pamstack.Ignore)
		if !asked[j] && without[j] && s.stack[j].Module != "" {
			e.found(Finding{
				Severity: Warning, ID: "line-ends-stack", Evidence: []string{l.String(), s.stack[j].String()},
				What:        fmt.Sprintf("%s is %s: behind it modules are not asked for members.", l.Module, l.Control),
				Consequence: fmt.Sprintf("Members' sessions go without %s.", s.stack[j].Module),
				Remedy:      replace(l, "required", l.Args),
			})
			break
		}
	}
}

// alone tells whether the session of a service is nothing but the modules'.
func (s service) alone() bool {
	for i, l := range s.stack {
		if l.Module != "" && !slices.Contains(s.ours, i) {
			return false
		}
	}
	return true
}

// checkSkipped finds lines that another one keeps from being asked, in a session
// that is opened all the same.
func (e *examination) checkSkipped(s service, i int) {
	l := s.stack[i]
	skips := func(j int, code pamstack.Code) bool {
		result, asked := s.follow(i, j, code)
		return result == pamstack.Success && !asked[i]
	}
	severity := Error
	culprit := -1
	switch always := skips(-1, ""); {
	case always:
		culprit = 0
		for j := range s.stack[:i] {
			if _, asked := s.follow(i, j, pamstack.Failed); asked[i] {
				culprit = j
			}
		}
		for j := i - 1; culprit == 0 && j > 0; j-- {
			if _, asked := s.follow(i, -1, ""); asked[j] {
				culprit = j
			}
		}
	default:
		severity = Warning
		for j := range s.stack[:i] {
			if skips(j, pamstack.Failed) || skips(j, pamstack.Ignore) {
				culprit = j
			}
		}
	}
	if culprit < 0 {
		return
	}
	by := s.stack[culprit]
	remedy := moveBefore(l, by)
	if _, _, self, otherSelf := meeting(by, l); self && otherSelf && strings.HasPrefix(by.Control, "[") {
		// What the number of a jump counts is to stay.
		remedy = edit(l.File, fmt.Sprint(by.Number)+`i\`+escape(textOf(l, l.Control, l.Args)),
			span(l.Place)+`c\`+text(l.File, l.Service, pamstack.Session, "optional", "pam_permit.so", nil))
	}
	e.found(Finding{
		Severity: severity, ID: "line-skipped", Evidence: []string{l.String(), by.String()},
		What:        fmt.Sprintf("%s is not asked where %s, %s, says so.", l.Module, by.Module, by.Control),
		Consequence: "Members come into the host's network.",
		Remedy:      remedy,
	})
}

// later are modules that do not do their work behind the modules of this project,
// with what comes of it. Whatever has the mounts of the session right when it is done
// may come later (pam_namespace: it unshares and mounts for this session alone), as
// may what is about the process (pam_limits, pam_loginuid): the child lifts limits.
var later = []struct {
	module      string
	masks       []string // only where one of these paths is covered; none: always
	consequence string
}{
	{"pam_mount", nil, "What it mounts stays in the first session of a user, and the next one does without. It mounts over the session's network."},
	{"pam_afs_session", nil, "It looks for its server in the session's network."},
	{"pam_systemd", []string{"/run/dbus/system_bus_socket", "/run/systemd"}, "It cannot reach logind, which knows nothing of the session then."},
	{"pam_oddjob_mkhomedir", []string{"/run/dbus/system_bus_socket"}, "It cannot reach oddjobd, and makes no home directory."},
}

// checkOrder finds modules that come too late.
func (e *examination) checkOrder(s service, l line, i int) {
	for _, other := range s.stack[i+1:] {
		for _, o := range later {
			if !other.Is(o.module) || len(o.masks) > 0 && !slices.ContainsFunc(o.masks, l.covers) {
				continue
			}
			e.found(Finding{
				Severity: Warning, ID: "line-order", Evidence: []string{l.String(), other.String()},
				What:        fmt.Sprintf("%s comes behind %s.", o.module, l.module),
				Consequence: o.consequence,
				Remedy:      moveBehind(l.Line, other),
			})
		}
	}
}

// covers tells whether a line covers a path with mask=.
func (l line) covers(file string) bool {
	return slices.ContainsFunc(l.masks, func(mask string) bool {
		mask = strings.TrimPrefix(mask, "/var") // /var/run is /run
		return mask == file || strings.HasPrefix(file, strings.TrimSuffix(mask, "/")+"/")
	})
}

// checkTwice reports a line that is twice in the stack of a service.
func (e *examination) checkTwice(s service, l, earlier pamstack.Line) {
	remove := earlier
	if len(l.Via) < len(earlier.Via) { // the one that fewer services share
		remove = l
	}
	e.found(Finding{
		Severity: Warning, ID: "line-twice", Evidence: []string{earlier.String(), l.String()},
		What:        fmt.Sprintf("In the sessions of %s %s comes twice.", s.name, l.Module),
		Consequence: "Each login does the work twice. The later line decides, but what the earlier one has covered stays so.",
		Remedy:      edit(remove.File, span(remove.Place)+"d"),
	})
}
