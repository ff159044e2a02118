// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
)

// Namespace is the new mount namespace of a session.
type Namespace struct {
	FD   int // the namespace
	Root int // "/", O_PATH
	Cwd  int // ".", O_PATH

	// CwdMoved tells that Cwd is not the directory it was: a mount of the session
	// covers that one, or it was not below "/".
	CwdMoved bool

	cwdPath string // "" if the working directory was not below "/"
	peers   []peer
}

// Unshare moves the calling thread, which the caller holds for good, into a new
// mount namespace, a copy of its own. The thread keeps its root, in the copy, and is in
// "/" afterwards: the working directory may be a user's, where root does not work, and
// may not even be let in (FUSE, NFS with root_squash). Cwd is that directory, in the copy.
//
// A working directory that is not below "/" is not kept: Cwd is "/". It may be in the
// mount namespace of somebody else.
//
// What the host mounts later shows up in the new namespace; what is mounted in
// the new one stays there (mount_namespaces(7), "slave"). With shared, the
// session's mounts reach the host as if it had no namespace: then nothing is
// passed on before Share is called, so that the session's own covers stay its own.
func Unshare(shared bool) (*Namespace, error) {
	n := &Namespace{}
	var err error
	propagation := uintptr(unix.MS_SLAVE)
	if shared {
		propagation = unix.MS_PRIVATE
		if n.peers, err = findPeers(); err != nil {
			return nil, fmt.Errorf("rootshared: %w", err)
		}
	}
	n.cwdPath, err = unix.Getwd()
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, unix.ERANGE):
		n.cwdPath = "" // deleted, not below "/", or deeper than a path can say
	case err != nil:
		return nil, fmt.Errorf("getcwd: %w", err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("unshare mount namespace: %w", err)
	}
	if n.FD, err = nsfs.Open(nsfs.Thread, nsfs.Mnt); err != nil {
		return nil, err
	}
	if n.Root, err = Pin("/", unix.O_DIRECTORY); err != nil {
		return nil, err
	}
	// The magic link takes no permission to search the directory; "." does.
	cwd := nsfs.Path(nsfs.Thread, "cwd")
	if n.cwdPath == "" {
		cwd, n.CwdMoved = "/", true
	}
	if n.Cwd, err = Pin(cwd, unix.O_DIRECTORY); err != nil {
		return nil, err
	}
	// Propagation can be set where something is mounted, and the "/" of a chrooted
	// thread need not be such a place. setns goes to the "/" of the namespace.
	if err := unix.Setns(n.FD, unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("setns mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
		return nil, fmt.Errorf("set mount propagation: %w", err)
	}
	return n, n.goBack()
}

// goBack returns from the namespace's "/" to the thread's own.
func (n *Namespace) goBack() error {
	if err := unix.Fchdir(n.Root); err != nil {
		return fmt.Errorf("fchdir /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	return nil
}

// FindCwd looks for the working directory again, by its path, if that is at or
// below one of the covered paths: a login that was started in /sys/class/net must
// not keep the old one. What is no longer there makes it "/".
//
// No symbolic link is followed. The path was the kernel's word for the directory;
// a user who has put a link in its place meanwhile must not get anywhere by it.
func (n *Namespace) FindCwd(covered []string) error {
	if !slices.ContainsFunc(covered, func(path string) bool {
		return n.cwdPath == path || strings.HasPrefix(n.cwdPath, path+"/")
	}) {
		return nil
	}
	now, err := unix.Openat2(unix.AT_FDCWD, n.cwdPath, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil { // gone, a link, or Linux before 5.6
		now, err = Pin("/", unix.O_DIRECTORY)
	}
	if err != nil {
		return err
	}
	// The same directory may be on another mount now, and the old mount be gone.
	was, wasErr := nsfs.OfFile(n.Cwd)
	is, isErr := nsfs.OfFile(now)
	n.Cwd, n.CwdMoved = now, wasErr != nil || isErr != nil || was != is
	return nil
}

// InHost calls f where PID 1 is: in its mount namespace and under its "/", which
// are the whole machine's. A login service may have a mount namespace of its own
// (systemd's PrivateTmp=), or be chrooted. f runs on the calling thread if that
// is there, else on a thread of its own, which ends afterwards; the caller holds
// its thread in either case.
func InHost(f func() error) error {
	there, err := isInHost()
	if err != nil {
		return err
	}
	if there {
		return f()
	}
	fd, err := nsfs.Open(nsfs.Host, nsfs.Mnt)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is not fit for anything else
		done <- func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
				}
			}()
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return fmt.Errorf("unshare file system attributes: %w", err)
			}
			if err := unix.Setns(fd, unix.CLONE_NEWNS); err != nil {
				return fmt.Errorf("setns host's mount namespace: %w", err)
			}
			return f()
		}()
	}()
	return <-done
}

// isInHost tells whether the calling thread is in process 1's mount namespace, under the same "/".
func isInHost() (bool, error) {
	for _, file := range []string{"ns/mnt", "root"} {
		own, err := nsfs.At(nsfs.Path(nsfs.Thread, file))
		if err != nil {
			return false, err
		}
		if host, err := nsfs.At(nsfs.Path(nsfs.Host, file)); err != nil || own != host {
			return false, err
		}
	}
	return true, nil
}
