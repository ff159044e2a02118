// SPDX-License-Identifier: GPL-2.0-or-later

package machine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"libpam-net/test/sandbox"
)

// logLines is how much of the log a test that fails shows.
const logLines = 100

// Start starts a machine that ends with the test. If the test fails, it shows the
// end of the log. Without root the test is skipped.
func Start(t testing.TB) *Machine {
	t.Helper()
	m, err := New()
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	m.EndWith(t)
	return m
}

// EndWith ends the machine with the test. If that fails, it shows the end of the log.
func (m *Machine) EndWith(t testing.TB) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			log, err := m.Log()
			lines := slices.Collect(strings.Lines(log))
			t.Logf("the log of the machine (%v):\n%s", err, strings.Join(lines[max(0, len(lines)-logLines):], ""))
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Try lets root run a script of bash with arguments, for at most a minute.
func (m *Machine) Try(t testing.TB, script string, args ...string) sandbox.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	result, err := m.Run(ctx, nil, "bash", append([]string{"-c", script, "bash"}, args...)...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", script, args, err, result.Stdout, result.Stderr)
	}
	return result
}

// Bash runs a script as Try does. It has to succeed; what it prints is returned.
func (m *Machine) Bash(t testing.TB, script string, args ...string) string {
	t.Helper()
	result := m.Try(t, script, args...)
	if err := result.Err(); err != nil {
		t.Fatalf("%s %q: %v", script, args, err)
	}
	return strings.TrimSpace(result.Stdout)
}
