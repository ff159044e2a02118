// SPDX-License-Identifier: GPL-2.0-or-later

package documents

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// block is a code block of a Markdown document, or a display of a man page.
type block struct {
	line  int // of the document, counted from 1
	text  string
	marks marks
}

// marks are what comments before a block say about it.
type marks struct {
	notRun  string    // why the block is not run
	omitted []omitted // lines that are not run
	user    string    // who types the block, if it is not root
	file    string    // the block is this file
	append  bool      // or is at the end of it
	present string    // who is logged in meanwhile
	answers string    // what is typed when commands ask
	varies  string    // why the output is another each time
}

// omitted are the lines of a block that begin with something, and why they are not run.
type omitted struct{ prefix, reason string }

// notations are the marks. A document's comments have other texts as well, unless they begin like a mark.
var notations = []struct {
	pattern *regexp.Regexp
	set     func(m *marks, words []string)
}{
	{regexp.MustCompile(`^not run: (.*\w.*)$`), func(m *marks, w []string) { m.notRun = w[1] }},
	{regexp.MustCompile(`^not run "(.+)": (.*\w.*)$`), func(m *marks, w []string) { m.omitted = append(m.omitted, omitted{w[1], w[2]}) }},
	{regexp.MustCompile(`^typed by (\w+)$`), func(m *marks, w []string) { m.user = w[1] }},
	{regexp.MustCompile(`^file (/\S+)$`), func(m *marks, w []string) { m.file = w[1] }},
	{regexp.MustCompile(`^end of file (/\S+)$`), func(m *marks, w []string) { m.file, m.append = w[1], true }},
	{regexp.MustCompile(`^answers: (.+)$`), func(m *marks, w []string) { m.answers = w[1] }},
	{regexp.MustCompile(`^while (\w+) is logged in$`), func(m *marks, w []string) { m.present = w[1] }},
	{regexp.MustCompile(`^output varies: (.*\w.*)$`), func(m *marks, w []string) { m.varies = w[1] }},
}

var beginsLikeAMark = regexp.MustCompile(`^(not run|typed|file|end of file|answers|while|output)\b`)

// mark adds a comment to the marks, if it is one.
func (m *marks) mark(comment string) error {
	comment = strings.Join(strings.Fields(comment), " ")
	for _, n := range notations {
		if words := n.pattern.FindStringSubmatch(comment); words != nil {
			n.set(m, words)
			return nil
		}
	}
	if beginsLikeAMark.MatchString(comment) {
		return fmt.Errorf("no mark, or one without a reason: %q", comment)
	}
	return nil
}

// stray returns an error if there are marks. The caller has found no block behind them.
func (m marks) stray() error {
	if reflect.ValueOf(m).IsZero() {
		return nil
	}
	return errors.New("a mark that stands before no block")
}

// step is what is typed at once, and what is shown for it.
type step struct {
	user, script string
	want         string // masked; empty if the document shows no output
}

// prompted is the first line of a block with prompts and output.
var prompted = regexp.MustCompile(`^[#$] `)

// steps returns what is to be typed.
func (b block) steps() ([]step, error) {
	lines, err := b.typed()
	if err != nil {
		return nil, err
	}
	user := cmp.Or(b.marks.user, "root")
	if !prompted.MatchString(b.text) {
		return []step{{user: user, script: strings.Join(lines, "\n")}}, nil
	}
	var steps []step
	for _, line := range lines {
		if !prompted.MatchString(line) {
			if len(steps) > 0 && b.marks.varies == "" {
				steps[len(steps)-1].want += line + "\n"
			}
			continue
		}
		if line[0] == '$' && user == "root" {
			return nil, fmt.Errorf("no mark says which user types %q", line)
		}
		by := user
		if line[0] == '#' {
			by = "root"
		}
		steps = append(steps, step{user: by, script: line[2:]})
	}
	for i := range steps {
		steps[i].want = mask(steps[i].want)
	}
	return steps, nil
}

// typed returns the lines but those that are marked.
func (b block) typed() ([]string, error) {
	lines := strings.Split(strings.TrimRight(b.text, "\n"), "\n")
	for _, o := range b.marks.omitted {
		var kept []string
		for _, line := range lines {
			if !strings.HasPrefix(prompted.ReplaceAllString(line, ""), o.prefix) {
				kept = append(kept, line)
			}
		}
		if len(kept) == len(lines) {
			return nil, fmt.Errorf("no line begins with %s, which a mark names", strconv.Quote(o.prefix))
		}
		lines = kept
	}
	return lines, nil
}

var (
	number = regexp.MustCompile(`\d+`)
	blanks = regexp.MustCompile(`\s+`)
)

// mask leaves of an output what is the same each time.
func mask(output string) string {
	return strings.TrimSpace(blanks.ReplaceAllString(number.ReplaceAllString(output, "N"), " "))
}
