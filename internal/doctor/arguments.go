// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"libpam-net/internal/mount"
	"libpam-net/internal/setup"
	"libpam-net/internal/view"
	"libpam-net/pam"
)

// What pam/options.c takes, for what is probably meant by something else.
var (
	flags  = []string{"debug", "lodown", "rootshared", "shownetns", "keepresolver", "selfmanaged"}
	values = []string{"timeout", "mask", "refusal", "setup", "group"}
)

// options are what counts here of the arguments of a line.
type options struct {
	group       string
	selfmanaged bool
	rootshared  bool
	setup       string
	masks       []string
}

// parseArguments reads the arguments of a line as the module does, and tells which it skips.
func parseArguments(m concern, args []string) (o options, bad []pam.Complaint) {
	r, bad := pam.Parse(m.kind(), m.group, args)
	o = options{group: r.Group, selfmanaged: r.SelfManaged, rootshared: r.RootShared}
	if r.Setup != nil {
		o.setup = *r.Setup
	}
	for _, path := range r.Masks {
		o.masks = append(o.masks, filepath.Clean(path))
	}
	return o, bad
}

// meant is what an unknown argument was probably meant to be, "" if nothing is like it.
func meant(argument string) string {
	name, value, ok := strings.Cut(argument, "=")
	for _, known := range append(slices.Clone(flags), values...) {
		if distance(name, known) <= 2 && ok == slices.Contains(values, known) {
			if ok {
				return known + "=" + value
			}
			return known
		}
	}
	return ""
}

// distance is Levenshtein's: how many letters to change, add or remove.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// checkArguments finds what the modules log and skip, and setup programs and masks that
// they refuse.
func checkArguments(e *examination) {
	for _, l := range e.lines {
		for _, bad := range l.problems {
			args := slices.Clone(l.Args)
			i := slices.Index(args, bad.Argument)
			better := ""
			if bad.Problem == "no such argument" {
				better = meant(bad.Argument)
			}
			consequence := "The module logs an error and does without it."
			if better != "" {
				args[i] = better
				consequence += " Is " + better + " meant?"
			} else {
				args = slices.Delete(args, i, i+1)
			}
			e.found(Finding{
				Severity: Warning, ID: "line-argument",
				What:        fmt.Sprintf("%s: the argument %q is ignored: %s.", l.module, bad.Argument, bad.Problem),
				Evidence:    []string{l.String()},
				Consequence: consequence,
				Remedy:      replace(l.Line, l.Control, args),
			})
		}
		for _, path := range l.masks {
			err := view.CheckMask(e.Root, path)
			untrusted := (*mount.UntrustedError)(nil)
			if !errors.As(err, &untrusted) {
				continue
			}
			args := slices.Clone(l.Args)
			for i, arg := range args {
				if value, ok := strings.CutPrefix(arg, "mask="); ok && filepath.Clean(value) == path {
					args[i] = "mask=" + untrusted.Path
				}
			}
			e.found(Finding{
				Severity: Error, ID: "line-mask",
				What:        fmt.Sprintf("%s: a path cannot be covered: %v.", l.module, err),
				Evidence:    []string{l.String()},
				Consequence: "Members are refused.",
				Remedy:      replace(l.Line, l.Control, args),
			})
		}
		if l.setup == "" {
			continue
		}
		if err := setup.Check(e.Root, l.setup); err != nil {
			e.found(Finding{
				Severity: Error, ID: "line-setup",
				What:        fmt.Sprintf("%s: the setup program cannot be run: %v.", l.module, err),
				Evidence:    []string{l.String()},
				Consequence: "Whoever would be the first in a network is refused.",
				Remedy:      "chown root: " + quote(l.setup) + " && chmod 755 " + quote(l.setup),
			})
		}
	}
}
