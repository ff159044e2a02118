// SPDX-License-Identifier: GPL-2.0-or-later

package view

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

const (
	etc       = "/etc"
	overrides = "/etc/netns"
)

// overrideEtc mounts every file and directory directly under /etc/netns/NAME on its namesake in /etc, as
// ip-netns(8) does. An entry without a namesake is skipped. If there is no such directory, it does nothing.
//
// A symbolic link in /etc is itself covered, not the file it leads to. The override then outlives the
// replacement of that file by systemd-resolved or NetworkManager.
//
// A user who can write to an entry controls the session's /etc. So each entry must be root's and not
// writable by others, or the error names it. The content of a directory is not checked.
func (v *View) overrideEtc(name string) error {
	return eachOverride("/", name, func(entry string, source, target int, err error) error {
		switch {
		case errors.Is(err, errNoNamesake):
			v.Skipped = append(v.Skipped, entry)
			return nil
		case err != nil:
			return err
		}
		return v.coverBy(target, source)
	})
}

// Override is an entry of /etc/netns/NAME.
type Override struct {
	Name    string
	Skipped bool  // it has no namesake in /etc
	Err     error // why logins are refused for it
}

// CheckOverrides returns what a session would do with each entry of /etc/netns/NAME, on the machine whose
// root directory is root. The error is one of the directory.
func CheckOverrides(root, name string) (all []Override, err error) {
	err = eachOverride(root, name, func(entry string, _, _ int, err error) error {
		o := Override{Name: entry, Skipped: errors.Is(err, errNoNamesake)}
		if err != nil && !o.Skipped {
			o.Err = inOverrides(name, entry, err)
		}
		all = append(all, o)
		return nil
	})
	return all, err
}

func inOverrides(name, entry string, err error) error {
	return fmt.Errorf("%s/%s: %q %w", overrides, name, entry, err)
}

// eachOverride calls f with every entry of /etc/netns/NAME, until f returns an error. The entry and its
// namesake are pinned first: what has been checked is what can be mounted, whatever is renamed meanwhile.
// f gets the error of an entry that must not be mounted.
func eachOverride(root, name string, f func(entry string, source, target int, err error) error) error {
	base, err := openRoots(unix.AT_FDCWD, filepath.Join(root, overrides), overrides)
	if base < 0 {
		return err
	}
	defer unix.Close(base)
	sources, err := openRoots(base, name, overrides+"/"+name)
	if sources < 0 {
		return err
	}
	defer unix.Close(sources)
	targets, err := mount.Pin(filepath.Join(root, etc), unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(targets)

	entries, err := list(sources)
	if err != nil {
		return fmt.Errorf("read %s/%s: %w", overrides, name, err)
	}
	for _, entry := range entries {
		if err := pinOverride(targets, sources, entry, f); err != nil {
			return inOverrides(name, entry, err)
		}
	}
	return nil
}

func pinOverride(targets, sources int, entry string, f func(entry string, source, target int, err error) error) error {
	source, err := unix.Openat(sources, entry, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return f(entry, -1, -1, fmt.Errorf("open: %w", err))
	}
	defer unix.Close(source)
	target, err := pinNamesake(targets, source, entry)
	if err != nil {
		return f(entry, -1, -1, err)
	}
	defer unix.Close(target)
	return f(entry, source, target, nil)
}

var errNoNamesake = errors.New("has no namesake in /etc")

// openRoots pins a directory that root alone can write, found from the directory at. path is its whole
// name, for errors. It returns -1 and no error if there is none.
func openRoots(at int, name, path string) (int, error) {
	var link unix.Stat_t
	err := unix.Fstatat(at, name, &link, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("stat %s: %w", path, err)
	}
	fd, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	if _, err := check(fd); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("%s %w", path, err)
	}
	return fd, nil
}

// check tells whether the file is a directory. It returns an error unless the file is a regular file or a
// directory, is root's and is not writable by others.
func check(fd int) (isDir bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, fmt.Errorf("stat: %w", err)
	}
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return false, errors.New("is neither a file nor a directory: remove it")
	}
	if untrusted := (*mount.UntrustedError)(nil); errors.As(mount.CheckOwner("", st), &untrusted) {
		return false, fmt.Errorf("%w: it must be root's alone (chown root, chmod go-w)", untrusted.Problem)
	}
	return kind == unix.S_IFDIR, nil
}

// list returns the sorted names in the directory that fd has pinned.
func list(fd int) ([]string, error) {
	readable, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	d := os.NewFile(uintptr(readable), "")
	defer d.Close()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// pinNamesake pins targets/entry. It returns an error unless source may be mounted on it.
func pinNamesake(targets, source int, entry string) (target int, err error) {
	isDir, err := check(source)
	if err != nil {
		return -1, err
	}
	target, err = unix.Openat(targets, entry, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return -1, errNoNamesake
	}
	if err != nil {
		return -1, fmt.Errorf("open its namesake: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(target, &st); err != nil {
		unix.Close(target)
		return -1, fmt.Errorf("stat its namesake: %w", err)
	}
	if covered := st.Mode&unix.S_IFMT == unix.S_IFDIR; covered != isDir {
		unix.Close(target)
		return -1, fmt.Errorf("and %s/%s are not alike: a directory can only replace a directory, a file anything else",
			etc, entry)
	}
	return target, nil
}
