// SPDX-License-Identifier: GPL-2.0-or-later

//go:build pending

package hostile

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// as is what stands before a command that a user runs.
func as(u sandbox.User) string {
	return fmt.Sprintf("setpriv --reuid=%d --regid=%d --init-groups ", u.UID, u.GID)
}

// The child is a copy of a login process, which may be a set-uid program that the
// attacker has started.
func TestTheChildIsOutOfItsUsersReach(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	rules := []string{"auth sufficient pam_permit.so", "account required pam_permit.so"}
	for _, module := range machine.Modules {
		rules = append(rules, "session required "+module+".so")
	}
	check(t, b.PAM("su", rules...))

	for _, c := range []struct {
		is     string
		user   sandbox.User
		script string
	}{
		{"of a set-uid program, creating a namespace", b.Ulf, fmt.Sprintf(`
			for n in $(seq %d); do
				pamhost --report /dev/null --seteuid-caller %d hostile ulf && ip netns del ulf
			done`, *logins/3, b.Ulf.UID)},
		{"of a set-uid program, joining a namespace", b.Gina, fmt.Sprintf(`
			for n in $(seq %d); do pamhost --report /dev/null --seteuid-caller %d hostile gina; done`, *logins/3, b.Gina.UID)},
		{"of su", b.Nina, fmt.Sprintf(`
			%s sh -ec 'for n in $(seq %d); do su nina -c true; done'`, as(b.Nina), *logins/3)},
	} {
		t.Run(c.is, func(t *testing.T) {
			if failed := b.try(t, as(c.user)+"spy control"); failed.ExitCode != 0 {
				t.Fatalf("attacks that should work on a process of one's own: %s", failed.Stdout+failed.Stderr)
			}
			report := b.whileSpying(t, c.user, func() { b.sh(t, c.script) })
			successes, count, _ := strings.Cut(report, "children ")
			if successes != "" {
				t.Errorf("the user's attacks on the child:\n%s", successes)
			}
			var children int
			if _, err := fmt.Sscan(count, &children); err != nil || children < *logins/3/2 {
				t.Errorf("the report of the attacker shows too few children of %d logins: %q", *logins/3, report)
			}
			t.Logf("attacked: %d children of %d logins", children, *logins/3)
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
	check(t, err)
	check(t, cmd.Start())
	f()
	check(t, stdin.Close())
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the attacker has ended: %v: %s", err, output.String())
	}
	return output.String()
}
