// SPDX-License-Identifier: GPL-2.0-or-later

package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"libpam-net/internal/pamstack"
)

// load reads services of session lines, with "; " between one and the next.
func load(t *testing.T, services map[string]string) *pamstack.Config {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "etc/pam.d")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for service, lines := range services {
		text := ""
		for line := range strings.SplitSeq(lines, "; ") {
			text += "session " + line + "\n"
		}
		if err := os.WriteFile(filepath.Join(dir, service), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	conf, err := pamstack.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	return conf
}

// The one membership that there is on every machine: root's of the group root.
func TestDecide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ lines, other, want string }{
		"a member": {
			"required pam_permit.so; required pam_newnet.so group=root", "", "isolated by pam_newnet:2 []",
		},
		"no member": {
			"required pam_permit.so; required pam_newnet.so group=nosuch", "", "host by nothing []",
		},
		"a member of two: the later line wins": {
			"required pam_newnet.so group=root; required pam_usernet.so group=root lodown", "", "isolated by pam_usernet:2 []",
		},
		"modules that all abstain": {
			"required pam_newnet.so group=nosuch", "", "refused by nothing []",
		},
		"a stack that refuses": {
			"required pam_newnet.so group=root; bad! pam_permit.so", "", "refused by pam_newnet:1 []",
		},
		"a line that is not asked": {
			"sufficient pam_permit.so; required pam_newnet.so group=root", "", "host by nothing [pam_newnet:2]",
		},
		"a service without the line": {
			"required pam_permit.so", "required pam_newnet.so group=root", "host by nothing [pam_newnet]",
		},
		"a service whose line is of another group": {
			"required pam_permit.so; required pam_newnet.so group=nosuch", "required pam_newnet.so group=root", "host by nothing []",
		},
		"a module with a path": {
			"required /lib/security/pam_newnet.so group=root", "", "isolated by pam_newnet:1 []",
		},
	} {
		services := map[string]string{"this": c.lines}
		if c.other != "" {
			services["that"] = c.other
		}
		d := PolicyOf(load(t, services), "this").Decide("root")
		by := "nothing"
		if s := d.Network(); s != nil {
			by = fmt.Sprintf("%s:%d", s.Name, s.Line.Number)
		}
		holes := []string{}
		for _, s := range d.Holes() {
			hole := s.Name
			if s.Line != nil {
				hole += fmt.Sprintf(":%d", s.Line.Number)
			}
			holes = append(holes, hole)
		}
		if got := fmt.Sprintf("%s by %s %v", d.Outcome, by, holes); got != c.want {
			t.Errorf("%s: got %s, want %s (%s)", name, got, c.want, d.Why)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	conf := load(t, map[string]string{
		"this": "required pam_usernet.so group=mine nonsense timeout=x",
		"that": "required pam_newnet.so group=b; required pam_newnet.so group=a; required pam_usernet.so",
	})
	var got []string
	for _, r := range PolicyOf(conf, "this").Rules {
		got = append(got, fmt.Sprint(r.Name, " ", r.Groups(), " ", r.Line != nil, " ", r.Complaints))
	}
	want := []string{
		`pam_usernet mine true [argument "nonsense" ignored: no such argument argument "timeout=x" ignored: timeout= must be whole seconds from 1 to 3600]`,
		"pam_groupnet groupnet-* false []",
		"pam_newnet a false []",
		"pam_newnet b false []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	conf := load(t, map[string]string{"this": "required pam_newnet.so group=root; required pam_usernet.so group=nosuch"})
	if got := PolicyOf(conf, "this").Members(); !slices.Contains(got, "root") {
		t.Errorf("%q", got)
	}
}
