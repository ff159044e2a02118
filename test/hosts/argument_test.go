// SPDX-License-Identifier: GPL-2.0-or-later

package hosts

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

// ignored is a stack that lets in whom a module has ignored, and nobody else.
func ignored(module string) []string {
	return []string{"[ignore=1 default=die] " + module, "requisite pam_deny.so", "required pam_permit.so"}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for group, member := range map[string]string{"other": "olga", "team-one": "olga", "groupnet-two": "gina", "groupnet-three": "gus"} {
		expect.Check(t, b.AddGroup(group, member))
	}
	// Primary groups come first.
	_, err := b.AddUser("groupnet-own", sandbox.Groups("groupnet-lab", "groupnet-two"))
	expect.Check(t, err)
	newnet := func(user string) string { return `info pam_newnet: "` + user + `": new network namespace` }
	skipped := func(argument, problem string) string {
		return fmt.Sprintf(`err pam_newnet: argument "%s" ignored: %s`, argument, problem)
	}
	const seconds = "timeout= must be whole seconds from 1 to 3600"

	for _, c := range []struct {
		line     string
		user     string
		isolated bool
		log      []string
	}{
		{"pam_newnet.so", "nina", true, []string{newnet("nina")}},
		{"pam_newnet.so", "olga", false, nil},
		{"pam_newnet.so group=other", "olga", true, []string{newnet("olga")}},
		{"pam_newnet.so group=other", "nina", false, nil},
		{"pam_newnet.so group=other group=newnet", "nina", true, []string{newnet("nina")}},
		{"pam_newnet.so group=nosuch", "nina", false, []string{`warning pam_newnet: group "nosuch" does not exist, so nobody is a member`}},
		{"pam_usernet.so group=nosuch", "ulf", false, []string{`warning pam_usernet: group "nosuch" does not exist, so nobody is a member`}},
		{"pam_usernet.so group=other", "olga", true, []string{`info pam_usernet: "olga": created network namespace "olga"`}},
		{"pam_groupnet.so group=team", "olga", true, []string{`info pam_groupnet: "olga": created network namespace "one"`}},
		{"pam_groupnet.so group=team", "gina", false, nil},
		{"pam_groupnet.so group=groupnet-lab", "gina", false, nil},
		{"pam_groupnet.so group=group", "gina", false, nil},
		{"pam_groupnet.so", "gina", true, []string{
			`warning pam_groupnet: "gina" is in several groups groupnet-*; "groupnet-lab" counts`,
			`info pam_groupnet: "gina": created network namespace "lab"`,
		}},
		{"pam_groupnet.so", "groupnet-own", true, []string{
			`warning pam_groupnet: "groupnet-own" is in several groups groupnet-*; "groupnet-own" counts`,
			`info pam_groupnet: "groupnet-own": created network namespace "own"`,
		}},

		{"pam_newnet.so lodwn", "nina", true, []string{skipped("lodwn", "no such argument"), newnet("nina")}},
		{"pam_newnet.so lodwn", "olga", false, []string{skipped("lodwn", "no such argument")}},
		{"pam_newnet.so lodown=yes", "nina", true, []string{skipped("lodown=yes", "no such argument"), newnet("nina")}},
		{"pam_newnet.so group=", "nina", true, []string{skipped("group=", "group= must name a group"), newnet("nina")}},
		{"pam_newnet.so mask=run", "nina", true, []string{skipped("mask=run", "mask= must be an absolute path"), newnet("nina")}},
		{"pam_newnet.so timeout=ten", "nina", true, []string{skipped("timeout=ten", seconds), newnet("nina")}},
		{"pam_newnet.so timeout=ten", "olga", false, []string{skipped("timeout=ten", seconds)}},
		{"pam_newnet.so timeout=0", "nina", true, []string{skipped("timeout=0", seconds), newnet("nina")}},
		{"pam_newnet.so timeout=-1", "nina", true, []string{skipped("timeout=-1", seconds), newnet("nina")}},
		{"pam_newnet.so timeout=3601", "nina", true, []string{skipped("timeout=3601", seconds), newnet("nina")}},
		{"pam_newnet.so timeout=3600", "nina", true, []string{newnet("nina")}},
		{"pam_newnet.so timeout=18446744073709551617", "nina", true, []string{skipped("timeout=18446744073709551617", seconds), newnet("nina")}},
		{
			"pam_newnet.so " + strings.Repeat("mask=/nosuch ", 64) + "mask=/one", "nina", true,
			[]string{skipped("mask=/one", "at most 64 mask= arguments are allowed"), newnet("nina")},
		},

		{"pam_newnet.so debug", "olga", false, []string{`debug pam_newnet: "olga" is not a member`}},
		{"pam_usernet.so debug", "ulf", true, []string{
			"debug pam_usernet: Go has started (" + runtime.Version() + ")",
			`debug pam_usernet: "ulf" is a member by the group "usernet"`,
			`debug pam_usernet: "ulf": created network namespace "ulf"; now its mounts`,
			`info pam_usernet: "ulf": created network namespace "ulf"`,
		}},
	} {
		t.Run(c.line+" for "+c.user, func(t *testing.T) {
			stack := []string{"required " + c.line}
			var expected []pamhost.Field
			if c.isolated {
				expected = []pamhost.Field{pamhost.NetNamespace, pamhost.MountNamespace}
			} else {
				stack = ignored(c.line)
			}
			o := b.open(t, login{host: "pamhost", stack: stack, user: c.user})
			expect.Equal(t, "pam_open_session", o.Result("pam_open_session"), "PAM_SUCCESS")
			expect.Equal(t, "isolated", o.After.Namespaces["net"] != o.Before.Namespaces["net"], c.isolated)
			unchanged(t, "pam_open_session", o.Before, o.After, expected...)
			o.logs(t, c.log...)
		})
	}
}

func TestWhoeverDoesNotExistIsIgnored(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	for _, module := range []string{"pam_newnet.so", "pam_usernet.so", "pam_groupnet.so"} {
		o := b.open(t, login{host: "pamhost", stack: ignored(module), user: "nosuch"})
		expect.Equal(t, module, o.Result("pam_open_session"), "PAM_SUCCESS")
		unchanged(t, module, o.Before, o.After)
		o.logs(t)
	}
}

func TestLoopbackAnswersUnlessItIsToBeLeftDown(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.addUte(t)
	// Nobody listens there. A network that is up says so.
	const knock = `for host in 127.0.0.1 ::1; do bash -c ": </dev/tcp/$host/9" 2>&1 | grep -o 'refused\|unreachable\|assign'; done | sort -u`
	for _, c := range []struct{ user, arguments, want string }{
		{"nina", "", "refused"},
		{"ulf", "", "refused"},
		{"ute", "", "refused"},
		{"gina", "", "refused"},
		{"nina", "lodown", "assign\nunreachable"},
		{"ulf", "lodown", "refused"}, // which an earlier login has brought up
	} {
		o := b.open(t, login{host: "pamhost", stack: allWith(c.arguments), user: c.user, command: knock})
		expect.Equal(t, c.user+" with "+c.arguments, strings.TrimSpace(o.output), c.want)
	}
	b.sh(t, "ip netns del ulf")
	o := b.open(t, login{host: "pamhost", stack: []string{"required pam_usernet.so lodown"}, user: "ulf", command: "cat /sys/class/net/lo/operstate"})
	expect.Equal(t, "lo of a network made with lodown", o.output, "down\n")
}

// A program would take the name for an option: of a setup program, of ip(8).
func TestANameThatLooksLikeAnOptionGoesToNoProgram(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	expect.Check(t, b.WriteFile("/usr/local/sbin/uplink", "#!/bin/sh\necho \"$@\" >/run/has-run\n", 0o755))
	b.sh(t, "echo 'groupnet--x:x:59999:olga' >>/etc/group")
	stack := []string{"required pam_groupnet.so setup=/usr/local/sbin/uplink", "required pam_permit.so"}
	o := b.open(t, login{host: "pamhost", stack: stack, user: "olga"})
	o.logs(t, `err pam_groupnet: "olga" refused: "-x" cannot name a network namespace: programs would take it for an option`)
	expect.Equal(t, "what the setup program has got, and what there is", b.sh(t, "cat /run/has-run 2>/dev/null || ls /run/netns 2>/dev/null || true"), "")
}
