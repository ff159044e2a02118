// SPDX-License-Identifier: GPL-2.0-or-later

package amend

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// savedDir has pam-auth-update's notes of the lines that it has written into the shared files.
const savedDir = "/var/lib/pam"

// sharedTypes are the types of the shared files, /etc/pam.d/common-TYPE.
var sharedTypes = []string{"auth", "account", "password", "session", "session-noninteractive"}

func sharedFile(kind string) string { return Dir + "/common-" + kind }

// The marks in the shared files. The lines that pam-auth-update writes stand between the first and the second,
// and between the third and the fourth.
var marks = []string{
	`# here are the per-package modules (the "Primary" block)`, "# here's the fallback if no module succeeds",
	`# and here are more per-package modules (the "Additional" block)`, "# end of pam-auth-update config",
}

var (
	jump = regexp.MustCompile(`(\[[^0-9]*)[0-9]+(.*\])`)
	last = regexp.MustCompile(`(\[.*)end(.*\])`)
	head = regexp.MustCompile(`^((?:\[[^\]]+\]|\w+)\s+\S+)\s*(.*)`)
)

// Updatable returns whether pam-auth-update(8) could update the shared files: it finds only lines there that
// it has written, in their order, with any arguments. This is its function diff_profiles.
func (t *Tree) Updatable() bool {
	for _, kind := range sharedTypes {
		saved, err := t.Text(path.Join(savedDir, kind))
		if err != nil || saved == "" {
			return false
		}
		var written []string // control and module
		for line := range strings.Lines(saved) {
			line = strings.TrimSuffix(line, "\n")
			line = last.ReplaceAllString(jump.ReplaceAllString(line, "$1$2"), "$1$2")
			if m := head.FindStringSubmatch(line); m != nil && !strings.HasPrefix(line, "Module: ") {
				written = append(written, m[1])
			}
		}
		lines, complete := t.managed(kind)
		if !complete {
			return false
		}
		for _, line := range lines {
			line = jump.ReplaceAllString(line, "$1$2")
			i := slices.IndexFunc(written, func(head string) bool { return strings.HasPrefix(line, head) })
			if i < 0 {
				return false
			}
			written = written[i+1:]
		}
	}
	return true
}

// managed returns the lines of a shared file that pam-auth-update has written, without the type. complete is
// false if a mark is missing.
func (t *Tree) managed(kind string) (lines []string, complete bool) {
	text, err := t.Text(sharedFile(kind))
	if err != nil {
		return nil, false
	}
	kind, _, _ = strings.Cut(kind, "-")
	begin := regexp.MustCompile(`^` + kind + `\s+`)
	next := 0 // of marks
	for line := range strings.Lines(text) {
		switch {
		case next < len(marks) && strings.HasPrefix(line, marks[next]):
			next++
		case next == 1 || next == 3:
			lines = append(lines, begin.ReplaceAllString(strings.TrimSuffix(line, "\n"), ""))
		}
	}
	return lines, next >= 3
}

// fragile returns the first managed line whose arguments pam-auth-update would mix up when it writes them
// anew, sorted: one with a comment, or with brackets. It is "" if there is none.
func (t *Tree) fragile() string {
	for _, kind := range sharedTypes {
		lines, _ := t.managed(kind)
		for _, line := range lines {
			if m := head.FindStringSubmatch(line); m != nil && strings.ContainsAny(m[2], "[#") {
				return line
			}
		}
	}
	return ""
}

// Profiles lets pam-auth-update enable or disable profiles ("--enable", "--disable"). It works on copies of the
// files, in a mount namespace of its own, and the tree gets the result. The tree must be that of the running
// machine.
func (t *Tree) Profiles(option string, profiles ...string) error {
	dir, err := os.MkdirTemp("", "pamnetctl")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	copies := map[string]string{Dir: "pam.d", savedDir: "saved", "/var/cache/debconf": "debconf"}
	script := ""
	for from, name := range copies {
		if err := t.stage(from, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
		script += fmt.Sprintf("[ ! -d %s ] || mount --bind \"$1/%s\" %s\n", from, name, from)
	}
	cmd := exec.Command("/bin/sh", slices.Concat([]string{"-ec", script + "shift; exec pam-auth-update \"$@\"", "sh", dir, option}, profiles)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("pam-auth-update %s: %w: %s", option, err, bytes.TrimSpace(output))
	}
	changed := t.Clone()
	for _, from := range []string{Dir, savedDir} {
		if err := changed.unstage(from, filepath.Join(dir, copies[from])); err != nil {
			return err
		}
	}
	for _, profile := range profiles {
		text, err := changed.Text(savedDir + "/session")
		if err != nil {
			return err
		}
		if strings.Contains(text, "Module: "+profile+"\n") != (option == "--enable") {
			return fmt.Errorf("pam-auth-update %s %s: nothing has changed: %s", option, profile, bytes.TrimSpace(output))
		}
	}
	*t = *changed
	return nil
}

// stage makes a copy of a directory of the machine, with the changes of the tree.
func (t *Tree) stage(from, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(t.root, from))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		source, target := filepath.Join(t.root, from, entry.Name()), filepath.Join(to, entry.Name())
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			if link, err := os.Readlink(source); err == nil {
				if err := os.Symlink(link, target); err != nil {
					return err
				}
			}
			continue
		}
		content, err := os.ReadFile(source)
		if err == nil {
			err = os.WriteFile(target, content, info.Mode().Perm())
		}
		if err != nil {
			return err
		}
	}
	for file, text := range t.after {
		if path.Dir(file) == from {
			if err := os.WriteFile(filepath.Join(to, path.Base(file)), []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// unstage takes over the files of a copy that have another text than those of the tree.
func (t *Tree) unstage(to, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(from, entry.Name()))
		if err != nil {
			return err
		}
		file := path.Join(to, entry.Name())
		if text, err := t.Text(file); err != nil || text == string(content) {
			continue
		}
		if _, err := t.Place(file); to == Dir && err != nil {
			return err
		}
		if err := t.Set(file, string(content)); err != nil {
			return err
		}
	}
	return nil
}
