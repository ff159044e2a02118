// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/doctor"
	"libpam-net/test/expect"
)

// examine returns the findings of doctor, by ID.
func (b *box) examine(t *testing.T) map[string][]doctor.Finding {
	t.Helper()
	result, err := b.Run(t.Context(), nil, "pamnetctl", "doctor", "--json")
	expect.Check(t, err)
	var all []doctor.Finding
	if err := json.Unmarshal([]byte(result.Stdout), &all); err != nil {
		t.Fatalf("%v: %+v", err, result)
	}
	findings := map[string][]doctor.Finding{}
	for _, f := range all {
		findings[f.ID] = append(findings[f.ID], f)
		// No line goes, and no local group is made, for members that nobody lists.
		for _, edit := range f.Diff {
			if removed := strings.HasPrefix(strings.Join(edit.Lines, "\n"), "- ") && len(edit.Lines) == 1; removed {
				t.Errorf("a line is taken away: %+v", f)
			}
		}
		if strings.Contains(f.Remedy, "groupadd") || strings.Contains(f.Remedy, "gpasswd") {
			t.Errorf("a command for a group of the directory: %+v", f)
		}
	}
	return findings
}

// TestDoctor examines a machine whose members are in a directory that does not list them, as SSSD is by
// default.
func TestDoctor(t *testing.T) {
	t.Parallel()
	b := newSSSD(t)
	expect.Check(t, b.PAM("su", "auth sufficient pam_permit.so", "session required pam_permit.so"))
	has := func(id, sentence string) {
		t.Helper()
		findings := b.examine(t)
		if wrong := findings["module-login"]; len(wrong) > 0 {
			t.Errorf("the modules are blamed: %+v", wrong)
		}
		for _, f := range findings[id] {
			if strings.Contains(f.What+" "+f.Consequence, sentence) {
				return
			}
		}
		t.Errorf("no finding %s with %q: %+v", id, sentence, findings)
	}
	has("name-listing", `Source sss of nsswitch.conf does not list`)
	has("service-without-module", "ldina")
	has("service-without-module", "any that a directory does not list")

	b.stop(t, "sssd")
	b.sh(t, "rm -f /var/lib/sss/mc/*") // which its library reads without asking it
	has("name-service", `source "sss" of nsswitch.conf does not answer: `)
	has("service-without-module", "any that a directory does not list")

	b.start(t, "sssd")
	b.becomes(t, "pam_newnet", "ldina", isolated)
	b.signal(t, "sssd_nss", unix.SIGSTOP)
	has("name-service", `source "sss" of nsswitch.conf does not answer in time`)
	b.signal(t, "sssd_nss", unix.SIGCONT)
}
