// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"libpam-net/internal/amend"
	"libpam-net/internal/netns"
	"libpam-net/internal/trial"
	"libpam-net/internal/uplink"
	"libpam-net/internal/uplink/config"
)

// Machine is what is looked over.
type Machine struct {
	Root string // its root directory
	Live bool   // it is this machine, whose name service answers; else only the files count
	// Run runs a program of the machine and returns its output; nil where the machine does not run.
	Run func(name string, args ...string) (string, error)
	// OpenNetns opens a network namespace by its name, as a login does; nil likewise.
	OpenNetns func(name string) error
	// Uplinks returns the uplinks, their names alone if it fails; nil likewise.
	Uplinks func() ([]uplink.Found, error)
	// TryModule logs in through a module, and returns what goes wrong; nil likewise.
	TryModule func(path string) error

	tree *amend.Tree // what its PAM configuration will be; nil: what it is
}

// This returns the machine that the program runs on.
func This() Machine {
	return Machine{
		Root: "/",
		Live: true,
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
		Uplinks: func() (all []uplink.Found, err error) {
			c, err := config.Load(config.Path)
			if err == nil {
				all, err = uplink.Survey(c)
			}
			if err != nil {
				names, _ := uplink.Names()
				for _, name := range names {
					all = append(all, uplink.Found{Name: name})
				}
			}
			return all, err
		},
		TryModule: trial.Module,
	}
}

func (m Machine) path(name string) string { return filepath.Join(m.Root, name) }

// most is the size of the largest file that is read.
const most = 64 << 20

// read returns the content of a file, without the newline at its end; "" if there is no such file, or it is not a
// regular one. It waits for no pipe.
func (m Machine) read(name string) string {
	if m.tree != nil {
		if text, ok := m.tree.Changed()[name]; ok {
			return strings.TrimSuffix(text, "\n")
		}
	}
	file, err := os.OpenFile(m.path(name), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	content, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(content), "\n")
}

func (m Machine) exists(name string) bool {
	_, err := os.Stat(m.path(name))
	return err == nil
}

// glob returns the files that match a pattern, by their names on the machine.
func (m Machine) glob(pattern string) (names []string) {
	matches, _ := filepath.Glob(m.path(pattern)) // the patterns are ours, and sound
	for _, match := range matches {
		names = append(names, "/"+strings.TrimPrefix(strings.TrimPrefix(match, filepath.Clean(m.Root)), "/"))
	}
	return names
}

// stat returns owner and mode of a file, nil if there is no such file.
func (m Machine) stat(name string) *syscall.Stat_t {
	info, err := os.Stat(m.path(name))
	if err != nil {
		return nil
	}
	return info.Sys().(*syscall.Stat_t)
}
