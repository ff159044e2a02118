// SPDX-License-Identifier: GPL-2.0-or-later

// Package systemd runs the modules on a whole Debian: systemd is process 1, with
// logind, dbus, sshd, cron and atd, and the package is installed by dpkg and
// enabled by pam-auth-update.
//
// All tests share the machine: they make no assumption on what others have left, and
// one of them boots it anew.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"libpam-net/test/boot"
	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	code := m.Run()
	if running != nil {
		if err := running.Close(); err != nil {
			fmt.Println("end the machine:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// host is the machine in a test.
type host struct {
	*boot.Debian
	t *testing.T
}

// start returns the machine, once it has booted.
func start(t *testing.T) host {
	t.Helper()
	d, err := booted()
	if errors.Is(err, machine.ErrMissing) || errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	t.Cleanup(func() {
		amiss, err := d.Enter(context.Background(), `
			journalctl --quiet --no-pager --priority=warning | grep -E 'pam_(new|user|group)net\(' || :
			systemctl --failed --no-legend --plain`)
		if err := errors.Join(err, amiss.Err()); err != nil || amiss.Stdout != "" {
			t.Errorf("warnings of the modules, and units that failed (%v):\n%s", err, amiss.Stdout)
		}
		if t.Failed() {
			journal, err := d.Enter(context.Background(), "journalctl --no-pager --quiet --lines=40")
			t.Logf("the end of the journal (%v):\n%s", err, journal.Stdout)
		}
	})
	return host{d, t}
}

// running is what start has booted.
var running *boot.Debian

var booted = sync.OnceValues(func() (*boot.Debian, error) {
	d, err := boot.New()
	if err != nil {
		return nil, err
	}
	running = d
	result, err := d.Enter(context.Background(), machine.SetUpDebian)
	return d, errors.Join(err, result.Err())
})

// try lets root run a script in a unit of its own, which is no session.
func (h host) try(script string, args ...string) sandbox.Result {
	h.t.Helper()
	result, err := h.Enter(h.t.Context(), `exec systemd-run --quiet --pipe --wait --collect bash -c "$@"`,
		append([]string{script, "bash"}, args...)...)
	expect.Check(h.t, err)
	return result
}

// run is try for a script that has to succeed.
func (h host) run(script string, args ...string) string {
	h.t.Helper()
	result := h.try("set -e; "+script, args...)
	if err := result.Err(); err != nil {
		h.t.Fatalf("%s %q: %v", script, args, err)
	}
	return strings.TrimSpace(result.Stdout)
}

// ssh runs a script in a login.
func (h host) ssh(user, script string) string {
	h.t.Helper()
	return h.run(`ssh "$1@127.0.0.1" "$2"`, user, script)
}
