// SPDX-License-Identifier: GPL-2.0-or-later

// Package trust tells whether root alone decides where a path leads.
package trust

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const linksMax = 40 // as many as the kernel follows

// Error says that somebody other than root decides about a file.
type Error struct {
	Path    string
	Problem string
}

func (e *Error) Error() string { return e.Path + ": " + e.Problem }

// Follow returns where path leads, and the state of the file there, which may be anybody's.
// It returns an *Error if anybody but root can change where the path leads: each directory
// on the way has to be root's and not writable by others, a sticky one included, and each
// symbolic link root's. The path is absolute, on the machine whose root directory is root.
func Follow(root, path string) (string, unix.Stat_t, error) {
	left := strings.Split(strings.TrimRight(path, "/"), "/")
	at, links := "/", 0
	for {
		here := filepath.Join(at, left[0]) // at has no link in it, so that ".." is what it seems
		file := filepath.Join(root, here)
		left = left[1:]
		var st unix.Stat_t
		if err := unix.Lstat(file, &st); err != nil {
			return here, st, fmt.Errorf("%s: %w", here, err)
		}
		link := st.Mode&unix.S_IFMT == unix.S_IFLNK
		if len(left) == 0 && !link {
			return here, st, nil
		}
		if err := Check(here, st); err != nil {
			return here, st, err
		}
		if !link {
			at = here
			continue
		}
		target, err := os.Readlink(file)
		if err != nil {
			return here, st, err
		}
		if links++; links > linksMax {
			return here, st, fmt.Errorf("%s: %w", path, unix.ELOOP)
		}
		left = append(strings.Split(target, "/"), left...)
		if strings.HasPrefix(target, "/") {
			at = "/"
		}
	}
}

// Check returns an *Error if a file is not root's, or can be written by others. Whether a
// symbolic link can be written means nothing.
func Check(path string, st unix.Stat_t) error {
	switch {
	case st.Uid != 0:
		return &Error{path, fmt.Sprintf("belongs to uid %d", st.Uid)}
	case st.Mode&unix.S_IFMT != unix.S_IFLNK && st.Mode&0o022 != 0:
		return &Error{path, fmt.Sprintf("can be written by others than root (mode %#o)", st.Mode&0o7777)}
	}
	return nil
}
