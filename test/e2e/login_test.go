// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"testing"

	"libpam-net/test/expect"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	h := prepared(t)
	h.setPasswords(t)
	checkUnchanged := h.remember(t)

	for _, c := range []struct {
		name, command string
		password      bool
	}{
		{"a shell sees its user's network", "login -f ", false},
		{"a shell for which the user gives the password sees its user's network", "login ", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.checkViews(t, func(t *testing.T, user string) string {
				d := h.startOnTerminal(t, c.command+user)
				if c.password {
					d.givePassword()
				}
				d.await("$ ")
				d.say("view >view; exit\n")
				_, code := d.end()
				expect.Equal(t, "exit code", code, 0)
				return h.Bash(t, "cat /home/$1/view; rm /home/$1/view", user)
			})
		})
	}
	t.Run("nothing is left but the networks with a name", checkUnchanged)
}
