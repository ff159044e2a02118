// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/setup"
	"libpam-net/internal/state"
)

const (
	// patience is how long `ip netns add` may take from making the file of a handle to mounting the namespace
	// on it, and how long it may hold its lock.
	patience = 500 * time.Millisecond
	nap      = 10 * time.Millisecond
	attempts = 100 // more than patience / nap

	// settling is how long the processes of a setup program may take to end after it, unless they stay.
	settling = 200 * time.Millisecond

	// untilTheEnd is longer than a login waits: its login process ends it before.
	untilTheEnd = time.Hour
)

// Spec describes a network namespace, and how to create it if need be.
type Spec struct {
	Unnamed  bool           // a new namespace, without a name
	Name     string         // in /run/netns
	Owner    *Owner         // of a new namespace; nil: root
	LoDown   bool           // lo is not brought up
	Setup    *setup.Program // of a new namespace; nil: none
	Deadline time.Time      // of Setup
}

// Namespace is a network namespace that is in use.
type Namespace struct {
	FD      int
	Created bool // by this login
	use     state.Use
}

// Close closes the descriptor and ends the use of the name.
func (n Namespace) Close() {
	unix.Close(n.FD)
	n.use.Close()
}

// Acquire moves the calling thread into the network namespace that the Spec describes. The caller must hold
// the thread for good, also after an error.
//
// If no namespace has the name, Acquire creates it for the whole machine: it publishes the namespace in
// process 1's mount namespace. Callers at the same time all get the same one, once it is complete. If its
// setup fails, it is unpublished, and all callers that have waited for it get the error.
//
// Until the Namespace is closed, or the process ends, no other process takes the name away.
//
// A process that creates a namespace leaves the control groups of its caller, and no longer dies with its
// parent, since other logins wait for it.
func Acquire(s Spec) (n Namespace, err error) {
	if s.Unnamed {
		fd, err := s.unshare()
		return Namespace{FD: fd, Created: true}, err
	}
	if err := CheckName(s.Name); err != nil {
		return n, err
	}
	if n, err = s.open(); err != nil {
		return n, fmt.Errorf("open network namespace %q: %w", s.Name, err)
	}
	if err := s.repair(n); err != nil {
		n.Close()
		return Namespace{FD: -1}, fmt.Errorf("join network namespace %q: %w", s.Name, err)
	}
	if err := Join(n.FD); err != nil {
		return n, fmt.Errorf("join network namespace %q: %w", s.Name, err)
	}
	if !n.Created && !s.LoDown {
		return n, RaiseLoopback()
	}
	return n, nil
}

// repair repairs the uplink of a namespace that was made by another login. It runs the setup program under the
// lock of the name, as create does: of several logins one repairs, the others wait for it. The calling thread may
// be in process 1's network namespace afterwards.
func (s Spec) repair(n Namespace) error {
	if n.Created || s.Setup == nil || !s.Setup.CanRepair() {
		return nil
	}
	var broken bool
	err := mount.InHost(func() (err error) {
		if err = joinHost(); err == nil {
			broken, err = s.Setup.IsBroken()
		}
		return err
	})
	if err != nil || !broken {
		return err
	}
	lock, err := s.lock()
	if err != nil {
		return err
	}
	defer lock.Release()
	return mount.InHost(func() error {
		if err := joinHost(); err != nil {
			return err
		}
		return s.Setup.Repair(s.Deadline)
	})
}

// lock waits for the lock of the name. As other logins wait for it, the process leaves the control groups of its
// caller, and no longer dies with its parent. The caller must be on the main thread.
func (s Spec) lock() (lock state.Lock, err error) {
	err = mount.InHost(func() error {
		_ = state.LeaveCgroups(unix.Getpid()) // if it stays in one and is frozen, waiting logins kill it
		lock, err = state.Acquire(s.Name, untilTheEnd)
		return err
	})
	if err != nil {
		return lock, err
	}
	// Otherwise a user could keep all others out, by killing logins that have the lock.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		lock.Release()
		return lock, fmt.Errorf("outlive the login process: %w", err)
	}
	return lock, nil
}

// unshare moves the calling thread into a new namespace, in which it brings up lo.
func (s Spec) unshare() (fd int, err error) {
	if fd, err = New(s.Owner); err == nil && !s.LoDown {
		err = RaiseLoopback()
	}
	return fd, err
}

// open opens the namespace with the name. If it is not complete, open takes the lock of the name and creates
// the namespace. The calling thread may be in another network namespace afterwards.
func (s Spec) open() (n Namespace, err error) {
	var before record
	err = mount.InHost(func() error {
		n, before, err = s.openComplete()
		return err
	})
	if err != nil || n.FD >= 0 {
		return n, err
	}
	lock, err := s.lock()
	if err != nil {
		return n, err
	}
	defer lock.Release()
	err = mount.InHost(func() error {
		n, err = s.create(before)
		return err
	})
	return n, err
}

// openComplete opens the namespace if it is complete, and takes its name into use. Otherwise FD is -1, and
// before is the record of the name. The caller must be in process 1's mount namespace.
func (s Spec) openComplete() (n Namespace, before record, err error) {
	use, free, err := state.NewUse(s.Name)
	if err != nil {
		return n, before, err
	}
	e, err := load(s.Name)
	if err == nil && free && e.state.isComplete() {
		return Namespace{FD: e.fd, use: use}, e.record, nil
	}
	e.Close()
	use.Close()
	return Namespace{FD: -1}, e.record, err
}

// create opens the namespace as soon as it is complete. Until then it brings the name from each state into the
// next. before is the record that the name had when the caller began to wait for the lock.
//
// The caller must have the lock and be in process 1's mount namespace. The calling thread may be in another
// network namespace afterwards.
func (s Spec) create(before record) (n Namespace, err error) {
	use, free, err := state.NewUse(s.Name)
	if err == nil && !free {
		err = errors.New("its name is in use alone, by a process without the lock")
	}
	if err != nil {
		return n, err
	}
	fresh := -1 // the namespace that this login has made
	defer func() {
		if fresh >= 0 {
			unix.Close(fresh)
		}
		if err != nil {
			use.Close()
		}
	}()
	for range attempts {
		e, err := load(s.Name)
		if err != nil {
			return n, err
		}
		found := Namespace{FD: e.fd, Created: fresh >= 0 && e.state != foreign, use: use}
		switch {
		case e.record.state == failed && e.record != before:
			return n, fmt.Errorf("the setup for another login has just failed: %s", e.record.rest)
		case e.state == foreign && fresh >= 0: // `ip netns add` was faster
			return found, removeRecord(s.Name)
		case e.state.isComplete():
			return found, nil
		case e.state == making && found.Created:
			return found, s.setUp(e.record)
		case e.state == making || e.state == ended:
			e.Close()
			err = unpublish(s.Name)
		case e.state == reserved && e.isYoung():
			time.Sleep(nap)
		case fresh < 0: // the name may be taken meanwhile
			fresh, err = s.makeNew()
		default:
			if err = publish(s.Name, fresh, e.state); err != nil {
				err = errors.Join(err, removeRecord(s.Name))
			}
		}
		if err != nil {
			return n, err
		}
	}
	return n, fmt.Errorf("publish: the handle was taken away %d times", attempts)
}

// isYoung tells whether `ip netns add` may be about to mount a namespace on the handle of a reserved name. It
// cannot be a login: logins publish under the lock.
func (e entry) isYoung() bool {
	age := time.Since(e.since)
	return age >= 0 && age < patience
}

// makeNew makes the namespace, and the record of it. It is not published yet.
func (s Spec) makeNew() (fd int, err error) {
	if err := setup.Group(s.Name).End(); err != nil {
		return -1, err
	}
	if err := shareDir(); err != nil {
		return -1, err
	}
	fd, err = s.unshare()
	if err == nil {
		err = s.writeRecord(fd)
	}
	if err != nil {
		return -1, errors.Join(err, removeRecord(s.Name))
	}
	return fd, nil
}

func (s Spec) writeRecord(fd int) error {
	id, err := identity(fd)
	if err != nil {
		return err
	}
	r := record{state: made, id: id}
	if s.Setup != nil {
		r.state, r.rest = making, s.Setup.Path
	}
	return r.write(s.Name)
}

// setUp runs the setup program of a published namespace, in process 1's network namespace, and completes its
// record r. If that fails, the namespace is unpublished. The calling thread stays in process 1's network.
func (s Spec) setUp(r record) error {
	group := setup.Group(s.Name)
	err := joinHost()
	if err == nil {
		err = s.Setup.Up(s.Deadline)
	}
	var running bool
	if err == nil {
		running, err = group.Settle(settling)
	}
	if err == nil && !running {
		err = group.End() // remove the group itself
	}
	if err == nil {
		r.state = made
		if running {
			r.state = served
		}
		err = r.write(s.Name)
	}
	if err != nil {
		return errors.Join(err, group.End(), unpublish(s.Name), failure(err).write(s.Name))
	}
	return nil
}
