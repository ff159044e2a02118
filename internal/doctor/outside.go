// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
)

// sockets of daemons that work in the host's network, or can start something there;
// mask is what covers one for good where its daemon has a directory for itself.
var sockets = []struct{ path, mask, what string }{
	{"/run/docker.sock", "/run/docker.sock", "start containers in the host's network, and is root"},
	{"/run/podman/podman.sock", "/run/podman", "start containers in the host's network, and is root"},
	{"/run/containerd/containerd.sock", "/run/containerd", "start containers in the host's network, and is root"},
	{"/run/crio/crio.sock", "/run/crio", "start containers in the host's network, and is root"},
	{"/run/libvirt/libvirt-sock", "/run/libvirt", "start virtual machines in the host's network"},
	{"/var/lib/lxd/unix.socket", "/var/lib/lxd", "start containers in the host's network, and is root"},
	{"/var/snap/lxd/common/lxd/unix.socket", "/var/snap/lxd/common/lxd", "start containers in the host's network, and is root"},
	{"/var/lib/incus/unix.socket", "/var/lib/incus", "start containers in the host's network, and is root"},
	{"/run/snapd.socket", "/run/snapd.socket", "have snapd fetch something"},
	{dbus, "/run/dbus", "ask daemons of the host, as far as these let them"},
}

const dbus = "/run/dbus/system_bus_socket"

// checkSockets finds sockets by which members reach the host from their sessions.
func checkSockets(e *examination) {
	users := e.users()
	for _, s := range sockets {
		var able []string
		for _, u := range users {
			if e.connects(u, s.path) {
				able = append(able, u.name)
			}
		}
		var open []line
		for _, l := range e.lines {
			if !l.covers(s.path) && len(e.members(l.concern)) > 0 {
				open = append(open, l)
			}
		}
		if len(able) == 0 || len(open) == 0 {
			continue
		}
		f := Finding{
			Severity: Warning, ID: "socket",
			What:        fmt.Sprintf("%s is open in sessions of %s.", s.path, some(able)),
			Evidence:    []string{s.path},
			Consequence: "Whoever can talk to it can " + s.what + ".",
		}
		if s.path == dbus {
			f.Severity = Note
			if e.exists("/run/systemd/resolve") {
				f.Severity = Warning
				f.Consequence += " systemd-resolved looks up names in the host's network for them."
			}
		}
		for _, l := range open {
			f.Evidence = append(f.Evidence, l.String())
		}
		f.Remedy = editAll(open, func(l line) string {
			return change(l.Line, l.Control, append(slices.Clone(l.Args), "mask="+s.mask))
		})
		e.found(f)
	}
}

// connects tells whether a user may connect to a socket: write to it, and come to it.
func (e *examination) connects(u user, socket string) bool {
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

// may tells whether the mode of a file lets a user read (4), write (2) or enter it (1).
func (e *examination) may(u user, file string, what uint32) bool {
	st := e.stat(file)
	switch {
	case st == nil:
		return false
	case st.Uid == u.uid:
		return st.Mode>>6&what != 0
	case e.accounts.has(u, st.Gid):
		return st.Mode>>3&what != 0
	default:
		return st.Mode&what != 0
	}
}

// checkVsock reports AF_VSOCK, which knows no network namespaces. Where the kernel has
// it in use, there is its device.
func checkVsock(e *examination) {
	const device = "/dev/vsock"
	if len(e.users()) == 0 || !e.exists(device) {
		return
	}
	f := Finding{
		Severity: Note, ID: "vsock",
		What:        "There are sockets between this machine, its virtual machines and its hypervisor: AF_VSOCK.",
		Evidence:    []string{device},
		Consequence: "They know no network namespaces: members reach what listens there.",
		Remedy:      "echo 'install vsock /bin/false' >/etc/modprobe.d/pamnet-vsock.conf    # and restart",
	}
	if !strings.Contains("\n"+e.read("/proc/modules"), "\nvsock ") {
		// It is built into this kernel.
		f.Remedy = `grubby --update-kernel=ALL --args=initcall_blacklist=vsock_init || { sed -i 's/^GRUB_CMDLINE_LINUX="/&initcall_blacklist=vsock_init /' /etc/default/grub && update-grub; }    # and restart`
	}
	e.found(f)
}

// checkPtrace reports that processes of a user may change each other.
func checkPtrace(e *examination) {
	const file = "/proc/sys/kernel/yama/ptrace_scope"
	if len(e.users()) == 0 || e.read(file) != "0" {
		return
	}
	e.found(Finding{
		Severity: Note, ID: "ptrace",
		What:        "Processes may trace each other that are the same user's.",
		Evidence:    []string{file},
		Consequence: "A session can take over what its user has running in another network.",
		Remedy:      "echo kernel.yama.ptrace_scope=1 >/etc/sysctl.d/60-pamnet-ptrace.conf && sysctl kernel.yama.ptrace_scope=1",
	})
}

// checkLinger finds members whose user manager is started at boot, by a service
// without the modules.
func checkLinger(e *examination) {
	i := slices.IndexFunc(e.services, func(s service) bool { return s.name == "systemd-user" })
	for _, u := range e.users() {
		file := "/var/lib/systemd/linger/" + u.name
		if !e.exists(file) || i >= 0 && !slices.ContainsFunc(e.concerns, func(c concern) bool {
			return slices.Contains(e.members(c), u.name) && !e.isolates(e.services[i], c)
		}) {
			continue
		}
		remedy := "rm " + quote(file)
		if e.exists("/run/systemd/system") {
			remedy = "loginctl disable-linger " + quote(u.name)
		}
		e.found(Finding{
			Severity: Warning, ID: "linger",
			What:        fmt.Sprintf("The user manager of %s runs at all times, and is not isolated.", u.name),
			Evidence:    []string{file},
			Consequence: "A session has it start programs in the host's network.",
			Remedy:      remedy,
		})
	}
}

// checkProcesses finds members who have processes in the host's network.
func checkProcesses(e *examination) {
	host, err := os.Readlink(e.path("/proc/1/ns/net"))
	if err != nil {
		return
	}
	proc, err := procfs.NewFS(e.path("/proc"))
	if err != nil {
		return
	}
	all, err := proc.AllProcs()
	if err != nil {
		return
	}
	names := map[uint64]string{}
	for _, u := range e.users() {
		names[uint64(u.uid)] = u.name
	}
	type outside struct {
		name string
		pids []string
	}
	var found []outside
	for _, p := range all {
		net, err := os.Readlink(e.path(fmt.Sprintf("/proc/%d/ns/net", p.PID)))
		if err != nil || net != host {
			continue
		}
		status, err := p.NewStatus()
		if err != nil {
			continue // it has ended
		}
		name, ok := names[status.UIDs[0]]
		if !ok {
			continue
		}
		i := slices.IndexFunc(found, func(o outside) bool { return o.name == name })
		if i < 0 {
			i, found = len(found), append(found, outside{name: name})
		}
		found[i].pids = append(found[i].pids, fmt.Sprint(p.PID))
	}
	slices.SortFunc(found, func(a, b outside) int { return cmp.Compare(a.name, b.name) })
	for _, o := range found {
		f := Finding{
			Severity: Warning, ID: "running-outside",
			What:        fmt.Sprintf("%s has %d %s in the host's network.", o.name, len(o.pids), plural(len(o.pids), "process", "processes")),
			Consequence: "It was started before the modules were in place, or by a service without them; sessions can have it act for them.",
			Remedy:      "kill -KILL " + strings.Join(o.pids, " "),
		}
		for _, pid := range o.pids {
			f.Evidence = append(f.Evidence, "/proc/"+pid)
		}
		e.found(f)
	}
}
