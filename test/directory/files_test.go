// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// localMembers are members as /etc/group says.
var localMembers = []struct{ module, user string }{
	{"pam_newnet", "nina"},
	{"pam_usernet", "ulf"},
	{"pam_groupnet", "gina"},
}

// localSources are what machines without a directory have. In the second one
// systemd hides the failures of the files.
var localSources = []string{"files", "files systemd"}

func TestAnUnreadableGroupFileMakesNobodyANonMember(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, c := range []struct{ name, breaks, mends string }{
		{"missing", "mv /etc/group /etc/saved", "mv /etc/saved /etc/group"},
		{"a directory", "mv /etc/group /etc/saved; mkdir /etc/group", "rmdir /etc/group; mv /etc/saved /etc/group"},
		{"a link to itself", "mv /etc/group /etc/saved; ln -s group /etc/group", "mv /etc/saved /etc/group"},
		{"one that reading fails of", "mount --bind /proc/1/mem /etc/group", "umount /etc/group"},
	} {
		for _, sources := range localSources {
			t.Run(c.name+", with "+sources, func(t *testing.T) {
				b.sources(t, "passwd: files systemd", "group: "+sources)
				b.sh(t, c.breaks)
				for _, m := range localMembers {
					b.expect(t, m.module, m.user, refused, `source "files"`)
					b.expect(t, m.module, "olga", refused, `source "files"`)
					b.expect(t, m.module, "root", letIn, `source "files"`)
				}
				b.sh(t, c.mends)
				for _, m := range localMembers {
					b.expect(t, m.module, m.user, isolated, "")
					b.expect(t, m.module, "olga", letIn, "")
				}
			})
		}
	}
}

func TestAGroupFileThatFailsOnceMakesNobodyANonMember(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sources(t, "passwd: files systemd", "group: files systemd")
	for _, fault := range []string{"openat:error=EMFILE", "read:error=EIO"} {
		t.Run(fault, func(t *testing.T) {
			for _, m := range localMembers {
				failAt := 0
				for again := true; again; {
					failAt++
					verdict, log := b.login(t, m.module, m.user, "strace", "-f", "-o", "/run/trace", "-P", "/etc/group",
						"-e", fmt.Sprintf("inject=%s:when=%d", fault, failAt))
					checkVerdict(t, fmt.Sprintf("%s, %s, failure %d", m.module, m.user, failAt), verdict, safe, log)
					again = b.succeeds(t, "grep -q INJECTED /run/trace")
				}
				if failAt == 1 {
					t.Error("nothing failed")
				}
			}
		})
	}
}

func TestNsswitchConf(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, c := range []struct {
		name, content    string
		member, ordinary string // verdicts
	}{
		{"empty", "", isolated, letIn},
		{"without a line for groups", "passwd: files\n", isolated, letIn},
		{"without colons", "passwd files\ngroup files\n", isolated, letIn},
		{"with lines that end as in DOS", "passwd: files\r\ngroup: files\r\n", isolated, letIn},
		{"without a newline at its end", "passwd: files\ngroup: files", isolated, letIn},
		{"with a source that is not installed", "passwd: files\ngroup: files nosuch\n", isolated, letIn},
		{"with one that comes first", "passwd: nosuch files\ngroup: nosuch files\n", isolated, letIn},
		{"with a source of a long name", "passwd: files\ngroup: files " + strings.Repeat("x", 300) + "\n", safe, refused},
		{"with many sources", "passwd: files\ngroup:" + strings.Repeat(" files", 100) + "\n", safe, refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect.Check(t, b.WriteFile("/etc/nsswitch.conf", c.content, 0o644))
			for _, m := range localMembers {
				b.expect(t, m.module, m.user, c.member, "")
				b.expect(t, m.module, "olga", c.ordinary, "")
				b.expect(t, m.module, "root", letIn, "")
			}
		})
	}
	for name, line := range map[string]string{
		"with a long line":    "group: files" + strings.Repeat(" ", 10000) + "systemd",
		"with a long comment": "group: files\n#" + strings.Repeat("x", 10000),
	} {
		t.Run(name, func(t *testing.T) {
			b.sources(t, "passwd: files", line)
			for _, m := range localMembers {
				b.expect(t, m.module, m.user, safe, "")
				b.expect(t, m.module, "root", letIn, "")
			}
		})
	}
	// With these libc itself knows no group, or nobody, not even root.
	for name, script := range map[string]string{
		"with groups from nowhere":    "printf 'passwd: files\ngroup:\n' >/etc/nsswitch.conf",
		"with an action that is none": "printf 'passwd: files\ngroup: files [NOTFOUND=retrun] systemd\n' >/etc/nsswitch.conf",
		"with an action without end":  "printf 'passwd: files\ngroup: files [NOTFOUND=return\n' >/etc/nsswitch.conf",
		"a directory":                 "rm /etc/nsswitch.conf; mkdir /etc/nsswitch.conf",
	} {
		t.Run(name, func(t *testing.T) {
			b.sources(t)
			b.sh(t, script)
			for _, m := range localMembers {
				b.expect(t, m.module, m.user, safe, "")
			}
			expect.Check(t, b.Remove("/etc/nsswitch.conf"))
		})
	}
	t.Run("missing", func(t *testing.T) {
		expect.Check(t, b.Remove("/etc/nsswitch.conf"))
		for _, m := range localMembers {
			b.expect(t, m.module, m.user, isolated, "")
			b.expect(t, m.module, "olga", letIn, "")
		}
	})
}
