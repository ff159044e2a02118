// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
)

// vendorDir is where distributions have files of services that /etc/pam.d overrides.
const vendorDir = "/usr/lib/pam.d"

// Edit is a change of a file, as a diff shows it. A line is removed ("- "), added ("+ "), or stays and shows
// the place ("  "). Lines are told by their content. Where all are added, it is at the end of the file.
type Edit struct {
	File  string   `json:"file"`
	Lines []string `json:"lines"`
}

// Apply returns the text of the file after the change, and an error if a line that stays or goes is not there.
func (e Edit) Apply(text string) (string, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	at := len(lines) // where the change goes on
	if i := slices.IndexFunc(e.Lines, func(line string) bool { return line[0] != '+' }); i >= 0 {
		at = max(0, slices.Index(lines, e.Lines[i][2:]))
	}
	for _, change := range e.Lines {
		mark, line := change[0], change[2:]
		if mark == '+' {
			lines = slices.Insert(lines, at, line)
			at++
			continue
		}
		i := slices.Index(lines[at:], line)
		if i < 0 {
			return "", fmt.Errorf("%s has no line %q", e.File, line)
		}
		at += i
		if mark == '-' {
			lines = slices.Delete(lines, at, at+1)
		} else {
			at++
		}
	}
	return strings.Join(lines, "\n") + "\n", nil
}

// marked puts a mark before each line.
func marked(mark string, lines ...string) (all []string) {
	for _, line := range lines {
		all = append(all, mark+line)
	}
	return all
}

// at returns the lines of a file at a place, as they are written.
func (e *examination) at(p pamstack.Place) []string {
	lines := strings.Split(e.read(p.File), "\n")
	if p.Number < 1 || p.Last > len(lines) {
		return nil
	}
	return lines[p.Number-1 : p.Last]
}

// shown is the edit that only shows a line.
func (e *examination) shown(p pamstack.Place) []Edit {
	return []Edit{{p.File, marked("  ", e.at(p)...)}}
}

// removed is the edit that removes lines, each once.
func (e *examination) removed(rules ...policy.Rule) []Edit {
	return e.edited(rules, func(policy.Rule) []string { return nil })
}

// replaced is the edit that gives lines other controls, or other arguments.
func (e *examination) replaced(rules []policy.Rule, change func(policy.Rule) (control string, args []string)) []Edit {
	return e.edited(rules, func(r policy.Rule) []string {
		control, args := change(r)
		return marked("+ ", e.rewritten(*r.Line, control, args))
	})
}

func (e *examination) edited(rules []policy.Rule, added func(policy.Rule) []string) (edits []Edit) {
	rules = slices.SortedFunc(slices.Values(rules), func(a, b policy.Rule) int { return a.Line.Number - b.Line.Number })
	for _, r := range rules {
		i := slices.IndexFunc(edits, func(edit Edit) bool { return edit.File == r.Line.File })
		if i < 0 {
			i, edits = len(edits), append(edits, Edit{File: r.Line.File})
		}
		edits[i].Lines = slices.Concat(edits[i].Lines, marked("- ", e.at(r.Line.Place)...), added(r))
	}
	return edits
}

// rewritten returns the text of a line with another control, or other arguments. The rest stays as it is
// written: pam-auth-update(8) compares its lines by the letter.
func (e *examination) rewritten(l pamstack.Line, control string, args []string) string {
	written := e.at(l.Place)
	if len(written) == 1 {
		head, tail, _ := strings.Cut(written[0], l.Module)
		word, found := head, strings.Contains(head, l.Control)
		if i := strings.LastIndex(word, l.Control); found {
			head = word[:i] + control + word[i+len(l.Control):]
		}
		if !slices.Equal(args, l.Args) {
			tail = ""
			for _, arg := range args {
				tail += " " + quoted(arg)
			}
		}
		if found && l.Module != "" {
			return head + l.Module + tail
		}
	}
	kind := l.Type
	if l.Silent {
		kind = "-" + kind
	}
	return lineText(l.File, l.Service, kind, control, l.Module, args)
}

// lineText is a line as it is written into a file.
func lineText(file, service, kind, control, module string, args []string) string {
	words := []string{kind, control, module}
	if file == "/etc/pam.conf" {
		words = slices.Insert(words, 0, service)
	}
	for _, arg := range args {
		words = append(words, quoted(arg))
	}
	return strings.Join(words, " ")
}

// quoted is an argument as it is written into a line.
func quoted(arg string) string {
	if arg == "" || strings.ContainsAny(arg, " \t[]") {
		return "[" + strings.ReplaceAll(arg, "]", `\]`) + "]"
	}
	return arg
}

// swapped is the edit that gives two lines of a stack the other order. It moves the one that is in the file
// where the ways to the two part; if neither is, it moves the line of ours, which is the first or the second.
func (e *examination) swapped(first, second pamstack.Line, oursIsFirst bool) []Edit {
	ways := [2][]pamstack.Place{append(slices.Clone(first.Via), first.Place), append(slices.Clone(second.Via), second.Place)}
	i := 0
	for i+1 < len(ways[0]) && i+1 < len(ways[1]) && ways[0][i] == ways[1][i] {
		i++
	}
	a, b := e.at(ways[0][i]), e.at(ways[1][i])
	file := ways[0][i].File
	switch {
	case i == len(first.Via):
		return []Edit{{file, slices.Concat(marked("- ", a...), marked("  ", b...), marked("+ ", a...))}}
	case i == len(second.Via):
		return []Edit{{file, slices.Concat(marked("+ ", b...), marked("  ", a...), marked("- ", b...))}}
	case oursIsFirst:
		return []Edit{
			{first.File, marked("- ", e.at(first.Place)...)},
			{file, slices.Concat(marked("  ", b...), marked("+ ", e.at(first.Place)...))},
		}
	default:
		return []Edit{
			{second.File, marked("- ", e.at(second.Place)...)},
			{file, slices.Concat(marked("+ ", e.at(second.Place)...), marked("  ", a...))},
		}
	}
}

// overridden makes edits of the distribution's files edits of their copies in /etc/pam.d. It returns the
// files.
func overridden(edits []Edit) (vendors []string) {
	for i := range edits {
		if file := edits[i].File; path.Dir(file) == vendorDir {
			vendors = append(vendors, file)
			edits[i].File = "/etc/pam.d/" + path.Base(file)
		}
	}
	slices.Sort(vendors)
	return slices.Compact(vendors)
}
