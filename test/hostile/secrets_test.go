// SPDX-License-Identifier: GPL-2.0-or-later

package hostile

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// as is what stands before a command that a user runs.
func as(u sandbox.User) string {
	return fmt.Sprintf("setpriv --reuid=%d --regid=%d --init-groups ", u.UID, u.GID)
}

// permitSU lets everybody become anybody with su, through all modules.
func (b *box) permitSU(t *testing.T) {
	t.Helper()
	rules := []string{"auth sufficient pam_permit.so", "account required pam_permit.so"}
	for _, module := range machine.Modules {
		rules = append(rules, "session required "+module+".so")
	}
	expect.Check(t, b.PAM("su", append(rules, "session required pam_permit.so")...))
}

// The child is a copy of a login process, which may be a set-uid program that the
// attacker has started. What the child starts is its copy in turn.
func TestTheChildIsOutOfItsUsersReach(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.permitSU(t)
	expect.Check(t, b.WriteFile("/usr/local/sbin/setup", "#!/bin/sh\nexec ip link set lo up\n", 0o755))
	const (
		setuid = "pamhost --bare --seteuid-caller $(id -u $0) spied $0"
		su     = "setpriv --reuid=$0 --regid=$0 --init-groups su $0 -c true"
	)
	n := max(1, *logins/10)
	for _, c := range []struct {
		is        string
		user      sandbox.User
		arguments string // of the modules
		login     string // a script, $0 is the user
	}{
		{"of a set-uid program, for a new network", b.Nina, "", setuid},
		{"of a set-uid program, creating a namespace", b.Ulf, "", setuid + " && ip netns del $0"},
		{"of a set-uid program, joining a namespace", b.Gina, "", setuid},
		{"of a set-uid program, for a new network of the user's own", b.Nina, "selfmanaged", setuid},
		{"of a set-uid program, creating a namespace of the user's own", b.Ulf, "selfmanaged", setuid + " && ip netns del $0"},
		{"of a set-uid program, with a setup program", b.Ulf, "setup=/usr/local/sbin/setup", setuid + " && ip netns del $0"},
		{"of su", b.Nina, "", su},
	} {
		t.Run(c.is, func(t *testing.T) {
			if failed := b.try(t, as(c.user)+"spy control"); failed.ExitCode != 0 {
				t.Fatalf("attacks that should work on a process of one's own: %s", failed.Stdout+failed.Stderr)
			}
			b.service(t, "spied", c.arguments)
			report := b.whileSpying(t, c.user, func() {
				b.sh(t, `for n in $(seq $1); do sh -ec "$2" $3; done`, fmt.Sprint(n), c.login, c.user.Name)
			})
			successes, count, _ := strings.Cut(report, "children ")
			if successes != "" {
				t.Errorf("the user's attacks on the child:\n%s", successes)
			}
			var children int
			if _, err := fmt.Sscan(count, &children); err != nil || children < n/2 {
				t.Errorf("the report of the attacker shows too few children of %d logins: %q", n, report)
			}
			t.Logf("attacked: %d children of %d logins", children, n)
		})
	}
}

// whileSpying lets a user attack what is there until f returns, and returns the
// attacker's report.
func (b *box) whileSpying(t *testing.T, user sandbox.User, f func()) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := append(strings.Fields(as(user)), "spy", "watch")
	cmd := b.CommandContext(ctx, command[0], command[1:]...)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	stdin, err := cmd.StdinPipe()
	expect.Check(t, err)
	expect.Check(t, cmd.Start())
	f()
	expect.Check(t, stdin.Close())
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the attacker has ended: %v: %s", err, output.String())
	}
	return output.String()
}
