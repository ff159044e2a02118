// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/setup"
)

// State is how far the network namespace of a name has got.
type State string

// The states, as the documentation of the package explains them. Four of them are also written into records.
const (
	absent   State = "absent"
	reserved State = "reserved"
	making   State = "making"
	made     State = "made"
	served   State = "served"
	ended    State = "ended"
	foreign  State = "foreign"
	failed   State = "failed"
)

// isComplete tells whether a login may join a namespace in this state.
func (s State) isComplete() bool { return s == made || s == served || s == foreign }

// entry is what a name leads to. Close it.
type entry struct {
	state  State
	fd     int       // the namespace, -1 if the name is absent, reserved or failed
	since  time.Time // when a reserved name was
	record record    // of the name, stale or not
}

func (e entry) Close() {
	if e.fd >= 0 {
		unix.Close(e.fd)
	}
}

// load returns what a name leads to. The caller must be in process 1's mount namespace (mount.InHost).
// Without a lock on the name, the state may change at once.
func load(name string) (entry, error) {
	e, err := find(name)
	if err != nil {
		return e, err
	}
	// After the handle, since a record is written before its namespace is published.
	if e.record, err = readRecord(name); err == nil {
		err = e.judge(name)
	}
	if err != nil {
		e.Close()
		return entry{fd: -1}, err
	}
	return e, nil
}

// judge refines the state that find has found by the record.
func (e *entry) judge(name string) error {
	if e.state == absent && e.record.state == failed {
		e.state = failed
	}
	if e.state != foreign || e.record.state == failed {
		return nil
	}
	id, err := identity(e.fd)
	if err != nil || id != e.record.id {
		return err
	}
	e.state = e.record.state
	if e.state == served {
		running, err := setup.Group(name).IsRunning()
		if err != nil {
			return err
		}
		if !running {
			e.state = ended
		}
	}
	return nil
}
