// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"hash/fnv"

	"golang.org/x/sys/unix"
)

// State is kept here until the machine is shut down: locks, and records of the
// namespaces that logins have made. It is root's alone, so that nobody else can
// hold a lock.
const (
	stateDir = "/run/libpam-net"
	lockFile = "lock"
)

// lock is a lock on one name: on a byte of the file that stands for it, as an open
// file description lock (fcntl(2), Linux 3.15). So there is nothing to be cleared
// away, and two names that share a byte only wait for each other. The end of the
// process unlocks.
type lock struct {
	fd     int // -1: there is no file and none can be made, so that nobody can have locked
	offset int64
}

// lockShared locks name against its making and its end, but not against others who
// do the same. It waits.
func lockShared(name string) (lock, error) {
	fd, err := openLock()
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) {
		return lock{fd: -1}, nil
	}
	if err != nil {
		return lock{}, err
	}
	return lockAs(fd, name, unix.F_RDLCK)
}

// lockExclusive locks name against everybody else. It waits.
func lockExclusive(name string) (lock, error) {
	fd, err := openLock()
	if err != nil {
		return lock{}, err
	}
	return lockAs(fd, name, unix.F_WRLCK)
}

func openLock() (int, error) {
	dir, err := openState(unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, lockFile, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, fmt.Errorf("open %s/%s: %w", stateDir, lockFile, err)
	}
	return fd, nil
}

// lockOf is the lock of name in the file of locks.
func lockOf(fd int, name string) lock {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return lock{fd, int64(hash.Sum64() >> 2)}
}

func lockAs(fd int, name string, kind int16) (lock, error) {
	l := lockOf(fd, name)
	if err := l.set(kind); err != nil {
		l.release()
		return lock{}, err
	}
	return l, nil
}

// set waits until the lock is of this kind. A change from one kind to another is
// no step in between, except from shared to exclusive: release first.
func (l lock) set(kind int16) error {
	for {
		err := unix.FcntlFlock(uintptr(l.fd), unix.F_OFD_SETLKW, l.as(kind))
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock %s/%s: %w", stateDir, lockFile, err)
		}
	}
}

// try is set without waiting. It tells whether the lock is of this kind now.
func (l lock) try(kind int16) (bool, error) {
	err := unix.FcntlFlock(uintptr(l.fd), unix.F_OFD_SETLK, l.as(kind))
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s/%s: %w", stateDir, lockFile, err)
	}
	return true, nil
}

func (l lock) as(kind int16) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Start: l.offset, Len: 1}
}

func (l lock) release() {
	if l.fd >= 0 {
		unix.Close(l.fd)
	}
}

// openState opens the directory of the state, made if need be.
func openState(flags int) (int, error) {
	return openOrMake(unix.AT_FDCWD, stateDir, flags)
}

// openOrMake opens a directory, from the directory at, made if need be.
func openOrMake(at int, path string, flags int) (int, error) {
	flags |= unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(at, path, flags, 0)
	if errors.Is(err, unix.ENOENT) {
		if err := unix.Mkdirat(at, path, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			return -1, fmt.Errorf("create %s: %w", path, err)
		}
		fd, err = unix.Openat(at, path, flags, 0)
	}
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}
