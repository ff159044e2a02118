// SPDX-License-Identifier: GPL-2.0-or-later

package amend

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
)

// stateDir has the lock, and the copies of the old files, on the machine.
const stateDir = "/var/lib/libpam-net"

// Lock waits until no other process changes the configuration of the machine whose root directory is root. It
// returns what ends the lock.
func Lock(root string) (unlock func(), err error) {
	dir := filepath.Join(root, stateDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// file is a file that is about to be replaced.
type file struct {
	name    string // on the machine
	path    string
	staged  string // the path of the new file, in the same directory
	existed bool
}

// Staged are the new files, beside those that they will replace. Their names are no services' of PAM.
type Staged struct {
	tree     *Tree
	files    []file
	expected *pamstack.Config
}

// Stage writes the new files beside the old ones, with their owners, modes and extended attributes. The caller
// must hold the lock, and must commit or discard. It returns an error if a file is not what it was when the
// tree read it, or if the changes do not pass Check now.
func (t *Tree) Stage(released func(policy.Module) bool) (s *Staged, err error) {
	s = &Staged{tree: t}
	if s.expected, err = t.Stacks(); err != nil {
		return nil, err
	}
	if err := t.Check(released); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Discard()
		}
	}()
	for _, name := range t.Files() {
		old, existed := t.before[name]
		f := file{name: name, path: filepath.Join(t.root, name), existed: existed}
		content, err := os.ReadFile(f.path)
		switch {
		case err != nil && (existed || !errors.Is(err, fs.ErrNotExist)):
			return s, err
		case (err == nil) != existed || string(content) != old:
			return s, fmt.Errorf("%s has been changed meanwhile: try again", name)
		}
		f.staged = filepath.Join(filepath.Dir(f.path), "."+filepath.Base(f.path)+".pamnetctl-new")
		s.files = append(s.files, f)
		like := f.path
		if !existed {
			like = filepath.Join(t.root, VendorDir, path.Base(name))
		}
		if err := write(f.staged, t.after[name], like); err != nil {
			return s, err
		}
	}
	// A line moves from one file to another: first the files that get more.
	slices.SortStableFunc(s.files, func(a, b file) int {
		return (len(t.after[b.name]) - len(t.before[b.name])) - (len(t.after[a.name]) - len(t.before[a.name]))
	})
	return s, nil
}

// Paths returns the paths of the new files of PAM's, by the files that libpam reads now.
func (s *Staged) Paths() map[string]string {
	paths := map[string]string{}
	for _, f := range s.files {
		switch {
		case path.Dir(f.name) == savedDir:
		case f.existed:
			paths[f.name] = f.staged
		default:
			paths[path.Join(VendorDir, path.Base(f.name))] = f.staged
		}
	}
	return paths
}

// Discard removes the new files.
func (s *Staged) Discard() {
	for _, f := range s.files {
		_ = os.Remove(f.staged)
	}
}

// Commit replaces the files, each by a rename, and reads the configuration again. It takes everything back if
// that is not what was expected, or if anything fails. It returns the directory with copies of the old files.
func (s *Staged) Commit() (copies string, err error) {
	defer s.Discard()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	if copies, err = s.keep(); err != nil {
		return "", fmt.Errorf("keep the old files: %w", err)
	}
	for i, f := range s.files {
		if err := os.Rename(f.staged, f.path); err != nil {
			return "", errors.Join(err, s.takeBack(s.files[:i]))
		}
	}
	if err := s.verify(); err != nil {
		return "", errors.Join(fmt.Errorf("%w: the old files are back", err), s.takeBack(s.files))
	}
	return copies, nil
}

// verify compares what libpam reads now with what the tree expected.
func (s *Staged) verify() error {
	for _, f := range s.files {
		if content, err := os.ReadFile(f.path); err != nil || string(content) != s.tree.after[f.name] {
			return errors.Join(err, fmt.Errorf("%s is not as it was written", f.name))
		}
	}
	now, err := New(s.tree.root).Stacks()
	if err != nil {
		return err
	}
	for _, service := range s.expected.Services() {
		for _, kind := range kinds {
			if !slices.Equal(newStack(now.Stack(service, kind)).keys, newStack(s.expected.Stack(service, kind)).keys) {
				return fmt.Errorf("the %s lines of service %s are not what was expected", kind, service)
			}
		}
	}
	return nil
}

// takeBack puts the old files back.
func (s *Staged) takeBack(files []file) (err error) {
	for _, f := range slices.Backward(files) {
		if !f.existed {
			err = errors.Join(err, os.Remove(f.path))
			continue
		}
		failed := write(f.staged, s.tree.before[f.name], f.path)
		if failed == nil {
			failed = os.Rename(f.staged, f.path)
		}
		err = errors.Join(err, failed)
	}
	return err
}

// keep copies the old files to a new directory, whose name is the time.
func (s *Staged) keep() (dir string, err error) {
	dir = path.Join(stateDir, "before", time.Now().Format("2006-01-02T15.04.05.000"))
	for _, f := range s.files {
		target := filepath.Join(s.tree.root, dir, f.name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return "", err
		}
		if !f.existed {
			continue
		}
		if err := write(target, s.tree.before[f.name], f.path); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// write writes a new file with the owner, the mode and the extended attributes of another one, if that exists.
func write(name, text, like string) (err error) {
	_ = os.Remove(name) // of a process that was killed
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	var st unix.Stat_t
	switch err := unix.Stat(like, &st); {
	case errors.Is(err, unix.ENOENT):
		st = unix.Stat_t{Mode: 0o644}
	case err != nil:
		return fmt.Errorf("stat %s: %w", like, err)
	}
	if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(int(f.Fd()), st.Mode&0o7777); err != nil {
		return fmt.Errorf("chmod %s: %w", name, err)
	}
	if err := copyAttributes(int(f.Fd()), like); err != nil {
		return err
	}
	return f.Sync()
}

// copyAttributes copies the extended attributes of a file: the label of SELinux, and the access list.
func copyAttributes(fd int, like string) error {
	size, err := unix.Listxattr(like, nil)
	if err != nil || size == 0 {
		return nil // the file system has none
	}
	names := make([]byte, size)
	if size, err = unix.Listxattr(like, names); err != nil {
		return fmt.Errorf("list the attributes of %s: %w", like, err)
	}
	for name := range strings.FieldsFuncSeq(string(names[:size]), func(r rune) bool { return r == 0 }) {
		value := make([]byte, 1<<16)
		n, err := unix.Getxattr(like, name, value)
		if err == nil {
			err = unix.Fsetxattr(fd, name, value[:n], 0)
		}
		if err != nil && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("copy the attribute %s of %s: %w", name, like, err)
		}
	}
	return nil
}
