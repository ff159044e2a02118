// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"slices"
	"strings"
	"testing"
)

func TestWhatAUnitDenies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ settings, lacks string }{
		{"", ""},
		{"CapabilityBoundingSet=", "CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_SYS_CHROOT CAP_NET_ADMIN"},
		{"CapabilityBoundingSet=|CapabilityBoundingSet=~CAP_KILL", "CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_SYS_CHROOT CAP_NET_ADMIN"},
		{"CapabilityBoundingSet=|CapabilityBoundingSet=~", ""},
		{"CapabilityBoundingSet=~cap_sys_ptrace cap_kill", "CAP_SYS_PTRACE"},
		{"CapabilityBoundingSet=~CAP_SYS_PTRACE|CapabilityBoundingSet=CAP_SYS_PTRACE", ""},
		{"CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SYS_PTRACE|CapabilityBoundingSet=CAP_NET_ADMIN|CapabilityBoundingSet=~CAP_SYS_ADMIN", "CAP_SYS_ADMIN CAP_SYS_CHROOT"},
		{"RestrictNamespaces=yes", "net mnt"},
		{"RestrictNamespaces=yes|RestrictNamespaces=", ""},
		{"RestrictNamespaces=yes|RestrictNamespaces=no", ""},
		{"RestrictNamespaces=yes|RestrictNamespaces=net", "mnt"},
		{"RestrictNamespaces=~user", ""},
		{"RestrictNamespaces=~net user", "net"},
		{"RestrictNamespaces=mnt", "net"},
		{"SystemCallFilter=@system-service", "chroot mount umount2"},
		{"SystemCallFilter=@system-service|SystemCallFilter=@mount", ""},
		{"SystemCallFilter=~@mount:EPERM @clock", "chroot mount umount2"},
		{"SystemCallFilter=~unshare|SystemCallFilter=", ""},
		{"SystemCallFilter=~unshare|SystemCallFilter=unshare", ""},
		{"SystemCallFilter=@process @mount|SystemCallFilter=~setns", "setns"},
	} {
		u := unit{settings: settingsOf("x", "[Service]\n"+strings.ReplaceAll(c.settings, "|", "\n"))}
		var got []string
		for _, check := range []func(*unit) ([]string, string, string){lacksCapabilities, lacksNamespaces, lacksCalls} {
			lacks, setting, allow := check(&u)
			if got = append(got, lacks...); len(lacks) > 0 {
				u.settings = append(u.settings, settingsOf("x", "[Service]\n"+setting+"="+allow)...)
				if still, _, _ := check(&u); len(still) > 0 {
					t.Errorf("%s: %s=%s does not help: %q", c.settings, setting, allow, still)
				}
			}
		}
		if !slices.Equal(got, strings.Fields(c.lacks)) {
			t.Errorf("%s: %q, not %q", c.settings, got, c.lacks)
		}
	}
}
