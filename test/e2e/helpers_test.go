// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// patience ends what hangs. Everything here should take milliseconds.
const patience = 30 * time.Second

func comesTrue(within time.Duration, condition func() bool) bool {
	deadline := time.After(within)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

// facts are what is known of something, by key.
type facts map[string][]string

// equalFacts reports every key whose values are not those that are wanted.
func equalFacts(t *testing.T, what string, got, want facts) {
	t.Helper()
	keys := maps.Clone(want)
	maps.Copy(keys, got)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if slices.Equal(got[key], want[key]) {
			continue
		}
		surplus, missing := minus(got[key], want[key]), minus(want[key], got[key])
		if surplus == nil && missing == nil { // the same in another order, or more often
			surplus, missing = got[key], want[key]
		}
		t.Errorf("%s: %s: got, but not wanted: %q; wanted, but not got: %q", what, key, surplus, missing)
	}
}

// minus returns what is in a and not in b.
func minus(a, b []string) (rest []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			rest = append(rest, s)
		}
	}
	return rest
}

func (f facts) without(keys ...string) facts {
	rest := maps.Clone(f)
	for _, key := range keys {
		delete(rest, key)
	}
	return rest
}

// host is a machine with the modules in use. Its own methods fail the test.
type host struct {
	*machine.Machine
	una sandbox.User // on a prepared machine
}

// newMachine starts a machine that ends with the test.
func newMachine(t *testing.T) *host {
	t.Helper()
	return &host{Machine: machine.Start(t)}
}

// read returns what is in a file.
func (h *host) read(t *testing.T, name string) string {
	t.Helper()
	content, err := h.ReadFile(name)
	expect.Check(t, err)
	return content
}

// example is what a page says to type: the first indented lines after a text.
func example(t *testing.T, page, after string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../..", page))
	expect.Check(t, err)
	_, rest, found := strings.Cut(string(content), after)
	_, rest, indented := strings.Cut(rest, "\n\n    ")
	if !found || !indented {
		t.Fatalf("%s has no example after %q", page, after)
	}
	lines, _, _ := strings.Cut(rest, "\n\n")
	return strings.ReplaceAll(lines, "\n    ", "\n")
}

// makeTun makes the device of taps, which the kernel has though /dev may not.
func (h *host) makeTun(t *testing.T) {
	t.Helper()
	h.Bash(t, "mkdir -p /dev/net; [ -e /dev/net/tun ] || mknod -m 666 /dev/net/tun c 10 200")
}

// log returns what has been logged so far.
func (h *host) log(t *testing.T) string {
	t.Helper()
	log, err := h.Log()
	expect.Check(t, err)
	return log
}

// logOf returns the lines that are logged while f runs.
func (h *host) logOf(t *testing.T, f func()) []string {
	t.Helper()
	before := h.markLog(t)
	f()
	after := h.markLog(t)
	return after[len(before) : len(after)-1]
}

// markLog adds a line to the log, and returns all lines up to that. What was
// sent before is before it.
func (h *host) markLog(t *testing.T) []string {
	t.Helper()
	mark := fmt.Sprintf("e2e: mark %d\n", time.Now().UnixNano())
	h.Bash(t, `logger -t e2e "${1#e2e: }"`, mark)
	var before string
	expect.Eventually(t, "the log has the mark", func() bool {
		var found bool
		before, _, found = strings.Cut(h.log(t), mark)
		return found
	})
	return strings.Split(before+"mark", "\n")
}

// processes returns the names of the processes there are, sorted.
func (h *host) processes(t *testing.T) []string {
	t.Helper()
	processes, err := h.Processes()
	expect.Check(t, err)
	var names []string
	for _, p := range processes {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

// awaitProcesses waits until there are no processes but these.
func (h *host) awaitProcesses(t *testing.T, want []string) {
	t.Helper()
	var got []string
	defer func() {
		if !slices.Equal(got, want) {
			t.Logf("there are %q, there should be %q", got, want)
		}
	}()
	expect.Eventually(t, "no other processes are left", func() bool {
		got = h.processes(t)
		return slices.Equal(got, want)
	})
}

// dialogue is a program that runs while the test talks to it.
type dialogue struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	output *bufio.Reader // stdout and stderr
}

// start starts a program as root.
func (h *host) start(t *testing.T, name string, args ...string) *dialogue {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := h.CommandContext(ctx, name, args...)
	stdin, err := cmd.StdinPipe()
	expect.Check(t, err)
	stdout, err := cmd.StdoutPipe()
	expect.Check(t, err)
	cmd.Stderr = cmd.Stdout
	expect.Check(t, cmd.Start())
	return &dialogue{t: t, cmd: cmd, stdin: stdin, output: bufio.NewReader(stdout)}
}

// startOnTerminal starts a script of sh as root, on a terminal of its own.
func (h *host) startOnTerminal(t *testing.T, script string) *dialogue {
	t.Helper()
	return h.start(t, "script", "-qefc", script, "/dev/null")
}

// await reads the output up to a text, and returns what comes before that.
func (d *dialogue) await(text string) string {
	d.t.Helper()
	var heard strings.Builder
	for !strings.HasSuffix(heard.String(), text) {
		b, err := d.output.ReadByte()
		if err != nil {
			d.t.Fatalf("wait for %q: %v after %q", text, err, heard.String())
		}
		heard.WriteByte(b)
	}
	return strings.TrimSuffix(heard.String(), text)
}

// say writes to the program.
func (d *dialogue) say(text string) {
	d.t.Helper()
	_, err := io.WriteString(d.stdin, text)
	expect.Check(d.t, err)
}

// end closes the program's input, waits until it has ended, and returns the rest
// of the output and the exit code.
func (d *dialogue) end() (output string, code int) {
	d.t.Helper()
	expect.Check(d.t, d.stdin.Close())
	rest, err := io.ReadAll(d.output)
	expect.Check(d.t, err)
	var exit *exec.ExitError
	if err := d.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	return string(rest), d.cmd.ProcessState.ExitCode()
}
