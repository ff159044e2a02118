// SPDX-License-Identifier: GPL-2.0-or-later

package view

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

const sys = "/sys"

// remountSys replaces every sysfs at and below /sys by a new one, read-only where it was. A sysfs shows
// the network namespace of the thread that mounts it. Mounts on the old one (cgroups, bpf, debugfs, ...)
// are carried over with all their options. A /sys without a sysfs stays as it is.
func (v *View) remountSys() error {
	table, err := mount.Table(mountinfo.PrefixFilter(sys))
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
		if m.Mountpoint == sys && !t.isCovered(m) {
			return v.remount(t, m)
		}
	}
	return nil
}

// tree is the part of the mount table at and below /sys: mounts by their parent's ID.
type tree map[int][]*mountinfo.Info

// isCovered tells whether another mount on the same mountpoint hides m.
func (t tree) isCovered(m *mountinfo.Info) bool {
	for _, child := range t[m.ID] {
		if child.Mountpoint == m.Mountpoint {
			return true
		}
	}
	return false
}

// prune drops the mounts that a mount further up hides: no path leads to them.
func (t tree) prune() error {
	hidden := map[*mountinfo.Info]bool{}
	for _, mounts := range t {
		for _, m := range mounts {
			visible, err := t.isVisible(m)
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

// isVisible tells whether its mountpoint leads to m or to a mount on m.
func (t tree) isVisible(m *mountinfo.Info) (bool, error) {
	fd, err := mount.Pin(m.Mountpoint, unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	id, err := mount.ID(fd)
	return t.contains(m, id), err
}

// contains tells whether id is the ID of m or of a mount below m.
func (t tree) contains(m *mountinfo.Info, id int) bool {
	return m.ID == id || slices.ContainsFunc(t[m.ID], func(child *mountinfo.Info) bool { return t.contains(child, id) })
}

// remount replaces m if it is a sysfs that is not covered, and then each sysfs below it.
func (v *View) remount(t tree, m *mountinfo.Info) error {
	if m.FSType == "sysfs" && !t.isCovered(m) {
		if err := v.replace(m, t[m.ID]); err != nil {
			return fmt.Errorf("remount %s: %w", m.Mountpoint, err)
		}
	}
	for _, child := range t[m.ID] {
		if err := v.remount(t, child); err != nil {
			return err
		}
	}
	return nil
}

// replace mounts a new sysfs where m is, and carries over the mounts below m.
func (v *View) replace(m *mountinfo.Info, below []*mountinfo.Info) error {
	carried := make([]mount.Tree, len(below))
	for i, child := range below {
		var err error
		if carried[i], err = cloneAt(child.Mountpoint, true); err != nil {
			return fmt.Errorf("carry %s: %w", child.Mountpoint, err)
		}
		defer carried[i].Close()
	}
	err := v.renew(m)
	if !mount.HasAPI() && errors.Is(err, unix.EBUSY) {
		return nil // mount(2) refuses to mount the same sysfs again: m is the right one
	}
	if err != nil {
		return err
	}
	for i, child := range below {
		if err := v.coverAt(child.Mountpoint, carried[i]); err != nil {
			return fmt.Errorf("carry %s: %w", child.Mountpoint, err)
		}
	}
	return nil
}

// renew mounts a new sysfs where m is. If m is a part of a sysfs, it mounts the same part.
func (v *View) renew(m *mountinfo.Info) error {
	attrs := mount.ParseAttrs(m.Options) | mount.ParseAttrs(m.VFSOptions)
	fresh, err := mount.New("sysfs", attrs)
	if err != nil {
		return err
	}
	defer fresh.Close()
	if err := clearAt(m.Mountpoint); err != nil {
		return err
	}
	if err := v.coverAt(m.Mountpoint, fresh); err != nil || m.Root == "/" {
		return err
	}
	part, err := cloneAt(path.Join(m.Mountpoint, m.Root), false)
	if err != nil {
		return err
	}
	defer part.Close()
	if err := clearAt(m.Mountpoint); err != nil {
		return err
	}
	return v.coverAt(m.Mountpoint, part)
}

// clearAt detaches the mount at path. Without the mount API the mounts that are carried over are still on
// it, so it stays, covered.
func clearAt(path string) error {
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

func (v *View) coverAt(path string, tree mount.Tree) error {
	fd, err := mount.Pin(path, unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return v.cover(fd, tree)
}
