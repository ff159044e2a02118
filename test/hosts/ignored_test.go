// SPDX-License-Identifier: GPL-2.0-or-later

package hosts

import (
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
)

// deaf is a host that ignores the refusal of every member: without CAP_NET_ADMIN lo stays down.
const deaf = "pamhost --ignore-refusal --drop-cap net_admin"

func TestAHostThatIgnoresARefusalIsInAnEmptyNetwork(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(t, "ip link add other type veth peer name another")
	for _, m := range members {
		module := "required " + m.module + ".so "
		t.Run(m.module, func(t *testing.T) {
			o := b.open(t, login{host: deaf, stack: []string{module + "refusal=empty"}, user: m.user, command: "ip -o link"})
			expect.Equal(t, "pam_open_session", o.Result("pam_open_session"), "PAM_ABORT")
			unchanged(t, "pam_open_session", o.Before, o.After, pamhost.NetNamespace)
			expect.Equal(t, "another network", o.After.Namespaces["net"] != o.Before.Namespaces["net"], true)
			if strings.Count(o.output, "\n") != 1 || !strings.Contains(o.output, ": lo: <LOOPBACK> ") {
				t.Errorf("the session has other interfaces than lo, or that is up: %q", o.output)
			}
			o.logsRefusal(t, m, "warning "+m.module+": refusal=empty: the login process is in an empty network now")
		})
		t.Run(m.module+" without the argument", func(t *testing.T) {
			o := b.open(t, login{host: deaf, stack: []string{module}, user: m.user, command: "ls /sys/class/net | grep other"})
			unchanged(t, "pam_open_session", o.Before, o.After)
			expect.Equal(t, "interfaces", o.output, "another\nother\n")
			o.logsRefusal(t, m)
		})
		t.Run(m.module+" without CAP_SYS_ADMIN", func(t *testing.T) {
			o := b.open(t, login{host: deaf + " --drop-cap sys_admin", stack: []string{module + "refusal=empty"}, user: m.user})
			expect.Equal(t, "pam_open_session", o.Result("pam_open_session"), "PAM_ABORT")
			unchanged(t, "pam_open_session", o.Before, o.After)
			o.logsRefusal(t, m, "err "+m.module+": refusal=empty: the login process stays in its network: unshare: Operation not permitted")
		})
		t.Run(m.module+" and a non-member", func(t *testing.T) {
			stack := []string{module + "refusal=empty", "required pam_permit.so"}
			o := b.open(t, login{host: deaf, stack: stack, user: "olga"})
			expect.Equal(t, "pam_open_session", o.Result("pam_open_session"), "PAM_SUCCESS")
			unchanged(t, "pam_open_session", o.Before, o.After)
			o.logs(t)
		})
	}
}

func TestRootWhoIsLetInStaysInTheHostsNetwork(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(t, "rm /etc/group")
	o := b.open(t, login{host: "pamhost", stack: allWith("refusal=empty"), user: "root"})
	expect.Equal(t, "pam_open_session", o.Result("pam_open_session"), "PAM_SUCCESS")
	unchanged(t, "pam_open_session", o.Before, o.After)
}

// logsRefusal reports what the log has besides a refusal and these lines.
func (o outcome) logsRefusal(t *testing.T, m member, more ...string) {
	t.Helper()
	prefix := fmt.Sprintf("err %s: %q refused: ", m.module, m.user)
	if len(o.log) != 1+len(more) || !strings.HasPrefix(o.log[0], prefix) {
		t.Fatalf("log: got %q, want %q and %q", o.log, prefix, more)
	}
	expect.Equal(t, "log after the refusal", strings.Join(o.log[1:], "\n"), strings.Join(more, "\n"))
}
