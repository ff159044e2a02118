// SPDX-License-Identifier: GPL-2.0-or-later

package shim

import (
	"errors"
	"os"
	"testing"

	"libpam-net/test/expect"
)

// What the core does to /run/netns, with a system call of its child tampered with.

const handle = "/run/netns/" + member

func TestAFailedPublicationLeavesNoHandle(t *testing.T) {
	m, h := newMachine(t), hosts[0]
	m.install(t, h)
	m.installCore(t, h, "pam_usernet.so")
	s := session{module: "pam_usernet.so", args: []string{"group=members"}}

	s.front = append(tracing(t, "move_mount:error=ENOSPC:when=1"), "-f")
	m.open(t, h, s).refused(t, `open network namespace "alice": publish `+handle+": attach mount: no space left on device")
	if _, err := m.Stat(handle); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the handle is there: %v", err)
	}
	s.front = nil
	m.open(t, h, s).isolated(t)
}

// All logins end in one namespace, although none has been published when each of
// them is about to.
func TestWhatACrashLeftIsTakenOverOnce(t *testing.T) {
	m, h := newMachine(t), hosts[0]
	m.install(t, h)
	m.installCore(t, h, "pam_usernet.so")
	expect.Check(t, m.WriteFile(handle, "", 0o600))
	result, err := m.Sh(t.Context(), "sleep 0.6") // no longer one that is just being made
	expect.Check(t, errors.Join(err, result.Err()))

	front := append(tracing(t, "move_mount:delay_enter=200000:when=1"), "-f")
	outcomes := make(chan outcome, 3)
	t.Run("logins", func(t *testing.T) {
		for range cap(outcomes) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				o := m.open(t, h, session{module: "pam_usernet.so", args: []string{"group=members"}, front: front})
				o.isolated(t)
				outcomes <- o
			})
		}
	})
	close(outcomes)
	namespaces := map[uint64]bool{}
	for o := range outcomes {
		namespaces[o.After.Namespaces["net"]] = true
	}
	if len(namespaces) != 1 {
		t.Errorf("the logins are in the namespaces %v", namespaces)
	}
}
