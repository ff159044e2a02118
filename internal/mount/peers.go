// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"errors"
	"fmt"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
)

// peer is a shared mount of the namespace that a session is copied from.
type peer struct {
	fd   int // its root, O_PATH
	path string
}

// findPeers pins every shared mount that the thread can see, for Share.
func findPeers() ([]peer, error) {
	table, err := Table(func(m *mountinfo.Info) (skip, stop bool) {
		return !strings.Contains(m.Optional, "shared:"), false
	})
	if err != nil {
		return nil, err
	}
	var peers []peer
	for _, m := range table {
		fd, err := Pin(m.Mountpoint, unix.O_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) {
			continue // beneath another mount
		}
		if err != nil {
			return nil, err
		}
		id, err := ID(fd)
		if err != nil {
			return nil, err
		}
		if id == m.ID {
			peers = append(peers, peer{fd, m.Mountpoint})
		}
	}
	return peers, nil
}

// Share makes the mounts that were shared with the host before Unshare so again, except those that the
// session has covered or replaced. It needs Linux 5.15: older kernels cannot make a mount the peer of another
// again.
func (n *Namespace) Share() error {
	for _, p := range n.peers {
		if err := p.share(); err != nil {
			return fmt.Errorf("rootshared: %s: %w", p.path, err)
		}
	}
	return nil
}

func (p peer) share() error {
	fd, err := Pin(p.path, unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.MoveMount(p.fd, "", fd, "",
		unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH|unix.MOVE_MOUNT_SET_GROUP)
	if errors.Is(err, unix.EINVAL) && p.replaced(fd) {
		return nil
	}
	return err
}

// replaced tells whether another file is where the peer was.
func (p peer) replaced(fd int) bool {
	was, wasErr := nsfs.OfFile(p.fd)
	is, isErr := nsfs.OfFile(fd)
	return wasErr == nil && isErr == nil && was != is
}
