// SPDX-License-Identifier: GPL-2.0-or-later

// Package view builds what a session sees: a mount namespace in which /sys, /etc and /run/netns go with
// the session's network namespace, and paths of the host are masked. To change what a session sees,
// add a step to Build.
package view

import (
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

// Spec describes what a session sees.
type Spec struct {
	Network      string   // the name of its network namespace, "" if it has none
	RootShared   bool     // what the session mounts reaches the host
	ShowNetns    bool     // leave /run/netns as it is
	KeepResolver bool     // leave the sockets of the host's resolvers
	Masks        []string // further paths to mask
}

// View is what a session sees.
type View struct {
	*mount.Namespace
	Skipped []string // entries of /etc/netns/NAME that have no namesake in /etc

	covered []string // where the session's own mounts are
}

// Build moves the calling thread into a new mount namespace and mounts there what the session is to see.
// Skipped is valid even if it fails. The thread must be in the session's network namespace. The caller
// must hold it for good.
func Build(s Spec) (v View, err error) {
	if v.Namespace, err = mount.Unshare(s.RootShared); err != nil {
		return v, err
	}
	// First, since it shortens the mount table that the next steps read.
	if !s.ShowNetns {
		if err := v.hideNetns(s.Network); err != nil {
			return v, err
		}
	}
	if err := v.remountSys(); err != nil {
		return v, err
	}
	if s.Network != "" {
		if err := v.overrideEtc(s.Network); err != nil {
			return v, err
		}
	}
	for _, path := range s.Masks {
		if err := CheckMask("/", path); err != nil {
			return v, err
		}
	}
	masks := s.Masks
	if !s.KeepResolver {
		masks = append(masks, resolvers...)
	}
	for _, path := range masks {
		if err := v.mask(path); err != nil {
			return v, err
		}
	}
	if err := v.FindCwd(v.covered); err != nil {
		return v, err
	}
	return v, v.Share() // last: until then no mount reaches the host
}

// cover mounts a tree on the file that target, an O_PATH descriptor, has pinned.
func (v *View) cover(target int, tree mount.Tree) error {
	path, err := mount.Path(target)
	if err != nil {
		return err
	}
	if err := tree.Attach(target); err != nil {
		return err
	}
	v.covered = append(v.covered, path)
	return nil
}

// coverBy mounts what source has pinned, with the mounts below it, on what target has pinned.
func (v *View) coverBy(target, source int) error {
	tree, err := mount.Clone(source, true)
	if err != nil {
		return err
	}
	defer tree.Close()
	return v.cover(target, tree)
}

// coverByNothing mounts an empty directory on the one that target has pinned.
func (v *View) coverByNothing(target int, attrs mount.Attrs) error {
	attrs |= unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	empty, err := mount.New("tmpfs", attrs, "mode=755")
	if err != nil {
		return err
	}
	defer empty.Close()
	return v.cover(target, empty)
}
