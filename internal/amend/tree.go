// SPDX-License-Identifier: GPL-2.0-or-later

// Package amend changes the PAM configuration of a machine. A Tree has the texts that files will have. Check
// follows all stacks with the old texts and with the new ones. Commit writes the files, or none of them.
// What others have written in a file stays as it is, to the byte.
package amend

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"libpam-net/internal/pamstack"
)

// The files of a service in Dir override those in VendorDir, which the distribution has.
const (
	Dir       = "/etc/pam.d"
	VendorDir = "/usr/lib/pam.d"
)

// Tree is the PAM configuration of a machine with changes that are not written yet.
type Tree struct {
	root          string
	before, after map[string]string // the texts of the changed files; a new file has none before
}

// New returns the configuration of the machine whose root directory is root, without changes.
func New(root string) *Tree {
	return &Tree{root, map[string]string{}, map[string]string{}}
}

// Changed returns the texts of the changed files. The caller must not change them.
func (t *Tree) Changed() map[string]string { return t.after }

// Files returns the names of the changed files, sorted.
func (t *Tree) Files() []string { return slices.Sorted(maps.Keys(t.after)) }

// Clone returns a copy, for an attempt.
func (t *Tree) Clone() *Tree {
	return &Tree{t.root, maps.Clone(t.before), maps.Clone(t.after)}
}

// Equal returns whether two trees have the same changes of the same files.
func (t *Tree) Equal(other *Tree) bool {
	return maps.Equal(t.before, other.before) && maps.Equal(t.after, other.after)
}

// Text returns the text of a file, "" if it does not exist.
func (t *Tree) Text(file string) (string, error) {
	if text, ok := t.after[file]; ok {
		return text, nil
	}
	content, err := os.ReadFile(filepath.Join(t.root, file))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(content), err
}

// Stacks returns the configuration with the changes.
func (t *Tree) Stacks() (*pamstack.Config, error) { return pamstack.LoadChanged(t.root, t.after) }

// Place returns the file to change instead of a file: a file of the distribution's is overridden by a copy in
// /etc/pam.d. It returns an error if the file is not the administrator's to change.
func (t *Tree) Place(file string) (string, error) {
	if path.Dir(file) == VendorDir {
		file = path.Join(Dir, path.Base(file))
	}
	if !strings.HasPrefix(file, "/etc/") {
		return "", fmt.Errorf("%s belongs to a package: an update would take the change back", file)
	}
	root, err := filepath.EvalSymlinks(t.root)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(filepath.Join(root, file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dir, err := filepath.EvalSymlinks(filepath.Join(root, path.Dir(file)))
		if err != nil || dir != filepath.Join(root, path.Dir(file)) {
			return "", errors.Join(err, fmt.Errorf("%s is a symbolic link", path.Dir(file)))
		}
	case err != nil:
		return "", err
	case real != filepath.Join(root, file):
		return "", &LinkError{file, "/" + strings.TrimPrefix(strings.TrimPrefix(real, root), "/")}
	}
	return file, nil
}

// LinkError says that a file is a symbolic link. What it leads to belongs to another program, or is shared.
type LinkError struct{ File, Target string }

func (e *LinkError) Error() string {
	return fmt.Sprintf("%s is a symbolic link to %s: change that with the program that manages it, or replace the link by a copy",
		e.File, e.Target)
}

// Edit makes changes, all of them or none.
func (t *Tree) Edit(edits ...Edit) error {
	changed := t.Clone()
	for _, e := range edits {
		if !e.Changes() {
			continue
		}
		file, err := t.Place(e.File)
		if err != nil {
			return err
		}
		text, err := changed.Text(file)
		if err != nil {
			return err
		}
		if _, new := changed.after[file]; text == "" && !new {
			// libpam reads the distribution's file.
			if text, err = changed.Text(path.Join(VendorDir, path.Base(file))); err != nil {
				return err
			}
		}
		if text, err = e.Apply(text); err != nil {
			return err
		}
		if err := changed.Set(file, text); err != nil {
			return err
		}
	}
	*t = *changed
	return nil
}

// Set sets the text of a file.
func (t *Tree) Set(file, text string) error {
	if _, known := t.before[file]; !known {
		content, err := os.ReadFile(filepath.Join(t.root, file))
		switch {
		case err == nil:
			t.before[file] = string(content)
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	t.after[file] = text
	if old, existed := t.before[file]; existed && old == text {
		delete(t.before, file)
		delete(t.after, file)
	}
	return nil
}

// Before returns what libpam reads instead of a changed file now: its name, and its text.
func (t *Tree) Before(file string) (name, text string) {
	if old, existed := t.before[file]; existed {
		return file, old
	}
	name = path.Join(VendorDir, path.Base(file))
	content, _ := os.ReadFile(filepath.Join(t.root, name)) // if there is none, all lines are new
	return name, string(content)
}

// Diff shows the changes of files of PAM's, as diff -u does.
func (t *Tree) Diff() string {
	var b strings.Builder
	for _, file := range t.Files() {
		if path.Dir(file) == savedDir {
			continue // pam-auth-update's notes of what it has written
		}
		name, old := t.Before(file)
		text := diff.Diff(name, []byte(old), file, []byte(t.after[file]))
		_, hunks, _ := strings.Cut(string(text), "\n") // without "diff a b"
		b.WriteString(hunks)
	}
	return b.String()
}
