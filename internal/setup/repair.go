// SPDX-License-Identifier: GPL-2.0-or-later

package setup

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// CanRepair tells whether the program is pamnet-uplink. Other programs need not expect a second `up`.
func (p Program) CanRepair() bool { return filepath.Base(p.Path) == "pamnet-uplink" }

// IsBroken tells whether pamnet-uplink's nftables table is gone: without the table the network reaches nothing. The
// caller must be in process 1's network namespace.
func (Program) IsBroken() (bool, error) {
	exists, err := tableExists("pamnet")
	return !exists, err
}

// Repair runs pamnet-uplink again for a network that it has set up, if the network still IsBroken. The caller must be
// in process 1's mount and network namespaces, and must have the lock of the network's name.
func (p Program) Repair(deadline time.Time) error {
	if broken, err := p.IsBroken(); err != nil || !broken {
		return err
	}
	if err := p.Up(deadline); err != nil {
		return fmt.Errorf("repair uplink: %w", err)
	}
	return Group(p.Name).End() // nothing of the program stays
}

// tableExists tells whether there is an nftables table of family inet in the network namespace of the calling
// thread. The kernel answers before sendto(2) returns.
func tableExists(name string) (bool, error) {
	const (
		family   = 1 // NFPROTO_INET, in struct nfgenmsg
		nameType = 1 // NFTA_TABLE_NAME
		header   = unix.SizeofNlMsghdr
	)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_NETFILTER)
	if err != nil {
		return false, fmt.Errorf("look for nftables table: %w", err)
	}
	defer unix.Close(fd)
	request := make([]byte, header, 64)
	request = append(request, family, 0, 0, 0)
	request = binary.NativeEndian.AppendUint16(request, uint16(4+len(name)+1))
	request = binary.NativeEndian.AppendUint16(request, nameType)
	request = append(request, name...)
	request = append(request, 0)
	for len(request)%4 != 0 {
		request = append(request, 0)
	}
	binary.NativeEndian.PutUint32(request[0:], uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETTABLE)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, fmt.Errorf("look for nftables table: %w", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return false, fmt.Errorf("look for nftables table: %w", err)
	}
	return n >= header && binary.NativeEndian.Uint16(answer[4:]) == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWTABLE, nil
}
