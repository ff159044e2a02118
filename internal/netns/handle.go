// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/nsfs"
)

// dir has the handles: files with a network namespace mounted on each.
const dir = "/run/netns"

var (
	// ErrAbsent is returned if there is no network namespace with a name.
	ErrAbsent = errors.New("no such network namespace")
	// ErrNotNamespace is returned if a name in /run/netns is not that of a network namespace.
	ErrNotNamespace = errors.New("not a network namespace")
)

// CheckName returns an error if name cannot name a network namespace in /run/netns.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q cannot name a network namespace", name)
	case len(name) > 255:
		return fmt.Errorf("%.32q... cannot name a network namespace: longer than 255 bytes", name)
	case strings.HasPrefix(name, "-"):
		return fmt.Errorf("%q cannot name a network namespace: programs would take it for an option", name)
	case strings.ContainsRune(name, '/') || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%q cannot name a network namespace: it has a slash or a control character", name)
	}
	return nil
}

// Open returns a descriptor of the network namespace with a name, which must have passed CheckName. The
// error is ErrAbsent if there is none.
func Open(name string) (fd int, err error) {
	e := entry{fd: -1}
	err = mount.InHost(func() error {
		e, err = find(name)
		return err
	})
	if err == nil && e.fd < 0 {
		err = ErrAbsent
	}
	if err != nil {
		return -1, fmt.Errorf("open network namespace %q: %w", name, err)
	}
	return e.fd, nil
}

// Names returns the names of all network namespaces that have one, by inode number. If a namespace has
// several names, it returns the first.
func Names() (names map[uint64]string, err error) {
	names = map[uint64]string{}
	err = mount.InHost(func() error {
		files, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		for _, file := range files {
			e, err := find(file.Name())
			if err != nil || e.fd < 0 {
				continue // it is not one
			}
			id, err := nsfs.OfFile(e.fd)
			e.Close()
			if _, taken := names[id.Ino]; err == nil && !taken {
				names[id.Ino] = file.Name()
			}
		}
		return err
	})
	return names, err
}

// find returns what a name leads to by its handle alone: its state is absent, reserved or foreign. It never
// blocks, whatever the file is.
func find(name string) (entry, error) {
	e := entry{state: absent, fd: -1}
	parent, err := openDir()
	if errors.Is(err, unix.ENOENT) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	defer unix.Close(parent)
	file, err := unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return e, nil
	}
	if err != nil {
		return e, fmt.Errorf("open %s/%s: %w", dir, name, err)
	}
	defer unix.Close(file)

	var fs unix.Statfs_t
	var st unix.Stat_t
	if err := errors.Join(unix.Fstatfs(file, &fs), unix.Fstat(file, &st)); err != nil {
		return e, fmt.Errorf("stat %s/%s: %w", dir, name, err)
	}
	if fs.Type != unix.NSFS_MAGIC {
		if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0 {
			return entry{state: reserved, fd: -1, since: time.Unix(st.Ctim.Unix())}, nil
		}
		return e, fmt.Errorf("%s/%s: %w", dir, name, ErrNotNamespace)
	}
	host, err := nsfs.Of(nsfs.Host, nsfs.Net)
	if err != nil {
		return e, err
	}
	if host == (nsfs.ID{Dev: st.Dev, Ino: st.Ino}) {
		return e, fmt.Errorf("%s/%s: is the host's own network namespace", dir, name)
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(file), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return e, fmt.Errorf("open %s/%s: %w", dir, name, err)
	}
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		unix.Close(fd)
		return e, fmt.Errorf("%s/%s: %w but another kind of namespace", dir, name, ErrNotNamespace)
	}
	return entry{state: foreign, fd: fd}, nil
}

// publish mounts the namespace fd on the handle of name. The handle is a new file if the name was absent, or
// the empty file of a reserved name. If another program has taken the name, or the file away, publish does
// nothing. An error leaves nothing behind.
func publish(name string, fd int, was State) error {
	parent, err := openDir()
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if was != reserved {
		file, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EEXIST) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("create %s/%s: %w", dir, name, err)
		}
		unix.Close(file)
	}
	err = attach(parent, name, fd)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if unlink := unix.Unlinkat(parent, name, 0); unlink != nil && !errors.Is(unlink, unix.ENOENT) {
		err = errors.Join(err, fmt.Errorf("remove %s/%s: %w", dir, name, unlink))
	}
	return fmt.Errorf("publish %s/%s: %w", dir, name, err)
}

func attach(parent int, name string, fd int) error {
	target, err := unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	return mount.Cover(target, fd)
}

// unpublish removes the handle of name. The namespace lives as long as a process is in it.
func unpublish(name string) error {
	path := dir + "/" + name
	if err := mount.Detach(path); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := unix.Unlink(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}
