package sandbox

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"
)

// The names below are absolute paths inside. An absolute symbolic link on the way is an error: seen from outside, it
// would lead out to the machine.

// Install copies a file of the machine into the sandbox, in one step even where the old file is in use, and owned by
// root. Missing directories are made. Whatever lies in the machine's /home, /tmp, /root or /run has to come in this way.
func (s *Sandbox) Install(hostPath, name string, mode fs.FileMode) error {
	source, err := os.Open(hostPath)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := s.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return s.replace(name, source, mode, 0, 0)
}

// InstallTree copies what is in a directory of the machine into "/", owned by root.
func (s *Sandbox) InstallTree(hostPath string) error {
	content, err := os.ReadDir(hostPath)
	if err != nil {
		return err
	}
	args := []string{"-C", hostPath, "--owner=0", "--group=0", "-c"}
	for _, entry := range content {
		args = append(args, entry.Name())
	}
	archive := exec.Command("tar", args...)
	pipe, err := archive.StdoutPipe()
	if err != nil {
		return err
	}
	if err := archive.Start(); err != nil {
		return err
	}
	// Where /lib is a link, it stays one.
	result, err := s.Run(context.Background(), pipe, "tar", "-C", "/", "--keep-directory-symlink", "-x")
	pipe.Close() // else tar would wait for ever for somebody who reads
	return errors.Join(err, archive.Wait(), result.Err())
}

// replace puts a new file in the place of name, in one step.
func (s *Sandbox) replace(name string, content io.Reader, mode fs.FileMode, uid, gid int) error {
	// A process that is forked meanwhile would have the file open for a moment, and a program that is open for
	// writing cannot be run (golang/go#22315).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	name = inside(name)
	file, err := s.root.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := io.Copy(file, content); err != nil {
		return err
	}
	if err := file.Chown(uid, gid); err != nil {
		return err
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	return s.root.Rename(name+".new", name)
}

// ReadFile returns what is in a file.
func (s *Sandbox) ReadFile(name string) (string, error) {
	content, err := s.root.ReadFile(inside(name))
	return string(content), err
}

// WriteFile writes a file, in place where there is one, and gives it this mode. Missing directories are made.
func (s *Sandbox) WriteFile(name, content string, mode fs.FileMode) error {
	if err := s.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := s.root.WriteFile(inside(name), []byte(content), mode); err != nil {
		return err
	}
	return s.root.Chmod(inside(name), mode) // whatever the umask
}

// AppendFile adds to the end of a file that exists.
func (s *Sandbox) AppendFile(name, content string) error {
	file, err := s.root.OpenFile(inside(name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(content)
	return err
}

// MkdirAll makes a directory with all that are missing above it.
func (s *Sandbox) MkdirAll(name string, mode fs.FileMode) error {
	return s.root.MkdirAll(inside(name), mode)
}

// Remove removes a file, or a directory with all that is in it. It is no error where there is none.
func (s *Sandbox) Remove(name string) error {
	return s.root.RemoveAll(inside(name))
}

// Stat describes a file, not the symbolic link to it.
func (s *Sandbox) Stat(name string) (fs.FileInfo, error) {
	return s.root.Stat(inside(name))
}

// inside makes of an absolute path inside one that os.Root takes.
func inside(name string) string {
	return path.Join(".", name)
}

// lines makes a text of lines.
func lines(list []string) string {
	return strings.Join(list, "\n") + "\n"
}
