// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/setup"
	"libpam-net/internal/state"
)

// Pruned says what has become of a namespace that a login has made.
type Pruned struct {
	Name   string `json:"name"`
	Gone   bool   `json:"gone"`   // in a dry run: would be
	Why    string `json:"why"`    // it stays
	Failed bool   `json:"failed"` // that is an error
}

// Prune takes down the named namespaces that logins have made and that no process
// is in any more, each under the lock that logins take: one that is about to enter
// keeps it, one that comes later makes it anew. Before that it calls down in the
// host's network for a namespace that had a setup program; if that fails, the
// namespace stays, until the next prune, or the next login makes it anew. What `ip netns add` has made is never touched.
//
// The result is sorted by name. A dry run changes nothing. The caller holds its thread, which may be in the
// host's network namespace afterwards.
func Prune(dryRun bool, down func(program, name string) error) ([]Pruned, error) {
	return pruner{dryRun: dryRun, down: down}.prune(func(string) (bool, error) { return true, nil })
}

type pruner struct {
	dryRun bool
	ours   func(pid int) bool // nil for none: processes that do not count
	down   func(program, name string) error
}

// prune deals with the names that are recorded and wanted.
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

// one returns nil if there is no namespace of a login's with the name.
func (p pruner) one(name string) (*Pruned, error) {
	lock, free, err := state.Try(name)
	if err != nil {
		return nil, err
	}
	if !free {
		return &Pruned{Name: name, Why: "somebody is logging in"}, nil
	}
	defer lock.Release()
	alone, free, err := state.TryAlone(name)
	if err != nil {
		return nil, err
	}
	if !free {
		return &Pruned{Name: name, Why: "somebody is logging in"}, nil
	}
	defer alone.Close()
	group := setup.Group(name)
	r, err := readRecord(name)
	if err != nil {
		return nil, err
	}
	if r == (record{}) { // there is one, so it has not been read
		return nil, fmt.Errorf("read record of %q: nothing is in it that could be one", name)
	}
	id, users, err := p.inspect(name)
	switch {
	case err != nil && !isMissing(err):
		return nil, err
	case err != nil || id != r.id: // unpublished, or replaced by somebody else's
		if p.dryRun {
			return nil, nil
		}
		return nil, errors.Join(group.End(), removeRecord(name))
	case users > 0:
		return &Pruned{Name: name, Why: fmt.Sprintf("threads in it: %d", users)}, nil
	case p.dryRun:
		return &Pruned{Name: name, Gone: true}, nil
	}
	if r.rest != "" {
		// From here on it lacks something: the next login makes it anew.
		r.state = making
		if err := r.write(name); err != nil {
			return nil, err
		}
		if err := inHostNet(func() error { return p.down(r.rest, name) }); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(group.End(), unpublish(name)); err != nil {
		return nil, err
	}
	return &Pruned{Name: name, Gone: true}, removeRecord(name)
}

// inspect tells which namespace has the name, and how many threads are in it that count.
func (p pruner) inspect(name string) (id string, users int, err error) {
	fd, err := open(name)
	if err != nil {
		return "", 0, err
	}
	defer unix.Close(fd)
	var wanted, st unix.Stat_t
	if err := unix.Fstat(fd, &wanted); err != nil {
		return "", 0, fmt.Errorf("stat network namespace: %w", err)
	}
	processes, err := numbered("/proc")
	if err != nil {
		return "", 0, err
	}
	own, err := setup.Group(name).Processes() // there for the network, not in it for its own sake
	if err != nil {
		return "", 0, err
	}
	for _, pid := range processes {
		if slices.Contains(own, pid) || p.ours != nil && p.ours(pid) {
			continue
		}
		tasks := nsfs.Path(pid, "task")
		threads, err := numbered(tasks)
		if err != nil && !nsfs.Ended(err) {
			return "", 0, err
		}
		for _, thread := range threads {
			file := fmt.Sprintf("%s/%d/ns/net", tasks, thread)
			err := unix.Stat(file, &st)
			switch {
			case nsfs.Ended(err):
			case err != nil:
				return "", 0, fmt.Errorf("stat %s: %w", file, err)
			case st.Dev == wanted.Dev && st.Ino == wanted.Ino:
				users++
			}
		}
	}
	id, err = identity(fd)
	return id, users, err
}

// numbered are the numbers that are names in a directory of /proc.
func numbered(dir string) (numbers []int, err error) {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if number, err := strconv.Atoi(entry.Name()); err == nil {
			numbers = append(numbers, number)
		}
	}
	return numbers, err
}

// recorded are the names that there are records of, sorted. None is made, nor their directory.
func recorded() (names []string, err error) {
	files, err := os.ReadDir(state.Dir + "/" + recordDir)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	for _, file := range files {
		names = append(names, file.Name())
	}
	return names, err
}
