// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"fmt"
	"testing"
)

func TestSudo(t *testing.T) {
	t.Parallel()
	h := prepared(t)
	checkUnchanged := h.remember(t)

	for _, c := range []struct{ name, script string }{
		{"a command sees its user's network", "sudo -u $1 view"},
		{"a login shell sees its user's network", "sudo -iu $1 view"},
		{"a command that an ordinary user asks for sees its user's network", as(h.Olga) + "sudo -u $1 view"},
		{
			"a command on a terminal that sudo makes sees its user's network",
			`echo Defaults use_pty >/etc/sudoers.d/pty
			script -qefc "sudo -u $1 sh -c 'view >/tmp/view-$1'" /dev/null >/dev/null && cat /tmp/view-$1`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.checkViews(t, func(t *testing.T, user string) string { return h.Bash(t, c.script, user) })
		})
	}

	t.Run("from a session", func(t *testing.T) {
		machine := parseView(h.Bash(t, "view"))
		for _, c := range []struct{ name, from, to, script string }{
			{"nina is root in her network", "nina", "root", "sudo view"},
			{"nina is root in her network in a login shell", "nina", "root", "sudo -i view"},
			{"ulf is root in his network", "ulf", "root", "sudo view"},
			{"gina is olga in her network", "gina", "olga", "sudo -u olga view"},
			{"nina is una in una's network", "nina", "una", "sudo -u una view"},
		} {
			t.Run(c.name, func(t *testing.T) {
				inner := h.Bash(t, fmt.Sprintf("su %s -c 'view >~/view; %s'", c.from, c.script))
				outer := h.read(t, "/home/"+c.from+"/view")
				h.checkNested(t, c.from, parseView(outer), c.to, parseView(inner), machine)
			})
		}
	})
	t.Run("nothing is left but the networks with a name", checkUnchanged)
}
