// SPDX-License-Identifier: GPL-2.0-or-later

package session_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"libpam-net/internal/session"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// open is session.Open and what look then finds in the session. It returns the
// lines for the log, their priority in front.
func open(r session.Request, look func() error) (v session.Verdict, log []string, err error) {
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return v, nil, err
	}
	defer unix.Close(sockets[0])
	defer unix.Close(sockets[1])
	err = private.OnThread(func() error {
		if v = session.Open(r, session.Socket(sockets[0])); v.Outcome != session.Isolated {
			return nil
		}
		defer func() {
			unlock()
			for _, fd := range []int{v.Net, v.Mnt, v.Root, v.Cwd} {
				unix.Close(fd)
			}
		}()
		return look()
	})
	for line := make([]byte, 2048); ; {
		n, _, recv := unix.Recvfrom(sockets[1], line, 0)
		if errors.Is(recv, unix.EAGAIN) {
			return v, log, err
		}
		if recv != nil || n < 2 || line[0] != 'L' {
			return v, log, fmt.Errorf("%q: %w", line[:n], recv)
		}
		log = append(log, fmt.Sprintf("%d %s", line[1], line[2:n]))
	}
}

// unlock does what the end of the process would do.
func unlock() {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range fds {
		fd, err := strconv.Atoi(entry.Name())
		if path, _ := os.Readlink("/proc/self/fd/" + entry.Name()); err == nil && path == "/run/libpam-net/use" {
			unix.Close(fd)
		}
	}
}

func member(user, group string) session.Answer {
	return session.Answer{State: session.Member, User: user, Group: group, Listed: true}
}

func TestOpenDecides(t *testing.T) {
	const wrongState, wrongGroup, wrongGID = `is not "member"`, "is about another group", "the group is not one of the user's"
	newnet := func(a session.Answer) session.Request {
		return session.Request{Kind: session.NewNet, Group: "newnet", User: "alice", Answer: a}
	}
	groupnet := func(a session.Answer) session.Request {
		return session.Request{Kind: session.GroupNet, Group: "groupnet", User: "alice", Answer: a}
	}
	usernet := func(a session.Answer) session.Request {
		return session.Request{Kind: session.UserNet, Group: "newnet", User: "alice", Answer: a}
	}
	by := func(listed, known bool, groupID, gid uint32, gids ...uint32) session.Answer {
		return session.Answer{
			State: session.Member, User: "../alice", Group: "newnet", Listed: listed, Known: known, GroupID: groupID, GID: gid, GIDs: gids,
		}
	}
	// The next thing to be refused, so that the answer is a member's.
	const isMember = `"../alice" cannot name a network namespace`
	for _, c := range []struct {
		what    string
		request session.Request
		text    string
		log     string
	}{
		{"a non-member", newnet(session.Answer{State: session.NonMember, User: "alice", Group: "newnet", Listed: true}), wrongState, ""},
		{"a non-member without a group", newnet(session.Answer{State: session.NoGroup, User: "alice", Group: "newnet", Listed: true}), wrongState, ""},
		{"an unknown user", newnet(session.Answer{State: session.Unknown, User: "alice", Group: "newnet", Listed: true}), wrongState, ""},
		{"an answer that is missing", newnet(session.Answer{}), wrongState, ""},
		{"a member without a name", newnet(member("", "newnet")), wrongState, ""},
		{"a member of another group", newnet(member("alice", "usernet")), wrongGroup, ""},
		{"a member of a group whose name begins with the right one", newnet(member("alice", "newnet2")), wrongGroup, ""},
		{"a member of a group of another prefix", groupnet(member("alice", "groupnetx-lab")), wrongGroup, ""},
		{"a member of a group without the hyphen", groupnet(member("alice", "groupnet")), wrongGroup, ""},
		{"a member of no group", newnet(member("alice", "")), wrongGroup, ""},

		{"a group that neither lists the user nor is among the user's", usernet(by(false, true, 500, 1000, 501, 502)), wrongGID, ""},
		{"the primary group of a user without an account", usernet(by(false, false, 500, 500)), wrongGID, ""},
		{"a group that lists the user", usernet(by(true, false, 500, 0)), isMember, ""},
		{"the user's primary group", usernet(by(false, true, 500, 500)), isMember, ""},
		{"one of the user's groups", usernet(by(false, true, 500, 1000, 501, 500)), isMember, ""},

		{
			"a user's name that cannot name a namespace",
			session.Request{Kind: session.UserNet, Group: "usernet", Answer: member("../alice", "usernet")},
			isMember, "",
		},
		{
			"a group's name that cannot name a namespace", groupnet(member("alice", "groupnet-a/b")),
			`"a/b" cannot name a network namespace`, "",
		},
		{
			"a group's name that names nothing", groupnet(member("alice", "groupnet-")),
			`"" cannot name a network namespace`, "",
		},
		{
			"a panic",
			session.Request{
				Group: "newnet", Answer: member("alice", "newnet"),
				Setup: (*string)(unsafe.Add(unsafe.Pointer(nil), 8)), // which is nowhere
			},
			"panic: ", "",
		},
		{
			"of several groups one counts, and a warning says which: it",
			session.Request{Kind: session.GroupNet, Group: "g", User: "alice", Answer: session.Answer{
				State: session.Member, User: "alice", Group: "g-..", Listed: true, Several: true,
			}},
			`".." cannot name a network namespace`, `4 "alice" is in several groups g-*; "g-.." counts`,
		},
	} {
		t.Run(c.what+" is refused", func(t *testing.T) {
			v, log, err := open(c.request, func() error { return errors.New("a session") })
			expect.Check(t, err)
			if v.Outcome != session.Refused || !strings.Contains(v.Text, c.text) {
				t.Errorf("%c %q", v.Outcome, v.Text)
			}
			if all := strings.Join(log, "\n"); !strings.Contains(all, c.log) || c.log == "" && strings.Contains(all, "4 ") {
				t.Errorf("logged:\n%s", all)
			}
		})
	}
}

func TestOpenMakesTheSession(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh(`ip link add host0 type veth peer name host1; ip netns add other; mkdir -p /etc/netns/lab /run/nscd
		echo ours > /etc/netns/lab/hosts; touch /etc/netns/lab/absent /run/nscd/socket /run/secret; echo secret > /run/secret`)
	expect.Check(t, err)
	host, err := os.ReadFile("/proc/1/mountinfo")
	expect.Check(t, err)
	const (
		isolated = `test "$(ls /sys/class/net)" = lo; test "$(readlink /proc/self/ns/net)" != "$(readlink /proc/1/ns/net)"
			test "$(readlink /proc/self/ns/mnt)" != "$(readlink /proc/1/ns/mnt)"; `
		up   = `ip link show up | grep -q LOOPBACK; `
		down = `! ip link show up | grep -q LOOPBACK; `
	)
	lab := session.Request{Kind: session.GroupNet, Group: "groupnet", User: "alice", Answer: member("alice", "groupnet-lab")}
	with := func(r session.Request, change func(*session.Request)) session.Request {
		change(&r)
		return r
	}
	for _, c := range []struct {
		what    string
		request session.Request
		look    string
		text    string
		log     string
	}{
		{
			"a new network",
			session.Request{Group: "newnet", User: "alice", Answer: member("alice", "newnet")},
			isolated + up + `test -z "$(ls -A /run/netns)"; test -z "$(ls -A /run/nscd)"; grep secret /run/secret; ! grep ours /etc/hosts`,
			`"alice": new network namespace (net:[`, "",
		},
		{
			"lodown",
			session.Request{Group: "newnet", User: "alice", Answer: member("alice", "newnet"), LoDown: true},
			isolated + down, "", "",
		},
		{
			"mask, keepresolver and shownetns",
			session.Request{
				Group: "newnet", User: "alice", Answer: member("alice", "newnet"),
				Masks: []string{"/run/secret", "/run/nothing"}, KeepResolver: true, ShowNetns: true,
			},
			isolated + `test ! -s /run/secret; test -e /run/nscd/socket; test -e /run/netns/other`, "", "",
		},
		{
			"the network of the user, not of the name that the login service uses",
			session.Request{Kind: session.UserNet, Group: "usernet", User: "ALICE@example.org", Answer: member("alice", "usernet")},
			isolated + up + `test "$(ls /run/netns)" = alice; test "$(ip netns identify)" = alice`,
			`"ALICE@example.org": created network namespace "alice" (net:[`, "",
		},
		{
			"the network of the group, created", lab,
			isolated + up + `test "$(ip netns identify)" = lab; grep -x ours /etc/hosts; test ! -e /etc/absent`,
			`"alice": created network namespace "lab" (net:[`, `4 /etc/netns/lab/"absent" skipped`,
		},
		{
			"the network of the group, joined, with lo left as it is",
			with(lab, func(r *session.Request) { r.LoDown = true }),
			isolated + up, `"alice": joined network namespace "lab" (net:[`, "",
		},
		{
			"a new network with / shared",
			session.Request{Group: "newnet", User: "alice", Answer: member("alice", "newnet"), RootShared: true},
			isolated + up, "", "",
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			v, log, err := open(c.request, func() error {
				_, err := private.Sh(c.look)
				return err
			})
			expect.Check(t, err)
			if v.Outcome != session.Isolated || !strings.HasPrefix(v.Text, c.text) || v.CwdMoved {
				t.Errorf("%c %q %t", v.Outcome, v.Text, v.CwdMoved)
			}
			if all := strings.Join(log, "\n"); !strings.Contains(all, c.log) {
				t.Errorf("logged:\n%s", all)
			}
		})
	}
	_, err = private.Sh("ip netns delete alice; ip netns delete lab")
	expect.Check(t, err)
	if now, err := os.ReadFile("/proc/1/mountinfo"); string(now) != string(host) {
		t.Errorf("the host's mounts are\n%s, and were\n%s: %v", now, host, err)
	}
	for _, c := range []struct{ what, script, because string }{
		{"a namespace that cannot be opened", "mkdir -p /run/netns/lab", "not a network namespace"},
		{"an override of somebody else's", "rmdir /run/netns/lab; chown 1000 /etc/netns/lab/hosts", "must be root's"},
	} {
		t.Run(c.what+" is a refusal", func(t *testing.T) {
			_, err := private.Sh(c.script)
			expect.Check(t, err)
			v, _, err := open(lab, func() error { return nil })
			expect.Check(t, err)
			if v.Outcome != session.Refused || !strings.Contains(v.Text, c.because) {
				t.Errorf("%c %q", v.Outcome, v.Text)
			}
		})
	}
}

func TestRootSharedJoins(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	for _, what := range []string{"created", "joined"} {
		v, log, err := open(session.Request{
			Kind: session.UserNet, Group: "usernet", User: "alice", Answer: member("alice", "usernet"), RootShared: true,
		}, func() error { return nil })
		expect.Check(t, err)
		if v.Outcome != session.Isolated {
			t.Errorf("%s: %c %s %q", what, v.Outcome, v.Text, log)
		}
	}
}

// What the session mounts is its own, on the handle of its network, too.
func TestTheHandleInASessionIsNoPeerOfTheHosts(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	for _, what := range []string{"created", "joined"} {
		v, _, err := open(session.Request{Kind: session.UserNet, Group: "usernet", User: "alice", Answer: member("alice", "usernet")}, func() error {
			_, err := private.Sh("touch /etc/x; mount --bind /etc/x /run/netns/alice")
			if err != nil {
				return err
			}
			if host, err := private.Sh("grep /run/netns/alice /proc/1/mountinfo"); strings.Contains(host, " overlay ") {
				return fmt.Errorf("%s: the session's mount is on the host:\n%s: %w", what, host, err)
			}
			return nil
		})
		if err != nil || v.Outcome != session.Isolated {
			t.Errorf("%v %s", err, v.Text)
		}
	}
}
