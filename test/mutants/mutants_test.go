// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// project has a check in internal/door, a test of it, and the same lines in a test.
const project = `
-- go.mod --
module example.org/door

go 1.25
-- internal/door/door.go --
package door

import "errors"

func Open(uid int) error {
	if uid != 0 {
		return errors.New("not root")
	}
	return nil
}
-- internal/door/door_test.go --
package door

import "testing"

func TestOpen(t *testing.T) {
	for name, uid := range map[string]int{"a user": 1000, "root": 0} {
		t.Run(name, func(t *testing.T) {
			if err := Open(uid); (err == nil) != (uid == 0) {
				t.Error("Open:", err)
			}
		})
	}
}

func TestNothing(t *testing.T) {}

func TestSkipped(t *testing.T) { t.Skip("something is missing") }

func TestFailing(t *testing.T) { t.Fatal("fails anyway") }
-- internal/door/testdata/copy.go --
	if uid != 0 {
-- pam/door.c --
	ok = 1;
	/* the first */
	ok = 1;
	/* the second */
-- cmd/door/README.md --
-- build/module/check.sh --
`

// removal is what a mutant says that removes the check, after its test.
const removal = "\n\n-if uid != 0 {\n+\tif uid != 0 && uid < 0 {\n"

// newProject makes the project in a folder of its own.
func newProject(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range txtar.Parse([]byte(project)).Files {
		path := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestParseRefuses(t *testing.T) {
	const head = "Removes it.\nNoticed by: TestOpen in internal/door\n\n"
	for name, test := range map[string]struct{ text, want string }{
		"no sentence":               {"Noticed by: TestOpen in internal/door\n\n-old\n", "begin with a sentence"},
		"no test":                   {"Removes it.\n\n-old\n", "begin with a sentence"},
		"a test without its folder": {"Removes it.\nNoticed by: TestOpen\n\n-old\n", "begin with a sentence"},
		"no change":                 {head, "begins with none of"},
		"a line without its sign":   {head + "-old\nnew\n", `begins with none of "-", "+" and " ": "new"`},
		"two empty lines":           {head + "-old\n\n\n-old\n", "begins with none of"},
		"nothing to find":           {head + "-old\n\n+new\n", "no line that is in the code"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse("door/x", test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("parse: %v, want %q", err, test.want)
			}
		})
	}
}

func TestMutate(t *testing.T) {
	code, err := readTree(newProject(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ edits, path, old, want string }{
		"a line is replaced, whatever its white space": {
			"-  if uid  != 0 {\n+	if false {", "internal/door/door.go", "if uid != 0 {", "if false {",
		},
		"a line is inserted before one that stays as it is": {
			"+	/* new */\n  /*  the first */", "pam/door.c", "\t/* the first */", "\t/* new */\n\t/* the first */",
		},
		"a line that stays tells two places apart": {
			" /* the first */\n-ok = 1;", "pam/door.c", "first */\n\tok = 1;\n", "first */\n",
		},
		"a second change is made where the first has been": {
			"-/* the first */\n+	/* third */\n\n-/* third */", "pam/door.c", "\t/* the first */\n", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parse("door/x", "Removes it.\nNoticed by: TestOpen in internal/door\n\n"+test.edits+"\n")
			if err != nil {
				t.Fatal(err)
			}
			before, after, err := code.mutate(m)
			if err != nil {
				t.Fatal(err)
			}
			if paths := slices.Collect(maps.Keys(after)); !slices.Equal(paths, []string{test.path}) {
				t.Fatalf("changed are %v, not %s", paths, test.path)
			}
			text := strings.Join(code[test.path], "\n")
			if got := strings.Join(before[test.path], "\n"); got != text {
				t.Errorf("before is %q, not %q", got, text)
			}
			want := strings.Replace(text, test.old, test.want, 1)
			if got := strings.Join(after[test.path], "\n"); got != want || got == text {
				t.Errorf("after is %q, not %q", got, want)
			}
		})
	}
}

func TestWhatDoesNotApplyFailsTheRun(t *testing.T) {
	for name, test := range map[string]struct{ mutant, want string }{
		"lines that no code has": {
			"Noticed by: TestOpen in internal/door\n\n-if gid != 0 {", `door/x: no code has "if gid != 0 {"`,
		},
		"lines that are only in a test": {
			"Noticed by: TestOpen in internal/door\n\n-func TestNothing(t *testing.T) {}", "no code has",
		},
		"lines in two places": {
			"Noticed by: TestOpen in internal/door\n\n-ok = 1;", "name more of their lines: pam/door.c:1, pam/door.c:3",
		},
		"a folder that is gone": {
			"Noticed by: TestOpen in internal/gate" + removal, "the folder of its test is gone: internal/gate",
		},
		"a test that is gone": {
			"Noticed by: TestOpens/a user in internal/door" + removal, "no test in internal/door matches TestOpens",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newProject(t)
			writeMutants(t, dir, "-- x --\nRemoves it.\n"+test.mutant+"\n")
			if err := run(dir, true, nil); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("run: %v, want %q", err, test.want)
			}
		})
	}
}

func writeMutants(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "test/mutants"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "test/mutants/door.txtar"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestNamesChoose(t *testing.T) {
	all := []mutant{{name: "door/a"}, {name: "door/b"}, {name: "gate/a"}}
	for _, test := range []struct {
		names, want []string
	}{
		{nil, []string{"door/a", "door/b", "gate/a"}},
		{[]string{"gate/a", "door/*"}, []string{"door/a", "door/b", "gate/a"}},
		{[]string{"*/a"}, []string{"door/a", "gate/a"}},
		{[]string{"door/b", "door/?"}, []string{"door/a", "door/b"}},
		{[]string{"door/a", "door/c"}, nil},
		{[]string{"door/["}, nil},
	} {
		chosen, err := choose(all, test.names)
		var got []string
		for _, m := range chosen {
			got = append(got, m.name)
		}
		if !slices.Equal(got, test.want) || (err == nil) != (test.want != nil) {
			t.Errorf("%q choose %q, %v, not %q", test.names, got, err, test.want)
		}
	}
}

func TestAll(t *testing.T) {
	for name, test := range map[string]struct{ test, change, out, err string }{
		"a mutant is noticed":          {"TestOpen/^a user$", removal, "door/x: door_test.go:9: Open: <nil>\nnoticed: 1 of 1\n", ""},
		"one survives":                 {"TestNothing", removal, "door/x: survives TestNothing in internal/door\nnoticed: 0 of 1\n", "not all mutants are noticed"},
		"one does not compile":         {"TestOpen", "\n\n-return nil\n", "door/x: does not compile:\n", "not all mutants are noticed"},
		"its test fails anyway":        {"TestFailing", removal, "fails anyway", "not all mutants are noticed"},
		"its test is skipped":          {"TestSkipped", removal, "something is missing", "not all mutants are noticed"},
		"no case of its test has run":  {"TestOpen/nobody", removal, "TestOpen/nobody in internal/door does not pass", "not all mutants are noticed"},
		"a file without Go is changed": {"TestNothing", "\n\n-/* the first */\n", "survives", "not all mutants are noticed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newProject(t)
			code, err := readTree(dir)
			if err != nil {
				t.Fatal(err)
			}
			m, err := parse("door/x", "Removes it.\nNoticed by: "+test.test+" in internal/door"+test.change)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err = trial{dir, code, &out}.all(context.Background(), []mutant{m})
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
			if !strings.Contains(out.String(), test.out) {
				t.Errorf("written is %q, want %q", out.String(), test.out)
			}
			after, err := readTree(dir)
			if err != nil || !maps.EqualFunc(code, after, slices.Equal) {
				t.Errorf("the mutant has not been undone: %v", err)
			}
		})
	}
}

func TestACopyHasNeitherHistoryNorWhatHasBeenBuilt(t *testing.T) {
	dir := newProject(t)
	for _, name := range []string{".git", "out/debian/etc", "out/package", "pam/out"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	folder, err := newCopy(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	for name, want := range map[string]bool{
		"go.mod": true, "pam/out": true, "out/debian/etc": true, ".git": false, "out/package": false,
	} {
		if _, err := os.Stat(filepath.Join(folder, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := newCopy(filepath.Join(dir, "gone")); err == nil {
		t.Error("a copy of a folder that does not exist")
	}
}
