// SPDX-License-Identifier: GPL-2.0-or-later

package documents

import (
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

func TestBlocksAreReadWithTheirMarks(t *testing.T) {
	const markdown = "Text\n\n    one\n    two\n\n<!-- not run: a reason -->\n\n    three\n\n- item\n\n  <!-- typed by bob -->\n  <!-- a comment -->\n\n  ```sh\n  four\n  ```\n"
	const mdoc = ".Sh NAME\n.Bd -literal -offset indent\none\ntwo\n.Ed\n.\\\" not run: a reason\n.Dl three\n.\\\" typed by bob\n.\\\" a comment\n.Bd -literal\nfour\n.Ed\n"
	for name, read := range map[string]func() ([]block, error){
		"Markdown": func() ([]block, error) { return readMarkdown([]byte(markdown)) },
		"mdoc":     func() ([]block, error) { return readMdoc([]byte(mdoc)) },
	} {
		blocks, err := read()
		expect.Check(t, err)
		var got []string
		for _, b := range blocks {
			got = append(got, fmt.Sprintf("%q by %q not run %q", b.text, b.marks.user, b.marks.notRun))
		}
		expect.Equal(t, name, strings.Join(got, "\n"), `"one\ntwo\n" by "" not run ""
"three\n" by "" not run "a reason"
"four\n" by "bob" not run ""`)
	}
}

func TestMarksThatSayTooLittleAreErrors(t *testing.T) {
	for _, comment := range []string{
		"not run", "not run:", "not run: ...", `not run "x":`, "typed by", "file", "file relative", "output varies", "answers",
	} {
		if _, err := readMarkdown([]byte("<!-- " + comment + " -->\n\n    true\n")); err == nil {
			t.Errorf("the mark %q is accepted in Markdown", comment)
		}
		if _, err := readMdoc([]byte(".\\\" " + comment + "\n.Dl true\n")); err == nil {
			t.Errorf("the mark %q is accepted in mdoc", comment)
		}
	}
}

func TestAMarkBeforeNoBlockIsAnError(t *testing.T) {
	if _, err := readMarkdown([]byte("<!-- not run: a reason -->\n\nText\n\n    true\n")); err == nil {
		t.Error("it is accepted in Markdown")
	}
	if _, err := readMdoc([]byte(".\\\" not run: a reason\n.Pp\n.Dl true\n")); err == nil {
		t.Error("it is accepted in mdoc")
	}
}

func TestAMarkOfALineThatIsNotThereIsAnError(t *testing.T) {
	b := block{text: "make\nmake install\n", marks: marks{omitted: []omitted{{"make install", "a reason"}}}}
	steps, err := b.steps()
	expect.Check(t, err)
	expect.Equal(t, "what is run", fmt.Sprint(steps), "[{root make }]")
	b.marks.omitted[0].prefix = "rm"
	if _, err := b.steps(); err == nil {
		t.Error("it is accepted")
	}
}

func TestPromptsTellCommandsFromOutput(t *testing.T) {
	b := block{text: "# one\nnet:[4026]   of 2\n$ two\n# three\n", marks: marks{user: "bob"}}
	steps, err := b.steps()
	expect.Check(t, err)
	expect.Equal(t, "steps", fmt.Sprintf("%q", steps), `[{"root" "one" "net:[N] of N"} {"bob" "two" ""} {"root" "three" ""}]`)
}
