// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import "testing"

func TestLine(t *testing.T) {
	t.Parallel()
	for logged, want := range map[string]Line{
		`pam_usernet(sshd:session): "ulf": joined`:      {6, "pam_usernet", `"ulf": joined`},
		"pam_unix(su-l:session): two\nlines":            {6, "pam_unix", "two\nlines"},
		"PAM unable to dlopen(pam_x.so): no such file":  {6, "", "PAM unable to dlopen(pam_x.so): no such file"},
		"pam_newnet(sshd:session):":                     {6, "pam_newnet", ""},
		"Accepted publickey for ulf (session): not PAM": {6, "", "Accepted publickey for ulf (session): not PAM"},
	} {
		if got := newLine(10<<3|6, logged); got != want { // LOG_AUTHPRIV
			t.Errorf("%q: %+v", logged, got)
		}
	}
}
