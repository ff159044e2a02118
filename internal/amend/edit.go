// SPDX-License-Identifier: GPL-2.0-or-later

package amend

import (
	"fmt"
	"slices"
	"strings"

	"libpam-net/internal/pamstack"
)

// Edit is a change of a file, as a diff shows it. A line is removed ("- "), added ("+ "), or stays and shows
// the place ("  "). Lines are told by their content. Where all are added, it is at the end of the file.
type Edit struct {
	File  string   `json:"file"`
	Lines []string `json:"lines"`
}

// Changes returns whether a line is added or removed.
func (e Edit) Changes() bool {
	return slices.ContainsFunc(e.Lines, func(line string) bool { return line[0] != ' ' })
}

// Apply returns the text of the file after the change, and an error if a line that stays or goes is not there.
// All other lines stay as they are, to the byte.
func (e Edit) Apply(text string) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	}
	index := func(from int, line string) int {
		for i := from; i < len(lines); i++ {
			if strings.TrimSuffix(lines[i], "\n") == line {
				return i
			}
		}
		return -1
	}
	at := len(lines) // where the change goes on
	if i := slices.IndexFunc(e.Lines, func(line string) bool { return line[0] != '+' }); i >= 0 {
		at = max(0, index(0, e.Lines[i][2:]))
	}
	for _, change := range e.Lines {
		mark, line := change[0], change[2:]
		if mark == '+' {
			if at > 0 && !strings.HasSuffix(lines[at-1], "\n") {
				lines[at-1] += "\n"
			}
			lines = slices.Insert(lines, at, line+"\n")
			at++
			continue
		}
		i := index(at, line)
		if i < 0 {
			return "", fmt.Errorf("%s has no line %q", e.File, line)
		}
		at = i
		if mark == '-' {
			lines = slices.Delete(lines, at, at+1)
		} else {
			at++
		}
	}
	return strings.Join(lines, ""), nil
}

// Marked puts a mark before each line.
func Marked(mark string, lines ...string) (all []string) {
	for _, line := range lines {
		all = append(all, mark+line)
	}
	return all
}

// Rewrite returns a line, given as it is written, with another control, or other arguments. What does not
// change stays as it is written: pam-auth-update(8) compares its lines by the letter.
func Rewrite(written []string, l pamstack.Line, control string, args []string) []string {
	text := strings.Join(written, "\n")
	words := pamstack.Words(text)
	if l.File == confFile && len(words) > 0 {
		words = words[1:]
	}
	if len(words) != 3+len(l.Args) || words[2].Text != l.Module {
		return []string{LineText(l, control, args)} // it is no line that libpam can parse
	}
	var keep []bool // of the arguments
	added := slices.Clone(args)
	for _, word := range words[3:] {
		i := slices.Index(added, word.Text)
		if keep = append(keep, i >= 0); i >= 0 {
			added = slices.Delete(added, i, i+1)
		}
	}
	if len(written) > 1 && slices.Contains(keep, false) {
		return append(Comments(written), LineText(l, control, args)) // without the word a line could be empty, which ends nothing
	}
	end := words[len(words)-1].End
	for _, arg := range added {
		quoted := " " + quoted(arg)
		text = text[:end] + quoted + text[end:]
		end += len(quoted)
	}
	for i, word := range slices.Backward(words) {
		switch {
		case i >= 3 && !keep[i-3]:
			text = text[:words[i-1].End] + text[word.End:]
		case i == 1 && control != l.Control:
			text = text[:word.Start] + control + text[word.End:]
		}
	}
	return strings.Split(text, "\n")
}

// Comments returns the lines that are comments.
func Comments(written []string) (lines []string) {
	for _, line := range written {
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

const confFile = "/etc/pam.conf"

// LineText is a line as it is written into its file, with this control and these arguments.
func LineText(l pamstack.Line, control string, args []string) string {
	kind := l.Type
	if l.Silent {
		kind = "-" + kind
	}
	words := []string{kind, control, l.Module}
	if l.File == confFile {
		words = slices.Insert(words, 0, l.Service)
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
