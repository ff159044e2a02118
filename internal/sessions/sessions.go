// SPDX-License-Identifier: GPL-2.0-or-later

// Package sessions tells what runs where: the isolated sessions of all users, the networks of one user, and what is in
// a network. Nobody keeps a list of sessions. They are told from their processes in /proc.
package sessions

import (
	"cmp"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
)

// Session is a process in a network namespace other than the host's, the leader, and its descendants there.
// No other process of the session is an ancestor of the leader.
type Session struct {
	User       string      `json:"user"`
	UID        uint32      `json:"uid"`
	Service    string      `json:"service"` // that opened it, "" once that has ended
	From       string      `json:"from"`    // the address from which the user came to sshd, else ""
	Leader     int         `json:"leader"`  // PID
	Since      time.Time   `json:"since"`
	Inode      uint64      `json:"inode"`
	Name       string      `json:"name"`      // of the namespace, "" for one without
	Owner      string      `json:"owner"`     // who manages it (selfmanaged), "" for root
	Processes  int         `json:"processes"` // of the session
	Interfaces []Interface `json:"interfaces"`
	In         uint64      `json:"bytes_in"` // of the namespace, by all interfaces but lo
	Out        uint64      `json:"bytes_out"`
}

// Network returns what to call the network of the session.
func (s Session) Network() string { return NetworkName(s.Name, s.Inode) }

// NetworkName returns the name of a network namespace, or its number if it has no name.
func NetworkName(name string, inode uint64) string {
	return cmp.Or(name, fmt.Sprintf("net:[%d]", inode))
}

// services has the programs that open sessions, by the names of their processes, which have 15 bytes at most.
var services = map[string]string{
	"sshd": "sshd", "sshd-session": "sshd", "login": "login", "su": "su", "runuser": "runuser", "sudo": "sudo",
	"cron": "cron", "crond": "crond", "atd": "atd", "systemd": "systemd-user", "gdm-session-wor": "gdm",
	"lightdm": "lightdm", "sddm-helper": "sddm", "cockpit-session": "cockpit", "polkit-agent-he": "polkit-1",
}

// List returns the isolated sessions by user and age. The caller must be root.
//
// These processes lead no session:
//   - those of a container, which has a PID namespace of its own
//   - those of a service that is shut off from the network: no login program, no name, no login user ID
//   - those that pin refuses: their users decide which files root finds there
func List() ([]Session, error) {
	t, err := readTable(procDir)
	if err != nil {
		return nil, err
	}
	names, err := netns.Names()
	if err != nil {
		return nil, fmt.Errorf("list named networks: %w", err)
	}
	return t.sessions(names, func(pid int) error {
		place, err := pin(pid)
		if err == nil {
			place.Close()
		}
		return err
	})
}

// table has the processes that are in another network namespace than the host's, and in the host's PID namespace.
type table struct {
	dir      string // of proc(5)
	proc     procfs.FS
	boot     uint64 // when the machine was started
	userNS   uint64 // of the caller
	inside   []process
	byPID    map[int]process
	children map[int][]process
}

func readTable(dir string) (*table, error) {
	t := &table{dir: dir, byPID: map[int]process{}, children: map[int][]process{}}
	var err error
	if t.proc, err = procfs.NewFS(dir); err != nil {
		return nil, err
	}
	stat, err := t.proc.Stat()
	if err != nil {
		return nil, fmt.Errorf("read boot time: %w", err)
	}
	t.boot = stat.BootTime
	hostNet, err := namespace(dir, "1", "net")
	if err != nil {
		return nil, fmt.Errorf("find network of process 1: %w", err)
	}
	hostPID, err := namespace(dir, "1", "pid")
	if err != nil {
		return nil, fmt.Errorf("find PID namespace of process 1: %w", err)
	}
	if t.userNS, err = namespace(dir, "thread-self", "user"); err != nil {
		return nil, fmt.Errorf("find user namespace of this program: %w", err)
	}
	all, err := readProcesses(dir, func(_ uint32, net uint64) bool { return net != hostNet }, nsfs.Ended)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if p.pidNS == hostPID {
			t.inside = append(t.inside, p)
			t.byPID[p.PID] = p
			t.children[p.PPID] = append(t.children[p.PPID], p)
		}
	}
	return t, nil
}

// sessions returns the sessions of the table. names has the names of networks by inode number. A process leads no
// session if check returns that it has ended, or ErrForeign.
func (t *table) sessions(names map[uint64]string, check func(pid int) error) ([]Session, error) {
	var all []Session
	for _, p := range t.inside {
		if t.hasLeader(p) {
			continue
		}
		if err := check(p.PID); nsfs.Ended(err) || errors.Is(err, ErrForeign) {
			continue
		} else if err != nil {
			return nil, err
		}
		service, name := t.service(p), names[p.net]
		login, known := loginUID(t.dir, p.PID)
		if service == "" && name == "" && !known {
			continue
		}
		members := t.members(p)
		s := Session{
			UID: userOf(members, login), Service: service, Leader: p.PID, Inode: p.net, Name: name,
			Since:     time.Unix(int64(t.boot)+int64(p.Starttime/userHZ), 0),
			Processes: len(members), Interfaces: []Interface{},
		}
		s.User = nameOf(s.UID)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.User, b.User), a.Since.Compare(b.Since), cmp.Compare(a.Leader, b.Leader))
	})
	return all, nil
}

// userHZ is the kernel's tick in /proc, on every processor that Go supports.
const userHZ = 100

// hasLeader tells whether an ancestor of a process is in its session. Processes in user namespaces of their own are
// passed over: they lead no session.
func (t *table) hasLeader(p process) bool {
	parent, ok := t.byPID[p.PPID]
	for range t.inside { // PIDs that were reused may make a circle
		if !ok || parent.net != p.net || parent.userNS == t.userNS {
			break
		}
		parent, ok = t.byPID[parent.PPID]
	}
	return ok && parent.net == p.net && parent.userNS == t.userNS
}

// members returns the processes of a session, parents before their children.
func (t *table) members(leader process) []process {
	members := []process{leader}
	for i := 0; i < len(members); i++ {
		for _, child := range t.children[members[i].PID] {
			if child.net == leader.net {
				members = append(members, child)
			}
		}
	}
	return members
}

// service returns the service that opened a session: the leader or its nearest ancestor that is one.
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

// userOf returns the user of the first process that is not root's: a login service runs as root, and starts the
// user's processes. If all are root's it returns login.
func userOf(members []process, login uint32) uint32 {
	for _, p := range members {
		if p.uid != 0 {
			return p.uid
		}
	}
	return login
}

func nameOf(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// Look returns the sessions with where their users came from, and with what is in their networks. It looks into each network once, and leaves out sessions
// whose leader has ended. If it cannot look into a network, it returns the sessions there without interfaces, and an
// error. The caller must be root and hold the OS thread.
func Look(all []Session) (live []Session, err error) {
	known := map[uint64]*seen{}
	var failed []error
	for _, s := range all {
		n := known[s.Inode]
		if n == nil {
			if n, err = lookAt(s); errors.Is(err, errEnded) {
				continue
			} else if err != nil {
				failed = append(failed, err)
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
	return live, errors.Join(append(failed, findOrigins(procDir, live))...)
}

// seen is what Look knows of a network.
type seen struct {
	Network
	owner string
}

var errEnded = errors.New("the leader of the session has ended")

// lookAt returns what is in the network of a session. With any error but errEnded, that is without interfaces.
func lookAt(s Session) (*seen, error) {
	n := &seen{Network: Network{Interfaces: []Interface{}}}
	fd, err := nsfs.Open(s.Leader, nsfs.Net)
	if nsfs.Ended(err) {
		return nil, errEnded
	} else if err != nil {
		return n, err
	}
	defer unix.Close(fd)
	if id, err := nsfs.OfFile(fd); err != nil {
		return n, err
	} else if id.Ino != s.Inode { // its PID was reused
		return nil, errEnded
	}
	if uid, err := netns.OwnerOf(fd); err == nil && uid != 0 {
		n.owner = nameOf(uid)
	}
	inside, err := LookInto(fd)
	if err == nil {
		n.Network = *inside
	}
	return n, err
}
