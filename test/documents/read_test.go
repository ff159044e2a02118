// SPDX-License-Identifier: GPL-2.0-or-later

package documents

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"
)

// readMarkdown returns the code blocks of a document, fenced and indented.
func readMarkdown(source []byte) ([]block, error) {
	var blocks []block
	document := goldmark.DefaultParser().Parse(text.NewReader(source))
	err := ast.Walk(document, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering || node.Kind() != ast.KindCodeBlock && node.Kind() != ast.KindFencedCodeBlock {
			return ast.WalkContinue, strayMark(node, source)
		}
		b := block{text: string(node.Lines().Value(source))}
		if node.Lines().Len() > 0 {
			b.line = 1 + bytes.Count(source[:node.Lines().At(0).Start], []byte("\n"))
		}
		for before := node.PreviousSibling(); before != nil && before.Kind() == ast.KindHTMLBlock; before = before.PreviousSibling() {
			if err := markByComments(&b.marks, string(before.Lines().Value(source))); err != nil {
				return ast.WalkStop, fmt.Errorf("before line %d: %w", b.line, err)
			}
		}
		blocks = append(blocks, b)
		return ast.WalkContinue, nil
	})
	return blocks, err
}

// strayMark returns an error if the node is a comment with a mark, and no block follows.
func strayMark(node ast.Node, source []byte) error {
	if node.Kind() != ast.KindHTMLBlock {
		return nil
	}
	next := node.NextSibling()
	for next != nil && next.Kind() == ast.KindHTMLBlock {
		next = next.NextSibling()
	}
	if next != nil && (next.Kind() == ast.KindCodeBlock || next.Kind() == ast.KindFencedCodeBlock) {
		return nil
	}
	var m marks
	if err := markByComments(&m, string(node.Lines().Value(source))); err != nil {
		return err
	}
	return m.stray()
}

var htmlComment = regexp.MustCompile(`(?s)<!--(.*?)-->`)

func markByComments(m *marks, html string) error {
	for _, comment := range htmlComment.FindAllStringSubmatch(html, -1) {
		if err := m.mark(comment[1]); err != nil {
			return err
		}
	}
	return nil
}

// mdocEscapes are those of displays; see mandoc_char(7).
var mdocEscapes = strings.NewReplacer(`\e`, `\`, `\-`, `-`, `\&`, ``, `\(aq`, `'`, `\(dq`, `"`)

// readMdoc returns the literal displays of a man page. Marks are comments directly before them.
func readMdoc(source []byte) ([]block, error) {
	var blocks []block
	var comments marks
	var display *block // that has begun
	for i, line := range strings.Split(string(source), "\n") {
		comment, isComment := strings.CutPrefix(line, `.\"`)
		oneLine, isOneLine := strings.CutPrefix(line, ".Dl ")
		switch {
		case display != nil && line == ".Ed":
			blocks = append(blocks, *display)
			display = nil
		case display != nil && strings.HasPrefix(line, "."):
			return nil, fmt.Errorf("line %d: a macro in a literal display", i+1)
		case display != nil:
			display.text += mdocEscapes.Replace(line) + "\n"
		case strings.HasPrefix(line, ".Bd -literal"), strings.HasPrefix(line, ".Bd -unfilled"):
			display = &block{line: i + 2, marks: comments}
			comments = marks{}
		case isOneLine:
			blocks = append(blocks, block{line: i + 1, text: mdocEscapes.Replace(oneLine) + "\n", marks: comments})
			comments = marks{}
		case isComment:
			if err := comments.mark(comment); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			continue
		}
		if err := comments.stray(); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return blocks, nil
}
