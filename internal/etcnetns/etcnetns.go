// SPDX-License-Identifier: GPL-2.0-or-later

// Package etcnetns lets the files of /etc/netns/NAME stand in for their
// namesakes in /etc, as ip-netns(8) does for the commands it runs.
package etcnetns

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
	etc = "/etc"
	dir = "/etc/netns"
)

// Apply mounts every file and directory directly under /etc/netns/name on its
// namesake in /etc, and calls skipped with the name of each that has none. A
// symbolic link in /etc is itself covered, not what it points to: so that the
// override holds when systemd-resolved or NetworkManager replaces that file.
//
// Whoever can write to what is mounted rules the session's /etc, so each entry
// must be root's and nobody else's to write, or the error says which is not;
// what lies deeper in a directory is not looked at. A name without a directory
// is no error.
//
// The calling thread, which the caller holds, is in a mount namespace whose
// mounts do not propagate.
func Apply(name string, skipped func(entry string)) error {
	return each("/", name, func(targets, sources int, entry string) error {
		err := cover(targets, sources, entry)
		if errors.Is(err, errNoNamesake) {
			skipped(entry)
			return nil
		}
		return err
	})
}

// Entry is what would become of one in /etc/netns/NAME.
type Entry struct {
	Name    string
	Skipped bool  // it has no namesake
	Err     error // it is refused
}

// Check tells what Apply would come to on the machine whose root directory is root.
// The error is one of the directory.
func Check(root, name string) (entries []Entry, err error) {
	err = each(root, name, func(targets, sources int, entry string) error {
		source, target, err := match(targets, sources, entry)
		if err == nil {
			unix.Close(source)
			unix.Close(target)
		}
		e := Entry{Name: entry, Skipped: errors.Is(err, errNoNamesake)}
		if err != nil && !e.Skipped {
			e.Err = fmt.Errorf("%s/%s: %q %w", dir, name, entry, err)
		}
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

// each calls f with every entry of /etc/netns/name, up to an error; targets and
// sources are descriptors of /etc and of that directory.
func each(root, name string, f func(targets, sources int, entry string) error) error {
	base, err := openDir(unix.AT_FDCWD, filepath.Join(root, dir), dir)
	if base < 0 {
		return err
	}
	defer unix.Close(base)
	sources, err := openDir(base, name, dir+"/"+name)
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
		return fmt.Errorf("read %s/%s: %w", dir, name, err)
	}
	for _, entry := range entries {
		if err := f(targets, sources, entry); err != nil {
			return fmt.Errorf("%s/%s: %q %w", dir, name, entry, err)
		}
	}
	return nil
}

var errNoNamesake = errors.New("has no namesake in /etc")

// openDir pins a directory that only root may write, found from the directory
// at; path is its whole name. It returns -1 and no error if there is none.
func openDir(at int, name, path string) (int, error) {
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

// check tells whether the file is a directory, and refuses all that is not a
// regular file or a directory of root's that nobody else may write.
func check(fd int) (isDir bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, fmt.Errorf("stat: %w", err)
	}
	kind := st.Mode & unix.S_IFMT
	switch {
	case kind != unix.S_IFREG && kind != unix.S_IFDIR:
		return false, errors.New("is neither a file nor a directory: remove it")
	case st.Uid != 0:
		return false, fmt.Errorf("belongs to uid %d: it must be root's (chown root)", st.Uid)
	case st.Mode&0o022 != 0:
		return false, fmt.Errorf("can be written by others than root (mode %#o): chmod go-w", st.Mode&0o7777)
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

// cover mounts sources/entry on targets/entry. What has been checked is what is
// mounted: both ends are pinned first, so that renaming around them is of no use.
func cover(targets, sources int, entry string) error {
	source, target, err := match(targets, sources, entry)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	defer unix.Close(target)
	return mount.Cover(target, source)
}

// match pins sources/entry and targets/entry, and refuses what is not to be mounted there.
func match(targets, sources int, entry string) (source, target int, err error) {
	source, err = unix.Openat(sources, entry, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("open: %w", err)
	}
	if target, err = matchTarget(targets, source, entry); err != nil {
		unix.Close(source)
		return -1, -1, err
	}
	return source, target, nil
}

func matchTarget(targets, source int, entry string) (target int, err error) {
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
		return -1, fmt.Errorf("a directory stands in for a directory, a file for anything else: %s/%s is not alike", etc, entry)
	}
	return target, nil
}
