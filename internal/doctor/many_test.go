// SPDX-License-Identifier: GPL-2.0-or-later

package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/internal/doctor"
	"libpam-net/test/expect"
)

// large makes a machine with many members, services, units and processes.
func large(t testing.TB) doctor.Machine {
	t.Helper()
	m := newMachine(t)
	var passwd, members strings.Builder
	for i := range 500 {
		fmt.Fprintf(&passwd, "user%d:x:%d:100::/:/bin/sh\n", i, 20000+i)
		fmt.Fprintf(&members, ",user%d", i)
		dir := filepath.Join(m.Root, fmt.Sprintf("proc/%d/ns", 1000+i))
		expect.Check(t, os.MkdirAll(dir, 0o755))
		expect.Check(t, os.Symlink("net:[9]", filepath.Join(dir, "net")))
		write(t, m.Root, fmt.Sprintf("/proc/%d/status", 1000+i), fmt.Sprintf("Name:\tsh\nUid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", 20000+i))
	}
	write(t, m.Root, "/etc/passwd", healthy["/etc/passwd"]+passwd.String())
	write(t, m.Root, "/etc/group", strings.Replace(healthy["/etc/group"], "newnet:x:900:alice", "newnet:x:900:alice"+members.String(), 1))
	for i := range 200 {
		write(t, m.Root, fmt.Sprintf("/etc/pam.d/gdm-%d", i), "@include common-session\n")
		write(t, m.Root, fmt.Sprintf("/usr/lib/systemd/system/s%d.service", i), fmt.Sprintf("[Service]\nExecStart=/bin/true\nPAMName=gdm-%d\n", i))
	}
	return m
}

func TestManyMembersAndServices(t *testing.T) {
	t.Parallel()
	m := large(t)
	if all, findings := found(t, m); len(all) > 0 {
		t.Errorf("%q %+v", all, findings)
	}
	// All services at once are one finding for each file that lacks lines, and not one for each member.
	write(t, m.Root, "/etc/pam.d/common-session", "session required pam_unix.so\n")
	if all, _ := found(t, m); len(all) == 0 || len(all) > 8 {
		t.Errorf("%d findings: %q", len(all), all)
	}
}

// BenchmarkExamine looks over a machine with 500 members and 200 services.
func BenchmarkExamine(b *testing.B) {
	m := large(b)
	for b.Loop() {
		if _, err := doctor.Examine(m); err != nil {
			b.Fatal(err)
		}
	}
}
