// SPDX-License-Identifier: GPL-2.0-or-later

package pam_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"libpam-net/internal/session"
	"libpam-net/test/expect"
)

// Each seed keeps the properties that testdata/fuzz_NAME.c demands of every input.
func TestFuzzSeeds(t *testing.T) {
	targets, err := filepath.Glob("testdata/fuzz_*.c")
	expect.Check(t, err)
	for _, target := range targets {
		name := strings.TrimSuffix(strings.TrimPrefix(target, "testdata/fuzz_"), ".c")
		seeds, err := filepath.Glob("testdata/seeds/" + name + "/*")
		expect.Check(t, err)
		if len(seeds) == 0 {
			t.Fatalf("no seeds for %s", name)
		}
		t.Run(name, func(t *testing.T) {
			underEachTool(t, func(t *testing.T, flags, front []string) {
				program := t.TempDir() + "/" + name
				compile(t, program, append(flags, target, "testdata/replay.c", "-lpam", "-ldl")...)
				command := append(append(front, program), seeds...)
				output(t, exec.Command(command[0], command[1:]...))
			})
		})
	}
}

// Whatever the child reports, the login process understands it: nothing is
// malformed, and nothing changed but what no log should have.
func FuzzReport(f *testing.F) {
	for _, text := range []string{
		"", "alice", "\x00\x1b[2J\n\x7f", "Ægir 日本", "\xff\xfe",
		strings.Repeat("a", 1021), strings.Repeat("a", 1022), strings.Repeat("a", 1023), strings.Repeat("Æ", 600), strings.Repeat("\xff", 5000),
	} {
		for _, kind := range []byte{0, 7, 'I', 'R'} {
			f.Add(kind, text, kind == 'I')
		}
	}
	ours, theirs := socketpair(f)
	decoder := exec.Command(compileProgram(f, "wire", "reason.c"))
	decoder.Stdin, decoder.Stderr = theirs, os.Stderr
	decoder.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is not for it
	stdout, err := decoder.StdoutPipe()
	expect.Check(f, err)
	expect.Check(f, decoder.Start())
	f.Cleanup(func() {
		ours.Close()
		expect.Check(f, decoder.Wait())
	})
	expect.Check(f, theirs.Close())
	lines := bufio.NewReader(stdout)
	socket := session.Socket(ours.Fd())
	isolated := session.Verdict{Outcome: session.Isolated}
	for path, fd := range map[string]*int{
		"/proc/self/ns/net": &isolated.Net, "/proc/self/ns/mnt": &isolated.Mnt, "/": &isolated.Root, "/usr": &isolated.Cwd,
	} {
		file, err := os.Open(path)
		expect.Check(f, err)
		f.Cleanup(func() { file.Close() })
		*fd = int(file.Fd())
	}

	f.Fuzz(func(t *testing.T, kind byte, text string, moved bool) {
		limit, head, moves := 1021, "", 0
		if moved {
			moves = 1
		}
		switch session.Outcome(kind) {
		case session.Isolated:
			head = fmt.Sprintf("verdict I %d (3 4 5 6): ", moves)
			v := isolated
			v.Text, v.CwdMoved = text, moved
			expect.Check(t, socket.Send(v))
		case session.Refused:
			head = fmt.Sprintf("verdict R %d (-1 -1 -1 -1): ", moves)
			expect.Check(t, socket.Send(session.Verdict{Outcome: session.Refused, Text: text, CwdMoved: moved}))
		default:
			limit, head = 1022, fmt.Sprintf("log %d: ", kind%8)
			socket.Logf(session.Priority(kind%8), "%s", text)
		}
		line, err := lines.ReadString('\n')
		expect.Check(t, err)
		got, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), head)
		if !ok {
			t.Fatalf("%q, not %q", line, head)
		}
		checkText(t, got, text, limit)
	})
}

// checkText compares what has come of a text with it, where limit bytes are the most.
func checkText(t *testing.T, got, text string, limit int) {
	t.Helper()
	printable := []byte(text)
	for i, b := range printable {
		if b < ' ' || b == 0x7f {
			printable[i] = '?'
		}
	}
	want := string(printable)
	if want == "" {
		want = "-"
	}
	if len(text) <= limit {
		if got != want {
			t.Errorf("%q has become %q", text, got)
		}
		return
	}
	begin, cut := strings.CutSuffix(got, "...")
	if !cut || len(got) > limit || !utf8.ValidString(begin) {
		t.Errorf("%q is not %q cut short", got, text)
	}
	if utf8.ValidString(text) && (!strings.HasPrefix(want, begin) || len(got) <= limit-utf8.UTFMax) {
		t.Errorf("%q is not %q up to a character", got, text)
	}
}
