// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
)

// ErrForeign means that a user decides which files a process sees. What root runs, loads or looks up among them would
// be that user's. Every user can make such a view with unshare(1).
var ErrForeign = errors.New("a user decides which files it sees")

// Place is the network, the mounts and the "/" of a process, by descriptors. They stay the same when the process ends
// and its PID is reused.
type Place struct {
	Net          int
	mounts, root int
	inode        uint64 // of the network namespace
	uid          uint32 // of the process
}

// pin returns the place of a process, which the caller must close. The error is ErrForeign unless the process is in
// this program's user namespace and its mount namespace belongs to that user namespace.
//
// pin opens the descriptors first and checks the process then. No process returns from another user namespace to this
// one (setns(2)), so a process that is here at the check was here before.
func pin(pid int) (*Place, error) {
	dir, err := unix.Open(nsfs.Path(pid, ""), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", nsfs.Path(pid, ""), err)
	}
	defer unix.Close(dir)
	p := &Place{Net: -1, mounts: -1, root: -1}
	err = p.open(dir)
	if err == nil {
		err = p.check(dir)
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("process %d: %w", pid, err)
	}
	return p, nil
}

// open opens the descriptors by dir, the directory of a process in /proc.
func (p *Place) open(dir int) error {
	for _, f := range []struct {
		fd    *int
		name  string
		flags int
	}{
		{&p.Net, "ns/net", unix.O_RDONLY},
		{&p.mounts, "ns/mnt", unix.O_RDONLY},
		{&p.root, "root", unix.O_PATH | unix.O_DIRECTORY},
	} {
		fd, err := unix.Openat(dir, f.name, f.flags|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", f.name, err)
		}
		*f.fd = fd
	}
	var net, process unix.Stat_t
	if err := errors.Join(unix.Fstat(p.Net, &net), unix.Fstat(dir, &process)); err != nil {
		return fmt.Errorf("stat process: %w", err)
	}
	p.inode, p.uid = net.Ino, process.Uid
	return nil
}

// check returns ErrForeign if a user may have made the place. dir is the directory of its process in /proc. This
// program's rights are those in its own user namespace.
func (p *Place) check(dir int) error {
	own, err := nsfs.Of(nsfs.Thread, nsfs.User)
	if err != nil {
		return err
	}
	var user unix.Stat_t
	if err := unix.Fstatat(dir, "ns/user", &user, 0); err != nil {
		return fmt.Errorf("stat ns/user: %w", err)
	}
	if user.Dev != own.Dev || user.Ino != own.Ino {
		return fmt.Errorf("%w, for it is in a user namespace of its own", ErrForeign)
	}
	var mounts nsfs.ID
	owner, err := unix.IoctlRetInt(p.mounts, unix.NS_GET_USERNS)
	switch {
	case errors.Is(err, unix.EPERM): // it is above this program's user namespace, or beside it
	case err != nil:
		return fmt.Errorf("get user namespace of mount namespace: %w", err)
	default:
		mounts, err = nsfs.OfFile(owner)
		unix.Close(owner)
		if err != nil {
			return err
		}
	}
	if mounts != own {
		return fmt.Errorf("%w, for its mount namespace belongs to a user namespace", ErrForeign)
	}
	return nil
}

// Enter moves the calling thread to the place. The caller must hold the OS thread for good.
func (p *Place) Enter() error {
	if err := mount.Enter(p.mounts, p.root); err != nil {
		return err
	}
	return netns.Join(p.Net)
}

// Close closes the descriptors.
func (p *Place) Close() {
	for _, fd := range []int{p.Net, p.mounts, p.root} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
