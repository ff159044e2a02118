// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
)

// Namespace is the mount namespace of a session.
type Namespace struct {
	FD   int // the namespace
	Root int // "/", O_PATH
	Cwd  int // ".", O_PATH

	// CwdMoved tells that Cwd is another directory than before: a mount of the session covers that one, or it
	// was not below "/".
	CwdMoved bool

	cwdPath string // "" if the working directory was not below "/"
	peers   []peer
}

// Unshare moves the calling thread into a new mount namespace, a copy of its own. The caller must hold the
// thread for good.
//
// The thread keeps its root, in the copy, and is in "/" afterwards. Its working directory becomes Cwd: it may
// be a user's, where root does not work, and may even deny root access (FUSE, NFS with root_squash). A
// working directory that is not below "/" may be in another user's mount namespace: Cwd is "/" instead.
//
// Later mounts of the host show up in the new namespace. Mounts in the new one stay there
// (mount_namespaces(7), "slave"). With shared, the session's mounts reach the host as if it had no namespace.
// But nothing propagates before Share is called, so that the session's own covers stay its own.
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
		n.cwdPath = "" // deleted, not below "/", or deeper than a path can tell
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
	// Propagation can be set at a mount point only, which the "/" of a chrooted thread need not be. setns
	// moves the thread to the "/" of the namespace.
	if err := unix.Setns(n.FD, unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("setns mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
		return nil, fmt.Errorf("set mount propagation: %w", err)
	}
	return n, chroot(n.Root)
}

// Enter moves the calling thread into the mount namespace fd. The directory root, opened there, becomes its
// "/" and its working directory. The caller must hold the thread for good.
func Enter(fd, root int) error {
	if err := enter(fd); err != nil {
		return err
	}
	return chroot(root)
}

// enter moves the calling thread to the "/" of the mount namespace fd.
func enter(fd int) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("unshare file system attributes: %w", err)
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns mount namespace: %w", err)
	}
	return nil
}

// chroot makes the directory root the "/" and the working directory of the calling thread.
func chroot(root int) error {
	if err := unix.Fchdir(root); err != nil {
		return fmt.Errorf("fchdir /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	return nil
}

// FindCwd opens the working directory again, by its path, if that is at or below one of the covered paths: a
// login that was started in /sys/class/net must not keep the old one. If it is gone, Cwd becomes "/".
//
// No symbolic link is followed. The path is the kernel's, but a user may have put a link in the directory's
// place.
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

// InHost calls f in process 1's mount namespace and under its "/", which are the machine's. A login service
// may have a mount namespace of its own (systemd's PrivateTmp=), or be chrooted. f runs on the calling thread
// if that is in both, else on a spare thread. The caller must hold its thread in either case.
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
	return nsfs.OnSpareThread(func() error {
		if err := enter(fd); err != nil {
			return fmt.Errorf("enter the host's mounts: %w", err)
		}
		return f()
	})
}

// isInHost tells whether the calling thread is in process 1's mount namespace and under its "/".
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
