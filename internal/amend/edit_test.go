// SPDX-License-Identifier: GPL-2.0-or-later

package amend

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
	for before, after := range map[string]string{"": "a\n", "x": "x\na\n", "x\r\n\n": "x\r\n\na\n"} {
		if got, err := (Edit{"/etc/x", []string{"+ a"}}).Apply(before); err != nil || got != after {
			t.Errorf("%q: %q %v", before, got, err)
		}
	}
	if got, err := (Edit{"/etc/x", []string{"- x"}}).Apply("x\n y \t"); err != nil || got != " y \t" {
		t.Errorf("%q %v", got, err)
	}
}

// What is not changed of a line stays as it is written.
func TestRewrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ written, control, args, want string }{
		{"session\toptional\t\t\tpam_newnet.so  lodown # why", "required", "lodown", "session\trequired\t\t\tpam_newnet.so  lodown # why"},
		{"session\trequired\t\tpam_newnet.so", "required", "lodown,mask=/a b", "session\trequired\t\tpam_newnet.so lodown [mask=/a b]"},
		{"session required pam_newnet.so a  b\tc # why", "required", "c,a,d", "session required pam_newnet.so a\tc d # why"},
		{"session required pam_newnet.so [a ]  b", "required", "b,[", "session required pam_newnet.so  b [[]"},
		{"-session [success=ok default=ignore] pam_newnet.so debug", "required", "", "-session required pam_newnet.so"},
		{"SESSION Required pam_newnet.so", "required", "debug", "SESSION Required pam_newnet.so debug"},
		{"session \\\n optional pam_newnet.so", "required", "", "session \\\n required pam_newnet.so"},
		{"session \\\n# why\n required \\\n\n pam_newnet.so a # b", "required", "a,c", "session \\\n# why\n required \\\n\n pam_newnet.so a c # b"},
		{"session required \\\n # why\n pam_newnet.so \\\n a", "required", "", " # why\nsession required pam_newnet.so"},
	} {
		root := t.TempDir()
		expect.Check(t, os.MkdirAll(root+"/etc/pam.d", 0o755))
		expect.Check(t, os.WriteFile(root+"/etc/pam.d/svc", []byte(c.written+"\n"), 0o644))
		stacks, err := pamstack.Load(root)
		expect.Check(t, err)
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, ",")
		}
		got := Rewrite(strings.Split(c.written, "\n"), stacks.Stack("svc", pamstack.Session)[0], c.control, args)
		if got := strings.Join(got, "\n"); got != c.want {
			t.Errorf("%q: %q, not %q", c.written, got, c.want)
		}
	}
}
