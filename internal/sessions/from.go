// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// findOrigins enters into sessions of sshd the address from which each user came: the other end of the TCP connection
// that the leader has in the host's network. The leader must be root's, for a user's may have any connection.
func findOrigins(dir string, all []Session) error {
	var peers map[string]string
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
func sockets(files string) (inodes []string) {
	entries, _ := os.ReadDir(files)
	for _, e := range entries {
		link, _ := os.Readlink(filepath.Join(files, e.Name()))
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes
}

// tcpPeers returns the address at the other end of each TCP connection in the network of a process, by the inode number
// of the socket. process is its directory.
func tcpPeers(process string) (map[string]string, error) {
	peers := map[string]string{}
	for _, file := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(filepath.Join(process, "net", file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel may have no IPv6
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			const remote, inode = 2, 9 // as proc_pid_net(5) counts
			fields := strings.Fields(line)
			if len(fields) <= inode {
				continue
			}
			if ip := parseAddress(fields[remote]); ip.IsValid() && !ip.IsUnspecified() {
				peers[fields[inode]] = ip.String()
			}
		}
	}
	return peers, nil
}

// parseAddress parses an address with a port. Each word of 32 bits is a number in the byte order of the processor.
func parseAddress(text string) netip.Addr {
	words, _, _ := strings.Cut(text, ":")
	var bytes []byte
	for ; len(words) >= 8; words = words[8:] {
		word, err := strconv.ParseUint(words[:8], 16, 32)
		if err != nil {
			return netip.Addr{}
		}
		bytes = binary.NativeEndian.AppendUint32(bytes, uint32(word))
	}
	ip, _ := netip.AddrFromSlice(bytes) // zero if it is no address
	return ip.Unmap()
}
