// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/ldap"
)

func (b *box) start(t *testing.T, server string) {
	t.Helper()
	expect.Check(t, ldap.Start(b.Machine, server))
}

// stop ends a server in good order, and returns when it is gone.
func (b *box) stop(t *testing.T, server string) {
	t.Helper()
	b.signal(t, server, unix.SIGTERM)
	expect.Eventually(t, server+" has ended", func() bool { return len(b.pids(t, server)) == 0 })
}

func (b *box) signal(t *testing.T, server string, signal unix.Signal) {
	t.Helper()
	expect.Check(t, ldap.Signal(b.Machine, server, signal))
}

// pids are a server's.
func (b *box) pids(t *testing.T, server string) []int {
	t.Helper()
	pids, err := ldap.PIDs(b.Machine, server)
	expect.Check(t, err)
	return pids
}

// sources writes nsswitch.conf with these lines.
func (b *box) sources(t *testing.T, lines ...string) {
	t.Helper()
	expect.Check(t, ldap.Sources(b.Machine, lines...))
}

// groups replaces the modules' local groups by these lines.
func (b *box) groups(t *testing.T, lines ...string) {
	t.Helper()
	expect.Check(t, ldap.Groups(b.Machine, lines...))
}
