// SPDX-License-Identifier: GPL-2.0-or-later

package ctl

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// net prints what network a command is in.
const net = "stat -Lc %i /proc/self/ns/net"

// login starts a session of a user's, by su, and returns its leader.
func (h *host) login(t *testing.T, user, script string) listed {
	t.Helper()
	h.session(t, h.Command("su", user, "-c", script+"; touch /tmp/in-$0; sleep 1000; true", user))
	h.Bash(t, "until [ -e /tmp/in-$1 ]; do sleep 0.01; done; rm /tmp/in-$1", user)
	for _, s := range h.list(t) {
		if s.User == user {
			return s
		}
	}
	return listed{}
}

func TestRootEntersTheNetworkAlone(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Bash(t, `ip netns add spare; mkdir -p /etc/netns/ulf; echo nameserver 198.51.100.53 >/etc/netns/ulf/resolv.conf`)
	ulf := h.login(t, "ulf", "true")
	network := strconv.FormatUint(ulf.Inode, 10)
	for name, target := range map[string]string{"by the user": "ulf", "by PID": strconv.Itoa(ulf.Leader)} {
		t.Run(name, func(t *testing.T) {
			expect.Equal(t, "user, network and files", h.Bash(t, `pamnetctl enter $1 -- bash -c "id -un; $2; readlink /proc/self/ns/mnt; cat /etc/resolv.conf"`, target, net),
				h.Bash(t, `echo root; echo $1; readlink /proc/self/ns/mnt; cat /etc/resolv.conf`, network))
		})
	}
	t.Run("of a name that has no session", func(t *testing.T) {
		expect.Equal(t, "network", h.Bash(t, "pamnetctl enter spare "+net), h.Bash(t, "stat -c %i /run/netns/spare"))
	})
	t.Run("and the exit code is the command's", func(t *testing.T) {
		expect.Equal(t, "exit code", h.Try(t, "pamnetctl enter ulf -- bash -c 'exit 7'").ExitCode, 7)
	})
	for shell, prompt := range map[string]string{"/bin/bash": "(ulf) bash", "/bin/sh": "(ulf) # "} {
		t.Run("with a prompt of "+shell+" that says where it is", func(t *testing.T) {
			h.Bash(t, `echo 'PS1="bash$ "' >~/.bashrc`)
			terminal := h.terminal(t, "SHELL="+shell+" pamnetctl enter ulf; echo the exit code is $?")
			terminal.expect("pamnetctl: root, in the network ulf")
			terminal.expect(prompt)
			terminal.keys("exit 5\r")
			terminal.expect("the exit code is 5")
		})
	}
}

func TestAUserEntersTheSession(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	expect.Check(t, h.PAM("su", "auth required pam_permit.so", "account required pam_permit.so",
		"session required pam_permit.so", "session required pam_usernet.so selfmanaged"))
	h.Bash(t, `mkdir -p /etc/netns/ulf; echo nameserver 198.51.100.53 >/etc/netns/ulf/resolv.conf`)
	ulf := h.login(t, "ulf", "true")
	const enter = "pamnetctl enter --as-user ulf -- "
	t.Run("with its files", func(t *testing.T) {
		want := fmt.Sprintf("ulf\nulf usernet\n/home/ulf\n%d\nnameserver 198.51.100.53\nlo", ulf.Inode)
		for _, target := range []string{"ulf", strconv.Itoa(ulf.Leader)} {
			expect.Equal(t, target, h.Bash(t, `pamnetctl enter --as-user $1 sh -c "id -un; id -Gn; pwd; $2; cat /etc/resolv.conf; ls /sys/class/net"`, target, net), want)
		}
	})
	t.Run("with the user's rights", func(t *testing.T) {
		expect.Equal(t, "capabilities and IDs", h.Bash(t, "setpriv --inh-caps=+net_raw,+sys_admin "+enter+`grep -E '^(Cap(Inh|Prm|Eff|Amb)|[UG]id|NoNewPrivs):' /proc/self/status`),
			h.Bash(t, `su ulf -c "$1"`, `grep -E '^(Cap(Inh|Prm|Eff|Amb)|[UG]id|NoNewPrivs):' /proc/self/status`))
		h.Bash(t, enter+"ip link add more type bridge; pamnetctl enter ulf ip link show more")
	})
	t.Run("and with nothing of root's", func(t *testing.T) {
		expect.Equal(t, "environment", h.Bash(t, `env -i PATH=$PATH SECRET=root HOME=/root LANG=C LC_TIME=C LD_BIND_NOW=1 `+enter+`env | grep -v PWD= | sort`),
			"HOME=/home/ulf\nLANG=C\nLC_TIME=C\nLOGNAME=ulf\nPATH=/usr/local/bin:/usr/bin:/bin\nSHELL=/bin/bash\nUSER=ulf")
		expect.Equal(t, "open files", h.Bash(t, "exec 7</etc/shadow; "+enter+"ls /proc/self/fd | xargs"), "0 1 2 3")
	})
	t.Run("to read, write and end as elsewhere", func(t *testing.T) {
		expect.Equal(t, "a shell", h.Bash(t, `echo 'id -un; echo $0' | pamnetctl enter --as-user ulf`), "ulf\n/bin/bash")
		result := h.Try(t, enter+"sh -c 'echo out; echo err >&2; exit 7'")
		expect.Equal(t, "outcome", fmt.Sprint(result.Stdout, result.Stderr, result.ExitCode), "out\nerr\n7")
		expect.Equal(t, "of a signal", h.Try(t, enter+`sh -c 'kill -KILL $$'`).ExitCode, 137)
		expect.Equal(t, "of no program", h.Try(t, enter+"nosuch").ExitCode, 127)
		expect.Equal(t, "a home that is gone", h.Bash(t, "mv ~ulf /home/gone; "+enter+"pwd; mv /home/gone ~ulf"), "/")
	})
	t.Run("but nobody does as root", func(t *testing.T) {
		h.session(t, h.Command("unshare", "--net", "--mount", "sleep", "4000"))
		h.Bash(t, `until pgrep -xf "sleep 4000"; do sleep 0.01; done`)
		result := h.Try(t, "pamnetctl enter --as-user $(pgrep -xf 'sleep 4000') -- id -u")
		if result.ExitCode != 1 || !strings.Contains(result.Stderr, "leave out --as-user") {
			t.Errorf("%+v", result)
		}
	})
}

func TestWhatCannotBeEntered(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Bash(t, "ip netns add nina; mkdir -p /run/netns; echo no >/run/netns/no")
	first := h.login(t, "nina", "true")
	h.login(t, "nina", "true")
	h.login(t, "gina", "true")
	h.login(t, "gus", "true")
	all := h.list(t)
	for args, says := range map[string][]string{
		"nina": {
			`"nina" matches several sessions; choose one:`, fmt.Sprintf("\n  pamnetctl enter %d    # nina in net:[%d], su since ", first.Leader, first.Inode),
			fmt.Sprintf("\n  pamnetctl enter %d    # nina in ", all[3].Leader), "\n  nsenter --net=/run/netns/nina    # without a session",
		},
		"--as-user lab": {fmt.Sprintf("\n  pamnetctl enter --as-user %d    # gina in lab, ", all[0].Leader), fmt.Sprintf("\n  pamnetctl enter --as-user %d    # gus in lab, ", all[1].Leader)},
		"olga":          {`no isolated session matches "olga"`},
		"no":            {`open network namespace "no"`},
		"../nina":       {`no isolated session matches "../nina"`},
		"1":             {"process 1 is not isolated"},
		"2147483647":    {"process 2147483647 does not exist"},
	} {
		result := h.Try(t, "pamnetctl enter "+args+" -- echo entered")
		for _, part := range says {
			if result.ExitCode != 1 || result.Stdout != "" || !strings.Contains(result.Stderr, part) {
				t.Errorf("%s: no %q in %+v", args, part, result)
			}
		}
	}
	for _, command := range []string{"list", "enter nina -- true"} {
		if result := h.asUlf(t, command); result.ExitCode != 1 || !strings.Contains(result.Stderr, "use sudo") {
			t.Errorf("%s: %+v", command, result)
		}
	}
}

// What a user puts in the place of programs that root may run tells who has run it.
const bait = `#!/usr/bin/perl
print "caught as uid $<\n";
open(my $caught, ">>", "/tmp/caught"); print $caught "uid $<\n";
`

// trap lets a user log in and leave behind a process that sees bait for programs. It
// returns the PID of that process.
func (h *host) trap(t *testing.T, user, unshare string, logout bool) string {
	t.Helper()
	expect.Check(t, h.WriteFile("/home/"+user+"/bait", bait, 0o755))
	expect.Check(t, h.WriteFile("/home/"+user+"/trap", `set -e
		for f in bash dash setpriv nsenter env true id; do mount --bind ~/bait /usr/bin/$f; done
		echo >~/trapped; exec sleep 2000`, 0o755))
	script := "setsid " + unshare + " sh ~/trap </dev/null >/dev/null 2>&1 & until [ -e ~/trapped ]; do sleep 0.01; done"
	if logout {
		h.Bash(t, `su $1 -c "$2"`, user, script)
	} else {
		h.session(t, h.Command("su", user, "-c", script+"; sleep 1000; true"))
		h.Bash(t, "until [ -e /home/$1/trapped ]; do sleep 0.01; done", user)
	}
	return h.Bash(t, "pgrep -u $1 -xf 'sleep 2000'", user)
}

func TestRootRunsNothingThatAUserHasPutInPlace(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	gina := h.trap(t, "gina", "unshare -Urm", true)
	ulf := h.trap(t, "ulf", "unshare -Urm", false)
	olga := h.trap(t, "olga", "unshare -Urmn", false) // no member
	for name, c := range map[string]struct {
		args string
		says string // "": it is the machine's program that has run
	}{
		"by the name of a member's network":  {"lab", ""},
		"by a member who is logged in":       {"ulf", ""},
		"by a member who has logged out":     {"gina", `no isolated session matches "gina"`},
		"by somebody who is no member":       {"olga", `no isolated session matches "olga"`},
		"by a member's process":              {gina, "a user decides which files it sees, for it is in a user namespace of its own"},
		"by the process of one logged in":    {ulf, "a user decides"},
		"by the process of no member":        {olga, "a user decides"},
		"as a member who is logged in":       {"--as-user ulf", ""},
		"as the member of a network":         {"--as-user lab", `no isolated session matches "lab"`},
		"as a member who has logged out":     {"--as-user gina", `no isolated session matches "gina"`},
		"as somebody who is no member":       {"--as-user olga", `no isolated session matches "olga"`},
		"as the user of a member's process":  {"--as-user " + gina, "a user decides"},
		"as the user of a process of nobody": {"--as-user " + olga, "a user decides"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range []string{"", "-- bash -c 'echo the bash of the machine'"} {
				result := h.Try(t, "echo echo the bash of the machine | SHELL=/bin/bash pamnetctl enter "+c.args+" "+command)
				if result.Stdout == "the bash of the machine\n" != (c.says == "") || !strings.Contains(result.Stderr, c.says) {
					t.Errorf("%q: %+v", command, result)
				}
			}
			expect.Equal(t, "what was caught", h.Bash(t, "[ ! -e /tmp/caught ] || cat /tmp/caught"), "")
		})
	}
	t.Run("nor takes such a process for a session", func(t *testing.T) {
		var got []string
		for _, s := range h.list(t) {
			got = append(got, s.User)
		}
		expect.Equal(t, "sessions", strings.Join(got, " "), "ulf")
		expect.Equal(t, "completion", h.Bash(t, "pamnetctl __complete enter --as-user '' | xargs"), "ulf :4")
	})
	t.Run("while its network stays in use", func(t *testing.T) {
		expect.Equal(t, "prune", h.Bash(t, "pamnetctl prune | grep ^lab"), "lab: stays: threads in it: 1")
	})
}

func TestRootEntersNoMountsThatBelongToAUser(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	trap := h.trap(t, "ulf", "unshare -Urm", true)
	// Of root's, in the user namespace of root, but among the mounts of the user.
	h.session(t, h.Command("nsenter", "--mount=/proc/"+trap+"/ns/mnt", "--net=/proc/"+trap+"/ns/net", "perl", "-e",
		fmt.Sprintf("$) = $( = %d; $> = $< = %d; exec qw(sleep 3000)", h.Ulf.GID, h.Ulf.UID)))
	h.Bash(t, "until pgrep -xf 'sleep 3000'; do sleep 0.01; done")
	for _, asUser := range []string{"", "--as-user "} {
		result := h.Try(t, "pamnetctl enter "+asUser+"$(pgrep -xf 'sleep 3000') -- bash")
		if result.ExitCode != 1 || !strings.Contains(result.Stderr, "its mount namespace belongs to a user namespace") {
			t.Errorf("%s: %+v", asUser, result)
		}
	}
	expect.Equal(t, "sessions", len(h.list(t)), 0)
}
