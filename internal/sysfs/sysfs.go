// SPDX-License-Identifier: GPL-2.0-or-later

// Package sysfs makes /sys describe the network namespace of the session:
// a sysfs shows the network of the thread that mounts it, for good.
package sysfs

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

const dir = "/sys"

// Remount replaces every sysfs at and below /sys by a new one, read-only where
// it was. What is mounted on it (cgroups, bpf, debugfs, ...) is carried over
// with all its options. A /sys with no sysfs stays as it is.
//
// The calling thread, which the caller holds, is in the new network namespace
// and in a mount namespace whose mounts do not propagate.
func Remount() error {
	table, err := mount.Table(mountinfo.PrefixFilter(dir))
	if err != nil {
		return err
	}
	t := tree{}
	for _, m := range table {
		t[m.Parent] = append(t[m.Parent], m)
	}
	if err := t.prune(); err != nil {
		return err
	}
	for _, m := range table {
		if m.Mountpoint == dir && !t.covered(m) {
			return t.remount(m)
		}
	}
	return nil
}

// tree is the part of the mount table at and below /sys: mounts by their parent's ID.
type tree map[int][]*mountinfo.Info

// covered tells whether another mount hides m completely.
func (t tree) covered(m *mountinfo.Info) bool {
	for _, child := range t[m.ID] {
		if child.Mountpoint == m.Mountpoint {
			return true
		}
	}
	return false
}

// prune drops what another mount hides from further up: nobody can get there.
func (t tree) prune() error {
	hidden := map[*mountinfo.Info]bool{}
	for _, mounts := range t {
		for _, m := range mounts {
			visible, err := t.visible(m)
			if err != nil {
				return fmt.Errorf("look at %s: %w", m.Mountpoint, err)
			}
			hidden[m] = !visible
		}
	}
	for parent, mounts := range t {
		t[parent] = slices.DeleteFunc(mounts, func(m *mountinfo.Info) bool { return hidden[m] })
	}
	return nil
}

// visible tells whether its mountpoint shows m or a mount on m, and not one that
// hides it from further up.
func (t tree) visible(m *mountinfo.Info) (bool, error) {
	fd, err := mount.Pin(m.Mountpoint, unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	id, err := mount.ID(fd)
	return t.holds(m, id), err
}

// holds tells whether id is m's or that of a mount below it.
func (t tree) holds(m *mountinfo.Info, id int) bool {
	return m.ID == id || slices.ContainsFunc(t[m.ID], func(child *mountinfo.Info) bool { return t.holds(child, id) })
}

func (t tree) remount(m *mountinfo.Info) error {
	if m.FSType == "sysfs" && !t.covered(m) {
		if err := t.replace(m); err != nil {
			return fmt.Errorf("remount %s: %w", m.Mountpoint, err)
		}
	}
	for _, child := range t[m.ID] {
		if err := t.remount(child); err != nil {
			return err
		}
	}
	return nil
}

func (t tree) replace(m *mountinfo.Info) error {
	type carried struct {
		mount.Tree
		path string
	}
	var below []carried
	for _, child := range t[m.ID] {
		tree, err := cloneAt(child.Mountpoint, true)
		if err != nil {
			return fmt.Errorf("carry %s: %w", child.Mountpoint, err)
		}
		defer tree.Close()
		below = append(below, carried{tree, child.Mountpoint})
	}
	err := renew(m)
	if !mount.HasAPI() && errors.Is(err, unix.EBUSY) {
		return nil // mount(2) will not mount the same sysfs once more: it is the right one
	}
	if err != nil {
		return err
	}
	for _, c := range below {
		if err := attachAt(c.path, c.Tree); err != nil {
			return fmt.Errorf("carry %s: %w", c.path, err)
		}
	}
	return nil
}

// renew mounts a new sysfs where m is; the same part of it, if m is a part.
func renew(m *mountinfo.Info) error {
	attrs := mount.ParseAttrs(m.Options) | mount.ParseAttrs(m.VFSOptions)
	fresh, err := mount.New("sysfs", attrs)
	if err != nil {
		return err
	}
	defer fresh.Close()
	if err := detach(m.Mountpoint); err != nil {
		return err
	}
	if err := attachAt(m.Mountpoint, fresh); err != nil || m.Root == "/" {
		return err
	}
	part, err := cloneAt(path.Join(m.Mountpoint, m.Root), false)
	if err != nil {
		return err
	}
	defer part.Close()
	if err := detach(m.Mountpoint); err != nil {
		return err
	}
	return attachAt(m.Mountpoint, part)
}

// detach makes room at path. Without the mount API what is to be carried over
// is still mounted there, so that it stays, covered.
func detach(path string) error {
	if !mount.HasAPI() {
		return nil
	}
	return mount.Detach(path)
}

func cloneAt(path string, recursive bool) (mount.Tree, error) {
	fd, err := mount.Pin(path, unix.O_NOFOLLOW)
	if err != nil {
		return mount.Tree{}, err
	}
	defer unix.Close(fd)
	return mount.Clone(fd, recursive)
}

func attachAt(path string, tree mount.Tree) error {
	fd, err := mount.Pin(path, unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return tree.Attach(fd)
}
