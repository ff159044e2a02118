// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/prometheus/procfs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
)

// Here is the network that the caller is in, as far as a caller without privilege can tell.
type Here struct {
	Inode   uint64
	Host    bool     // it is the host's
	Managed bool     // the caller's user owns it
	Service string   // that has opened the caller's session, "" if it has ended
	Others  []string // the other users who have processes in it, without root
	*Network
}

// LookHere returns the network that the caller is in. It needs no privilege.
func LookHere() (*Here, error) {
	fd, err := nsfs.Open(nsfs.Thread, nsfs.Net)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	id, err := nsfs.OfFile(fd)
	if err != nil {
		return nil, err
	}
	h := &Here{Inode: id.Ino}
	if owner, err := netns.OwnerOf(fd); err == nil {
		h.Managed = owner != 0 && owner == uint32(unix.Geteuid())
	}
	if h.Network, err = lookHere(); err != nil {
		return nil, fmt.Errorf("look into this network: %w", err)
	}
	proc, err := procfs.NewFS(procDir)
	if err != nil {
		return nil, err
	}
	self, err := proc.Self()
	if err != nil {
		return nil, err
	}
	stat, err := self.Stat()
	if err != nil {
		return nil, err
	}
	h.Service = (&table{proc: proc}).service(process{ProcStat: stat})
	return h, h.lookAround(proc)
}

func lookHere() (*Network, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	return again(func() (*Network, error) { return look(handle) })
}

// lookAround finds out who is in the network, and whether it is the host's.
func (h *Here) lookAround(proc procfs.FS) error {
	own, err := networkFile(os.Getpid())
	if err != nil {
		return err
	}
	host, err := networkFile(nsfs.Host)
	if err != nil {
		return fmt.Errorf("%w: /proc hides the processes of others (hidepid=), so this network cannot be told from the host's", err)
	}
	if h.Host = own == host; h.Host {
		return nil
	}
	all, err := proc.AllProcs()
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	users := map[uint32]bool{0: true, uint32(unix.Getuid()): true}
	for _, p := range all {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(procDir, strconv.Itoa(p.PID)), &st); err != nil || users[st.Uid] {
			continue
		}
		if file, err := networkFile(p.PID); err == nil && file == own {
			users[st.Uid] = true
			h.Others = append(h.Others, nameOf(st.Uid))
		}
	}
	slices.Sort(h.Others)
	return nil
}

// networkFile returns the identity of a file that each network namespace has its own of. Everybody may look at it,
// other than at /proc/PID/ns/net.
func networkFile(pid int) (nsfs.ID, error) { return nsfs.At(nsfs.Path(pid, "net/dev")) }
