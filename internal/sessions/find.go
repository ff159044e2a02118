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

// SeveralError says that a target stands for more than one network, or session.
type SeveralError struct {
	Target   string
	Sessions []Session // one for each
	Named    bool      // one more is the network with that name, which none of the sessions is in
}

func (e *SeveralError) Error() string { return fmt.Sprintf("%q matches several sessions", e.Target) }

// Network returns a descriptor of the network namespace that a target stands for, and
// its name, or its number where it has none. A target is the PID of a process, the name
// of a network namespace, or a user who has sessions. The error is a SeveralError for a
// user or a name that stands for several. The caller holds its thread, and is root.
func Network(target string) (fd int, name string, err error) {
	if pid, err := strconv.Atoi(target); err == nil {
		p, err := isolated(pid)
		if err != nil {
			return -1, "", err
		}
		names, err := netns.Names()
		return p.Net, cmp.Or(names[p.inode], netns.ID(p.Net)), err
	}
	found, err := match(target, func(s Session) any { return s.Inode })
	if err != nil {
		return -1, "", err
	}
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

// Find returns the place of the session that a target stands for, and the name of
// its user. It takes the targets that Network takes, and returns its errors. Several
// sessions of one user in one network are the same to it.
//
// A session of root's is an error: whoever has all rights runs nothing in a session.
func Find(target string) (*Place, string, error) {
	p, uid, err := find(target)
	if err == nil && uid == 0 {
		p.Close()
		err = fmt.Errorf("%q is a session of root's: leave out --as-user, and enter the network alone", target)
	}
	if err != nil {
		return nil, "", err
	}
	return p, nameOf(uid), nil
}

func find(target string) (p *Place, uid uint32, err error) {
	pid, err := strconv.Atoi(target)
	if err != nil {
		type whoseAndWhere struct {
			uid   uint32
			inode uint64
		}
		found, err := match(target, func(s Session) any { return whoseAndWhere{s.UID, s.Inode} })
		if err != nil {
			return nil, 0, err
		}
		if p, err = only(target, found); err != nil {
			return nil, 0, err
		}
		return p, found[0].UID, nil
	}
	all, err := List()
	if err != nil {
		return nil, 0, err
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

// match returns the sessions of a user, and those in the network with a name; of those
// that are alike the oldest.
func match(target string, alike func(Session) any) (found []Session, err error) {
	all, err := List()
	seen := map[any]bool{}
	for _, s := range all {
		if key := alike(s); (s.User == target || s.Name == target) && !seen[key] {
			seen[key] = true
			found = append(found, s)
		}
	}
	return found, err
}

// only returns the place of the one session that was found.
func only(target string, found []Session) (*Place, error) {
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no isolated session matches %q (user, network or PID): see `pamnetctl list`", target)
	case 1:
		p, err := isolated(found[0].Leader)
		if err == nil && p.inode != found[0].Inode {
			p.Close()
			return nil, fmt.Errorf("process %d has left the network, or has ended: try again", found[0].Leader)
		}
		return p, err
	default:
		return nil, &SeveralError{Target: target, Sessions: found}
	}
}

// isolated returns the place of a process that is not in the host's network.
func isolated(pid int) (*Place, error) {
	host, err := nsfs.Of(nsfs.Host, nsfs.Net)
	if err != nil {
		return nil, err
	}
	p, err := pin(pid)
	switch {
	case nsfs.Ended(err):
		return nil, fmt.Errorf("process %d does not exist: see `pamnetctl list`", pid)
	case errors.Is(err, ErrForeign):
		return nil, fmt.Errorf("%w: take another of the session's processes, see `pamnetctl list`", err)
	case err == nil && p.inode == host.Ino:
		p.Close()
		return nil, fmt.Errorf("process %d is not isolated, but in the host's network: see `pamnetctl list`", pid)
	}
	return p, err
}

// named returns a descriptor of the network namespace with a name, or -1.
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
