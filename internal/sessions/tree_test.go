// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
)

// The namespaces of process 1 in a made-up /proc.
const hostNS = 1

// procTree makes a directory like /proc from a text with a line for each process:
//
//	PID PARENT UID NETWORK NAME [KEY=VALUE...]
//
// The network "host" is that of process 1. Keys are user= and pid=, for the numbers of other namespaces than those of
// process 1, login= for the login user ID, start= in ticks, and args=, with commas. A process with the network "none"
// has ended. The test is skipped without root, who may give files away.
func procTree(t *testing.T, text string) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give processes to users")
	}
	dir = t.TempDir()
	write := func(path, content string) {
		path = filepath.Join(dir, path)
		expect.Check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		expect.Check(t, os.WriteFile(path, []byte(content), 0o644))
	}
	link := func(process, kind, number string) {
		path := filepath.Join(dir, process, "ns", kind)
		expect.Check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		expect.Check(t, os.Symlink(kind+":["+number+"]", path))
	}
	write("stat", "btime 1000\n")
	link("thread-self", "user", fmt.Sprint(hostNS))
	for line := range strings.SplitSeq(strings.TrimSpace("1 0 0 host systemd\n"+strings.TrimSpace(text)), "\n") {
		words := strings.Fields(line)
		pid, parent, net := words[0], words[1], words[3]
		more := map[string]string{"user": fmt.Sprint(hostNS), "pid": fmt.Sprint(hostNS), "login": "4294967295", "start": "0"}
		for _, word := range words[5:] {
			key, value, _ := strings.Cut(word, "=")
			more[key] = value
		}
		write(pid+"/loginuid", more["login"])
		write(pid+"/cmdline", strings.ReplaceAll(strings.ReplaceAll(more["args"], ",", "\x00"), "_", " "))
		name := strings.ReplaceAll(words[4], "_", " ")
		write(pid+"/stat", fmt.Sprintf("%s (%s) S %s%s %s%s\n", pid, name, parent, strings.Repeat(" 0", 17), more["start"], strings.Repeat(" 0", 30)))
		if net == "host" {
			net = fmt.Sprint(hostNS)
		}
		if net != "none" {
			link(pid, "net", net)
			link(pid, "pid", more["pid"])
			link(pid, "user", more["user"])
		}
		uid, err := strconv.Atoi(words[2])
		expect.Check(t, err)
		expect.Check(t, os.Chown(filepath.Join(dir, pid), uid, -1))
	}
	return dir
}

// Users have numbers that no account has, so that they have no names.
func TestList(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ tree, want string }{
		"a login by sshd": {
			`10 1 0 host sshd
			11 10 0 5 sshd start=300
			12 11 4000001 5 sshd
			13 12 4000001 5 bash`, "4000001 sshd 11 5 lab 1003 3",
		},
		"a login without a name for its network": {
			`11 1 0 7 sshd
			12 11 4000001 7 sshd`, "4000001 sshd 11 7 - 1000 2",
		},
		"a service that has ended, in a network with a name": {
			"20 1 4000001 5 tmux:_server", "4000001 - 20 5 lab 1000 1",
		},
		"what has outlived its login": {
			"20 1 4000001 7 tmux login=4000001", "4000001 - 20 7 - 1000 1",
		},
		"what has outlived its login, and hides from its user": {
			"20 1 0 7 ssh-agent login=4000001", "4000001 - 20 7 - 1000 1",
		},
		"a program whose name is like another field": {
			`11 1 0 7 sshd
			12 11 4000001 7 x)_S_1_(`, "4000001 sshd 11 7 - 1000 2",
		},
		"su that has left its caller's network": {
			`11 1 0 5 sshd
			12 11 4000001 5 bash
			13 12 0 7 su
			14 13 4000002 7 sh`, "4000001 sshd 11 5 lab 1000 2\n4000002 su 13 7 - 1000 2",
		},
		"two in one network": {
			`11 1 0 5 sshd
			12 11 4000002 5 sh
			21 1 0 5 sshd start=100
			22 21 4000001 5 sh`, "4000001 sshd 21 5 lab 1001 2\n4000002 sshd 11 5 lab 1000 2",
		},
		"two of one user, by age": {
			`11 1 0 5 sshd start=900
			12 11 4000001 5 sh
			21 1 0 5 sshd start=100
			22 21 4000001 5 sh`, "4000001 sshd 21 5 lab 1001 2\n4000001 sshd 11 5 lab 1009 2",
		},
		"a user manager":      {"11 1 4000001 5 systemd", "4000001 systemd-user 11 5 lab 1000 1"},
		"root's":              {"11 1 0 5 login", "0 login 11 5 lab 1000 1"},
		"the host's network":  {"11 1 0 host sshd", ""},
		"a container":         {"11 1 0 7 sshd pid=9", ""},
		"a service shut off":  {"11 1 100 7 polkitd", ""},
		"a process that ends": {"11 1 4000001 none sshd", ""},
		"what root may not enter, or has ended since": {
			`11 1 0 5 sshd
			12 11 4000001 5 sh
			666 1 4000001 5 sh
			667 1 4000001 5 sh`, "4000001 sshd 11 5 lab 1000 2",
		},
		"a process behind one in a user namespace": {
			`11 1 0 5 sshd
			12 11 4000001 5 unshare user=8
			13 12 4000001 5 sh`, "4000001 sshd 11 5 lab 1000 3",
		},
		"a process of one in a user namespace that has outlived its login": {
			`12 1 4000001 5 unshare user=8
			13 12 4000001 5 sh`, "4000001 - 13 5 lab 1000 1",
		},
		"PIDs that were reused": {
			`40 41 4000001 5 a user=8
			41 40 4000001 5 b user=8`, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, err := readTable(procTree(t, c.tree))
			expect.Check(t, err)
			foreign := func(pid int) error {
				switch {
				case pid == 666 || table.byPID[pid].userNS != hostNS:
					return fmt.Errorf("process: %w", ErrForeign)
				case pid == 667:
					return unix.ESRCH
				}
				return nil
			}
			all, err := table.sessions(map[uint64]string{5: "lab"}, foreign)
			expect.Check(t, err)
			var got []string
			for _, s := range all {
				expect.Equal(t, "user", s.User, nameOf(s.UID))
				got = append(got, fmt.Sprintf("%d %s %d %d %s %d %d", s.UID, cmp.Or(s.Service, "-"), s.Leader, s.Inode,
					cmp.Or(s.Name, "-"), s.Since.Unix(), s.Processes))
			}
			expect.Equal(t, "sessions", strings.Join(got, "\n"), c.want)
		})
	}
}

func TestListFails(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(dir string) error{
		"without process 1's network":       func(dir string) error { return os.Remove(dir + "/1/ns/net") },
		"without process 1's PID namespace": func(dir string) error { return os.Remove(dir + "/1/ns/pid") },
		"without the boot time":             func(dir string) error { return os.Remove(dir + "/stat") },
		"without its own user namespace":    func(dir string) error { return os.RemoveAll(dir + "/thread-self") },
		"with a process that has no parent": func(dir string) error { return os.WriteFile(dir+"/11/stat", []byte("11 (x"), 0o644) },
		"with a network that has no number": func(dir string) error {
			return os.Rename(dir+"/11/ns/user", dir+"/11/ns/net")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := procTree(t, "11 1 0 5 sshd")
			expect.Check(t, breakIt(dir))
			if table, err := readTable(dir); err == nil {
				t.Errorf("%+v", table)
			}
		})
	}
	t.Run("with a leader that it cannot look at", func(t *testing.T) {
		t.Parallel()
		table, err := readTable(procTree(t, "11 1 0 5 sshd"))
		expect.Check(t, err)
		all, err := table.sessions(nil, func(int) error { return unix.EACCES })
		if err == nil {
			t.Errorf("%+v", all)
		}
	})
}

func TestOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ tree, want string }{
		"processes of others": {"11 1 4000001 5 sh", ""},
		"one network": {
			`11 1 0 5 sh
			12 11 0 5 vi`, "5 [] false false 2 [11] [lo]",
		},
		"this one, and one that is managed": {
			`11 1 0 5 sh
			12 1 0 6 sh`, "5 [] false false 1 [11] [lo]\n6 [] true true 1 [12] [lo]",
		},
		"leaders, the oldest first": {
			`11 1 0 5 sh start=9
			12 1 0 5 sh start=8
			13 1 4000001 5 sh
			14 13 0 5 sh start=10`, "5 [] false false 3 [12 11 14] [lo]",
		},
		"held ones": {
			`11 1 0 5 sleep args=pamnet-hold_two/sleep,infinity
			12 1 0 5 sleep args=pamnet-hold_lab/sleep,infinity,
			13 1 4000001 5 sleep args=pamnet-hold_hers/sleep,infinity
			14 1 0 5 sleep args=sleep,infinity`, "5 [lab two] false false 3 [11 12 14] [lo]",
		},
		"one that may not be looked into": {"666 1 0 5 sshd", ""},
		"one that may by another process": {
			`666 1 0 5 sshd
			700 666 0 5 sh start=1`, "5 [] false false 1 [] [lo]",
		},
		"a process that has ended": {"11 1 0 none sh", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := procTree(t, c.tree)
			expect.Check(t, os.Chown(dir+"/1", 4000003, -1)) // this test is root
			all, err := ownProcesses(dir)
			expect.Check(t, err)
			networks, err := ownNetworks(dir, all, 6, func(pid int) (bool, []string, error) {
				if pid == 666 {
					return false, nil, unix.EACCES
				}
				net, err := namespace(dir, strconv.Itoa(pid), "net")
				return net == 6, []string{"lo"}, err
			})
			expect.Check(t, err)
			var got []string
			for _, n := range networks {
				got = append(got, strings.Trim(fmt.Sprintf("%v", n), "{}"))
			}
			expect.Equal(t, "networks", strings.Join(got, "\n"), c.want)
		})
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	all := []Session{
		{User: "gina", UID: 2, Leader: 11, Inode: 5, Name: "lab"},
		{User: "gina", UID: 2, Leader: 12, Inode: 5, Name: "lab"},
		{User: "lab", UID: 3, Leader: 13, Inode: 7, Since: time.Unix(9, 0)},
		{User: "ulf", UID: 1, Leader: 14, Inode: 5, Name: "lab"},
		{User: "ulf", UID: 1, Leader: 15, Inode: 6},
	}
	for target, c := range map[string]struct{ byNetwork, byUser string }{
		"gina": {"[11]", "[11]"},
		"ulf":  {"[14 15]", "[14 15]"},
		"lab":  {"[11 13]", "[11 13 14]"},
		"olga": {"[]", "[]"},
		"":     {"[]", "[]"},
	} {
		leaders := func(key func(Session) any) string {
			found := []int{}
			for _, s := range match(all, target, key) {
				found = append(found, s.Leader)
			}
			return fmt.Sprint(found)
		}
		expect.Equal(t, target+", one of each network", leaders(func(s Session) any { return s.Inode }), c.byNetwork)
		expect.Equal(t, target+", one of each user in each network",
			leaders(func(s Session) any { return [2]uint64{uint64(s.UID), s.Inode} }), c.byUser)
	}
}
