// SPDX-License-Identifier: GPL-2.0-or-later

package machine

import (
	"errors"
	"slices"
	"strings"
	"testing"

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
	return m
}
