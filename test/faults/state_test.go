// SPDX-License-Identifier: GPL-2.0-or-later

package faults

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// state is what a login could leave behind on a machine. Nothing else outlives its
// processes, which all have ended.
type state struct {
	things  things
	content []string // of the files and network namespaces that there are
}

// things are mounts and files, by what they are, each with how often it is there.
type things map[string]int

// inspect looks at a machine as its process 1 sees it. networks is what inject has
// seen in the network namespaces.
func inspect(m *machine.Machine, networks map[string]map[string]bool) (state, error) {
	s := state{things: make(things)}
	mounts, err := sandbox.MountTable(m.PID())
	if err != nil {
		return s, err
	}
	handles := make(map[string]string) // the paths of the namespaces, by what identifies one
	for _, mount := range mounts {
		if mount.Type == "nsfs" {
			var st unix.Stat_t
			if err := unix.Stat(m.Root()+mount.Point, &st); err != nil {
				return s, err
			}
			handles[fmt.Sprintf("%d@%d.%09d", st.Ino, st.Ctim.Sec, st.Ctim.Nsec)] = mount.Point
			mount.Root = "a namespace" // instead of its number
		}
		s.things[fmt.Sprintf("mount %+v", mount)]++
	}
	for _, dir := range []string{"/run", "/tmp", "/dev/shm", "/etc/netns"} {
		if err := s.walk(m.Root(), dir, handles); err != nil {
			return s, err
		}
	}
	for name, interfaces := range networks {
		s.content = append(s.content, fmt.Sprint("network ", name, interfaces))
	}
	return s, nil
}

func (s *state) walk(root, dir string, handles map[string]string) error {
	namespaces := slices.Collect(maps.Values(handles))
	return filepath.WalkDir(root+dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, root)
		if name == "/run/sandbox" {
			return fs.SkipDir // the machine's own
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if slices.Contains(namespaces, name) {
			s.things["namespace "+name]++
			return nil
		}
		owner := info.Sys().(*syscall.Stat_t)
		s.things[fmt.Sprintf("%v %d:%d %s", info.Mode(), owner.Uid, owner.Gid, name)]++
		if !info.Mode().IsRegular() || info.Size() == 0 {
			return nil
		}
		bytes, err := os.ReadFile(path)
		text := string(bytes)
		for identity, handle := range handles {
			text = strings.ReplaceAll(text, identity, handle)
		}
		s.content = append(s.content, fmt.Sprintf("file %s %q", name, text))
		return err
	})
}

// key is the same for two states of a machine that do not differ in anything.
func (s state) key() string {
	return fmt.Sprint(s.things, slices.Sorted(slices.Values(s.content)))
}

// merge has of each thing what f makes of how often it is in t and in u.
func (t things) merge(u things, f func(t, u int) int) things {
	all := make(things)
	for _, some := range []things{t, u} {
		for thing := range some {
			all[thing] = f(t[thing], u[thing])
		}
	}
	return all
}

// beyond lists what there is more often in t than in u.
func (t things) beyond(u things) []string {
	var list []string
	for _, thing := range slices.Sorted(maps.Keys(t)) {
		if t[thing] > u[thing] {
			list = append(list, thing)
		}
	}
	return list
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
