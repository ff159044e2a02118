// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

const (
	dir     = "/run/netns"
	lockDir = "/run/libpam-net" // root's alone, so that nobody else can hold the lock

	hostNet   = "/proc/1/ns/net"
	threadNet = "/proc/thread-self/ns/net"

	// How long another program may take between making the file of a handle and
	// mounting the namespace on it, and how long it may hold ip-netns's lock.
	patience = 500 * time.Millisecond
	nap      = 10 * time.Millisecond
	attempts = 100 // more than patience / nap
)

// ErrNotNamespace says that what has the name of a namespace is none.
var ErrNotNamespace = errors.New("not a network namespace")

// errAbsent: nothing has the name. errUnmounted: an empty file has it, which is
// what a crash leaves behind, or a creation that is just going on.
var (
	errAbsent    = errors.New("no such network namespace")
	errUnmounted = errors.New("handle without a network namespace")
)

// CheckName refuses what cannot be the name of a namespace under /run/netns.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q cannot name a network namespace", name)
	case len(name) > 255:
		return fmt.Errorf("%.32q... cannot name a network namespace: longer than 255 bytes", name)
	case strings.ContainsRune(name, '/') || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%q cannot name a network namespace: it has a slash or a control character", name)
	}
	return nil
}

// OpenOrCreate returns a descriptor of the network namespace name, which
// CheckName has passed. If there is none, it makes one, calls prepare inside, and
// only then publishes it: for the whole machine, from PID 1's mount namespace. Of
// several callers at once all get the same one.
//
// The caller holds its thread, which may be in another network namespace
// afterwards: Join the one returned.
func OpenOrCreate(name string, prepare func() error) (fd int, created bool, err error) {
	err = mount.InHost(func() error {
		fd, err = open(name)
		if errors.Is(err, errAbsent) || errors.Is(err, errUnmounted) {
			fd, created, err = create(name, prepare)
		}
		return err
	})
	return fd, created, err
}

// open opens the handle of name without ever blocking on what it may be.
func open(name string) (int, error) {
	parent, err := openDir()
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	file, err := unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return -1, errAbsent
	}
	if err != nil {
		return -1, fmt.Errorf("open %s/%s: %w", dir, name, err)
	}
	defer unix.Close(file)

	var fs unix.Statfs_t
	var st, host unix.Stat_t
	if err := errors.Join(unix.Fstatfs(file, &fs), unix.Fstat(file, &st)); err != nil {
		return -1, fmt.Errorf("stat %s/%s: %w", dir, name, err)
	}
	if fs.Type != unix.NSFS_MAGIC {
		if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0 {
			return -1, errUnmounted
		}
		return -1, fmt.Errorf("%s/%s: %w", dir, name, ErrNotNamespace)
	}
	if err := unix.Stat(hostNet, &host); err != nil {
		return -1, fmt.Errorf("stat %s: %w", hostNet, err)
	}
	if st.Dev == host.Dev && st.Ino == host.Ino {
		return -1, fmt.Errorf("%s/%s: is the host's own network namespace", dir, name)
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(file), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s/%s: %w", dir, name, err)
	}
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		unix.Close(fd)
		return -1, fmt.Errorf("%s/%s: %w but another kind of namespace", dir, name, ErrNotNamespace)
	}
	return fd, nil
}

// openDir pins the directory of the handles, in which only root may write.
func openDir() (int, error) {
	fd, err := mount.Pin(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return -1, errAbsent
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("stat %s: %w", dir, err)
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 {
		unix.Close(fd)
		return -1, fmt.Errorf("%s is not root's alone to write: chown root %s; chmod 755 %s", dir, dir, dir)
	}
	return fd, nil
}

// create publishes a new namespace as name, or opens what somebody else has
// published meanwhile.
func create(name string, prepare func() error) (fd int, created bool, err error) {
	lock, err := lock()
	if err != nil {
		return -1, false, err
	}
	defer unix.Close(lock)
	if err := shareDir(); err != nil {
		return -1, false, err
	}
	fresh := -1
	for range attempts {
		found, err := open(name)
		switch {
		case err == nil && fresh >= 0 && ID(found) == ID(fresh):
			unix.Close(found)
			return fresh, true, nil
		case err == nil:
			return found, false, nil
		case !errors.Is(err, errAbsent) && !errors.Is(err, errUnmounted):
			return -1, false, err
		}
		if fresh < 0 {
			if fresh, err = New(); err != nil {
				return -1, false, err
			}
			if err := prepare(); err != nil {
				return -1, false, err
			}
		}
		if err := publish(name, fresh); err != nil && !errors.Is(err, unix.ENOENT) {
			return -1, false, err
		}
	}
	return -1, false, fmt.Errorf("publish network namespace %q: it was taken away %d times", name, attempts)
}

// publish mounts the namespace fd on a file of its own, or on the empty one that
// a crash has left. ENOENT says that somebody has removed the file meanwhile; an
// error leaves nothing behind. It may return without having published if
// somebody else was faster.
func publish(name string, fd int) error {
	parent, err := openDir()
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	made, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		unix.Close(made)
	case !errors.Is(err, unix.EEXIST):
		return fmt.Errorf("create %s/%s: %w", dir, name, err)
	default:
		if found, err := open(name); !errors.Is(err, errUnmounted) {
			unix.Close(found)
			return nil
		}
		if beingMade(parent, name) {
			time.Sleep(nap)
			return nil
		}
	}
	if err := attach(parent, name, fd); err != nil {
		if unlink := unix.Unlinkat(parent, name, 0); unlink != nil && !errors.Is(unlink, unix.ENOENT) {
			err = errors.Join(err, fmt.Errorf("remove %s/%s: %w", dir, name, unlink))
		}
		return fmt.Errorf("publish %s/%s: %w", dir, name, err)
	}
	return nil
}

func attach(parent int, name string, fd int) error {
	target, err := unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	return mount.Cover(target, fd)
}

// beingMade tells whether the empty file is so young that `ip netns add` may be
// about to mount a namespace on it. Our own creations are all under the lock.
func beingMade(parent int, name string) bool {
	var st unix.Stat_t
	if err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return true // gone again
	}
	age := time.Since(time.Unix(st.Ctim.Unix()))
	return age >= 0 && age < patience
}

// lock serialises the creation of namespaces by this program; closing the
// descriptor, or the end of the process, unlocks. The directory /run/netns, which
// ip-netns(8) locks, will not do: everybody may open it, and hold such a lock.
func lock() (int, error) {
	if err := unix.Mkdir(lockDir, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, fmt.Errorf("create %s: %w", lockDir, err)
	}
	fd, err := unix.Open(lockDir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", lockDir, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("lock %s: %w", lockDir, err)
	}
	return fd, nil
}

// shareDir makes /run/netns the shared mount that ip-netns(8) makes of it. Where
// it is none yet, two programs could both bind it to itself; ip-netns's lock, on
// the directory, keeps them apart. As anybody may hold that lock, it is waited
// for only so long.
func shareDir() error {
	if err := unix.Mkdir(dir, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	err := mount.MakeShared(dir)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(fd)
	for start := time.Now(); time.Since(start) < patience; time.Sleep(nap) {
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
	}
	if err := mount.MakeShared(dir); !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := mount.BindSelf(dir); err != nil {
		return err
	}
	return mount.MakeShared(dir)
}
