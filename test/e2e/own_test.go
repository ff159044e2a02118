// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// network is what `pamnetctl mine --json` says of one.
type network struct {
	Inode            uint64
	Tags             []string
	Current, Managed bool
	Processes        int
	Leaders          []int
	Interfaces       []string
}

func parseMine(t *testing.T, output string) (list []network) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(output))
	d.DisallowUnknownFields()
	expect.Check(t, d.Decode(&list))
	return list
}

// held returns the network that the user holds under a tag, as another login sees it.
func (h *host) held(t *testing.T, user, tag string) *network {
	t.Helper()
	result := h.asUser(t, user, "pamnetctl mine --json")
	expect.Check(t, result.Err())
	list := parseMine(t, result.Stdout)
	i := slices.IndexFunc(list, func(n network) bool { return slices.Contains(n.Tags, tag) })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// refused expects a script to fail because of something.
func (h *host) refused(t *testing.T, user, script, because string) {
	t.Helper()
	result := h.asUser(t, user, script)
	if result.ExitCode != 1 || !strings.Contains(result.Stderr, because) || result.Stdout != "" {
		t.Errorf("%s: %q: exit code %d, and not %q: %s%s", user, script, result.ExitCode, because, result.Stdout, result.Stderr)
	}
}

func (h *host) succeeds(t *testing.T, user, script string) string {
	t.Helper()
	result := h.asUser(t, user, script)
	if err := result.Err(); err != nil {
		t.Fatalf("%s: %q: %v", user, script, err)
	}
	return strings.TrimSpace(result.Stdout)
}

func TestUsersKeepTheirNetworks(t *testing.T) {
	t.Parallel()
	h := selfManaged(t)

	// nina makes something in the network of one login, keeps it, and logs out.
	one := h.logIn(t, "nina", "one")
	inode := strings.TrimSpace(one.command(t, "stat -Lc %i /proc/self/ns/net"))
	said := one.command(t, "PATH=$PATH:/usr/sbin; ip link add kept type bridge; exec 7</etc/passwd; pamnetctl hold lab")
	one.logOut(t)
	lab := h.held(t, "nina", "lab")
	if lab == nil {
		t.Fatalf("no network is held: %s", said)
	}
	holder := lab.Leaders[0]

	t.Run("the next login finds what is held", func(t *testing.T) {
		expect.Equal(t, "the network", fmt.Sprintf("%+v", *lab),
			fmt.Sprintf("%+v", network{
				Inode: mustParse(t, inode), Tags: []string{"lab"}, Managed: true,
				Processes: 1, Leaders: []int{holder}, Interfaces: []string{"kept", "lo"},
			}))
		expect.Equal(t, "what hold says", strings.TrimSpace(said), fmt.Sprintf(`process %d holds this network as "lab"`, holder))
		table := h.succeeds(t, "nina", "pamnetctl mine")
		if !strings.Contains(table, fmt.Sprintf("   lab  %s  yes      1          %d", inode, holder)) || !strings.Contains(table, "\n*  -    ") {
			t.Errorf("the table:\n%s", table)
		}
	})
	t.Run("the placeholder keeps nothing else", func(t *testing.T) {
		expect.Equal(t, "working directory", h.Bash(t, "readlink /proc/$1/cwd", strconv.Itoa(holder)), "/")
		expect.Equal(t, "descriptors", h.Bash(t, "for fd in /proc/$1/fd/*; do echo $(basename $fd) $(readlink $fd); done", strconv.Itoa(holder)),
			"0 /dev/null\n1 /dev/null\n2 /dev/null")
		expect.Equal(t, "environment", h.Bash(t, "cat /proc/$1/environ", strconv.Itoa(holder)), "")
		expect.Equal(t, "arguments", h.Bash(t, "tr '\\0' , </proc/$1/cmdline", strconv.Itoa(holder)), "pamnet-hold lab/sleep,infinity,")
		expect.Equal(t, "session, group, terminal", h.Bash(t, "echo $(ps -o sid=,pgid=,tty= $1)", strconv.Itoa(holder)), fmt.Sprintf("%d %d ?", holder, holder))
	})
	t.Run("a tag is taken once", func(t *testing.T) {
		h.refused(t, "nina", "pamnetctl hold lab", "first `pamnetctl release lab`")
		expect.Equal(t, "the placeholder", h.held(t, "nina", "lab").Leaders[0], holder)
		// Of some at once one has it, or they all have to try again.
		h.succeeds(t, "nina", `for i in 1 2 3 4; do pamnetctl hold at-once 2>/dev/null || true & done; wait
			[ $(pgrep -fc "^pamnet-hold at-once/") -le 1 ]; pamnetctl release at-once || pamnetctl hold at-once; pamnetctl release at-once || true`)
	})
	t.Run("another login enters it, as its root", func(t *testing.T) {
		for _, target := range []string{"lab", strconv.Itoa(holder)} {
			expect.Equal(t, "inside", h.succeeds(t, "nina", "pamnetctl join "+target+" -- sh -c 'stat -Lc %i /proc/self/ns/net; id -u; ip -br link show kept | cut -d\" \" -f1'"),
				inode+"\n0\nkept")
		}
		h.succeeds(t, "nina", "pamnetctl join lab -- ip link set kept up; pamnetctl join lab ip -o link show up | grep kept")
	})
	t.Run("with a shell, or an exit code", func(t *testing.T) {
		expect.Equal(t, "a shell's output", h.succeeds(t, "nina", "echo 'stat -Lc %i /proc/self/ns/net' | SHELL=/bin/sh pamnetctl join lab"), inode)
		if result := h.asUser(t, "nina", "pamnetctl join lab -- sh -c 'exit 7'"); result.ExitCode != 7 {
			t.Errorf("%+v", result)
		}
	})
	t.Run("and gains nothing outside of it", func(t *testing.T) {
		output := h.succeeds(t, "nina", `exec 2>&1
			join() { pamnetctl join lab -- "$@" && echo "GAINED: $*" || true; }
			join ip link add x type veth peer name y netns 1
			join mount -t tmpfs none /mnt
			join cat /etc/shadow
			join kill 1
			join pamnetctl join $$ -- true`)
		for _, because := range []string{
			"RTNETLINK answers: Operation not permitted", "mount: /mnt: permission denied.",
			"cat: /etc/shadow: Permission denied", "Operation not permitted", "none from inside of one that you have joined",
		} {
			if !strings.Contains(output, because) || strings.Contains(output, "GAINED") {
				t.Errorf("%q is not in:\n%s", because, output)
			}
		}
	})
	t.Run("and keeps the user's groups", func(t *testing.T) {
		h.Bash(t, `mkdir /var/groups; cd /var/groups; echo for members >yes; chmod 640 yes; echo for others >no; chmod 604 no; chgrp newnet yes no`)
		output := h.succeeds(t, "nina", `exec 2>&1; cd /var/groups; pamnetctl join lab -- cat yes; ! pamnetctl join lab -- cat no
			! pamnetctl join lab -- setpriv --clear-groups cat no`)
		expect.Equal(t, "what it reads", output, "for members\ncat: no: Permission denied\nsetpriv: setgroups failed: Operation not permitted")
	})
	t.Run("nobody else does", func(t *testing.T) {
		for _, user := range []string{"ulf", "olga"} {
			// The last one: the kernel refuses it, whatever the program thinks.
			output := h.succeeds(t, user, fmt.Sprintf(`for c in "join %[1]d" "join lab" "release lab" prune; do
				! pamnetctl $c || echo "$c works" >&2; done 2>&1; ! nsenter --net=/proc/%[1]d/ns/net true 2>&1; echo; pamnetctl mine --json`, holder))
			output, mine, _ := strings.Cut(output, "\n\n")
			for i, line := range strings.Split(output, "\n") {
				want := []string{
					fmt.Sprintf("process %d is somebody else's", holder), `no network of yours is held as "lab"`,
					`no network of yours is held as "lab"`, "only root", "Permission denied",
				}
				if i >= len(want) || !strings.Contains(line, want[i]) {
					t.Errorf("%s: line %d is %q", user, i, line)
				}
			}
			for _, n := range parseMine(t, mine) {
				if n.Inode == lab.Inode || !n.Current {
					t.Errorf("%s sees %+v", user, n)
				}
			}
		}
	})
	t.Run("a tag of somebody else's is free", func(t *testing.T) {
		h.succeeds(t, "ulf", "pamnetctl hold lab")
		expect.Equal(t, "nina's placeholder", h.held(t, "nina", "lab").Leaders[0], holder)
		h.succeeds(t, "ulf", "pamnetctl release lab")
	})
	t.Run("a network that the login is in already needs no joining", func(t *testing.T) {
		// ulf's has a name, and so is that of all logins.
		h.succeeds(t, "ulf", "pamnetctl hold mine")
		mine := h.held(t, "ulf", "mine")
		if !mine.Current || !mine.Managed {
			t.Errorf("%+v", mine)
		}
		expect.Equal(t, "who runs it", h.succeeds(t, "ulf", "pamnetctl join mine -- id -un"), "ulf")
		h.succeeds(t, "ulf", "pamnetctl release mine")
		expect.Equal(t, "the network with a name", h.succeeds(t, "ulf", "stat -Lc %i /proc/self/ns/net"), strconv.FormatUint(mine.Inode, 10))
	})
	t.Run("one that was made without selfmanaged takes a privilege", func(t *testing.T) {
		expect.Check(t, h.PAM("su", "account required pam_permit.so", "auth required pam_permit.so",
			"session required pam_permit.so", "session required pam_newnet.so"))
		h.Bash(t, "su nina -c 'pamnetctl hold plain'")
		plain := h.held(t, "nina", "plain")
		if plain.Managed || plain.Current || !slices.Equal(plain.Interfaces, []string{"lo"}) {
			t.Errorf("%+v", plain)
		}
		h.refused(t, "nina", "pamnetctl join plain", "netnsjoin(1)")
		h.Bash(t, "nsenter --net=/proc/$1/ns/net true", strconv.Itoa(plain.Leaders[0])) // what it says that root does
		h.succeeds(t, "nina", "pamnetctl release plain")
	})
	t.Run("it ends when it is released", func(t *testing.T) {
		// A network takes its end of a veth pair with it, and so the other end.
		two := h.logIn(t, "nina", "two")
		defer two.logOut(t)
		two.command(t, "PATH=$PATH:/usr/sbin; ip link add here type veth peer name there netns "+strconv.Itoa(holder))
		expect.Equal(t, "interfaces", fmt.Sprint(h.held(t, "nina", "lab").Interfaces), "[kept lo there]")
		expect.Equal(t, "what release says", h.succeeds(t, "nina", "pamnetctl release lab"), "")
		h.Bash(t, "[ ! -e /proc/$1 ]", strconv.Itoa(holder))
		if h.held(t, "nina", "lab") != nil {
			t.Error("it is held")
		}
		expect.Eventually(t, "the network is gone", func() bool {
			return !strings.Contains(two.command(t, "ls /sys/class/net"), "here")
		})
		h.refused(t, "nina", "pamnetctl release lab", "see `pamnetctl mine`")
		h.refused(t, "nina", "pamnetctl join lab", "see `pamnetctl mine`")
	})
}

func mustParse(t *testing.T, number string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(number, 10, 64)
	expect.Check(t, err)
	return n
}

func TestPruneTakesDownWhatLoginsHaveLeft(t *testing.T) {
	t.Parallel()
	h := withSetup(t, `[ "$1" = up ] || { echo "$*: $(env | cut -d= -f1 | sort | xargs)"; [ ! -e /run/busy ]; }`)
	h.Bash(t, "ip netns add lab")
	h.succeeds(t, "ulf", "pamnetctl hold mine")
	says := func(args string, code int, stdout, stderr string) {
		t.Helper()
		var result sandbox.Result
		// What has logged in takes a moment to end.
		expect.Eventually(t, "nobody else is in it", func() bool {
			result = h.Try(t, "pamnetctl prune "+args)
			return result.Stdout == stdout || !strings.Contains(result.Stdout, "threads in it")
		})
		if result.ExitCode != code || result.Stdout != stdout || result.Stderr != stderr {
			t.Errorf("prune %s: %+v", args, result)
		}
	}
	const down = "ulf: down ulf: NETNS NETNS_PATH PATH PWD\n"

	says("", 0, "ulf: stays: threads in it: 1\n", "")
	h.succeeds(t, "ulf", "pamnetctl release mine")
	says("--dry-run", 0, "ulf: would be taken down\n", "")
	h.Bash(t, "touch /run/busy")
	says("", 1, "ulf: cannot be taken down: setup program "+setupProgram+": exit status 1\n",
		down+"pamnetctl: prune: 1 network could not be taken down\n")
	expect.Equal(t, "networks", h.Bash(t, "echo $(ls /run/netns)"), "lab ulf")
	h.Bash(t, "rm /run/busy")
	says("", 0, "ulf: taken down\n", down)
	expect.Equal(t, "networks", h.Bash(t, "echo $(ls /run/netns)"), "lab")
	says("", 0, "", "")
}
