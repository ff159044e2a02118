// SPDX-License-Identifier: GPL-2.0-or-later

// Package ctl runs what pamnetctl has for administrators on machines where users
// log in.
package ctl

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

// patience ends what hangs.
const patience = 30 * time.Second

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// host is a machine with the modules in use. Its methods fail the test.
type host struct{ *machine.Machine }

func newHost(t *testing.T) *host {
	t.Helper()
	return &host{machine.Start(t)}
}

// run lets root run a script of bash with arguments.
func (h *host) run(t *testing.T, script string, args ...string) sandbox.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := h.Run(ctx, nil, "bash", append([]string{"-c", script, "bash"}, args...)...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", script, args, err, result.Stdout, result.Stderr)
	}
	return result
}

// sh runs a script that has to succeed, and returns what it prints.
func (h *host) sh(t *testing.T, script string, args ...string) string {
	t.Helper()
	result := h.run(t, script, args...)
	if err := result.Err(); err != nil {
		t.Fatalf("%s %q: %v", script, args, err)
	}
	return strings.TrimSpace(result.Stdout)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: wait until %s", what)
		}
	}
}

func parse[T any](t *testing.T, output string) (value T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(output))
	d.DisallowUnknownFields()
	if err := d.Decode(&value); err != nil {
		t.Fatalf("%v in %s", err, output)
	}
	return value
}
