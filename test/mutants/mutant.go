// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/tools/txtar"
)

// A mutant is the project without one of its checks.
type mutant struct {
	name  string // AREA/NAME
	check string // what it removes: a sentence
	test  test
	edits []edit
}

// A test has to fail without the check.
type test struct {
	pattern string // as go test -run takes it
	folder  string // its package, from the project's folder on
}

// An edit has lines as diff shows them: "-" and the line to remove, "+" and the line to
// insert, " " and a line that stays.
type edit []string

// readMutants reads the files *.txtar of the folder dir.
func readMutants(dir string) ([]mutant, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, err
	}
	var all []mutant
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			return nil, err
		}
		area := strings.TrimSuffix(filepath.Base(path), ".txtar")
		for _, file := range archive.Files {
			m, err := parse(area+"/"+file.Name, string(file.Data))
			if err != nil {
				return nil, err
			}
			all = append(all, m)
		}
	}
	return all, nil
}

var head = regexp.MustCompile(`^(.+)\nNoticed by: (Test.+) in (\S+)\n\n`)

// parse returns the mutant that text describes. Its form is that of README.md.
func parse(name, text string) (mutant, error) {
	found := head.FindStringSubmatch(text)
	if found == nil {
		return mutant{}, fmt.Errorf(
			`%s: does not begin with a sentence, "Noticed by: TEST in FOLDER", and an empty line`, name)
	}
	m := mutant{name: name, check: found[1], test: test{found[2], found[3]}}
	for block := range strings.SplitSeq(strings.Trim(text[len(found[0]):], "\n"), "\n\n") {
		e := edit(strings.Split(block, "\n"))
		for _, line := range e {
			if line == "" || !strings.Contains("-+ ", line[:1]) {
				return mutant{}, fmt.Errorf(`%s: a line begins with none of "-", "+" and " ": %q`, name, line)
			}
		}
		if len(e.old()) == 0 {
			return mutant{}, fmt.Errorf("%s: an edit has no line that is in the code", name)
		}
		m.edits = append(m.edits, e)
	}
	return m, nil
}

// old returns the lines that the code must have, as normal returns them.
func (e edit) old() []string {
	var lines []string
	for _, line := range e {
		if line[0] != '+' {
			lines = append(lines, normal(line[1:]))
		}
	}
	return lines
}

// normal returns a line without its indentation and alignment.
func normal(line string) string {
	return strings.Join(strings.Fields(line), " ")
}

// find returns an error unless the folder and the test's function are in the project in dir.
// Cases of the test are found only when it runs.
func (t test) find(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, t.folder)); err != nil {
		return fmt.Errorf("the folder of its test is gone: %s", t.folder)
	}
	function, _, _ := strings.Cut(t.pattern, "/")
	declaration, err := regexp.Compile(`(?m)^func ` + strings.TrimSuffix(function, "$"))
	if err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(dir, t.folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil || declaration.Match(text) {
			return err
		}
	}
	return fmt.Errorf("no test in %s matches %s", t.folder, function)
}

// A tree has the lines of the project's code, by path. Tests are not part of it.
type tree map[string][]string

// readTree reads the code of the project in dir.
func readTree(dir string) (tree, error) {
	files := tree{}
	for _, top := range []string{"cmd", "internal", "pam", "build/module"} {
		err := filepath.WalkDir(filepath.Join(dir, top), func(path string, entry os.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "testdata":
				return filepath.SkipDir
			case !entry.Type().IsRegular() || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			path, err = filepath.Rel(dir, path)
			files[path] = strings.Split(string(text), "\n")
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// write writes the files of t into the project in dir.
func (t tree) write(dir string) error {
	for path, lines := range t {
		text := strings.Join(lines, "\n")
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mutate returns the files that are different in the mutant, as they are and as they become.
func (t tree) mutate(m mutant) (before, after tree, err error) {
	before, after = tree{}, tree{}
	now := func(path string) []string {
		if lines, ok := after[path]; ok {
			return lines
		}
		return t[path]
	}
	for _, e := range m.edits {
		old := e.old()
		var places []string
		var in string
		var at int
		for path := range t {
			for i, lines := 0, now(path); i+len(old) <= len(lines); i++ {
				if isAt(lines[i:], old) {
					places = append(places, fmt.Sprintf("%s:%d", path, i+1))
					in, at = path, i
				}
			}
		}
		switch {
		case len(places) == 0:
			return nil, nil, fmt.Errorf("no code has %q", strings.Join(old, "\n"))
		case len(places) > 1:
			return nil, nil, fmt.Errorf("several places have %q, name more of their lines: %s",
				strings.Join(old, "\n"), strings.Join(places, ", "))
		}
		before[in], after[in] = t[in], e.splice(now(in), at)
	}
	return before, after, nil
}

// isAt reports whether lines begin with those of old.
func isAt(lines, old []string) bool {
	for i := range old {
		if normal(lines[i]) != old[i] {
			return false
		}
	}
	return true
}

// splice returns lines with the edit made at line number at, counted from 0.
func (e edit) splice(lines []string, at int) []string {
	result := append([]string(nil), lines[:at]...)
	for _, line := range e {
		switch line[0] {
		case '-':
			at++
		case ' ':
			result = append(result, lines[at])
			at++
		case '+':
			result = append(result, line[1:])
		}
	}
	return append(result, lines[at:]...)
}
