// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import "libpam-net/internal/mount"

// Before is the state of the machine before a login that must leave nothing.
type Before struct {
	records map[string]record
	shared  bool // shareDir has been called
}

// Remember returns the state of the machine now.
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

// Made tells whether a login has created the namespace name since.
func (b Before) Made(name string) (made bool, err error) {
	err = mount.InHost(func() error {
		r, err := readRecord(name)
		made = r.id != b.records[name].id
		return err
	})
	return made, err
}

// Undo takes down the namespaces that logins have created since, as Prune does. Processes that are ours do
// not keep a namespace. Undo also removes the records of setups that have failed since, and the mount that
// /run/netns has become. The directories that logins make, and their files of locks, stay.
//
// The caller must hold its thread, which may be in process 1's network namespace afterwards.
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
