// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"libpam-net/internal/pamstack"
)

// vendorDir is where distributions have files of services that /etc/pam.d overrides.
const vendorDir = "/usr/lib/pam.d"

// What is found in PAM's files is put right with sed, by the numbers of lines. A
// file that is a link (authselect) stays one.
const sed = "sed -i --follow-symlinks"

// quote quotes a word for the shell.
func quote(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+=,:@%", r))
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// edit is a command that edits a file. One of the distribution's is copied first:
// there the next update would undo it.
func edit(file string, expressions ...string) string {
	var b strings.Builder
	if path.Dir(file) == vendorDir {
		vendor := file
		file = "/etc/pam.d/" + path.Base(file)
		b.WriteString("cp " + quote(vendor) + " " + quote(file) + " && ")
	}
	b.WriteString(sed)
	for _, expression := range expressions {
		b.WriteString(" -e " + quote(expression))
	}
	return b.String() + " " + quote(file)
}

// span is the address of a line.
func span(p pamstack.Place) string {
	if p.Last > p.Number {
		return fmt.Sprintf("%d,%d", p.Number, p.Last)
	}
	return fmt.Sprint(p.Number)
}

// text is a line as it is written into a file.
func text(file, service, kind, control, module string, args []string) string {
	words := []string{kind, control, module}
	if file == "/etc/pam.conf" {
		words = slices.Insert(words, 0, service)
	}
	for _, arg := range args {
		if arg == "" || strings.ContainsAny(arg, " \t[]") {
			arg = "[" + strings.ReplaceAll(arg, "]", `\]`) + "]"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// escape is for the text of sed's a, i and c.
func escape(text string) string { return strings.ReplaceAll(text, `\`, `\\`) }

func textOf(l pamstack.Line, control string, args []string) string {
	kind := l.Type
	if l.Silent {
		kind = "-" + kind
	}
	return text(l.File, l.Service, kind, control, l.Module, args)
}

// replace is a command that gives a line another control, or other arguments.
func replace(l pamstack.Line, control string, args []string) string {
	return edit(l.File, change(l, control, args))
}

func change(l pamstack.Line, control string, args []string) string {
	return span(l.Place) + `c\` + escape(textOf(l, control, args))
}

// editAll are commands that change lines, one command for each file.
func editAll(lines []line, expression func(line) string) string {
	var files, commands []string
	of := map[string][]string{}
	for _, l := range lines {
		if of[l.File] == nil {
			files = append(files, l.File)
		}
		of[l.File] = append(of[l.File], expression(l))
	}
	for _, file := range files {
		commands = append(commands, edit(file, of[file]...))
	}
	return strings.Join(commands, "\n")
}

// meeting finds where two lines of a stack, or the includes that lead to them, are
// in the same file. It tells whether they are there themselves.
func meeting(a, b pamstack.Line) (pa, pb pamstack.Place, selfA, selfB bool) {
	ways := [2][]pamstack.Place{append(slices.Clone(a.Via), a.Place), append(slices.Clone(b.Via), b.Place)}
	i := 0
	for i+1 < len(ways[0]) && i+1 < len(ways[1]) && ways[0][i] == ways[1][i] {
		i++
	}
	return ways[0][i], ways[1][i], i == len(a.Via), i == len(b.Via)
}

// moveBehind is a command that moves a line behind another one, which comes later.
func moveBehind(l, other pamstack.Line) string {
	at, before, self, otherSelf := meeting(l, other)
	switch {
	case self:
		return edit(at.File, span(at)+"d", fmt.Sprint(before.Last)+`a\`+escape(textOf(l, l.Control, l.Args)))
	case otherSelf:
		return edit(at.File, span(before)+"d", fmt.Sprint(at.Number)+`i\`+escape(textOf(other, other.Control, other.Args)))
	default:
		return edit(l.File, span(l.Place)+"d") + "\n" +
			edit(at.File, fmt.Sprint(before.Last)+`a\`+escape(textOf(l, l.Control, l.Args)))
	}
}

// moveBefore is a command that moves a line before another one, which comes earlier.
func moveBefore(l, other pamstack.Line) string {
	at, behind, self, otherSelf := meeting(l, other)
	insert := edit(behind.File, fmt.Sprint(behind.Number)+`i\`+escape(textOf(l, l.Control, l.Args)))
	switch {
	case self:
		return edit(at.File, fmt.Sprint(behind.Number)+`i\`+escape(textOf(l, l.Control, l.Args)), span(at)+"d")
	case otherSelf:
		return edit(at.File, span(behind)+"d", fmt.Sprint(at.Last)+`a\`+escape(textOf(other, other.Control, other.Args)))
	default:
		return edit(l.File, span(l.Place)+"d") + "\n" + insert
	}
}
