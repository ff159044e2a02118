// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const linksMax = 40 // as many as the kernel follows

// UntrustedError is returned if a user other than root controls a file.
type UntrustedError struct {
	Path    string
	Problem error
}

func (e *UntrustedError) Error() string { return e.Path + ": " + e.Problem.Error() }

// Follow returns where path leads, and the state of the file there, which may be any user's. The path
// is absolute, on the machine whose root directory is root.
//
// The error is an *UntrustedError if a user other than root can change where the path leads:
//   - each directory on the way must be root's and not writable by others, even if it is sticky;
//   - each symbolic link must be root's.
func Follow(root, path string) (string, unix.Stat_t, error) {
	left := strings.Split(strings.TrimRight(path, "/"), "/")
	at, links := "/", 0
	for {
		here := filepath.Join(at, left[0]) // at contains no link, so ".." is its parent
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
		if err := CheckOwner(here, st); err != nil {
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

// CheckOwner returns an *UntrustedError if a file is not root's, or is writable by others. The mode of a
// symbolic link is ignored, as the kernel ignores it.
func CheckOwner(path string, st unix.Stat_t) error {
	switch {
	case st.Uid != 0:
		return &UntrustedError{path, fmt.Errorf("belongs to uid %d", st.Uid)}
	case st.Mode&unix.S_IFMT != unix.S_IFLNK && st.Mode&0o022 != 0:
		return &UntrustedError{path, fmt.Errorf("can be written by others than root (mode %#o)", st.Mode&0o7777)}
	}
	return nil
}
