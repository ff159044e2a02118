// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"unsafe"

	"github.com/moby/sys/mountinfo"
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
)

// View is a login as it looks from inside.
type View struct {
	Refused string // PAM's text for the refusal, "" for an open session
	Moved   bool   // into another network namespace than the host's
	Inode   uint64
	*sessions.Network
	RuntimeDir string // that the login has made, with the user's service manager; "" for none
	Shown
}

// Shown is the part of a View that a Report shows as it is.
type Shown struct {
	StandIns     []string `json:"etc"`           // the files of /etc that others replace
	DNS          []string `json:"dns"`           // the name servers
	ClassNet     []string `json:"sys_class_net"` // the entries of /sys/class/net
	Sockets      []string `json:"host_sockets"`  // of the host's, those that the user could still connect to
	Log          []Line   `json:"log"`
	Messages     []string `json:"messages"` // of errors, to the user
	Milliseconds float64  `json:"milliseconds"`

	Probes []Probe   `json:"net,omitempty"`  // if they were wanted
	Open   *Openness `json:"open,omitempty"` // likewise
}

// newView returns a view whose lists are [] in JSON.
func newView() View {
	return View{Shown: Shown{
		StandIns: []string{}, DNS: []string{}, ClassNet: []string{}, Sockets: []string{}, Log: []Line{}, Messages: []string{},
	}}
}

// memory is what the child sees before the session.
type memory struct {
	limits    limits
	mounts    []mountPoint
	sockets   map[string]nsfs.ID
	inherited uint64             // see there
	places    map[string]nsfs.ID // directories
	addresses []string           // of the host
}

// mountPoint is a mount at or below /etc.
type mountPoint struct {
	path, device, root string
}

func remember(a *policy.Account, w Wanted) (*memory, error) {
	m := &memory{limits: getLimits(), sockets: map[string]nsfs.ID{}, places: map[string]nsfs.ID{}}
	var err error
	if w.Ways {
		if m.inherited, err = inherited(); err != nil {
			return nil, err
		}
		err = withRightsTo(a, func() {
			for _, path := range directories(a) {
				m.places[path], _ = nsfs.At(path) // one that is missing is not shared
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if w.Net {
		if m.addresses, err = hostAddresses(); err != nil {
			return nil, err
		}
	}
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

// hostAddresses returns the addresses of the host that others reach.
func hostAddresses() (addresses []string, err error) {
	fd, err := nsfs.Open(nsfs.Host, nsfs.Net)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	n, err := sessions.LookInto(fd)
	if err != nil {
		return nil, err
	}
	for _, i := range n.Interfaces {
		for _, text := range i.Addresses {
			if p, err := netip.ParsePrefix(text); err == nil && p.Addr().IsGlobalUnicast() {
				addresses = append(addresses, p.Addr().String())
			}
		}
	}
	return addresses, nil
}

// isMoved tells whether the calling thread is in another network namespace than the host's.
func isMoved() (bool, error) {
	here, err := nsfs.Of(nsfs.Thread, nsfs.Net)
	if err != nil {
		return false, err
	}
	host, err := nsfs.Of(nsfs.Host, nsfs.Net)
	return here != host, err
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

// lookAround fills in what the session shows. The calling thread must be in the session.
func (v *View) lookAround(before *memory, a *policy.Account, w Wanted) (err error) {
	if v.Moved, err = isMoved(); err != nil {
		return err
	}
	fd, err := nsfs.Open(nsfs.Thread, nsfs.Net)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	own, err := nsfs.OfFile(fd)
	if err != nil {
		return err
	}
	v.Inode = own.Ino
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
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	v.DNS = nameServers(string(text))
	entries, err := os.ReadDir("/sys/class/net")
	if err != nil {
		return err
	}
	for _, e := range entries {
		v.ClassNet = append(v.ClassNet, e.Name())
	}
	if v.Moved {
		if v.Sockets, err = reachable(a, before.sockets); err != nil {
			return err
		}
	}
	if w.Net {
		if err := v.probe(before, a, w); err != nil {
			return err
		}
	}
	if w.Ways {
		v.Open, err = lookForWays(before, a, w, v.Moved, v.Sockets)
	}
	return err
}

// nameServers returns the name servers in the text of resolv.conf(5).
func nameServers(text string) []string {
	servers := []string{}
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "nameserver" {
			servers = append(servers, words[1])
		}
	}
	return servers
}

// reachable returns those of the host's sockets that the user may connect to, by the path that they have in the session
// as well.
func reachable(a *policy.Account, sockets map[string]nsfs.ID) (paths []string, err error) {
	paths = []string{}
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

// mayConnect tells whether the path leads the calling thread to the socket, and the thread may write to it. No socket
// can be opened. The error is ENXIO for a thread that may write to it, and another one for the rest.
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

// withRightsTo calls f while the calling thread has the user's rights to files, and no others. All its other IDs stay
// root's, so that no user may send it a signal. It makes the system calls itself, because libc's change all threads.
func withRightsTo(a *policy.Account, f func()) (err error) {
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

// setFileRights sets the IDs that decide about the calling thread's access to files. The kernel takes and gives back the
// capabilities for files with the user ID.
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
		// The call never returns an error. It returns the previous ID, and for an invalid ID does nothing else.
		if now, _, _ := unix.RawSyscall(id.call, ^uintptr(0), 0, 0); now != id.value {
			return fmt.Errorf("%s %d: operation not permitted", id.name, id.value)
		}
	}
	return nil
}
