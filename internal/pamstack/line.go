// SPDX-License-Identifier: GPL-2.0-or-later

package pamstack

import "strings"

// physical is a line as it is assembled from those of a file.
type physical struct {
	number, last int // its first line and its last
	text         string
}

// assemble cuts a file into lines, without comments: a backslash at the end goes on
// with the next line, past empty ones and comments. Where the file ends in the midst
// of a line, which libpam does not take, unfinished is the number of that, else 0.
func assemble(content string) (lines []physical, unfinished int) {
	var p physical
	begun := false
	number := 0
	for line := range strings.Lines(content) {
		number++
		line, _, _ = strings.Cut(line, "\x00")
		line = strings.TrimLeft(line, blanks)
		if line == "" || line[0] == '#' {
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
		lines, begun = append(lines, p), false
	}
	if begun {
		return lines, p.number
	}
	return lines, 0
}

const blanks = " \n\t"

// tokens are what is left of a line.
type tokens string

// next cuts off the next word, "" if there is none. A word in brackets may have
// blanks in it, and "\]" for a bracket; the brackets are no part of it.
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

// more tells whether there is something left, be it blank.
func (t tokens) more() bool { return t != "" }
