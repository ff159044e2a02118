// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"os"
	"strings"
	"testing"

	"libpam-net/internal/pamstack"
	"libpam-net/test/expect"
)

func TestEdit(t *testing.T) {
	t.Parallel()
	const text = "a\nb\nc\nb\n"
	for name, c := range map[string]struct {
		lines string // with "|" between one and the next
		want  string
	}{
		"added at the end":                   {"+ d|+ e", "a b c b d e"},
		"replaced":                           {"- b|+ x", "a x c b"},
		"removed":                            {"- a|- b", "c b"},
		"moved behind":                       {"- a|  c|+ a", "b c a b"},
		"moved before":                       {"+ c|  b|- c", "a c b b"},
		"the second of two lines that agree": {"  c|- b", "a b c"},
		"inserted before":                    {"+ x|  a", "x a b c b"},
		"shown":                              {"  b", "a b c b"},
		"a line that is not there":           {"- d", "error"},
		"lines in another order":             {"  c|- a", "error"},
	} {
		got, err := Edit{"/etc/x", strings.Split(c.lines, "|")}.Apply(text)
		if got = strings.Join(strings.Fields(got), " "); err != nil {
			got = "error"
		}
		if got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
	if got, err := (Edit{"/etc/x", []string{"+ a"}}).Apply("x"); err != nil || got != "x\na\n" {
		t.Errorf("%q %v", got, err)
	}
}

// What is not changed of a line stays as it is written.
func TestRewritten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ written, control, args, want string }{
		{"session\toptional\t\t\tpam_newnet.so  lodown # why", "required", "lodown", "session\trequired\t\t\tpam_newnet.so  lodown # why"},
		{"session\trequired\t\tpam_newnet.so", "required", "lodown,mask=/a b", "session\trequired\t\tpam_newnet.so lodown [mask=/a b]"},
		{"-session [success=ok default=ignore] pam_newnet.so debug", "required", "", "-session required pam_newnet.so"},
		{"SESSION Required pam_newnet.so", "required", "debug", "session required pam_newnet.so debug"},
		{"session \\\n optional pam_newnet.so", "required", "", "session required pam_newnet.so"},
	} {
		e := &examination{Machine: Machine{Root: t.TempDir()}}
		expect.Check(t, os.MkdirAll(e.Root+"/etc/pam.d", 0o755))
		expect.Check(t, os.WriteFile(e.Root+"/etc/pam.d/svc", []byte(c.written+"\n"), 0o644))
		stacks, err := pamstack.Load(e.Root)
		expect.Check(t, err)
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, ",")
		}
		if got := e.rewritten(stacks.Stack("svc", pamstack.Session)[0], c.control, args); got != c.want {
			t.Errorf("%q: %q, not %q", c.written, got, c.want)
		}
	}
}

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
