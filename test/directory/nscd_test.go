// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/ldap"
)

// knows tells whether libc, asked in the normal way, finds a user in a group.
func (b *box) knows(t *testing.T, user string, gid int) bool {
	t.Helper()
	return b.succeeds(t, fmt.Sprintf("id -G %s | grep -qw %d", user, gid))
}

func TestWhatNSCDKeepsOfAnOutageMakesNobodyANonMember(t *testing.T) {
	t.Parallel()
	b := newBox(t, "slapd", "nslcd", "nscd")
	b.sources(t, "passwd: files ldap", "group: files ldap systemd")
	b.groups(t, emptyGroups...)
	expect.Eventually(t, "nscd knows the directory", func() bool { return b.knows(t, "liam", ldap.NewnetGID) })
	b.isThere(t)

	b.stop(t, "slapd")
	b.sh(t, "nscd -i passwd; nscd -i group")
	if b.knows(t, "liam", ldap.NewnetGID) {
		t.Error("nscd still knows liam's groups")
	}
	b.isAway(t)

	b.start(t, "slapd")
	expect.Eventually(t, "the directory is back", func() bool { return b.succeeds(t, "getent -s ldap passwd ldina") })
	if b.knows(t, "liam", ldap.NewnetGID) {
		t.Error("nscd has not kept liam's groups from the outage")
	}
	b.expect(t, "pam_newnet", "liam", isolated, "")
	b.expect(t, "pam_groupnet", "liam", isolated, "")
}

// As on a busy machine: nscd takes "cannot open /etc/group" for "in no group".
func TestAnNSCDWithoutDescriptorsMakesNobodyANonMember(t *testing.T) {
	t.Parallel()
	b := newBox(t, "nscd")
	pid := b.pids(t, "nscd")[0]
	var gid int
	_, err := fmt.Sscanf(b.sh(t, "grep ^groupnet-lab: /etc/group"), "groupnet-lab:x:%d:", &gid)
	expect.Check(t, err)
	for _, sources := range localSources {
		t.Run(sources, func(t *testing.T) {
			b.sources(t, "passwd: files", "group: "+sources)
			expect.Eventually(t, "nscd has noticed", func() bool {
				return b.succeeds(t, "nscd -i passwd && nscd -i group") && b.knows(t, "gina", gid)
			})
			open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			expect.Check(t, err)
			enough := b.limitDescriptors(t, pid, uint64(len(open))+1) // for the connection
			b.sh(t, "nscd -i group")
			if b.knows(t, "gina", gid) {
				t.Error("nscd had descriptors")
			}
			b.expect(t, "pam_groupnet", "gina", isolated, "")
			b.limitDescriptors(t, pid, enough)
			if b.knows(t, "gina", gid) {
				t.Error("nscd has not kept gina's groups from then")
			}
			b.expect(t, "pam_groupnet", "gina", isolated, "")
		})
	}
}

// limitDescriptors sets how many a process may have, and returns what it was.
func (b *box) limitDescriptors(t *testing.T, pid int, n uint64) uint64 {
	t.Helper()
	var limit unix.Rlimit
	expect.Check(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit))
	before := limit.Cur
	limit.Cur = n
	expect.Check(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil))
	return before
}
