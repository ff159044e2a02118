// SPDX-License-Identifier: GPL-2.0-or-later

// Package documents runs every command of every document as it stands there: of
// the Markdown files and man pages, in their order, on a Debian that has booted.
//
// A comment directly before a block says what cannot be seen from the block. The
// reader of the rendered page sees none of it:
//
//	<!-- not run: REASON -->
//	<!-- not run "BEGINNING": REASON -->    the lines that begin so
//	<!-- typed by USER -->                  in a login by ssh; else by root
//	<!-- file PATH -->                      the block is a file, which is written
//	<!-- end of file PATH -->               the block is added to a file
//	<!-- while USER is logged in -->        by ssh
//	<!-- answers: WORD... -->               what is typed when commands ask, a line each
//	<!-- output varies: REASON -->          what is shown behind prompts is not compared
//
// In a man page it is a comment of mdoc(7), .\" not run: REASON.
package documents

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/test/boot"
	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

const root = "../.."

// patterns are where documents are.
var patterns = []string{"README.md", "CONTRIBUTING.md", "docs/*.md", "man/*.[0-9]"}

// read returns the blocks of a document.
func read(t *testing.T, path string) []block {
	t.Helper()
	source, err := os.ReadFile(path)
	expect.Check(t, err)
	reader := readMdoc
	if strings.HasSuffix(path, ".md") {
		reader = readMarkdown
	}
	blocks, err := reader(source)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return blocks
}

func TestEveryCommandOfEveryDocumentRuns(t *testing.T) {
	for _, pattern := range patterns {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		expect.Check(t, err)
		if len(paths) == 0 {
			t.Errorf("there is no document %s", pattern)
		}
		for _, path := range paths {
			name, err := filepath.Rel(root, path)
			expect.Check(t, err)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				try(t, name, read(t, path))
			})
		}
	}
}

// try lets a reader follow a document.
func try(t *testing.T, name string, blocks []block) {
	t.Helper()
	var r *reader
	commands, files, notRun := 0, 0, 0
	for _, b := range blocks {
		if b.marks.notRun != "" {
			notRun++
			t.Logf("%s:%d: not run: %s", name, b.line, b.marks.notRun)
			continue
		}
		if r == nil {
			r = start(t, name)
		}
		if b.marks.file != "" {
			files++
			r.write(b)
			continue
		}
		steps, err := b.steps()
		if err != nil {
			t.Errorf("%s:%d: %v", name, b.line, err)
		}
		if b.marks.present != "" {
			r.logIn(b.marks.present)
		}
		for _, s := range steps {
			commands++
			r.follow(fmt.Sprintf("%s:%d", name, b.line), s, b.marks.answers)
		}
	}
	t.Logf("%s: %d blocks: %d scripts run, %d files written, %d blocks not run", name, len(blocks), commands, files, notRun)
	if r != nil {
		r.see(name)
	}
}

// reader is somebody who has read a document up to a block, with a machine.
type reader struct {
	*boot.Debian
	t     *testing.T
	story story
}

// sources is where a reader has the sources.
const sources = "/root/libpam-net"

// start gives a reader a machine for a document.
func start(t *testing.T, name string) *reader {
	t.Helper()
	tools := filepath.Join(machine.Out(), "documents")
	if _, err := os.Stat(tools); err != nil {
		t.Skipf("there are no programs that documents name in out/documents: %v", machine.ErrMissing)
	}
	d, err := boot.New()
	if errors.Is(err, machine.ErrMissing) || errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	r := &reader{d, t, stories[name]}
	t.Cleanup(func() {
		if t.Failed() {
			journal, err := d.Enter(context.Background(), "journalctl --no-pager --quiet --lines=30 --grep='pam_|pamnet|failed'")
			t.Logf("the end of the journal (%v):\n%s", err, journal.Stdout)
		}
		expect.Check(t, d.Close())
	})
	deb, err := machine.Deb()
	expect.Check(t, err)
	expect.Check(t, d.InstallTree(tools))
	expect.Check(t, d.Install(deb, filepath.Join("/opt/libpam-net/out/package", filepath.Base(deb)), 0o644))
	examples, err := filepath.Glob(filepath.Join(root, "examples/*"))
	expect.Check(t, err)
	for _, example := range examples {
		expect.Check(t, d.Install(example, filepath.Join("/opt/libpam-net/examples", filepath.Base(example)), 0o755))
	}
	r.must(machine.LetRootIn + everywhere)
	if !r.story.uninstalled {
		r.must(installed)
	}
	r.must(r.story.before)
	return r
}

// must lets root run a script that is no document's.
func (r *reader) must(script string) {
	r.t.Helper()
	result, err := r.Enter(r.t.Context(), script)
	if err := errors.Join(err, result.Err()); err != nil {
		r.t.Fatalf("%s: %v", script, err)
	}
}

// see looks at what has come of all of it.
func (r *reader) see(name string) {
	r.t.Helper()
	if !r.t.Failed() {
		r.follow(name+", afterwards", step{user: "root", script: r.story.after}, "")
	}
}

// write makes the file that a block is.
func (r *reader) write(b block) {
	r.t.Helper()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(b.text, "#!") {
		mode = 0o755
	}
	var err error
	if b.marks.append {
		err = r.AppendFile(b.marks.file, b.text)
	} else {
		err = r.WriteFile(b.marks.file, b.text, mode)
	}
	if err != nil {
		r.t.Errorf("line %d: %v", b.line, err)
	}
}

// logIn logs a user in for the rest of the document.
func (r *reader) logIn(user string) {
	r.t.Helper()
	r.must(`
		systemd-run --quiet --collect --setenv=HOME=/root ssh ` + user + `@127.0.0.1 'touch /tmp/present; exec sleep infinity'
		until [ -e /tmp/present ]; do sleep 0.01; done
		rm /tmp/present`)
}

// follow types what is to be typed, in a login of its own by ssh, and compares the output.
func (r *reader) follow(where string, s step, answers string) {
	r.t.Helper()
	script := "set -eo pipefail; trap 'echo \"failed: $BASH_COMMAND\" >&2' ERR\n" + s.script
	if s.user == "root" {
		script = "cd " + sources + "\n" + script
	}
	result, err := r.EnterWith(r.t.Context(), strings.NewReader(strings.ReplaceAll(answers, " ", "\n")+"\n"),
		`exec ssh "$1@127.0.0.1" "$2"`, s.user, script)
	if err := errors.Join(err, result.Err()); err != nil {
		r.t.Errorf("%s: %s types\n%s\n%v", where, s.user, s.script, err)
		return
	}
	if got := mask(result.Stdout + result.Stderr); s.want != "" && got != s.want {
		r.t.Errorf("%s: %s shows\n%s\nand not\n%s", where, s.script, got, s.want)
	}
}
