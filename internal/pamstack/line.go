// SPDX-License-Identifier: GPL-2.0-or-later

package pamstack

import "strings"

// physical is a line that is assembled from lines of a file.
type physical struct {
	number, last int // its first line and its last
	text         string
	origin       []int // of each byte of text, its offset in the file
}

// add adds the part of a file that begins at an offset.
func (p *physical) add(part string, at int) {
	p.text += part
	for i := range part {
		p.origin = append(p.origin, at+i)
	}
}

// assemble returns the lines of a file without comments. A backslash at the end continues a line with the
// next one. If goesOn is true, the line goes on past empty ones and comments, else it ends there. unfinished is
// the number of a last line with a backslash, which libpam rejects, else 0.
func assemble(content string, goesOn bool) (lines []physical, unfinished int) {
	var p physical
	begun := false
	number, next := 0, 0 // next: the offset of the next line
	for line := range strings.Lines(content) {
		number++
		next += len(line)
		at := next - len(line)
		line, _, _ = strings.Cut(line, "\x00")
		at += len(line) - len(strings.TrimLeft(line, blanks))
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
			p.add(strings.TrimSuffix(end, `\`)+" ", at)
			continue
		}
		p.add(before, at)
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

// Word is a word of a line, as it is written.
type Word struct {
	Text       string // without the brackets
	Start, End int    // where it is in the text, brackets included
}

// Words returns the words of the first line in a text of pam.d, which may be continued.
func Words(text string) (words []Word) {
	lines, _ := assemble(text, true)
	if len(lines) == 0 { // it ends at a comment or an empty line
		lines, _ = assemble(text, false)
	}
	if len(lines) == 0 {
		return nil
	}
	l := lines[0]
	rest := tokens(l.text)
	for {
		start := len(l.text) - len(strings.TrimLeft(string(rest), blanks))
		if start == len(l.text) {
			return words
		}
		word, bracketed := rest.next()
		end := start + len(word)
		if bracketed {
			end = len(l.text) - len(rest)
		}
		words = append(words, Word{word, l.origin[start], l.origin[end-1] + 1})
	}
}

// more returns whether there is a rest, even if it is blank.
func (t tokens) more() bool { return t != "" }
