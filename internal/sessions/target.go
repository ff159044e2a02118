// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
)

// SeveralError means that a target matches more than one network, or session.
type SeveralError struct {
	Target   string
	Sessions []Session // one of each network, or of each user in each network
	Named    bool      // the network with that name matches, too, and none of the sessions is in it
}

func (e *SeveralError) Error() string { return fmt.Sprintf("%q matches several sessions", e.Target) }

// FindNetwork returns a descriptor of the network namespace that a target matches, which the caller must close, and
// its name, or its number if it has no name. A target is one of these:
//   - the PID of a process
//   - the name of a network namespace
//   - a user who has sessions
//
// The error is a SeveralError if the target matches more than one network. The caller must be root and hold the
// OS thread.
func FindNetwork(target string) (fd int, name string, err error) {
	if pid, err := strconv.Atoi(target); err == nil {
		p, err := isolated(pid)
		if err != nil {
			return -1, "", err
		}
		names, err := netns.Names()
		return p.Net, cmp.Or(names[p.inode], netns.ID(p.Net)), err
	}
	all, err := List()
	if err != nil {
		return -1, "", err
	}
	found := match(all, target, func(s Session) any { return s.Inode })
	if fd, err = named(target); err != nil {
		return -1, "", err
	}
	if fd < 0 {
		p, err := only(target, found)
		if err != nil {
			return -1, "", err
		}
		return p.Net, found[0].Network(), nil
	}
	id, err := nsfs.OfFile(fd)
	if err != nil {
		return -1, "", err
	}
	inside := slices.ContainsFunc(found, func(s Session) bool { return s.Inode == id.Ino })
	if len(found) > 1 || len(found) == 1 && !inside {
		unix.Close(fd)
		return -1, "", &SeveralError{target, found, !inside}
	}
	return fd, target, nil
}

// Find returns the place of the session that a target matches, and the name of its user. Targets and errors are those
// of FindNetwork. Several sessions of one user in one network count as one.
//
// A session of root's is an error: root's command would run, with all rights, among the session's files.
func Find(target string) (*Place, string, error) {
	p, uid, err := find(target)
	if err == nil && uid == 0 {
		p.Close()
		err = fmt.Errorf("%q is a session of root's: leave out --as-user to enter its network alone", target)
	}
	if err != nil {
		return nil, "", err
	}
	return p, nameOf(uid), nil
}

func find(target string) (p *Place, uid uint32, err error) {
	all, err := List()
	if err != nil {
		return nil, 0, err
	}
	pid, err := strconv.Atoi(target)
	if err != nil {
		type userAndNetwork struct {
			uid   uint32
			inode uint64
		}
		found := match(all, target, func(s Session) any { return userAndNetwork{s.UID, s.Inode} })
		if p, err = only(target, found); err != nil {
			return nil, 0, err
		}
		return p, found[0].UID, nil
	}
	if p, err = isolated(pid); err != nil {
		return nil, 0, err
	}
	for _, s := range all {
		if s.Leader == pid && s.Inode == p.inode {
			return p, s.UID, nil
		}
	}
	return p, p.uid, nil
}

// match returns the sessions whose user or network has the name target: of those with the same key the first. The empty
// name, which networks without a name have, matches none.
func match(all []Session, target string, key func(Session) any) (found []Session) {
	seen := map[any]bool{}
	for _, s := range all {
		if k := key(s); target != "" && (s.User == target || s.Name == target) && !seen[k] {
			seen[k] = true
			found = append(found, s)
		}
	}
	return found
}

// only returns the place of the one session in found.
func only(target string, found []Session) (*Place, error) {
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no isolated session matches %q (user, network or PID); see `pamnetctl list`", target)
	case 1:
		p, err := isolated(found[0].Leader)
		if err == nil && p.inode != found[0].Inode {
			p.Close()
			return nil, fmt.Errorf("process %d has left the network or has ended: try again", found[0].Leader)
		}
		return p, err
	default:
		return nil, &SeveralError{Target: target, Sessions: found}
	}
}

// isolated returns the place of a process that is in another network than the host's.
func isolated(pid int) (*Place, error) {
	host, err := nsfs.Of(nsfs.Host, nsfs.Net)
	if err != nil {
		return nil, err
	}
	p, err := pin(pid)
	switch {
	case nsfs.Ended(err):
		return nil, fmt.Errorf("process %d does not exist; see `pamnetctl list`", pid)
	case errors.Is(err, ErrForeign):
		return nil, fmt.Errorf("%w; enter another process of the session, see `pamnetctl list`", err)
	case err == nil && p.inode == host.Ino:
		p.Close()
		return nil, fmt.Errorf("process %d is not isolated: it is in the host's network; see `pamnetctl list`", pid)
	}
	return p, err
}

// named returns a descriptor of the network namespace with a name, or -1 if there is none.
func named(name string) (fd int, err error) {
	if netns.CheckName(name) != nil {
		return -1, nil
	}
	fd, err = netns.Open(name)
	if errors.Is(err, netns.ErrAbsent) {
		return -1, nil
	}
	return fd, err
}
