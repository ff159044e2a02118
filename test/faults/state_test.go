// SPDX-License-Identifier: GPL-2.0-or-later

//go:build pending

package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// state is what a login could leave behind on a machine: mounts and files, each
// with how often it is there.
type state map[string]int

// inspect looks at a machine as its process 1 sees it.
func inspect(m *machine.Machine) (state, error) {
	s := make(state)
	mounts, err := sandbox.MountTable(m.PID())
	if err != nil {
		return nil, err
	}
	for _, mount := range mounts {
		if mount.Type == "nsfs" {
			mount.Root = "a namespace" // instead of its number
		}
		s[fmt.Sprintf("mount %+v", mount)]++
	}
	for _, dir := range []string{"/run", "/tmp", "/dev/shm", "/etc/netns"} {
		err := filepath.WalkDir(m.Root()+dir, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			kind := info.Mode().String()
			if isNamespace(path) {
				kind = "namespace"
			}
			s[kind+" "+strings.TrimPrefix(path, m.Root())]++
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func isNamespace(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Type == unix.NSFS_MAGIC
}

// merge has of each item what f makes of how often it is in s and in t.
func (s state) merge(t state, f func(s, t int) int) state {
	all := make(state)
	for _, items := range []state{s, t} {
		for item := range items {
			all[item] = f(s[item], t[item])
		}
	}
	return all
}

// beyond lists what there is more often in s than in t.
func (s state) beyond(t state) []string {
	var items []string
	for _, item := range slices.Sorted(maps.Keys(s)) {
		if s[item] > t[item] {
			items = append(items, item)
		}
	}
	return items
}

// view is what a mount table shows: what is mounted on each path, unless
// something else hides it.
func view(table string) (map[string]string, error) {
	mounts, err := mountinfo.GetMountsFromReader(strings.NewReader(table), nil)
	if err != nil {
		return nil, err
	}
	byID := make(map[int]*mountinfo.Info)
	children := make(map[int][]*mountinfo.Info)
	for _, m := range mounts {
		byID[m.ID] = m
		children[m.Parent] = append(children[m.Parent], m)
	}
	var hidden func(m *mountinfo.Info) bool
	hidden = func(m *mountinfo.Info) bool {
		parent := byID[m.Parent]
		if parent == nil || parent == m {
			return false
		}
		return hidden(parent) || slices.ContainsFunc(children[m.Parent], func(sibling *mountinfo.Info) bool {
			return strings.HasPrefix(m.Mountpoint, strings.TrimSuffix(sibling.Mountpoint, "/")+"/")
		})
	}
	shown := make(map[string]string)
	for _, m := range mounts {
		covered := slices.ContainsFunc(children[m.ID], func(child *mountinfo.Info) bool {
			return child.Mountpoint == m.Mountpoint
		})
		if covered || hidden(m) {
			continue
		}
		propagation, _, _ := strings.Cut(m.Optional, ":")
		if m.FSType == "nsfs" {
			m.Root = "a namespace"
		}
		options := m.Options + "," + m.VFSOptions
		if strings.HasPrefix(m.Options, "ro,") {
			// mount(2), for kernels without the mount API, makes the file system read-only as well.
			options = m.Options + strings.TrimLeft(m.VFSOptions, "row")
		}
		shown[m.Mountpoint] = fmt.Sprintf("%s of %s, %s, %s", m.Root, m.FSType, options, propagation)
	}
	return shown, nil
}
