// SPDX-License-Identifier: GPL-2.0-or-later

// Package own is what users do with their own networks, those that processes of
// theirs are in: look at them, keep one past the logout, enter one from another
// login. It takes no privilege and keeps no state but processes: whose a network
// is, and what may be done with it, the kernel says.
package own

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
)

// Network is a network namespace that processes of the user are in.
type Network struct {
	Inode      uint64   `json:"inode"`      // as in net:[4026532180]
	Tags       []string `json:"tags"`       // under which placeholders hold it
	Current    bool     `json:"current"`    // the caller is in it
	Managed    bool     `json:"managed"`    // the user owns it, and so is its root
	Processes  int      `json:"processes"`  // of the user's
	Leaders    []int    `json:"leaders"`    // PIDs of those whose parent is not one of them
	Interfaces []string `json:"interfaces"` // their names
}

// Networks lists the user's networks by inode number.
func Networks() ([]Network, error) {
	processes, err := list()
	if err != nil {
		return nil, err
	}
	current, err := nsfs.Of(nsfs.Thread, nsfs.Net)
	if err != nil {
		return nil, fmt.Errorf("find this login's network: %w", err)
	}
	where := map[int]uint64{} // processes are, by PID
	for _, p := range processes {
		where[p.PID] = p.inode
	}
	networks := map[uint64]*Network{}
	for _, p := range processes {
		n := networks[p.inode]
		if n == nil {
			// Empty lists are [] in JSON.
			n = &Network{Inode: p.inode, Current: p.inode == current.Ino, Tags: []string{}, Leaders: []int{}}
			if n.Managed, n.Interfaces, err = p.network(); outOfSight(err) {
				continue // and its network, unless there is another process to ask
			} else if err != nil {
				return nil, err
			}
			networks[p.inode] = n
		}
		n.Processes++
		if where[p.parent] != p.inode {
			n.Leaders = append(n.Leaders, p.PID)
		}
		if p.tag != "" {
			n.Tags = append(n.Tags, p.tag)
		}
	}
	var all []Network
	for _, inode := range slices.Sorted(maps.Keys(networks)) {
		n := networks[inode]
		slices.Sort(n.Tags)
		all = append(all, *n)
	}
	return all, nil
}

// process is one of the user's.
type process struct {
	procfs.Proc
	parent int
	start  uint64 // when it was started, in the kernel's ticks
	inode  uint64 // of its network namespace
	tag    string // of a placeholder
}

// list returns the processes of the user's that the user may look into, oldest
// first: not, say, sshd's.
func list() ([]process, error) {
	proc, err := procfs.NewFS("/proc")
	if err != nil {
		return nil, err
	}
	all, err := proc.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var processes []process
	for _, p := range all {
		own, err := read(p)
		if err != nil && !outOfSight(err) {
			return nil, fmt.Errorf("look at process %d: %w", p.PID, err)
		}
		if own != nil {
			processes = append(processes, *own)
		}
	}
	slices.SortFunc(processes, func(a, b process) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.PID, b.PID))
	})
	return processes, nil
}

// read returns nil for another user's process.
func read(p procfs.Proc) (*process, error) {
	var st unix.Stat_t
	if err := unix.Stat(nsfs.Path(p.PID, ""), &st); err != nil || st.Uid != uint32(unix.Geteuid()) {
		return nil, err
	}
	network, err := nsfs.Of(p.PID, nsfs.Net)
	if err != nil {
		return nil, err
	}
	stat, err := p.Stat()
	if err != nil {
		return nil, err
	}
	args, err := p.CmdLine()
	if err != nil {
		return nil, err
	}
	return &process{Proc: p, parent: stat.PPID, start: stat.Starttime, inode: network.Ino, tag: tagOf(args)}, nil
}

// network tells whether the user owns the network that the process is in, and which
// interfaces there are.
func (p process) network() (managed bool, interfaces []string, err error) {
	fd, err := nsfs.Open(p.PID, nsfs.Net)
	if err != nil {
		return false, nil, err
	}
	defer unix.Close(fd)
	owner, err := netns.OwnerOf(fd)
	managed = err == nil && owner == uint32(unix.Geteuid())
	if err != nil && !errors.Is(err, unix.EPERM) { // EPERM: it belongs to a user namespace above
		return false, nil, err
	}
	devices, err := p.NetDev()
	return managed, slices.Sorted(maps.Keys(devices)), err
}

// outOfSight tells whether it means that, or that the process may not be looked into.
func outOfSight(err error) bool {
	return nsfs.Ended(err) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}
