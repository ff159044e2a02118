// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"libpam-net/internal/amend"
	"libpam-net/internal/pamstack"
)

// sudoDefault is a line of Defaults in sudoers(5).
type sudoDefault struct {
	pamstack.Place
	text string
}

var (
	sudoDefaults   = regexp.MustCompile(`^Defaults([@:!>]\s*\S+)?\s`)
	sudoNoSession  = regexp.MustCompile(`(^|[\s,])!\s*pam_session\b`)
	sudoService    = regexp.MustCompile(`[\s,]pam_(?:login_)?service\s*=\s*"?([^\s,"]+)`)
	sudoInclusions = regexp.MustCompile(`^[@#]include(dir)?\s+"?([^"]+)`)
)

// sudoDefaults returns the defaults of sudoers and the files that it includes.
func (e *examination) sudoDefaults() []sudoDefault { return e.sudoers("/etc/sudoers", nil) }

func (e *examination) sudoers(file string, open []string) (all []sudoDefault) {
	if slices.Contains(open, file) || len(open) > 128 {
		return nil
	}
	open = append(open, file)
	lines := strings.Split(e.read(file), "\n")
	for i := 0; i < len(lines); i++ {
		first, text := i, lines[i]
		for strings.HasSuffix(text, `\`) && i+1 < len(lines) {
			i++
			text = strings.TrimSuffix(text, `\`) + " " + lines[i]
		}
		text = strings.TrimSpace(text)
		included := sudoInclusions.FindStringSubmatch(text)
		switch {
		case included == nil && sudoDefaults.MatchString(text):
			text, _, _ = strings.Cut(text, "#")
			all = append(all, sudoDefault{pamstack.Place{File: file, Number: first + 1, Last: i + 1}, text})
		case included == nil:
		case included[1] == "":
			all = append(all, e.sudoers(belowEtc(included[2]), open)...)
		default:
			for _, name := range e.glob(belowEtc(included[2]) + "/*") {
				if base := path.Base(name); !strings.HasSuffix(base, "~") && !strings.Contains(base, ".") {
					all = append(all, e.sudoers(name, open)...)
				}
			}
		}
	}
	return all
}

// belowEtc returns the path of a file that sudoers includes.
func belowEtc(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join("/etc", name)
}

// checkSudo finds settings with which sudo opens no sessions.
func checkSudo(e *examination) {
	for _, d := range e.sudoDefaults() {
		if !sudoNoSession.MatchString(d.text) {
			continue
		}
		diff := amend.Marked("- ", e.at(d.Place)...)
		if d.Number == d.Last {
			rest := strings.TrimRight(sudoNoSession.ReplaceAllString(e.at(d.Place)[0], "$1"), " \t,")
			if sudoDefaults.MatchString(rest) {
				diff = append(diff, "+ "+rest)
			}
		}
		e.report(sudoWithout, Finding{Evidence: []string{d.String()}, Diff: []Edit{{File: d.File, Lines: diff}}}, "file", d.File)
	}
}

// sudoServices returns the services that sudo asks for by its defaults.
func (e *examination) sudoServices() (names []string) {
	for _, d := range e.sudoDefaults() {
		for _, m := range sudoService.FindAllStringSubmatch(d.text, -1) {
			names = append(names, strings.ToLower(m[1]))
		}
	}
	return names
}
