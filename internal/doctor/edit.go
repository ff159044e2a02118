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

// Edit is a change of a file, as a diff shows it.
type Edit = amend.Edit

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
	return []Edit{{File: p.File, Lines: amend.Marked("  ", e.at(p)...)}}
}

// removed is the edit that removes lines, each once. Comments between the parts of a continued line stay.
func (e *examination) removed(rules ...policy.Rule) []Edit {
	return e.edited(rules, func(r policy.Rule) []string { return amend.Marked("+ ", amend.Comments(e.at(r.Line.Place))...) })
}

// replaced is the edit that gives lines other controls, or other arguments.
func (e *examination) replaced(rules []policy.Rule, change func(policy.Rule) (control string, args []string)) []Edit {
	return e.edited(rules, func(r policy.Rule) []string {
		control, args := change(r)
		return amend.Marked("+ ", amend.Rewrite(e.at(r.Line.Place), *r.Line, control, args)...)
	})
}

func (e *examination) edited(rules []policy.Rule, added func(policy.Rule) []string) (edits []Edit) {
	rules = slices.SortedFunc(slices.Values(rules), func(a, b policy.Rule) int { return a.Line.Number - b.Line.Number })
	for _, r := range rules {
		i := slices.IndexFunc(edits, func(edit Edit) bool { return edit.File == r.Line.File })
		if i < 0 {
			i, edits = len(edits), append(edits, Edit{File: r.Line.File})
		}
		edits[i].Lines = slices.Concat(edits[i].Lines, amend.Marked("- ", e.at(r.Line.Place)...), added(r))
	}
	return edits
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
		return []Edit{{File: file, Lines: slices.Concat(amend.Marked("- ", a...), amend.Marked("  ", b...), amend.Marked("+ ", a...))}}
	case i == len(second.Via):
		return []Edit{{File: file, Lines: slices.Concat(amend.Marked("+ ", b...), amend.Marked("  ", a...), amend.Marked("- ", b...))}}
	case oursIsFirst:
		return append(e.removed(policy.Rule{Line: &first}),
			Edit{File: file, Lines: slices.Concat(amend.Marked("  ", b...), amend.Marked("+ ", e.plain(first)...))})
	default:
		return append(e.removed(policy.Rule{Line: &second}),
			Edit{File: file, Lines: slices.Concat(amend.Marked("+ ", e.plain(second)...), amend.Marked("  ", a...))})
	}
}

// plain returns a line as it is written, without comments between its parts.
func (e *examination) plain(l pamstack.Line) []string {
	written := e.at(l.Place)
	comments := amend.Comments(written)
	return slices.DeleteFunc(slices.Clone(written), func(line string) bool { return slices.Contains(comments, line) })
}

// overridden makes edits of the distribution's files edits of their copies in /etc/pam.d. It returns the
// files.
func overridden(edits []Edit) (vendors []string) {
	for i := range edits {
		if file := edits[i].File; path.Dir(file) == amend.VendorDir {
			vendors = append(vendors, file)
			edits[i].File = path.Join(amend.Dir, path.Base(file))
		}
	}
	slices.Sort(vendors)
	return slices.Compact(vendors)
}
