// SPDX-License-Identifier: GPL-2.0-or-later

package policy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"libpam-net/test/expect"
)

// machine writes the files of a machine, and returns its root directory.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		expect.Check(t, os.MkdirAll(filepath.Dir(file), 0o755))
		expect.Check(t, os.WriteFile(file, []byte(content), 0o644))
	}
	return root
}

var accounts = map[string]string{
	"/etc/passwd": "root:x:0:0::/:\nalice:x:1:1::/:\nbob:x:2:901::/:\ncarol:x:3:3::/:\ndave:x:4:4::/:\n..:x:5:5::/:\nolga:x:6:6::/:\n",
	"/etc/group": "newnet:x:900:root,alice,bob,ghost\nusernet:x:901:\ngroupnet-lab:x:902:carol\nstaff:x:903:dave\n" +
		"dot:x:904:..\nold:x:900:olga\n",
}

func load(t *testing.T, stacks string) *Policy {
	t.Helper()
	root := machine(t, accounts)
	expect.Check(t, os.WriteFile(root+"/etc/pam.conf", []byte(stacks), 0o644))
	p, err := Load(root, Files(root))
	expect.Check(t, err)
	return p
}

func TestDecide(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/decisions.txtar")
	expect.Check(t, err)
	for _, file := range archive.Files {
		want, sentence, _ := strings.Cut(file.Name, ": ")
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			stacks := ""
			for line := range strings.Lines(string(file.Data)) {
				service, rest, _ := strings.Cut(line, " ")
				stacks += service + " session " + rest
			}
			user, want, _ := strings.Cut(want, " ")
			d := load(t, stacks).Decide("this", user)
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
			expect.Equal(t, fmt.Sprintf("%s (%s)", user, d.Why), fmt.Sprintf("%s by %s %v", d.Outcome, by, holes), want)
		})
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	p := load(t, "this session required pam_usernet.so group=mine nonsense timeout=x\n"+
		"that session required pam_newnet.so group=b\nthat session required pam_newnet.so group=a\nthat session required pam_usernet.so\n")
	var got []string
	for _, r := range p.Rules("this") {
		got = append(got, fmt.Sprint(r.Name, " ", r.Groups(), " ", r.Line != nil, " ", r.Complaints))
	}
	want := []string{
		`pam_usernet mine true [argument "nonsense" ignored: no such argument argument "timeout=x" ignored: timeout= must be whole seconds from 1 to 3600]`,
		"pam_groupnet groupnet-* false []",
		"pam_newnet a false []",
		"pam_newnet b false []",
		"pam_newnet newnet false []",
		"pam_usernet usernet false []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// names returns the users of answers.
func names(t *testing.T, o *Oracle, m Module) string {
	t.Helper()
	members, complete, err := o.Members(m)
	expect.Check(t, err)
	text := ""
	for _, a := range members {
		text += a.User + " "
	}
	if !complete {
		text += "and perhaps others"
	}
	return strings.TrimSpace(text)
}

func TestMembers(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		nsswitch string
		module   Module
		want     string
	}{
		"listed members that are users, of all groups of the gid": {"", Modules[1], "alice bob olga root"},
		"a primary group":                                {"", Modules[2], "bob"},
		"a group of several":                             {"", Modules[0], "carol"},
		"a group that does not exist":                    {"", Module{"pam_newnet", Modules[1].Kind, "nosuch"}, ""},
		"local sources":                                  {"passwd: files systemd\ngroup: files [SUCCESS=merge] systemd\nhosts: dns\n", Modules[2], "bob"},
		"a directory, which the files do not show":       {"passwd: files\ngroup: files [NOTFOUND=continue]sss systemd\n", Modules[2], "bob and perhaps others"},
		"a directory for a group that the files lack":    {"initgroups: ldap\n", Module{"pam_newnet", Modules[1].Kind, "nosuch"}, "and perhaps others"},
		"a directory of other things than users, groups": {"passwd: files\nnetgroup: nis\n", Modules[2], "bob"},
	} {
		root := machine(t, accounts)
		if c.nsswitch != "" {
			expect.Check(t, os.WriteFile(root+"/etc/nsswitch.conf", []byte(c.nsswitch), 0o644))
		}
		expect.Equal(t, sentence, names(t, Files(root), c.module), c.want)
	}
	if _, _, err := Files(machine(t, map[string]string{"/etc/passwd/x": "", "/etc/group": ""})).Members(Modules[1]); err == nil {
		t.Error("a passwd file that cannot be read is no error")
	}
}

func TestServiceMembers(t *testing.T) {
	t.Parallel()
	got, complete, err := load(t, "this session required pam_newnet.so group=staff\nthat session required pam_usernet.so\n").ServiceMembers("this")
	expect.Check(t, err)
	expect.Equal(t, "the members are complete", complete, true)
	expect.Equal(t, "the members", strings.Join(got, " "), "alice bob carol dave olga root")
}

// There is one list of the modules; those of cmd/, of the Makefile and of pam/module.c are the same.
func TestModulesAreThoseThatAreBuilt(t *testing.T) {
	t.Parallel()
	var list []string
	for _, m := range Modules {
		list = append(list, m.Name)
	}
	built, err := filepath.Glob("../../cmd/pam_*")
	expect.Check(t, err)
	for i := range built {
		built[i] = filepath.Base(built[i])
	}
	expect.Equal(t, "cmd/", strings.Join(built, " "), strings.Join(list, " "))
	makefile, err := os.ReadFile("../../Makefile")
	expect.Check(t, err)
	_, names, _ := strings.Cut(string(makefile), "\nNAMES ")
	names, _, _ = strings.Cut(names, "\n")
	words := strings.Fields(strings.TrimLeft(names, " ="))
	slices.Sort(words)
	expect.Equal(t, "the Makefile's NAMES", strings.Join(words, " "), strings.Join(list, " "))
	source, err := os.ReadFile("../../pam/module.c")
	expect.Check(t, err)
	for _, m := range Modules {
		if !strings.Contains(string(source), fmt.Sprintf("{ %q, %q,", m.Name, m.Group)) {
			t.Errorf("pam/module.c has no %s with group %s", m.Name, m.Group)
		}
	}
}

// Arguments are parsed by the modules' own parser, and each of its complaints arrives.
func TestComplaints(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../pam/options.c")
	expect.Check(t, err)
	want := map[string]bool{}
	for _, match := range regexp.MustCompile(`return "([^"]+)";`).FindAllStringSubmatch(string(source), -1) {
		want[match[1]] = true
	}
	got := map[string]bool{}
	p := load(t, "this session required pam_newnet.so nosuch timeout=0 timeout=3601 timeout=1s timeout= timeout=+1 mask=x setup=/x group= =x group refusal=none\n"+
		"this session required pam_groupnet.so selfmanaged\nthis session required pam_usernet.so"+strings.Repeat(" mask=/x", 65)+"\n"+
		"that session required pam_newnet.so debug lodown rootshared shownetns keepresolver selfmanaged refusal=empty timeout=3600 mask=/a mask=/b/ group=x\n"+
		"that session required pam_usernet.so setup=/x\n")
	for _, r := range p.Lines("this") {
		for _, c := range r.Complaints {
			got[c.Problem] = true
		}
	}
	if len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("the modules say %v, and here %v", want, got)
	}
	good := p.Lines("that")
	if r := good[0]; len(r.Complaints) > 0 || r.Group != "x" || !r.Request.SelfManaged || !r.Request.RootShared || !slices.Equal(r.Request.Masks, []string{"/a", "/b/"}) {
		t.Errorf("%+v", r)
	}
	if r := good[1]; len(r.Complaints) > 0 || *r.Request.Setup != "/x" || r.Group != "usernet" {
		t.Errorf("%+v", r)
	}
}
