// SPDX-License-Identifier: GPL-2.0-or-later

// Package state has the locks by which logins wait for each other, in a directory that only root can enter. It
// also has the way out of the caller's control groups, for a process that others wait for. The caller must be
// in process 1's mount namespace (mount.InHost).
package state

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Dir is the directory. Only root can enter it, so no user can hold a lock in it.
const Dir = "/run/libpam-net"

// openFile opens a file of locks. If it does not exist, openFile creates it.
func openFile(name string) (int, error) {
	if err := unix.Mkdir(Dir, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, fmt.Errorf("create %s: %w", Dir, err)
	}
	dir, err := unix.Open(Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", Dir, err)
	}
	defer unix.Close(dir)
	fd, err := unix.Openat(dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1, fmt.Errorf("open %s/%s: %w", Dir, name, err)
	}
	return fd, nil
}
