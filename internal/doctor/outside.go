// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"maps"
	"os"
	"os/user"
	"path"
	"slices"
	"strings"

	"github.com/prometheus/procfs"

	"libpam-net/internal/policy"
	"libpam-net/internal/session"
)

// sockets are those of daemons that work in the host's network, or can start programs there. mask is the path
// to cover: the directory, where the daemon has one of its own.
var sockets = []struct{ path, mask, what string }{
	{"/run/docker.sock", "/run/docker.sock", "start containers in the host's network, and become root"},
	{"/run/podman/podman.sock", "/run/podman", "start containers in the host's network, and become root"},
	{"/run/containerd/containerd.sock", "/run/containerd", "start containers in the host's network, and become root"},
	{"/run/crio/crio.sock", "/run/crio", "start containers in the host's network, and become root"},
	{"/run/libvirt/libvirt-sock", "/run/libvirt", "start virtual machines in the host's network"},
	{"/var/lib/lxd/unix.socket", "/var/lib/lxd", "start containers in the host's network, and become root"},
	{"/var/snap/lxd/common/lxd/unix.socket", "/var/snap/lxd/common/lxd", "start containers in the host's network, and become root"},
	{"/var/lib/incus/unix.socket", "/var/lib/incus", "start containers in the host's network, and become root"},
	{"/run/snapd.socket", "/run/snapd.socket", "have snapd fetch something"},
	{dbus, "/run/dbus", "use daemons of the host, as far as they allow it"},
}

const dbus = "/run/dbus/system_bus_socket"

// checkSockets finds sockets by which members reach the host from their sessions.
func checkSockets(e *examination) {
	for _, s := range sockets {
		var able []string
		for _, u := range e.users {
			if u.UID != 0 && e.connects(u, s.path) {
				able = append(able, u.User)
			}
		}
		var open []policy.Rule
		f := Finding{Evidence: []string{s.path}}
		for _, c := range e.concerns {
			for _, r := range e.linesOf(c.Module) {
				if len(c.members) > 0 && !covers(r, s.path) {
					open = append(open, r)
					f.Evidence = append(f.Evidence, r.Line.String())
				}
			}
		}
		if len(able) == 0 || len(open) == 0 {
			continue
		}
		f.Diff = e.replaced(open, func(r policy.Rule) (string, []string) {
			return r.Line.Control, append(slices.Clone(r.Line.Args), "mask="+s.mask)
		})
		k, power := socketOpen, s.what
		switch {
		case s.path == dbus && e.exists("/run/systemd/resolve"):
			power += ", and have systemd-resolved look up names in the host's network"
		case s.path == dbus:
			k = socketBus
		}
		e.report(k, f, "socket", s.path, "users", some(able), "power", power)
	}
}

// connects returns whether a user may connect to a socket: write to it, and search the directories above.
func (e *examination) connects(u session.Answer, socket string) bool {
	info, err := os.Stat(e.path(socket))
	if err != nil || info.Mode().Type() != os.ModeSocket || !e.may(u, socket, 0o2) {
		return false
	}
	for dir := path.Dir(socket); dir != "/"; dir = path.Dir(dir) {
		if !e.may(u, dir, 0o1) {
			return false
		}
	}
	return true
}

// may returns whether the mode of a file lets a user read (4), write (2) or search it (1).
func (e *examination) may(u session.Answer, file string, what uint32) bool {
	st := e.stat(file)
	switch {
	case st == nil:
		return false
	case st.Uid == u.UID:
		return st.Mode>>6&what != 0
	case st.Gid == u.GID || slices.Contains(u.GIDs, st.Gid):
		return st.Mode>>3&what != 0
	default:
		return st.Mode&what != 0
	}
}

// hasUsers returns whether others than root are members.
func (e *examination) hasUsers() bool {
	return slices.ContainsFunc(e.users, func(u session.Answer) bool { return u.UID != 0 })
}

// checkVsock reports AF_VSOCK, which knows no network namespaces. Its device exists where the kernel has it
// in use.
func checkVsock(e *examination) {
	const device = "/dev/vsock"
	if !e.hasUsers() || !e.exists(device) {
		return
	}
	f := Finding{Evidence: []string{device}}
	if strings.Contains("\n"+e.read("/proc/modules"), "\nvsock ") {
		f.Remedy = "echo 'install vsock /bin/false' >/etc/modprobe.d/pamnet-vsock.conf"
		e.report(vsockModule, f)
		return
	}
	e.report(vsockBuiltIn, f)
}

// checkPtrace reports that processes of a user may change each other.
func checkPtrace(e *examination) {
	const file = "/proc/sys/kernel/yama/ptrace_scope"
	if e.hasUsers() && e.read(file) == "0" {
		e.report(ptraceOpen, Finding{Evidence: []string{file}, Remedy: setSysctl("kernel.yama.ptrace_scope", "1", "ptrace")})
	}
}

// checkLinger finds members whose user manager is started at boot, by a service without the modules.
func checkLinger(e *examination) {
	i := slices.IndexFunc(e.services, func(s service) bool { return s.name == "systemd-user" })
	for _, u := range e.users {
		file := "/var/lib/systemd/linger/" + u.User
		if u.UID == 0 || !e.exists(file) || i >= 0 && !slices.ContainsFunc(e.concerns, func(c concern) bool {
			return slices.Contains(c.names(), u.User) && !e.HasLine("systemd-user", c.Module)
		}) {
			continue
		}
		remedy := "rm -f " + quote(file)
		if e.exists("/run/systemd/system") {
			remedy = "loginctl disable-linger " + quote(u.User)
		}
		e.report(lingering, Finding{Evidence: []string{file}, Remedy: remedy}, "user", u.User)
	}
}

// checkProcesses finds members who have processes in the host's network. Where a directory does not list its
// users, the owner of each process is looked up.
func checkProcesses(e *examination) {
	host, err := os.Readlink(e.path("/proc/1/ns/net"))
	if err != nil {
		return
	}
	names := map[uint64]string{} // "" for a non-member
	for _, u := range e.users {
		names[uint64(u.UID)] = u.User
	}
	names[0] = ""
	pids := map[string][]string{}
	for _, p := range e.processes() {
		net, err := os.Readlink(e.path(fmt.Sprintf("/proc/%d/ns/net", p.PID)))
		if err != nil || net != host {
			continue
		}
		status, err := p.NewStatus()
		if err != nil {
			continue // it has ended
		}
		uid := status.UIDs[0]
		if _, known := names[uid]; !known {
			names[uid] = e.memberOf(uid)
		}
		if name := names[uid]; name != "" {
			pids[name] = append(pids[name], fmt.Sprint(p.PID))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pids)) {
		n := len(pids[name])
		f := Finding{}
		if e.exists("/run/systemd/system") {
			f.Remedy = "loginctl terminate-user " + quote(name)
		}
		for _, pid := range pids[name] {
			f.Evidence = append(f.Evidence, "/proc/"+pid)
		}
		e.report(runningOutside, f, "user", name, "count", fmt.Sprint(n, plural(n, " process", " processes")))
	}
}

// processes lists the processes of the machine; none if /proc cannot be read.
func (e *examination) processes() procfs.Procs {
	proc, err := procfs.NewFS(e.path("/proc"))
	if err != nil {
		return nil
	}
	all, err := proc.AllProcs()
	if err != nil {
		return nil
	}
	return all
}

// checkDeleted finds members who have processes in a network that has no name any more, and that their next login does
// not get. Processes in user namespaces of their own, and those of containers and of no login, have networks for other
// reasons.
func checkDeleted(e *examination) {
	named := map[string]bool{} // by the target of a link in /proc/PID/ns
	for _, file := range e.glob("/run/netns/*") {
		if st := e.stat(file); st != nil {
			named[fmt.Sprintf("net:[%d]", st.Ino)] = true
		}
	}
	users := e.namedUsers()
	space := func(pid int, kind string) string {
		link, _ := os.Readlink(e.path(fmt.Sprintf("/proc/%d/ns/%s", pid, kind)))
		return link
	}
	pids := map[string][]string{}
	for _, p := range e.processes() {
		net := space(p.PID, "net")
		if net == "" || net == space(1, "net") || named[net] || space(p.PID, "user") != space(1, "user") || space(p.PID, "pid") != space(1, "pid") {
			continue
		}
		status, err := p.NewStatus()
		if err != nil || e.read(fmt.Sprintf("/proc/%d/loginuid", p.PID)) == "4294967295" {
			continue
		}
		if name, ok := users[status.UIDs[0]]; ok {
			pids[name] = append(pids[name], fmt.Sprintf("/proc/%d", p.PID))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pids)) {
		n := len(pids[name])
		f := Finding{Evidence: pids[name]}
		if e.exists("/run/systemd/system") {
			f.Remedy = "loginctl terminate-user " + quote(name)
		}
		e.report(networkDeleted, f, "user", name, "count", fmt.Sprint(n, plural(n, " process", " processes")))
	}
}

// namedUsers returns the members whose only network has a name, by their uids.
func (e *examination) namedUsers() map[uint64]string {
	users, count := map[uint64]string{}, map[uint32]int{}
	for _, c := range e.concerns {
		for _, a := range c.members {
			count[a.UID]++
			if c.NetnsName(a) != "" && a.UID != 0 {
				users[uint64(a.UID)] = a.User
			}
		}
	}
	maps.DeleteFunc(users, func(uid uint64, _ string) bool { return count[uint32(uid)] > 1 })
	return users
}

// memberOf returns the name of the user with this uid, "" if the listing is complete, or the user is a
// non-member.
func (e *examination) memberOf(uid uint64) string {
	if !e.Live || len(e.listing.Failed) > 0 || e.listing.Complete() {
		return ""
	}
	u, err := user.LookupId(fmt.Sprint(uid))
	if err != nil {
		return ""
	}
	for _, c := range e.concerns {
		if e.Member(u.Username, c.Module).State == session.Member {
			return u.Username
		}
	}
	return ""
}
