// SPDX-License-Identifier: GPL-2.0-or-later

package pam_test

import (
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/private"
)

const (
	unavail   = "FAKE_STATUS=unavail"
	econn     = "FAKE_ERRNO=111"
	withFake  = "passwd: files\ngroup: files fake systemd\n"
	farNewnet = "newnet:x:500:far\n"
)

// Whatever fails in a source that may know better, and however nsswitch.conf is
// written, the answer is never "non-member".
func TestNobodyIsNoMemberWhileASourceFails(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	ask := newLookup(t, sanitize())
	for _, c := range []struct {
		what, nsswitch    string
		kind, user, group string
		environment       []string
	}{
		{"a space before the colon, as glibc takes it", "passwd: files\ngroup : files fake systemd\n", "newnet", "olga", "newnet", []string{unavail, econn}},
		{"no colon, as glibc takes it", "passwd: files\ngroup files fake systemd\n", "newnet", "olga", "newnet", []string{unavail, econn}},
		{"an action with no space after it", "passwd: files\ngroup: files [NOTFOUND=continue]fake systemd\n", "newnet", "olga", "newnet", []string{unavail, econn}},
		{"actions with no spaces at all", "passwd: files\ngroup: files fake[UNAVAIL=continue]systemd\n", "newnet", "olga", "newnet", []string{unavail, econn}},
		{"a vertical tab", "passwd: files\ngroup: files fake\vsystemd\n", "newnet", "olga", "newnet", []string{unavail, econn}},
		{"what looks like a comment, and is none for glibc", "passwd: files\ngroup: files # fake systemd\n", "newnet", "olga", "newnet", []string{unavail, econn}},
		{"initgroups fails alone", withFake, "newnet", "olga", "newnet", []string{unavail, econn, "FAKE_FUNCTION=initgroups"}},
		{"initgroups fails alone, groupnet", withFake, "groupnet", "bob", "groupnet", []string{unavail, econn, "FAKE_FUNCTION=initgroups"}},
		{"getgrgid fails alone, groupnet", "passwd: files fake\ngroup: files fake systemd\n", "groupnet", "far", "groupnet", []string{unavail, econn, "FAKE_FUNCTION=getgrgid"}},
		{"it fails without an errno", withFake, "newnet", "olga", "newnet", []string{unavail}},
		{"it fails with errno 0", withFake, "newnet", "olga", "newnet", []string{unavail, "FAKE_ERRNO=0"}},
		{"it misses a library", "passwd: files\ngroup: files broken systemd\n", "newnet", "olga", "newnet", nil},
	} {
		t.Run(c.what, func(t *testing.T) {
			arrange(t, c.nsswitch, group)
			got := ask(t, c.kind, c.user, c.group, c.environment...)
			t.Log(got)
			if strings.Contains(got, "non-member") {
				t.Error("a source was down")
			}
		})
	}
	t.Run("initgroups has a line and group has none", func(t *testing.T) {
		arrange(t, "passwd: files\ninitgroups: fake\n", "newnet:x:500:ghost\nothers:x:700:far\nnewnet2:x:500:\n")
		got := ask(t, "newnet", "ghost2", "newnet")
		t.Log(got)
		if strings.Contains(got, "no group") {
			t.Error("the group is in /etc/group")
		}
	})
	// far is a member, and only fake says so. It is away for two short moments:
	// while the login process asks, and once more while the child does.
	for _, q := range [][3]string{{"newnet", "far", "farnet"}, {"groupnet", "far", "groupnet"}} {
		t.Run(fmt.Sprintf("%q: fake comes and goes", q), func(t *testing.T) {
			arrange(t, "passwd: files fake\ngroup: files fake systemd\n", group)
			for first := 1; first <= 6; first++ {
				for second := first + 1; second <= 14; second++ {
					got := ask(t, q[0], q[1], q[2], unavail, econn, fmt.Sprintf("FAKE_CALLS=,%d,%d,", first, second))
					if strings.Contains(got, "non-member") {
						t.Errorf("calls %d and %d fail: %s", first, second, got)
					}
				}
			}
		})
	}
}

func TestWhereEverySourceAnswersTheAnswerIsProven(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	ask := newLookup(t, sanitize())
	for _, c := range []struct {
		what, nsswitch string
		environment    []string
	}{
		{"a source that is not installed counts for nothing", "passwd: files\ngroup: files uninstalled systemd\n", nil},
		{"not found, with ENOENT, as the glibc manual wants it", "passwd: files\ngroup: files fake\n", []string{"FAKE_STATUS=notfound", "FAKE_ERRNO=2"}},
		{"of memberships only", "passwd: files\ngroup: files fake\n", []string{"FAKE_STATUS=notfound", "FAKE_ERRNO=2", "FAKE_FUNCTION=initgroups"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			arrange(t, c.nsswitch, group)
			if got := ask(t, "newnet", "olga", "newnet", c.environment...); !strings.Contains(got, "non-member") {
				t.Error(got)
			}
		})
	}
	t.Run("without nsswitch.conf", func(t *testing.T) {
		arrange(t, "", group)
		if _, err := private.Sh("rm /etc/nsswitch.conf"); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, "newnet", "olga", "newnet"); !strings.Contains(got, "non-member") {
			t.Error(got)
		}
	})
}
