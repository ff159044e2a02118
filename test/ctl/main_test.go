// SPDX-License-Identifier: GPL-2.0-or-later

// Package ctl runs what pamnetctl has for administrators on machines where users
// log in.
package ctl

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

// host is a machine with the modules in use. Its methods fail the test.
type host struct{ *machine.Machine }

func newHost(t *testing.T) *host {
	t.Helper()
	return &host{machine.Start(t)}
}

// startSSHD starts sshd, and waits for the last line that it logs then: later, it would look like a check's.
func (h *host) startSSHD(t *testing.T) {
	t.Helper()
	expect.Check(t, h.StartSSHD())
	_, err := h.WaitLog(t.Context(), "Server listening on 127.0.0.1 port")
	expect.Check(t, err)
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
