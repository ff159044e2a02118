// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unsafe"

	"github.com/moby/sys/mountinfo"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/account"
	"libpam-net/internal/mount"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/sessions"
)

// View is what a login gets, as it looks from inside.
type View struct {
	Refused      string   `json:"refused"` // PAM's word for it, "" if the session was opened
	Log          []Line   `json:"log"`
	Messages     []string `json:"messages"` // of errors, to the user
	Milliseconds float64  `json:"milliseconds"`

	Moved bool   `json:"moved"` // into another network namespace than the host's
	Inode uint64 `json:"inode"`
	*sessions.Network
	StandIns []string `json:"etc"`           // the files of /etc that others stand in for
	DNS      []string `json:"dns"`           // the name servers
	ClassNet []string `json:"sys_class_net"` // what /sys/class/net shows
	Sockets  []string `json:"host_sockets"`  // of the host's, those that the user could still connect to
}

// memory is how it looks before there is a session.
type memory struct {
	limits  limits
	mounts  []mountPoint
	sockets map[string]nsfs.ID
}

// mountPoint is a mount at or below /etc.
type mountPoint struct {
	path, device, root string
}

func remember() (*memory, error) {
	m := &memory{limits: getLimits(), sockets: map[string]nsfs.ID{}}
	var err error
	if m.mounts, err = mountsInEtc(); err != nil {
		return nil, err
	}
	// Abstract ones are the network namespace's own.
	host, err := procfs.NewFS("/proc/1")
	if err != nil {
		return nil, err
	}
	list, err := host.NetUNIX()
	if err != nil {
		return nil, fmt.Errorf("list the host's sockets: %w", err)
	}
	for _, s := range list.Rows {
		if s.Flags&listening != 0 && strings.HasPrefix(s.Path, "/") {
			if f, err := nsfs.At(s.Path); err == nil {
				m.sockets[s.Path] = f
			}
		}
	}
	return m, nil
}

const listening = 1 << 16 // __SO_ACCEPTCON

func mountsInEtc() (found []mountPoint, err error) {
	table, err := mount.Table(func(m *mountinfo.Info) (skip, stop bool) {
		return !strings.HasPrefix(m.Mountpoint, "/etc/"), false
	})
	for _, m := range table {
		found = append(found, mountPoint{m.Mountpoint, fmt.Sprintf("%d:%d", m.Major, m.Minor), m.Root})
	}
	return found, err
}

// lookAround fills in what the session shows. The calling thread is in it.
func (v *View) lookAround(before *memory, a *account.Account) error {
	fd, err := nsfs.Open(nsfs.Thread, nsfs.Net)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	own, ownErr := nsfs.OfFile(fd)
	host, hostErr := nsfs.Of(nsfs.Host, nsfs.Net)
	if err := errors.Join(ownErr, hostErr); err != nil {
		return err
	}
	v.Inode, v.Moved = own.Ino, host != own
	if v.Network, err = sessions.LookInto(fd); err != nil {
		return err
	}
	mounts, err := mountsInEtc()
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if !slices.Contains(before.mounts, m) && !slices.Contains(v.StandIns, m.path) {
			v.StandIns = append(v.StandIns, m.path)
		}
	}
	slices.Sort(v.StandIns)
	if v.DNS, err = nameServers(); err != nil {
		return err
	}
	if v.ClassNet, err = list("/sys/class/net"); err != nil {
		return err
	}
	if v.Moved {
		v.Sockets, err = reachable(a, before.sockets)
	}
	return err
}

func nameServers() (servers []string, err error) {
	text, err := os.ReadFile("/etc/resolv.conf")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "nameserver" {
			servers = append(servers, words[1])
		}
	}
	return servers, err
}

func list(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// reachable returns those sockets that have their path in the session, too, and that
// the user may connect to.
func reachable(a *account.Account, sockets map[string]nsfs.ID) (paths []string, err error) {
	err = withRightsTo(a, func() {
		for path, was := range sockets {
			if mayConnect(path, was) {
				paths = append(paths, path)
			}
		}
	})
	slices.Sort(paths)
	return paths, err
}

// mayConnect tells whether the path leads the calling thread to a socket that it may
// write to. No socket can be opened, but only who may write to one is told so (ENXIO).
func mayConnect(path string, socket nsfs.ID) bool {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK || socket != (nsfs.ID{Dev: st.Dev, Ino: st.Ino}) {
		return false
	}
	_, err = unix.Open(fmt.Sprintf("/proc/thread-self/fd/%d", fd), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	return errors.Is(err, unix.ENXIO)
}

// withRightsTo calls f while the calling thread has the user's rights to files, and no
// others. By all other IDs the thread stays root's: no user may send it a signal. The
// system calls are made directly, as libc's are for all threads.
func withRightsTo(a *account.Account, f func()) (err error) {
	was, err := unix.Getgroups()
	if err != nil {
		return fmt.Errorf("getgroups: %w", err)
	}
	roots := make([]uint32, len(was))
	for i, g := range was {
		roots[i] = uint32(g)
	}
	err = setFileRights(a.UID, a.GID, a.Groups)
	if err == nil {
		f()
	}
	return errors.Join(err, setFileRights(0, 0, roots))
}

// setFileRights sets the IDs by which the kernel judges the calling thread's access to
// files. The capabilities that have to do with files go and come with the user ID.
func setFileRights(uid, gid uint32, groups []uint32) error {
	var first *uint32
	if len(groups) > 0 {
		first = &groups[0]
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(first)), 0); errno != 0 {
		return fmt.Errorf("setgroups: %w", errno)
	}
	for _, id := range []struct {
		call, value uintptr
		name        string
	}{{unix.SYS_SETFSGID, uintptr(gid), "setfsgid"}, {unix.SYS_SETFSUID, uintptr(uid), "setfsuid"}} {
		unix.RawSyscall(id.call, id.value, 0, 0)
		// The call never fails. It returns what there was before, and with no valid ID does only that.
		if now, _, _ := unix.RawSyscall(id.call, ^uintptr(0), 0, 0); now != id.value {
			return fmt.Errorf("%s %d: operation not permitted", id.name, id.value)
		}
	}
	return nil
}
