// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The modules' own reading of arguments is the one that counts.
func TestArgumentsAreThoseOfTheModules(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../pam/options.c")
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern string) (all []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(source), -1) {
			all = append(all, match[1])
		}
		return all
	}
	if got := names(`\{ "(\w+)", &o->`); !slices.Equal(got, flags) {
		t.Errorf("the modules know %q, this program %q", got, flags)
	}
	if got := names(`value_of\(argument, "(\w+)"\)`); !slices.Equal(got, values) {
		t.Errorf("the modules know %q, this program %q", got, values)
	}
	said := map[string]bool{}
	for _, c := range []struct{ module, args string }{
		{newnet, "nosuch timeout=0 timeout=3601 timeout=1s timeout= timeout=+1 mask=x setup=/x group= =x group refusal=none"},
		{groupnet, "selfmanaged"},
		{usernet, strings.Repeat("mask=/x ", 65)},
	} {
		_, bad := parseArguments(concern{module: c.module}, strings.Fields(c.args))
		for _, b := range bad {
			said[b.Problem] = true
		}
	}
	problems := names(`return "([^"]+)";`)
	for _, problem := range problems {
		if !said[problem] {
			t.Errorf("the modules say %q, and this program never does", problem)
		}
	}
	if len(said) != len(problems) {
		t.Errorf("this program says %v, the modules %q", said, problems)
	}
}

func TestGoodArgumentsAreGood(t *testing.T) {
	t.Parallel()
	o, bad := parseArguments(concern{newnet, "newnet"}, strings.Fields("debug lodown rootshared shownetns keepresolver selfmanaged refusal=empty timeout=3600 mask=/a mask=/b/ group=x"))
	if len(bad) > 0 || o.group != "x" || !o.selfmanaged || !o.rootshared || !slices.Equal(o.masks, []string{"/a", "/b"}) {
		t.Errorf("%+v %+v", o, bad)
	}
	if o, bad := parseArguments(concern{usernet, "usernet"}, []string{"setup=/x"}); len(bad) > 0 || o.setup != "/x" || o.group != "usernet" {
		t.Errorf("%+v %+v", o, bad)
	}
}

func TestMeant(t *testing.T) {
	t.Parallel()
	for argument, want := range map[string]string{
		"lodwn": "lodown", "timout=5": "timeout=5", "masks=/x": "mask=/x", "Debug": "debug", "nonsense": "", "lodown=1": "", "group": "", "rootshare": "rootshared",
	} {
		if got := meant(argument); got != want {
			t.Errorf("%q is taken for %q, not %q", argument, got, want)
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
