// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// logins are ways to let a user run a command that makes /tmp/network: $1 is the
// user, $2 the command. Login drops what is typed before it has begun.
var logins = map[string]string{
	"su":   `su "$1" -c "$2"`,
	"sshd": `ssh -F /root/.ssh/config "$1@127.0.0.1" "$2"`,
	"login": `{ until [ -s /tmp/network ]; do echo "$2"; sleep .1; done; echo exit; } |
		script -qefc "login -f $1" /dev/null`,
}

// network returns which network a user's command runs in, and "" if it does not run.
func (b *box) network(t *testing.T, program, user string) string {
	t.Helper()
	expect.Check(t, b.Remove("/tmp/network"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := b.Run(ctx, nil, "sh", "-c", logins[program], "sh", user, "readlink /proc/self/ns/net >/tmp/network")
	expect.Check(t, err)
	name, _ := b.ReadFile("/tmp/network")
	return strings.TrimSpace(name)
}

func TestLoginPrograms(t *testing.T) {
	t.Parallel()
	b := newBox(t, "slapd", "nslcd")
	b.sources(t, situations[0].passwd, situations[0].group)
	b.groups(t)
	b.becomes(t, "pam_newnet", "ldina", isolated)
	expect.Check(t, b.StartSSHD())
	b.sh(t, `for user in ldina ldolga; do
			mkdir -p /home/$user/.ssh
			cp /root/.ssh/authorized_keys /home/$user/.ssh
			chown -R $user /home/$user
		done`)
	machine := b.sh(t, "readlink /proc/self/ns/net")

	expect := func(user, want string) {
		t.Helper()
		for program := range logins {
			verdict := isolated
			switch b.network(t, program, user) {
			case "":
				verdict = refused
				if said := fmt.Sprintf("(%s:session): %q refused: ", program, user); !strings.Contains(b.markLog(t), said) {
					verdict = "refused by somebody else"
				}
			case machine:
				verdict = letIn
			}
			expect.Equal(t, program+", "+user, verdict, want)
		}
	}
	isThere := func() {
		t.Helper()
		expect("ldina", isolated)
		expect("ldolga", letIn)
		expect("liam", isolated)
		expect("olga", letIn)
		expect("root", letIn)
	}
	isThere()
	b.stop(t, "slapd")
	expect("liam", refused)
	expect("olga", refused)
	expect("root", letIn)
	b.start(t, "slapd")
	b.becomes(t, "pam_newnet", "ldina", isolated)
	isThere()
}
