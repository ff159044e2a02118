// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"os/exec"
	"strings"
	"testing"
)

func TestStopwatch(t *testing.T) {
	program, err := compile(t.TempDir(), "stopwatch")
	if err != nil {
		t.Fatal(err)
	}
	w, err := startStopwatch(exec.Command(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, script string
		status       int
		text         string
	}{
		{"what it prints comes as one line", "echo one; echo two", 0, "one two"},
		{"errors are part of it", "echo oh >&2", 0, "oh"},
		{"it fails", "exit 3", 3, ""},
		{"a signal ends it", "kill -9 $$", 137, ""},
		{"it prints more than is wanted", "yes | head -c 1000000", 0, strings.TrimSpace(strings.Repeat("y ", 2047) + "y")},
	} {
		t.Run(c.what, func(t *testing.T) {
			a, err := w.run("sh", "-c", c.script)
			if err != nil || a.status != c.status || a.text != c.text || a.took <= 0 {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	if a, each, err := w.many(5, 2, "sh", "-c", "exit 4"); err != nil || a.status != 4 || len(each) != 5 {
		t.Errorf("five of them: %+v, %d, %v", a, len(each), err)
	}
	pids, err := w.hold(2, "sh", "-c", "echo ready; cat")
	if err != nil || len(pids) != 2 || exec.Command("kill", "-0", pids[0], pids[1]).Run() != nil {
		t.Errorf("two are held: %q, %v", pids, err)
	}
	if err := w.release(); err != nil || exec.Command("kill", "-0", pids[0]).Run() == nil {
		t.Errorf("and released: %v", err)
	}
	if _, err := w.hold(1, "sh", "-c", "echo no"); err == nil {
		t.Error("what is not ready is held")
	}
	if err := w.release(); err != nil {
		t.Error(err)
	}
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}
