// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/state"
)

// Before is what there is before a login that is to leave nothing.
type Before struct {
	records map[string]record
	shared  bool // shareDir has been called
}

// Remember looks at what there is.
func Remember() (b Before, err error) {
	err = mount.InHost(func() error {
		names, err := recorded()
		if err != nil {
			return err
		}
		b.records = map[string]record{}
		for _, name := range names {
			if b.records[name], err = readRecord(name); err != nil {
				return err
			}
		}
		b.shared, err = isShared()
		return err
	})
	return b, err
}

// Made tells whether a login has made the namespace name since.
func (b Before) Made(name string) (made bool, err error) {
	err = mount.InHost(func() error {
		r, err := readRecord(name)
		made = r.id != b.records[name].id
		return err
	})
	return made, err
}

func isShared() (bool, error) {
	table, err := mount.Table(mountinfo.SingleEntryFilter(dir))
	return len(table) > 0, err
}

// Undo takes down the namespaces that logins have made since, as Prune does: if no
// process is in them but those that ours tells. Records of setups that have failed
// since go as well, and so does the mount that /run/netns has become. The
// directories that logins make, and their file of locks, stay.
//
// What is said about Prune's caller and result holds here, too.
func (b Before) Undo(ours func(pid int) bool, down func(program, name string) error) ([]Pruned, error) {
	pruned, err := pruner{ours: ours, down: down}.prune(func(name string) (bool, error) {
		r, err := readRecord(name)
		return r != b.records[name], err
	})
	if err == nil && !b.shared {
		err = mount.InHost(unshareDir)
	}
	return pruned, err
}

// unshareDir undoes shareDir, unless there is a namespace with a name, or soon may
// be: whoever logs in has a lock on one, and `ip netns add` on the directory.
func unshareDir() error {
	if shared, err := isShared(); err != nil || !shared {
		return err
	}
	return state.TryAll(unshareEmptyDir)
}

func unshareEmptyDir() error {
	names, err := os.ReadDir(dir)
	if err != nil || len(names) > 0 {
		return err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	unix.Close(fd) // an open file would keep the mount
	if err != nil {
		return nil
	}
	if err := mount.Remove(dir); err != nil && !errors.Is(err, unix.EBUSY) {
		return err
	}
	return nil
}
