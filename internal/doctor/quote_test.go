// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import "testing"

func TestQuote(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"/etc/pam.d/su-l": "/etc/pam.d/su-l", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'", "~": "'~'",
	} {
		if got := quote(word); got != want {
			t.Errorf("%q is quoted as %s, not %s", word, got, want)
		}
	}
}

func TestOlder(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]bool{"5.1.0": true, "5.2.0-1-amd64": false, "4.19": true, "6.1": false, "10.0-rc1": false, "5.15.3": false, "5": true} {
		if older(release, 5, 2) != want {
			t.Errorf("%s: %v", release, !want)
		}
	}
}
