// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/setup"
	"libpam-net/internal/state"
)

const (
	dir = "/run/netns"

	// How long another program may take between making the file of a handle and
	// mounting the namespace on it, and how long it may hold ip-netns's lock.
	patience = 500 * time.Millisecond
	nap      = 10 * time.Millisecond
	attempts = 100 // more than patience / nap

	// How long after the end of a setup program a process of its may take to end that it
	// does not mean to leave running.
	settling = 200 * time.Millisecond
)

// ErrNotNamespace says that what has the name of a namespace is none.
var ErrNotNamespace = errors.New("not a network namespace")

// errAbsent: nothing has the name. errUnmounted: an empty file has it, which is
// what a crash leaves behind, or a creation that is just going on. errIncomplete:
// a namespace has it whose setup has not come to its end, or has left processes of which
// none is there any more. errBusy: a namespace has it that may be taken down just now.
var (
	errAbsent     = errors.New("no such network namespace")
	errUnmounted  = errors.New("handle without a network namespace")
	errIncomplete = errors.New("network namespace without a complete setup")
	errBusy       = errors.New("network namespace that is being taken down")
)

// CheckName refuses what cannot be the name of a namespace under /run/netns.
func CheckName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q cannot name a network namespace", name)
	case len(name) > 255:
		return fmt.Errorf("%.32q... cannot name a network namespace: longer than 255 bytes", name)
	case strings.HasPrefix(name, "-"):
		return fmt.Errorf("%q cannot name a network namespace: programs would take it for an option", name)
	case strings.ContainsRune(name, '/') || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%q cannot name a network namespace: it has a slash or a control character", name)
	}
	return nil
}

// Plan says how to make a namespace that is not there yet.
type Plan struct {
	Owner   *Owner       // whose it is to be; nil: root's
	Prepare func() error // called inside, before anybody can see it
	Program string       // the setup program that Setup runs, "" if there is none
	Setup   func() error // called in the host's network, once it is published
}

// Named is an open namespace that has a name.
type Named struct {
	FD      int
	Created bool
	use     state.Use
}

// Close closes the descriptor and lets go of the name.
func (n Named) Close() {
	unix.Close(n.FD)
	n.use.Close()
}

// untilTheEnd is how long a login waits for the creation of its namespace: its login
// process ends it before that.
const untilTheEnd = time.Hour

// OpenOrCreate opens the network namespace name, which CheckName has passed. If
// there is none, it makes one by the plan, for the whole machine: it is published
// from PID 1's mount namespace. Of several callers at once all get the same one,
// and none before it is complete; if its setup fails, it is unpublished and all who
// have waited for it get the error.
//
// Until it is closed, or the process ends, nobody takes the name away from the
// namespace because it is empty.
//
// A process that creates a namespace leaves the control groups of its caller, and does
// not die with its parent any more: others wait for it.
//
// The caller holds its thread, which may be in another network namespace
// afterwards: Join the one returned.
func OpenOrCreate(name string, p Plan) (n Named, err error) {
	var before record
	err = mount.InHost(func() error {
		if before, err = readRecord(name); err != nil {
			return err
		}
		n, err = openInUse(name)
		return err
	})
	if !isMissing(err) {
		return n, err
	}
	var lock state.Lock
	err = mount.InHost(func() error {
		_ = state.LeaveCgroups(unix.Getpid()) // what it cannot leave, the others' patience is for
		lock, err = state.Acquire(name, untilTheEnd)
		return err
	})
	if err != nil {
		return Named{}, err
	}
	// A user who kills logins while they create the namespace would keep all others out.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		return Named{}, fmt.Errorf("outlive the login process: %w", err)
	}
	err = mount.InHost(func() error {
		defer lock.Release()
		n, err = create(name, p, before)
		return err
	})
	return n, err
}

// openInUse is openComplete for a name that is in use from then on: errBusy if somebody
// is taking the name away.
func openInUse(name string) (n Named, err error) {
	use, ok, err := state.NewUse(name)
	if err != nil {
		return Named{}, err
	}
	if !ok {
		return Named{}, errBusy
	}
	fd, err := openComplete(name)
	if err != nil {
		use.Close()
		return Named{}, err
	}
	return Named{FD: fd, use: use}, nil
}

// openComplete is open for a namespace whose setup has ended: errIncomplete if a
// login has died before that. The caller has a lock on the name.
func openComplete(name string) (int, error) {
	fd, err := open(name)
	if err != nil {
		return -1, err
	}
	r, err := readRecord(name)
	if err == nil && (r.state == making || r.state == served) {
		var this, running bool
		if this, err = r.tellsOf(fd); this && err == nil {
			if r.state == served {
				running, err = setup.Group(name).IsRunning()
			}
			if err == nil && !running {
				err = errIncomplete
			}
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// isMissing tells whether the error of openComplete says that the namespace has
// to be made.
func isMissing(err error) bool {
	return errors.Is(err, errAbsent) || errors.Is(err, errUnmounted) || errors.Is(err, errIncomplete) || errors.Is(err, errBusy)
}

// open opens the handle of name without ever blocking on what it may be.
func open(name string) (int, error) {
	parent, err := openDir()
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	file, err := unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return -1, errAbsent
	}
	if err != nil {
		return -1, fmt.Errorf("open %s/%s: %w", dir, name, err)
	}
	defer unix.Close(file)

	var fs unix.Statfs_t
	var st unix.Stat_t
	if err := errors.Join(unix.Fstatfs(file, &fs), unix.Fstat(file, &st)); err != nil {
		return -1, fmt.Errorf("stat %s/%s: %w", dir, name, err)
	}
	if fs.Type != unix.NSFS_MAGIC {
		if st.Mode&unix.S_IFMT == unix.S_IFREG && st.Size == 0 {
			return -1, errUnmounted
		}
		return -1, fmt.Errorf("%s/%s: %w", dir, name, ErrNotNamespace)
	}
	host, err := nsfs.Of(nsfs.Host, nsfs.Net)
	if err != nil {
		return -1, err
	}
	if host == (nsfs.ID{Dev: st.Dev, Ino: st.Ino}) {
		return -1, fmt.Errorf("%s/%s: is the host's own network namespace", dir, name)
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(file), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s/%s: %w", dir, name, err)
	}
	if kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		unix.Close(fd)
		return -1, fmt.Errorf("%s/%s: %w but another kind of namespace", dir, name, ErrNotNamespace)
	}
	return fd, nil
}

// openDir pins the directory of the handles, in which only root may write.
func openDir() (int, error) {
	fd, err := mount.Pin(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return -1, errAbsent
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("stat %s: %w", dir, err)
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 {
		unix.Close(fd)
		return -1, fmt.Errorf("%s is not root's alone to write: chown root %s; chmod 755 %s", dir, dir, dir)
	}
	return fd, nil
}

// create publishes a new namespace as name, or opens what somebody else has
// published meanwhile. before is the record from before the caller has waited for
// the lock, which it has.
func create(name string, p Plan, before record) (n Named, err error) {
	r, err := readRecord(name)
	switch {
	case err != nil:
		return Named{}, err
	case r.state == failed && r != before:
		return Named{}, fmt.Errorf("the setup for another login has just failed: %s", r.rest)
	}
	if n, err = openInUse(name); !isMissing(err) {
		return n, err
	}
	if errors.Is(err, errIncomplete) {
		if err := unpublish(name); err != nil {
			return Named{}, err
		}
	}
	if err := setup.Group(name).End(); err != nil {
		return Named{}, err
	}
	var free bool
	if n.use, free, err = state.NewUse(name); err == nil && !free {
		err = errBusy // cannot be: to take the name away takes the lock
	}
	if err != nil {
		return Named{}, err
	}
	if n.FD, r, n.Created, err = establish(name, p); err == nil {
		if n.Created {
			err = finish(name, p, r)
		} else {
			err = removeRecord(name)
		}
	}
	if err != nil {
		n.use.Close()
	}
	return n, err
}

// establish publishes a new namespace with its record, or opens what somebody else
// publishes meanwhile. If it fails when the namespace may be published, the record
// stays, so that the next login knows that the setup is still to come.
func establish(name string, p Plan) (fresh int, r record, created bool, err error) {
	if err := shareDir(); err != nil {
		return -1, r, false, err
	}
	fresh = -1
	for range attempts {
		found, err := open(name)
		if err == nil {
			ours, err := r.tellsOf(found)
			if err == nil && ours {
				unix.Close(found)
				return fresh, r, true, nil
			}
			return found, r, false, err
		}
		if !isMissing(err) {
			return -1, r, false, err
		}
		if fresh < 0 {
			if fresh, r, err = prepare(name, p); err != nil {
				return -1, r, false, errors.Join(err, removeRecord(name))
			}
		}
		if err := publish(name, fresh); err != nil && !errors.Is(err, unix.ENOENT) {
			return -1, r, false, errors.Join(err, removeRecord(name))
		}
	}
	return -1, r, false, fmt.Errorf("publish network namespace %q: it was taken away %d times", name, attempts)
}

// prepare makes a namespace by the plan, and its record.
func prepare(name string, p Plan) (fd int, r record, err error) {
	if fd, err = New(p.Owner); err != nil {
		return -1, r, err
	}
	if err := p.Prepare(); err != nil {
		return -1, r, err
	}
	id, err := identity(fd)
	if err != nil {
		return -1, r, err
	}
	r = record{made, id, p.Program}
	if p.Setup != nil {
		r.state = making
	}
	return fd, r, r.write(name)
}

// finish runs the setup of a namespace that is published. If it fails, there has
// never been one.
func finish(name string, p Plan, r record) error {
	if p.Setup == nil {
		return nil
	}
	group := setup.Group(name)
	err := inHostNet(p.Setup)
	var running bool
	if err == nil {
		running, err = group.Settle(settling)
	}
	if err == nil && !running {
		err = group.End() // the group itself
	}
	if err == nil {
		r.state = made
		if running {
			r.state = served
		}
		err = r.write(name)
	}
	if err != nil {
		return errors.Join(err, group.End(), unpublish(name), failure(err).write(name))
	}
	return nil
}

// inHostNet calls f in PID 1's network namespace, where it leaves the thread.
func inHostNet(f func() error) error {
	fd, err := nsfs.Open(nsfs.Host, nsfs.Net)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := Join(fd); err != nil {
		return fmt.Errorf("join the host's network namespace: %w", err)
	}
	return f()
}

// unpublish takes the handle of name away. The namespace lives as long as
// something is in it.
func unpublish(name string) error {
	path := dir + "/" + name
	if err := mount.Detach(path); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := unix.Unlink(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

// publish mounts the namespace fd on a file of its own, or on the empty one that
// a crash has left. ENOENT says that somebody has removed the file meanwhile; an
// error leaves nothing behind. It may return without having published if
// somebody else was faster.
func publish(name string, fd int) error {
	parent, err := openDir()
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	made, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		unix.Close(made)
	case !errors.Is(err, unix.EEXIST):
		return fmt.Errorf("create %s/%s: %w", dir, name, err)
	default:
		if found, err := open(name); !errors.Is(err, errUnmounted) {
			unix.Close(found)
			return nil
		}
		if beingMade(parent, name) {
			time.Sleep(nap)
			return nil
		}
	}
	if err := attach(parent, name, fd); err != nil {
		if unlink := unix.Unlinkat(parent, name, 0); unlink != nil && !errors.Is(unlink, unix.ENOENT) {
			err = errors.Join(err, fmt.Errorf("remove %s/%s: %w", dir, name, unlink))
		}
		return fmt.Errorf("publish %s/%s: %w", dir, name, err)
	}
	return nil
}

func attach(parent int, name string, fd int) error {
	target, err := unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	return mount.Cover(target, fd)
}

// beingMade tells whether the empty file is so young that `ip netns add` may be
// about to mount a namespace on it. Our own creations are all under the lock.
func beingMade(parent int, name string) bool {
	var st unix.Stat_t
	if err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return true // gone again
	}
	age := time.Since(time.Unix(st.Ctim.Unix()))
	return age >= 0 && age < patience
}

// shareDir makes /run/netns the shared mount that ip-netns(8) makes of it. Where
// it is none yet, two programs could both bind it to itself. Our own lock, of no
// name, and ip-netns's, on the directory, keep them apart. As anybody may hold the
// latter, it is waited for only so long.
func shareDir() error {
	if err := unix.Mkdir(dir, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	err := mount.MakeShared(dir)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	lock, err := state.Acquire("", untilTheEnd)
	if err != nil {
		return err
	}
	defer lock.Release()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(fd)
	for start := time.Now(); time.Since(start) < patience; time.Sleep(nap) {
		if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
	}
	if err := mount.MakeShared(dir); !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := mount.BindSelf(dir); err != nil {
		return err
	}
	return mount.MakeShared(dir)
}
