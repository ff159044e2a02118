// SPDX-License-Identifier: GPL-2.0-or-later

package session_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/membership"
	"libpam-net/internal/report"
	"libpam-net/internal/session"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// open is session.Open and what look then finds in the session. It returns the
// lines for the log, their priority in front.
func open(r session.Request, look func() error) (v report.Verdict, log []string, err error) {
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return v, nil, err
	}
	defer unix.Close(sockets[0])
	defer unix.Close(sockets[1])
	err = private.OnThread(func() error {
		if v = session.Open(r, report.Socket(sockets[0])); v.Outcome != report.Isolated {
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

func member(user, group string) membership.Answer {
	return membership.Answer{State: membership.Member, User: user, Group: group}
}

func TestOpenDecides(t *testing.T) {
	again := func(a membership.Answer) func() membership.Answer {
		return func() membership.Answer { return a }
	}
	for _, c := range []struct {
		what    string
		request session.Request
		outcome report.Outcome
		text    string
		log     string
	}{
		{
			"no member is not concerned",
			session.Request{First: membership.Answer{State: membership.None}},
			report.NotConcerned, "", "",
		},
		{
			"no member is not concerned, if that takes a second question",
			session.Request{Again: again(membership.Answer{State: membership.None})},
			report.NotConcerned, "", "",
		},
		{
			"who may be a member is refused as such",
			session.Request{Again: again(membership.Answer{Problem: "ldap is down"})},
			report.Unknowable, "ldap is down", "",
		},
		{
			"a panic of the lookup is a refusal",
			session.Request{Again: func() membership.Answer { panic("mishap") }},
			report.Refused, "mishap", "",
		},
		{
			"a lookup that is missing is a refusal",
			session.Request{},
			report.Refused, "nil pointer", "",
		},
		{
			"a user's name that cannot name a namespace is a refusal",
			session.Request{Kind: session.UserNet, First: member("../alice", "usernet")},
			report.Refused, `"../alice" cannot name a network namespace`, "",
		},
		{
			"a group's name that cannot name a namespace is a refusal",
			session.Request{Kind: session.GroupNet, Group: "groupnet", First: member("alice", "groupnet-a/b")},
			report.Refused, `"a/b" cannot name a network namespace`, "",
		},
		{
			"a group's name that names nothing is a refusal",
			session.Request{Kind: session.GroupNet, Group: "groupnet", First: member("alice", "groupnet-")},
			report.Refused, `"" cannot name a network namespace`, "",
		},
		{
			"of several groups one counts, and a warning says which",
			session.Request{Kind: session.GroupNet, Group: "g", User: "alice", First: membership.Answer{
				State: membership.Member, Group: "g-..", Several: true,
			}},
			report.Refused, `".." cannot name a network namespace`, `4 "alice" is in several groups g-*; "g-.." counts`,
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			v, log, err := open(c.request, func() error { return errors.New("a session") })
			expect.Check(t, err)
			if v.Outcome != c.outcome || !strings.Contains(v.Text, c.text) {
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
	lab := session.Request{Kind: session.GroupNet, Group: "groupnet", User: "alice", First: member("alice", "groupnet-lab")}
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
			session.Request{User: "alice", First: member("alice", "newnet")},
			isolated + up + `test -z "$(ls -A /run/netns)"; test -z "$(ls -A /run/nscd)"; grep secret /run/secret; ! grep ours /etc/hosts`,
			`"alice": new network namespace (net:[`, "",
		},
		{
			"lodown",
			session.Request{User: "alice", First: member("alice", "newnet"), LoDown: true},
			isolated + down, "", "",
		},
		{
			"mask, keepresolver and shownetns",
			session.Request{
				User: "alice", First: member("alice", "newnet"),
				Masks: []string{"/run/secret", "/run/nothing"}, KeepResolver: true, ShowNetns: true,
			},
			isolated + `test ! -s /run/secret; test -e /run/nscd/socket; test -e /run/netns/other`, "", "",
		},
		{
			"the network of the user, not of the name that the login service uses",
			session.Request{Kind: session.UserNet, User: "ALICE@example.org", First: member("alice", "usernet")},
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
			session.Request{User: "alice", First: member("alice", "newnet"), RootShared: true},
			isolated + up, "", "",
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			v, log, err := open(c.request, func() error {
				_, err := private.Sh(c.look)
				return err
			})
			expect.Check(t, err)
			if v.Outcome != report.Isolated || !strings.HasPrefix(v.Text, c.text) || v.CwdMoved {
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
			if v.Outcome != report.Refused || !strings.Contains(v.Text, c.because) {
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
			Kind: session.UserNet, User: "alice", First: member("alice", "usernet"), RootShared: true,
		}, func() error { return nil })
		expect.Check(t, err)
		if v.Outcome != report.Isolated {
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
		v, _, err := open(session.Request{Kind: session.UserNet, User: "alice", First: member("alice", "usernet")}, func() error {
			_, err := private.Sh("touch /etc/x; mount --bind /etc/x /run/netns/alice")
			if err != nil {
				return err
			}
			if host, err := private.Sh("grep /run/netns/alice /proc/1/mountinfo"); strings.Contains(host, " overlay ") {
				return fmt.Errorf("%s: the session's mount is on the host:\n%s: %w", what, host, err)
			}
			return nil
		})
		if err != nil || v.Outcome != report.Isolated {
			t.Errorf("%v %s", err, v.Text)
		}
	}
}
