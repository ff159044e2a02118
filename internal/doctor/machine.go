// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/trial"
)

// Machine is what is looked over.
type Machine struct {
	Root string // its root directory
	// Run runs a program of the machine and returns what it prints; nil where the
	// machine does not run, and only its files count.
	Run func(name string, args ...string) (string, error)
	// OpenNetns opens a network namespace by its name, as a login does; nil likewise.
	OpenNetns func(name string) error
	// TryModule logs in through a module, and returns what that does wrong; nil likewise.
	TryModule func(path string) error
}

// This is the machine that the program runs on.
func This() Machine {
	return Machine{
		Root: "/",
		Run: func(name string, args ...string) (string, error) {
			output, err := exec.Command(name, args...).Output()
			return string(output), err
		},
		OpenNetns: func(name string) error {
			fd, err := netns.Open(name)
			if err == nil {
				err = unix.Close(fd)
			}
			return err
		},
		TryModule: trial.Module,
	}
}

func (m Machine) path(name string) string { return filepath.Join(m.Root, name) }

// read returns what is in a file, without the newline at its end; "" if there is none.
func (m Machine) read(name string) string {
	content, err := os.ReadFile(m.path(name))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(content), "\n")
}

func (m Machine) exists(name string) bool {
	_, err := os.Stat(m.path(name))
	return err == nil
}

// glob returns the files of a pattern, as they are named on the machine.
func (m Machine) glob(pattern string) (names []string) {
	matches, _ := filepath.Glob(m.path(pattern)) // the patterns are ours, and sound
	for _, match := range matches {
		names = append(names, "/"+strings.TrimPrefix(strings.TrimPrefix(match, filepath.Clean(m.Root)), "/"))
	}
	return names
}

// stat returns owner and mode of a file, and nil if there is none.
func (m Machine) stat(name string) *syscall.Stat_t {
	info, err := os.Stat(m.path(name))
	if err != nil {
		return nil
	}
	return info.Sys().(*syscall.Stat_t)
}

// accounts are the users and groups of a machine.
type accounts struct {
	users  []user
	groups []group
}

type user struct {
	name     string
	uid, gid uint32
}

type group struct {
	name    string
	gid     uint32
	members []string // not those whose primary group it is
}

// readAccounts asks the name service, or, where the machine does not run, the files.
func (m Machine) readAccounts() (a accounts, err error) {
	passwd, groups := m.read("/etc/passwd"), m.read("/etc/group")
	if m.Run != nil {
		if passwd, err = m.Run("getent", "passwd"); err != nil {
			return a, err
		}
		if groups, err = m.Run("getent", "group"); err != nil {
			return a, err
		}
		// A directory may list no groups, but know them.
		for _, c := range modules {
			if line, err := m.Run("getent", "group", c.group); err == nil && !strings.Contains("\n"+groups, "\n"+line) {
				groups += line
			}
		}
	} else if _, err := os.Stat(m.path("/etc/passwd")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	for fields := range records(passwd, 7) {
		a.users = append(a.users, user{fields[0], number(fields[2]), number(fields[3])})
	}
	for fields := range records(groups, 4) {
		g := group{name: fields[0], gid: number(fields[2])}
		for name := range strings.SplitSeq(fields[3], ",") {
			if name != "" {
				g.members = append(g.members, name)
			}
		}
		a.groups = append(a.groups, g)
	}
	return a, nil
}

// records calls yield with each line of an account file.
func records(content string, fields int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.SplitSeq(content, "\n") {
			if f := strings.Split(line, ":"); len(f) >= fields && !yield(f) {
				return
			}
		}
	}
}

func number(text string) uint32 {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return ^uint32(0) // nobody
	}
	return uint32(n)
}

// user returns an account by its name, nil if there is none.
func (a accounts) user(name string) *user {
	if i := slices.IndexFunc(a.users, func(u user) bool { return u.name == name }); i >= 0 {
		return &a.users[i]
	}
	return nil
}

// group returns a group by its name, nil if there is none.
func (a accounts) group(name string) *group {
	if i := slices.IndexFunc(a.groups, func(g group) bool { return g.name == name }); i >= 0 {
		return &a.groups[i]
	}
	return nil
}

// in lists the members of a group, sorted, those whose primary group it is included.
func (a accounts) in(g group) []string {
	names := slices.Clone(g.members)
	for _, u := range a.users {
		if u.gid == g.gid {
			names = append(names, u.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// has tells whether a user is in a group.
func (a accounts) has(u user, gid uint32) bool {
	return u.gid == gid || slices.ContainsFunc(a.groups, func(g group) bool {
		return g.gid == gid && slices.Contains(g.members, u.name)
	})
}
