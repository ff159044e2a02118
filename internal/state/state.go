// SPDX-License-Identifier: GPL-2.0-or-later

// Package state keeps, until the machine is shut down, what logins tell each other:
// a directory that is root's alone, and locks in it. The caller is in process 1's mount
// namespace (mount.InHost).
package state

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Dir is the directory. As it is root's alone, nobody else can hold a lock in it.
const Dir = "/run/libpam-net"

// Open opens the directory, which it creates if need be.
func Open(flags int) (int, error) {
	return OpenOrCreate(unix.AT_FDCWD, Dir, flags)
}

// OpenOrCreate opens a directory, from the directory at, and creates it if need be.
func OpenOrCreate(at int, path string, flags int) (int, error) {
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

// openFile opens a file of locks, which it creates if need be.
func openFile(name string) (int, error) {
	dir, err := Open(unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, fmt.Errorf("open %s/%s: %w", Dir, name, err)
	}
	return fd, nil
}
