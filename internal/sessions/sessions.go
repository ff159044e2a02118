// SPDX-License-Identifier: GPL-2.0-or-later

// Package sessions finds the sessions that are isolated now. Nobody keeps a list of
// them: what a session is, its processes say.
package sessions

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/network"
	"libpam-net/internal/nsfs"
)

// Session is processes in a network namespace that is not the host's, of which all
// but the leader have been started by another of them.
type Session struct {
	User       string              `json:"user"`
	UID        uint32              `json:"uid"`
	Service    string              `json:"service"` // that has opened it, as far as it is still running, else ""
	Leader     int                 `json:"leader"`  // PID
	Since      time.Time           `json:"since"`
	Inode      uint64              `json:"inode"`
	Name       string              `json:"name"`      // of the namespace, "" for one without
	Owner      string              `json:"owner"`     // who manages it (selfmanaged), "" for root
	Processes  int                 `json:"processes"` // of the session
	Interfaces []network.Interface `json:"interfaces"`
	In         uint64              `json:"bytes_in"` // of the namespace, by all interfaces but lo
	Out        uint64              `json:"bytes_out"`
}

// Network names the namespace, or says which number it has.
func (s Session) Network() string { return cmp.Or(s.Name, fmt.Sprintf("net:[%d]", s.Inode)) }

// services are the programs that open sessions, by the names of their processes,
// which have 15 bytes at most.
var services = map[string]string{
	"sshd": "sshd", "sshd-session": "sshd", "login": "login", "su": "su", "runuser": "runuser", "sudo": "sudo",
	"cron": "cron", "crond": "crond", "atd": "atd", "systemd": "systemd-user", "gdm-session-wor": "gdm",
	"lightdm": "lightdm", "sddm-helper": "sddm", "cockpit-session": "cockpit", "polkit-agent-he": "polkit-1",
}

// process is one that is not in the host's network.
type process struct {
	procfs.ProcStat
	uid     uint32
	inode   uint64
	foreign bool // it is in a user namespace of its own
}

// List lists the sessions by user and age. The caller is root.
//
// A process that no login has to do with is in none: of a container (it has PIDs of
// its own), or of a service that is shut off from the network. Nor does a process lead
// one that pin refuses: its user would decide what root finds in that session.
func List() ([]Session, error) {
	t, err := read()
	if err != nil {
		return nil, err
	}
	names, err := netns.Names()
	if err != nil {
		return nil, fmt.Errorf("list named networks: %w", err)
	}
	var all []Session
	for _, p := range t.inside {
		if t.hasLeader(p) {
			continue
		}
		place, err := pin(p.PID)
		if nsfs.Ended(err) || errors.Is(err, ErrForeign) {
			continue
		}
		if err != nil {
			return nil, err
		}
		place.Close()
		s := Session{
			Leader: p.PID, Inode: p.inode, Name: names[p.inode], Service: t.service(p),
			Since:     time.Unix(int64(t.boot)+int64(p.Starttime/userHZ), 0),
			Processes: len(t.members(p)), Interfaces: []network.Interface{},
		}
		login, known := loginUID(p.PID)
		if s.Service == "" && s.Name == "" && !known {
			continue
		}
		s.UID = t.user(p, login)
		s.User = nameOf(s.UID)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.User, b.User), a.Since.Compare(b.Since), cmp.Compare(a.Leader, b.Leader))
	})
	return all, nil
}

// Look fills in what there is in the sessions' networks, looking into each once. The
// caller holds its thread. Sessions that have ended meanwhile are left out. With an
// error, for networks that cannot be looked into, the sessions are returned as well.
func Look(all []Session) (live []Session, err error) {
	type seen struct {
		*network.Network
		owner string
	}
	known := map[uint64]seen{}
	var failed []error
	for _, s := range all {
		n, looked := known[s.Inode]
		if !looked {
			fd, err := nsfs.Open(s.Leader, nsfs.Net)
			if nsfs.Ended(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("open network of process %d: %w", s.Leader, err)
			}
			n.Network, err = network.Look(fd)
			if uid, owned := netns.OwnerOf(fd); owned == nil && uid != 0 {
				n.owner = nameOf(uid)
			}
			unix.Close(fd)
			if err != nil {
				failed = append(failed, err)
				n.Network = &network.Network{Interfaces: []network.Interface{}}
			}
			known[s.Inode] = n
		}
		s.Interfaces, s.Owner = n.Interfaces, n.owner
		for _, i := range n.Interfaces {
			if i.Name != "lo" {
				s.In += i.In
				s.Out += i.Out
			}
		}
		live = append(live, s)
	}
	return live, errors.Join(failed...)
}

// userHZ is the kernel's tick in /proc, on every processor that Go knows.
const userHZ = 100

// table are the processes that are not in the host's network.
type table struct {
	proc     procfs.FS
	boot     uint64 // when the machine was started
	inside   map[int]process
	children map[int][]int
}

func read() (*table, error) {
	fs, err := procfs.NewFS("/proc")
	if err != nil {
		return nil, err
	}
	stat, err := fs.Stat()
	if err != nil {
		return nil, fmt.Errorf("read /proc/stat: %w", err)
	}
	all, err := fs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	hostNet, netErr := nsfs.Of(nsfs.Host, nsfs.Net)
	hostPID, pidErr := nsfs.Of(nsfs.Host, nsfs.PID)
	own, ownErr := nsfs.Of(nsfs.Thread, nsfs.User)
	if err := errors.Join(netErr, pidErr, ownErr); err != nil {
		return nil, err
	}
	t := &table{proc: fs, boot: stat.BootTime, inside: map[int]process{}, children: map[int][]int{}}
	for _, p := range all {
		net, err := nsfs.Of(p.PID, nsfs.Net)
		if err == nil && net == hostNet {
			continue
		}
		pid, pidErr := nsfs.Of(p.PID, nsfs.PID)
		user, userErr := nsfs.Of(p.PID, nsfs.User)
		var dir unix.Stat_t
		err = errors.Join(err, pidErr, userErr, unix.Stat(nsfs.Path(p.PID, ""), &dir))
		if err == nil && pid != hostPID {
			continue
		}
		var stat procfs.ProcStat
		if err == nil {
			stat, err = p.Stat()
		}
		switch {
		case nsfs.Ended(err):
		case err != nil:
			return nil, fmt.Errorf("look at process %d: %w", p.PID, err)
		default:
			t.inside[p.PID] = process{stat, dir.Uid, net.Ino, user != own}
			t.children[stat.PPID] = append(t.children[stat.PPID], p.PID)
		}
	}
	return t, nil
}

// hasLeader tells whether a process comes from another one of its session. Those in
// user namespaces of their own do not count: they lead no session.
func (t *table) hasLeader(p process) bool {
	parent, ok := t.inside[p.PPID]
	for range t.inside { // PIDs that are given away anew may make a circle
		if !ok || parent.inode != p.inode || !parent.foreign {
			break
		}
		parent, ok = t.inside[parent.PPID]
	}
	return ok && parent.inode == p.inode && !parent.foreign
}

// members are the processes of a session, parents before their children.
func (t *table) members(leader process) (members []process) {
	members = []process{leader}
	for i := 0; i < len(members); i++ {
		for _, pid := range t.children[members[i].PID] {
			if p := t.inside[pid]; p.inode == leader.inode {
				members = append(members, p)
			}
		}
	}
	return members
}

// service finds the program that has opened a session: the leader, or what it comes from.
func (t *table) service(leader process) string {
	for stat := leader.ProcStat; stat.PID > 1; {
		if service, ok := services[stat.Comm]; ok {
			return service
		}
		p, err := t.proc.Proc(stat.PPID)
		if err != nil {
			break
		}
		if stat, err = p.Stat(); err != nil {
			break
		}
	}
	return ""
}

// user is whom a session is of: a service is root's, what it starts is the user's.
// login is the fallback.
func (t *table) user(leader process, login uint32) uint32 {
	for _, p := range t.members(leader) {
		if p.uid != 0 {
			return p.uid
		}
	}
	return login
}

// loginUID is what pam_loginuid(8) has set; 0 and false if it has not.
func loginUID(pid int) (uint32, bool) {
	text, err := os.ReadFile(nsfs.Path(pid, "loginuid"))
	uid, parse := strconv.ParseUint(string(text), 10, 32)
	if err != nil || parse != nil || uid == math.MaxUint32 {
		return 0, false
	}
	return uint32(uid), true
}

func nameOf(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
