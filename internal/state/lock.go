// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
)

const (
	lockFile = "lock"

	// glance is the time between two looks at the owner of a lock. An owner that stands still at both is
	// killed.
	glance = 400 * time.Millisecond
)

// Lock is a lock on a name, which one process at a time has. It is on a byte of the file of locks: two names
// that share a byte wait for each other, and nothing has to be cleared away.
//
// The lock is a traditional record lock (fcntl(2)), since the kernel tells the owner of one. It is the
// process's, and ends with it. A process must not stand still while it has a lock: if it is stopped or
// frozen, a process that waits for the lock kills it after a second at most.
type Lock struct {
	fd     int
	offset int64
}

// file is the file of locks. It stays open, since any close of it would end all locks of the process.
var file = sync.OnceValues(func() (int, error) { return openFile(lockFile) })

// of returns the lock of a name.
func of(name string) (Lock, error) {
	fd, err := file()
	return Lock{fd, offset(name)}, err
}

func offset(name string) int64 {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return int64(hash.Sum64() >> 2)
}

// Acquire waits for the lock of a name, but no longer than patience. The process must end soon after an
// error: it may still get the lock.
func Acquire(name string, patience time.Duration) (Lock, error) {
	l, err := of(name)
	if err != nil {
		return l, err
	}
	if free, err := l.set(unix.F_SETLK); free || err != nil {
		return l, err
	}
	got := make(chan error, 1)
	go func() {
		_, err := l.set(unix.F_SETLKW)
		got <- err
	}()
	timeout := time.After(patience)
	look := time.NewTicker(glance)
	defer look.Stop()
	var idle process
	for {
		select {
		case err := <-got:
			return l, err
		case <-timeout:
			return l, fmt.Errorf("lock %s/%s: process %d has it for more than %v", Dir, lockFile, l.owner(), patience)
		case <-look.C:
			idle = l.endIfIdle(idle)
		}
	}
}

// Try takes the lock of a name if it is free, and tells whether it was.
func Try(name string) (Lock, bool, error) {
	l, err := of(name)
	if err != nil {
		return l, false, err
	}
	free, err := l.set(unix.F_SETLK)
	return l, free, err
}

// Release releases the lock.
func (l Lock) Release() {
	_ = unix.FcntlFlock(uintptr(l.fd), unix.F_SETLK, l.as(unix.F_UNLCK))
}

func (l Lock) set(how int) (bool, error) {
	return set(l.fd, how, l.as(unix.F_WRLCK), lockFile)
}

func (l Lock) as(kind int16) *unix.Flock_t {
	return &unix.Flock_t{Type: kind, Start: l.offset, Len: 1}
}

// set sets a lock, and tells whether it was free.
func set(fd, how int, lock *unix.Flock_t, name string) (bool, error) {
	for {
		err := unix.FcntlFlock(uintptr(fd), how, lock)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("lock %s/%s: %w", Dir, name, err)
		default:
			return true, nil
		}
	}
}

// owner returns the PID of the process that has the lock, 0 or -1 if it is unknown.
func (l Lock) owner() int {
	lock := l.as(unix.F_WRLCK)
	if err := unix.FcntlFlock(uintptr(l.fd), unix.F_GETLK, lock); err != nil || lock.Type == unix.F_UNLCK {
		return 0
	}
	return int(lock.Pid)
}

// process is a process that stood still at a look. The zero process is none.
type process struct {
	pid   int
	start string // its start time
}

// endIfIdle returns the owner of the lock if it stands still. It kills the owner if that stood still before
// as well.
//
// The owner of a lock lives. So, if a PID is the owner's before and after it is opened, the owner is what was
// opened.
func (l Lock) endIfIdle(before process) (idle process) {
	pid := l.owner()
	if pid <= 0 {
		return process{}
	}
	fd, err := unix.PidfdOpen(pid, 0) // Linux 5.3
	if err != nil {
		return process{}
	}
	defer unix.Close(fd)
	state, start, err := nsfs.State(pid)
	if err != nil || l.owner() != pid || !isIdle(pid, state) {
		return process{}
	}
	idle = process{pid, start}
	if idle == before {
		_ = LeaveCgroups(pid) // in version 1, a frozen process gets no signal
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	return idle
}

// isIdle tells whether a process is stopped or frozen. A traced process is not idle: its tracer stops it at
// every system call.
func isIdle(pid int, state byte) bool {
	return state == 'T' || isFrozen(pid)
}
