// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/state"
)

// openDir pins the directory of the handles. Root alone can write it, or openDir returns an error.
func openDir() (int, error) {
	fd, err := mount.Pin(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("stat %s: %w", dir, err)
	}
	if err := mount.CheckOwner(dir, st); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("%w: it must be root's alone: chown root %s; chmod 755 %s", err, dir, dir)
	}
	return fd, nil
}

// shareDir makes /run/netns a shared mount, as ip-netns(8) does. Two programs could both bind it to itself.
// Our own lock, of no name, and ip-netns's, on the directory, prevent that. Every user can hold the latter,
// so it is waited for no longer than patience.
func shareDir() error {
	if err := unix.Mkdir(dir, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	err := mount.MakeShared(dir)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	lock, err := state.Acquire("", untilTheEnd)
	if err != nil {
		return err
	}
	defer lock.Release()
	fd, err := openForLock()
	if err != nil {
		return err
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

func openForLock() (int, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", dir, err)
	}
	return fd, nil
}

// isShared tells whether shareDir has been called.
func isShared() (bool, error) {
	table, err := mount.Table(mountinfo.SingleEntryFilter(dir))
	return len(table) > 0, err
}

// unshareDir undoes shareDir. It does nothing while a network namespace has a name, or while a login or `ip
// netns add` may be creating one: a login has a lock on a name, ip-netns on the directory.
func unshareDir() error {
	if shared, err := isShared(); err != nil || !shared {
		return err
	}
	return state.TryAll(func() error {
		names, err := os.ReadDir(dir)
		if err != nil || len(names) > 0 {
			return err
		}
		fd, err := openForLock()
		if err != nil {
			return err
		}
		err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		unix.Close(fd) // an open file would keep the mount
		if err != nil {
			return nil
		}
		if err := mount.Remove(dir); err != nil && !errors.Is(err, unix.EBUSY) {
			return err
		}
		return nil
	})
}
