// SPDX-License-Identifier: GPL-2.0-or-later

// Package mount is the one place where mount namespaces are made and entered
// and where anything is mounted.
//
// It works with descriptors, by Linux 5.2's mount API (open_tree(2), fsopen(2),
// move_mount(2)). Older kernels get the same from mount(2) and the links in
// /proc/self/fd; only what is covered then stays in the mount table, beneath.
package mount

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Pin opens path as it is now, with O_PATH: what is done to the descriptor
// afterwards happens to this very file, whatever becomes of the path. flags are
// further open(2) flags: O_NOFOLLOW pins a symbolic link itself.
func Pin(path string, flags int) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}

// Path returns where the file that fd has pinned is now.
func Path(fd int) (string, error) {
	path := make([]byte, unix.PathMax)
	n, err := unix.Readlink(procPath(fd), path)
	if err != nil {
		return "", fmt.Errorf("readlink %s: %w", procPath(fd), err)
	}
	return string(path[:n]), nil
}

// Tree is a mount, or a tree of mounts, that is attached nowhere yet. Close it.
type Tree struct {
	fd int // the tree; from Clone on a kernel without the mount API, its source

	// What New puts off until Attach on such a kernel, else empty.
	fstype  string
	attrs   Attrs
	options []string
}

// Attrs are the MOUNT_ATTR_* bits of mount_setattr(2).
type Attrs uint32

// Clone copies the mount at the descriptor fd, with all mounts below it if recursive.
func Clone(fd int, recursive bool) (Tree, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if !HasAPI() {
		source, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return Tree{fd: source}, err
	}
	tree, err := unix.OpenTree(fd, "", flags)
	if err != nil {
		return Tree{}, fmt.Errorf("open_tree: %w", err)
	}
	return Tree{fd: tree}, nil
}

// New makes a new file system of a type that needs no device, with options of
// the form "key=value".
func New(fstype string, attrs Attrs, options ...string) (Tree, error) {
	if !HasAPI() {
		return Tree{fd: -1, fstype: fstype, attrs: attrs, options: options}, nil
	}
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return Tree{}, fmt.Errorf("fsopen %s: %w", fstype, err)
	}
	defer unix.Close(fs)
	for _, option := range append(options, "source="+fstype) {
		key, value, _ := strings.Cut(option, "=")
		if err := unix.FsconfigSetString(fs, key, value); err != nil {
			return Tree{}, fmt.Errorf("fsconfig %s %s: %w", fstype, option, err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return Tree{}, fmt.Errorf("fsconfig %s: %w", fstype, err)
	}
	tree, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, int(attrs))
	if err != nil {
		return Tree{}, fmt.Errorf("fsmount %s: %w", fstype, err)
	}
	return Tree{fd: tree}, nil
}

// Attach mounts the tree on what target, an O_PATH descriptor, has pinned. A
// directory goes on a directory, anything else on anything else, a symbolic link
// included.
func (t Tree) Attach(target int) error {
	var err error
	switch {
	case HasAPI():
		err = unix.MoveMount(t.fd, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	case t.fstype != "":
		err = unix.Mount(t.fstype, procPath(target), t.fstype, t.attrs.mountFlags(), strings.Join(t.options, ","))
	default:
		err = unix.Mount(procPath(t.fd), procPath(target), "", unix.MS_BIND|unix.MS_REC, "")
	}
	if err != nil {
		return fmt.Errorf("attach mount: %w", err)
	}
	return nil
}

// Close lets go of the tree; an attached one stays.
func (t Tree) Close() {
	if t.fd >= 0 {
		unix.Close(t.fd)
	}
}

// Cover mounts what source has pinned on what target has pinned, the mounts
// below a directory included.
func Cover(target, source int) error {
	tree, err := Clone(source, true)
	if err != nil {
		return err
	}
	defer tree.Close()
	return tree.Attach(target)
}

// Detach takes the topmost mount at path off, with everything below it.
func Detach(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return nil
}

// Remove takes the topmost mount at path off, unless something uses it or is mounted
// below it: that is EBUSY.
func Remove(path string) error {
	if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return nil
}

// MakeShared makes the mount at path and those below it shared: what is mounted
// there shows in every mount namespace that has them from this one. EINVAL says
// that nothing is mounted at path.
func MakeShared(path string) error {
	if err := unix.Mount("", path, "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make %s a shared mount: %w", path, err)
	}
	return nil
}

// MakePeers makes both mounts shared, and the one at b a peer of the one at a, a mount of the same
// file system: what is mounted or unmounted on one is on the other. Linux 5.15. After a failure
// the mount at a may be shared and that at b be private.
func MakePeers(a, b string) error {
	if err := unix.Mount("", a, "", unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make %s a shared mount: %w", a, err)
	}
	if err := unix.Mount("", b, "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make %s a private mount: %w", b, err)
	}
	if err := unix.MoveMount(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.MOVE_MOUNT_SET_GROUP); err != nil {
		return fmt.Errorf("make %s a peer of %s: %w", b, a, err)
	}
	return nil
}

// MakeSlave lets the mount at path pass nothing on: it is a slave of what it was a slave or
// peer of, and else private. EINVAL says that nothing is mounted at path.
func MakeSlave(path string) error {
	if err := unix.Mount("", path, "", unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make %s a slave mount: %w", path, err)
	}
	return nil
}

// BindSelf makes a mount of the directory path, in its own place.
func BindSelf(path string) error {
	if err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s to itself: %w", path, err)
	}
	return nil
}

// HasAPI tells whether the kernel has the mount API of Linux 5.2. Where a mount
// is covered instead of replaced, the caller wants to know.
var HasAPI = sync.OnceValue(func() bool {
	_, err := unix.OpenTree(-1, "", unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	return !errors.Is(err, unix.ENOSYS)
})

func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// mountFlags are the attributes as mount(2) wants them.
func (a Attrs) mountFlags() uintptr {
	var flags uintptr
	for _, f := range attrFlags {
		if a&f.attr != 0 {
			flags |= f.flag
		}
	}
	return flags
}

// ParseAttrs reads the options of a line of mountinfo, "ro,nosuid,relatime".
func ParseAttrs(options string) Attrs {
	var attrs Attrs
	for option := range strings.SplitSeq(options, ",") {
		for _, f := range attrFlags {
			if f.option == option {
				attrs |= f.attr
			}
		}
	}
	return attrs
}

var attrFlags = []struct {
	option string
	attr   Attrs
	flag   uintptr
}{
	{"ro", unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY},
	{"nosuid", unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID},
	{"nodev", unix.MOUNT_ATTR_NODEV, unix.MS_NODEV},
	{"noexec", unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC},
	{"noatime", unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME},
	{"nodiratime", unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME},
}
