// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"libpam-net/internal/setup"
)

// What pam/options.c takes.
var (
	flags  = []string{"debug", "lodown", "rootshared", "shownetns", "keepresolver", "selfmanaged"}
	values = []string{"timeout", "mask", "setup", "group"}
)

const (
	timeoutMax = 3600
	masksMax   = 64
)

// options are what counts here of the arguments of a line.
type options struct {
	group       string
	selfmanaged bool
	rootshared  bool
	setup       string
	masks       []string
}

// badArgument is one that the module logs and skips.
type badArgument struct {
	argument string
	problem  string // as in pam/options.c
}

// parseArguments reads the arguments of a line as pam/options.c does.
func parseArguments(m concern, args []string) (o options, bad []badArgument) {
	o.group = m.group
	for _, argument := range args {
		if problem := o.apply(m.module, argument); problem != "" {
			bad = append(bad, badArgument{argument, problem})
		}
	}
	return o, bad
}

func (o *options) apply(module, argument string) (problem string) {
	if slices.Contains(flags, argument) {
		switch argument {
		case "selfmanaged":
			if module == groupnet {
				return "is for pam_newnet and pam_usernet: a shared network is no user's own"
			}
			o.selfmanaged = true
		case "rootshared":
			o.rootshared = true
		}
		return ""
	}
	name, value, ok := strings.Cut(argument, "=")
	if !ok || !slices.Contains(values, name) {
		return "is unknown"
	}
	switch name {
	case "timeout":
		if n, err := strconv.ParseUint(value, 10, 32); err != nil || n < 1 || n > timeoutMax {
			return "wants whole seconds from 1 to 3600"
		}
	case "mask":
		if !strings.HasPrefix(value, "/") {
			return "wants an absolute path"
		}
		if len(o.masks) == masksMax {
			return "is one too many: 64 are the most"
		}
		o.masks = append(o.masks, path.Clean(value))
	case "setup":
		if module == newnet {
			return "is for named networks: pam_usernet and pam_groupnet"
		}
		o.setup = value
	case "group":
		if value == "" {
			return "wants a group name"
		}
		o.group = value
	}
	return ""
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

// checkArguments finds what the modules log and skip, and setup programs that they
// refuse.
func checkArguments(e *examination) {
	for _, l := range e.lines {
		for _, bad := range l.problems {
			args := slices.Clone(l.Args)
			i := slices.Index(args, bad.argument)
			better := ""
			if bad.problem == "is unknown" {
				better = meant(bad.argument)
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
				What:        fmt.Sprintf("%s: the argument %q %s.", l.module, bad.argument, bad.problem),
				Evidence:    []string{l.String()},
				Consequence: consequence,
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
