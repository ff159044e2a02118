// SPDX-License-Identifier: GPL-2.0-or-later

// Package mount creates and enters mount namespaces, and mounts: no other package does. It also tells whether
// root alone controls a path.
//
// It works with descriptors, by the mount API of Linux 5.2 (open_tree(2), fsopen(2), move_mount(2)). On older
// kernels it uses mount(2) and the links in /proc/self/fd. There, a mount that is covered stays in the mount
// table, beneath the cover.
package mount

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Pin opens path with O_PATH: the descriptor stays that of this very file, whatever becomes of the path.
// flags are further flags of open(2). With O_NOFOLLOW it pins a symbolic link itself.
func Pin(path string, flags int) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	return fd, nil
}

// Path returns the current path of the file that fd has pinned.
func Path(fd int) (string, error) {
	path := make([]byte, unix.PathMax)
	n, err := unix.Readlink(procPath(fd), path)
	if err != nil {
		return "", fmt.Errorf("readlink %s: %w", procPath(fd), err)
	}
	return string(path[:n]), nil
}

// Tree is a mount, or a tree of mounts, that is not attached yet. The caller must close it.
type Tree struct {
	fd int // the tree; without the mount API: of Clone, the source, of New, -1

	// Without the mount API: the file system that Attach makes, for New.
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

// New makes a file system of a type that needs no device. An option is "key=value".
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

// Attach mounts the tree on the file that target, an O_PATH descriptor, has pinned. A directory can be
// mounted on a directory only, any other file on any other file, also on a symbolic link.
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
	return wrap(err, "attach mount")
}

// Close closes the descriptor of the tree. An attached tree stays.
func (t Tree) Close() {
	if t.fd >= 0 {
		unix.Close(t.fd)
	}
}

// Cover mounts what source has pinned, with the mounts below it, on what target has pinned.
func Cover(target, source int) error {
	tree, err := Clone(source, true)
	if err != nil {
		return err
	}
	defer tree.Close()
	return tree.Attach(target)
}

// Detach detaches the topmost mount at path, with everything below it.
func Detach(path string) error {
	return wrap(unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW), "unmount %s", path)
}

// Remove unmounts the topmost mount at path. The error is EBUSY if it is in use or something is mounted below
// it.
func Remove(path string) error {
	return wrap(unix.Unmount(path, unix.UMOUNT_NOFOLLOW), "unmount %s", path)
}

// MakeShared makes the mount at path and those below it shared: later mounts there show up in every mount
// namespace that is copied from this one. The error is EINVAL if nothing is mounted at path.
func MakeShared(path string) error {
	return wrap(unix.Mount("", path, "", unix.MS_SHARED|unix.MS_REC, ""), "make %s a shared mount", path)
}

// MakePeers makes both mounts shared, and the one at b a peer of the one at a, which must be of the same file
// system: a mount or unmount on one happens on the other as well. It needs Linux 5.15. After a failure the
// mount at a may be shared and that at b private.
func MakePeers(a, b string) error {
	if err := unix.Mount("", a, "", unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("make %s a shared mount: %w", a, err)
	}
	if err := unix.Mount("", b, "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make %s a private mount: %w", b, err)
	}
	err := unix.MoveMount(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.MOVE_MOUNT_SET_GROUP)
	return wrap(err, "make %s a peer of %s", b, a)
}

// MakeSlave makes the mount at path propagate nothing: it becomes a slave of its master or peers, or else
// private. The error is EINVAL if nothing is mounted at path.
func MakeSlave(path string) error {
	return wrap(unix.Mount("", path, "", unix.MS_SLAVE, ""), "make %s a slave mount", path)
}

// BindSelf makes a mount of the directory path, in its own place.
func BindSelf(path string) error {
	return wrap(unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, ""), "bind %s to itself", path)
}

// wrap returns nil if err is nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// HasAPI tells whether the kernel has the mount API of Linux 5.2: whether a mount can be replaced, and not
// only covered.
var HasAPI = sync.OnceValue(func() bool {
	_, err := unix.OpenTree(-1, "", unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	return !errors.Is(err, unix.ENOSYS)
})

func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// mountFlags returns the attributes as flags of mount(2).
func (a Attrs) mountFlags() uintptr {
	var flags uintptr
	for _, f := range attrFlags {
		if a&f.attr != 0 {
			flags |= f.flag
		}
	}
	return flags
}

// ParseAttrs parses the options of a line of mountinfo, "ro,nosuid,relatime".
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
