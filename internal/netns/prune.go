// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"libpam-net/internal/mount"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/setup"
	"libpam-net/internal/state"
)

// Pruned tells what has become of a namespace that a login has created.
type Pruned struct {
	Name   string `json:"name"`
	Gone   bool   `json:"gone"`   // in a dry run: would be
	Why    string `json:"why"`    // it stays
	Failed bool   `json:"failed"` // that is an error
}

// Prune takes down the named namespaces that logins have created and no process is in. It never touches what
// `ip netns add` has created. A dry run changes nothing. The result is sorted by name.
//
// Each namespace is taken down under the locks of its name. One that a login is about to enter stays. A later
// login creates it again.
//
// If a namespace had a setup program, Prune calls down first, in process 1's network namespace. If that
// fails, the namespace stays, until the next Prune, or until the next login recreates it.
//
// The caller must hold its thread, which may be in process 1's network namespace afterwards.
func Prune(dryRun bool, down func(program, name string) error) ([]Pruned, error) {
	return pruner{dryRun: dryRun, down: down}.prune(func(string) (bool, error) { return true, nil })
}

type pruner struct {
	dryRun bool
	ours   func(pid int) bool // processes that do not keep a namespace; nil: none
	down   func(program, name string) error
}

// prune prunes the names that have a record and are wanted.
func (p pruner) prune(wanted func(name string) (bool, error)) (result []Pruned, err error) {
	err = mount.InHost(func() error {
		names, err := recorded()
		if err != nil || len(names) == 0 {
			return err
		}
		for _, name := range names {
			if want, err := wanted(name); err == nil && !want {
				continue
			}
			pruned, err := p.one(name)
			if err != nil {
				pruned = &Pruned{Name: name, Why: err.Error(), Failed: true}
			}
			if pruned != nil {
				result = append(result, *pruned)
			}
		}
		return nil
	})
	return result, err
}

// one prunes a name. It returns nil if no namespace that a login has created has the name.
func (p pruner) one(name string) (*Pruned, error) {
	busy := &Pruned{Name: name, Why: "somebody is logging in"}
	lock, free, err := state.Try(name)
	if err != nil {
		return nil, err
	}
	if !free {
		return busy, nil
	}
	defer lock.Release()
	alone, free, err := state.TryAlone(name)
	if err != nil {
		return nil, err
	}
	if !free {
		return busy, nil
	}
	defer alone.Close()
	e, err := load(name)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	if e.record == (record{}) { // the name has one
		return nil, fmt.Errorf("read record of %q: it is not valid", name)
	}
	switch e.state {
	case absent, reserved, failed, foreign: // only the record is a login's
		if p.dryRun {
			return nil, nil
		}
		return nil, errors.Join(setup.Group(name).End(), removeRecord(name))
	}
	threads, err := p.threads(name, e.fd)
	switch {
	case err != nil:
		return nil, err
	case threads > 0:
		return &Pruned{Name: name, Why: fmt.Sprintf("threads in it: %d", threads)}, nil
	case p.dryRun:
		return &Pruned{Name: name, Gone: true}, nil
	}
	return &Pruned{Name: name, Gone: true}, p.takeDown(name, e.record)
}

// takeDown takes down the namespace with the record r. The caller must have both locks of the name.
func (p pruner) takeDown(name string, r record) error {
	if r.rest != "" {
		// Incomplete before "down" runs: if this fails halfway, the next login recreates the namespace.
		r.state = making
		if err := r.write(name); err != nil {
			return err
		}
		if err := joinHost(); err != nil {
			return err
		}
		if err := p.down(r.rest, name); err != nil {
			return err
		}
	}
	if err := errors.Join(setup.Group(name).End(), unpublish(name)); err != nil {
		return err
	}
	return removeRecord(name)
}

// threads returns how many threads keep the namespace fd of a name. A thread that the setup program has left
// running does not: it is there for the network.
func (p pruner) threads(name string, fd int) (count int, err error) {
	wanted, err := nsfs.OfFile(fd)
	if err != nil {
		return 0, err
	}
	processes, err := numbered("/proc")
	if err != nil {
		return 0, err
	}
	left, err := setup.Group(name).Processes()
	if err != nil {
		return 0, err
	}
	for _, pid := range processes {
		if slices.Contains(left, pid) || p.ours != nil && p.ours(pid) {
			continue
		}
		tasks := nsfs.Path(pid, "task")
		threads, err := numbered(tasks)
		if err != nil && !nsfs.Ended(err) {
			return 0, err
		}
		for _, thread := range threads {
			id, err := nsfs.At(fmt.Sprintf("%s/%d/ns/net", tasks, thread))
			if err != nil && !nsfs.Ended(err) {
				return 0, err
			}
			if err == nil && id == wanted {
				count++
			}
		}
	}
	return count, nil
}

// numbered returns the names in a directory of /proc that are numbers.
func numbered(dir string) (numbers []int, err error) {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if number, err := strconv.Atoi(entry.Name()); err == nil {
			numbers = append(numbers, number)
		}
	}
	return numbers, err
}
