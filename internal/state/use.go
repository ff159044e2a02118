// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"errors"

	"golang.org/x/sys/unix"
)

const useFile = "use"

// Use says that a name is in use: many may say so at a time. Nobody waits for the end
// of it: the name is only not taken away meanwhile. It is an open file description lock
// (fcntl(2), Linux 3.15), and ends when it is closed.
type Use struct{ fd int } // 0: none, or there is no file and none can be made, so that no name is taken away

// NewUse says that a name is in use. It tells whether that is so: not while somebody is
// taking the name away (TryAlone), who has the name's Lock.
func NewUse(name string) (u Use, ok bool, err error) {
	u.fd, err = openFile(useFile)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) {
		return Use{}, true, nil
	}
	if err != nil {
		return Use{}, false, err
	}
	return u.set(unix.F_RDLCK, name)
}

// TryAlone tells whether a name is in no use, and keeps it so until the Use is closed.
// The caller has the name's Lock.
func TryAlone(name string) (u Use, ok bool, err error) {
	if u.fd, err = openFile(useFile); err != nil {
		return Use{}, false, err
	}
	return u.set(unix.F_WRLCK, name)
}

func (u Use) set(kind int16, name string) (Use, bool, error) {
	ok, err := set(u.fd, unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Start: offset(name), Len: 1}, useFile)
	if !ok {
		u.Close()
		return Use{}, false, err
	}
	return u, true, nil
}

// Close ends the use.
func (u Use) Close() {
	if u.fd > 0 {
		unix.Close(u.fd)
	}
}

// TryAll tells whether no name is locked or in use, and calls f while that stays so.
func TryAll(f func() error) error {
	fd, err := file()
	if err != nil {
		return err
	}
	all := &unix.Flock_t{Type: unix.F_WRLCK}
	if ok, err := set(fd, unix.F_SETLK, all, lockFile); !ok {
		return err
	}
	defer func() { _ = unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_UNLCK}) }()
	use, err := openFile(useFile)
	if err != nil {
		return err
	}
	defer unix.Close(use)
	if ok, err := set(use, unix.F_OFD_SETLK, all, useFile); !ok {
		return err
	}
	return f()
}
