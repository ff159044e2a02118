// SPDX-License-Identifier: GPL-2.0-or-later

package pamstack

import "strings"

// physical is a line that is assembled from lines of a file.
type physical struct {
	number, last int // its first line and its last
	text         string
}

// assemble returns the lines of a file without comments. A backslash at the end continues a line with the
// next one. If goesOn is true, the line goes on past empty ones and comments, else it ends there. unfinished is
// the number of a last line with a backslash, which libpam rejects, else 0.
func assemble(content string, goesOn bool) (lines []physical, unfinished int) {
	var p physical
	begun := false
	number := 0
	for line := range strings.Lines(content) {
		number++
		line, _, _ = strings.Cut(line, "\x00")
		line = strings.TrimLeft(line, blanks)
		if (line == "" || line[0] == '#') && (goesOn || !begun) {
			continue
		}
		if !begun {
			p, begun = physical{number: number}, true
		}
		p.last = number
		before, _, comment := strings.Cut(line, "#")
		if end := strings.TrimRight(line, blanks); !comment && strings.HasSuffix(end, `\`) {
			p.text += strings.TrimSuffix(end, `\`) + " "
			continue
		}
		p.text += before
		begun = false
		if goesOn || strings.Trim(p.text, blanks) != "" {
			lines = append(lines, p)
		}
	}
	if begun {
		return lines, p.number
	}
	return lines, 0
}

const blanks = " \n\t"

// tokens is the rest of a line.
type tokens string

// next removes and returns the next word, "" if there is none. A word in brackets may have blanks, and "\]"
// for a bracket; it is returned without the brackets.
func (t *tokens) next() (word string, bracketed bool) {
	s := strings.TrimLeft(string(*t), blanks)
	if !strings.HasPrefix(s, "[") {
		end := strings.IndexAny(s, blanks)
		if end < 0 {
			end = len(s)
		}
		*t = tokens(s[min(end+1, len(s)):])
		return s[:end], false
	}
	var b strings.Builder
	i := 1
	for ; i < len(s) && s[i] != ']'; i++ {
		if strings.HasPrefix(s[i:], `\]`) {
			i++
		}
		b.WriteByte(s[i])
	}
	*t = tokens(s[min(i+1, len(s)):])
	return b.String(), true
}

// more returns whether there is a rest, even if it is blank.
func (t tokens) more() bool { return t != "" }
