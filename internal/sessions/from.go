// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// findOrigins enters into sessions of sshd the address from which each user came: the other end of the TCP connection
// that the leader has in the host's network. The leader must be root's, for a user's may have any connection.
func findOrigins(dir string, all []Session) error {
	var peers map[uint64]string
	for i := range all {
		s := &all[i]
		if s.Service != "sshd" {
			continue
		}
		if peers == nil {
			var err error
			if peers, err = tcpPeers(filepath.Join(dir, "1")); err != nil {
				return fmt.Errorf("list the host's connections: %w", err)
			}
		}
		leader := filepath.Join(dir, strconv.Itoa(s.Leader))
		var st unix.Stat_t
		if err := unix.Stat(leader, &st); err != nil || st.Uid != 0 {
			continue
		}
		for _, inode := range sockets(leader + "/fd") {
			if peer := peers[inode]; peer != "" {
				s.From = peer
				break
			}
		}
	}
	return nil
}

// sockets returns the inode numbers of the sockets among the files of a process, none if it has ended.
func sockets(files string) (inodes []uint64) {
	entries, _ := os.ReadDir(files)
	for _, e := range entries {
		var inode uint64
		link, _ := os.Readlink(filepath.Join(files, e.Name()))
		if _, err := fmt.Sscanf(link, "socket:[%d]", &inode); err == nil {
			inodes = append(inodes, inode)
		}
	}
	return inodes
}

// tcpPeers returns the address at the other end of each TCP connection in the network of a process, by the inode number
// of the socket. process is its directory.
func tcpPeers(process string) (map[uint64]string, error) {
	peers := map[uint64]string{}
	proc, err := procfs.NewFS(process)
	if err != nil {
		return nil, err
	}
	for _, read := range []func() (procfs.NetTCP, error){proc.NetTCP, proc.NetTCP6} {
		all, err := read()
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel may have no IPv6
			return nil, err
		}
		for _, line := range all {
			if ip, ok := netip.AddrFromSlice(line.RemAddr); ok && !ip.IsUnspecified() {
				peers[line.Inode] = ip.Unmap().String()
			}
		}
	}
	return peers, nil
}
