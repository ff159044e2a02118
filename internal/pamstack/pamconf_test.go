// SPDX-License-Identifier: GPL-2.0-or-later

package pamstack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// machine makes a root directory with these files.
func machine(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func load(t testing.TB, files map[string]string) *Config {
	t.Helper()
	c, err := Load(machine(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// show prints a line: "sshd:3 required pam_echo.so(a)(b c)", indented by substacks.
func show(stack []Line) string {
	var b strings.Builder
	for _, l := range stack {
		fmt.Fprintf(&b, "%s%s:%d", strings.Repeat("  ", l.Level), strings.TrimPrefix(l.File, "/etc/pam.d/"), l.Number)
		if l.Silent {
			b.WriteString(" -")
		}
		for _, word := range []string{l.Control, l.Module} {
			if word != "" {
				b.WriteString(" " + word)
			}
		}
		for _, arg := range l.Args {
			b.WriteString("(" + arg + ")")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestStack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		svc      string
		want     string
		problems string
	}{
		"lines and comments": {
			svc:  "# one\n\n \tsession  required\tpam_a.so x=1 y # session required pam_no.so\nauth required pam_b.so\n-session optional pam_c.so",
			want: "svc:3 required pam_a.so(x=1)(y)\nsvc:5 - optional pam_c.so\n",
		},
		"a line goes on behind a backslash, past comments": {
			svc:  "session \\ \n  required \\\n\n# no\npam_a.so \\\nx\nsession optional pam_b.so # \\\nsession optional pam_c.so\n",
			want: "svc:1 required pam_a.so(x)\nsvc:7 optional pam_b.so\nsvc:8 optional pam_c.so\n",
		},
		"what is in brackets is one word": {
			svc:  "session [success=1 default=ignore] [pam a.so] [a [b\\] c] d[e] []\n",
			want: "svc:1 [success=1 default=ignore] pam a.so(a [b] c)(d[e])()\n",
		},
		"upper and lower case":    {svc: "SESSION Required pam_A.so X\n", want: "svc:1 required pam_A.so(X)\n"},
		"a keyword in brackets":   {svc: "[session] [required] pam_a.so\n", want: "svc:1 required pam_a.so\n"},
		"@include takes all":      {svc: "@include inc\nauth optional pam_x.so\n", want: "inc:1 required pam_inc.so\n"},
		"@INCLUDE of a bracket":   {svc: "-@INCLUDE [inc] more\n", want: "inc:1 required pam_inc.so\n"},
		"include":                 {svc: "session include inc\n", want: "inc:1 required pam_inc.so\n"},
		"include by its path":     {svc: "session include /etc/pam.d/inc\n", want: "inc:1 required pam_inc.so\n"},
		"include of another type": {svc: "auth include inc\n", want: "other:1 required pam_other.so\n"},
		"@include in an include":  {svc: "session include outer\n", want: "outer:1 optional pam_outer.so\ninc:1 required pam_inc.so\n"},
		"a vendor's file":         {svc: "session include vendor\n", want: "/usr/lib/pam.d/vendor:1 required pam_vendor.so\n"},
		"substacks": {
			svc:  "session substack inc\nsession substack deep\nsession required pam_a.so\n",
			want: "svc:1 substack(inc)\n  inc:1 required pam_inc.so\nsvc:2 substack(deep)\n  deep:1 substack(inc)\n    inc:1 required pam_inc.so\nsvc:3 required pam_a.so\n",
		},
		"no line of the type: other": {svc: "auth required pam_a.so\n", want: "other:1 required pam_other.so\n"},
		"an unknown type counts as auth": {
			svc: "sessio required pam_a.so\nsession required pam_b.so\n", want: "svc:2 required pam_b.so\n",
			problems: `svc:1: the type "sessio" is unknown: a line that always fails`,
		},
		"an unknown type in an include counts": {
			svc: "session include typo\n", want: "typo:1 required\n",
			problems: `typo:1: the type "sessio" is unknown: a line that always fails`,
		},
		"a type alone":         {svc: "session\n", want: "svc:1\n", problems: "svc:1: it has no control (required, ...): a line that always fails"},
		"a control, no module": {svc: "session required\n", want: "svc:1 required\n", problems: "svc:1: it names no module: a line that always fails"},
		"an unknown control": {
			svc: "session requird pam_a.so\n", want: "svc:1 requird pam_a.so\n",
			problems: `svc:1: the control "requird" has no return code at "requird": every return code of the module is a failure`,
		},
		"an unknown action": {
			svc: "session [success=okay default] pam_a.so\n", want: "svc:1 [success=okay default] pam_a.so\n",
			problems: `svc:1: the control "success=okay default" has no return code at "ay default": every return code of the module is a failure`,
		},
		"no file to include": {
			svc: "session required pam_a.so\nsession include nosuch\n", want: "svc:1 required pam_a.so\nsvc:2 include\n",
			problems: `svc:2: the file "nosuch" to include does not exist: it always fails`,
		},
		"no file for @include": {
			svc: "session required pam_a.so\n@include nosuch\n", want: "svc:0\n",
			problems: `svc:2: the file "nosuch" to include does not exist: every use of the service fails`,
		},
		"no name for @include":    {svc: "@include\n", want: "svc:0\n", problems: "svc:1: it names no file to include: every use of the service fails"},
		"a file includes itself":  {svc: "session include svc\n", want: "svc:1 include\n", problems: `svc:1: "svc" includes itself: it always fails`},
		"a backslash at the end":  {svc: "session required pam_a.so\\\n", want: "svc:0\n", problems: "svc:1: the last line ends in a backslash: every use of the service fails"},
		"an include is not whole": {svc: "session include cut\n", want: "svc:1 include\n", problems: "cut:1: the last line ends in a backslash: every use of the service fails"},
		"includes that are too deep": {
			svc: "session include l1\n", want: "l15:1 include\n",
			problems: "l15:1: includes go deeper than 16 files: it always fails",
		},
		"nothing at all": {svc: "", want: "other:1 required pam_other.so\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{
				"/etc/pam.d/svc":        c.svc,
				"/etc/pam.d/inc":        "session required pam_inc.so\nauth required pam_auth.so\n",
				"/etc/pam.d/outer":      "session optional pam_outer.so\n@include inc\n",
				"/etc/pam.d/deep":       "session substack inc\n",
				"/etc/pam.d/other":      "session required pam_other.so\n",
				"/usr/lib/pam.d/vendor": "session required pam_vendor.so\n",
			}
			switch {
			case strings.Contains(c.svc, "typo"):
				files["/etc/pam.d/typo"] = "sessio required pam_a.so\n"
			case strings.Contains(c.svc, "cut"):
				files["/etc/pam.d/cut"] = "auth required pam_a.so \\"
			case strings.Contains(c.svc, "l1"):
				for i := range 16 {
					files[fmt.Sprintf("/etc/pam.d/l%d", i+1)] = fmt.Sprintf("session include l%d\n", i+2)
				}
				files["/etc/pam.d/l16"] = "session required pam_a.so\n"
			}
			config := load(t, files)
			if got := show(config.Stack("svc", Session)); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
			var problems []string
			for _, p := range config.Problems() {
				problems = append(problems, fmt.Sprintf("%s:%d: %s", filepath.Base(p.File), p.Number, p.Text))
			}
			if got := strings.Join(problems, "\n"); got != c.problems {
				t.Errorf("problems: got\n%s\nwant\n%s", got, c.problems)
			}
		})
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string // the services, and where they are read from
		stack string // of "svc"
	}{
		"the administrator's file wins": {
			files: map[string]string{
				"/etc/pam.d/svc": "session required pam_etc.so\n", "/usr/lib/pam.d/svc": "session required pam_lib.so\n",
				"/usr/lib/pam.d/only": "", "/etc/pam.d/Upper": "", "/etc/pam.conf": "old session required pam_old.so\n",
			},
			want: "only=/usr/lib/pam.d/only svc=/etc/pam.d/svc", stack: "svc:1 required pam_etc.so\n",
		},
		"pam.conf, where there are no directories": {
			files: map[string]string{"/etc/pam.conf": "SVC session required pam_a.so\nother session required pam_o.so\nsvc session \\\n optional pam_b.so\n"},
			want:  "other=/etc/pam.conf svc=/etc/pam.conf", stack: "/etc/pam.conf:1 required pam_a.so\n/etc/pam.conf:3 optional pam_b.so\n",
		},
		"other that cannot be read breaks all": {
			files: map[string]string{"/etc/pam.d/svc": "session required pam_a.so\n", "/etc/pam.d/other": "session required \\\n"},
			want:  "other=/etc/pam.d/other svc=/etc/pam.d/svc", stack: "other:0\n",
		},
	} {
		config := load(t, c.files)
		var got []string
		for _, s := range config.Services() {
			got = append(got, s+"="+config.File(s))
		}
		if strings.Join(got, " ") != c.want || show(config.Stack("svc", Session)) != c.stack {
			t.Errorf("%s: %v\n%s", name, got, show(config.Stack("svc", Session)))
		}
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a machine without a configuration has one")
	}
}

func TestIncluders(t *testing.T) {
	t.Parallel()
	c := load(t, map[string]string{
		"/etc/pam.d/su": "@include common\n", "/etc/pam.d/su-l": "session include su\n", "/etc/pam.d/common": "session required pam_a.so\n",
	})
	if got := fmt.Sprint(c.Includers("/etc/pam.d/common"), c.Includers("/etc/pam.d/su"), c.Includers("/etc/pam.d/su-l")); got != "[su su-l] [su-l] []" {
		t.Error(got)
	}
}

func FuzzStack(f *testing.F) {
	for _, seed := range []string{
		"session required pam_a.so [a b\\]] # c\n", "@include inc\n", "session substack svc\n", "-session [success=2 default=die] \\\n a\\\n",
		"[", "\\", "session include\n", "a\x00b\n", "svc session required a\nOTHER auth [default=99999999999999999999] b\n",
	} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, svc, inc string) {
		for _, files := range []map[string]string{
			{"/etc/pam.d/svc": svc, "/etc/pam.d/inc": inc, "/etc/pam.d/other": inc},
			{"/etc/pam.conf": svc},
		} {
			c, err := Load(machine(t, files))
			if err != nil {
				continue
			}
			for _, service := range append(c.Services(), "nosuch") {
				for _, kind := range types {
					stack := c.Stack(service, kind)
					for _, l := range stack {
						if l.Type != kind || l.Level > len(l.Via) || len(l.Via) >= maxDepth || l.Number > l.Last {
							t.Errorf("%+v", l)
						}
					}
					for _, code := range codes {
						got, asked := Follow(stack, func(int) Code { return code })
						if !slices.Contains(codes, got) || len(asked) != len(stack) {
							t.Errorf("%s: %v", got, asked)
						}
					}
				}
			}
			for _, p := range c.Problems() {
				if _, ok := files[p.File]; !ok || p.Number < 1 || p.Text == "" {
					t.Errorf("%+v", p)
				}
			}
		}
	})
}
