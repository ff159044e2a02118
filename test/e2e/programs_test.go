// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"strconv"
	"testing"

	"libpam-net/test/expect"
)

// TestProcessesOfLoginPrograms is about those that stay while the session lasts,
// as its parent. TestSSHD is about sshd.
func TestProcessesOfLoginPrograms(t *testing.T) {
	t.Parallel()
	h := prepared(t)
	const hold = `echo "parent"=$PPID.; exec cat`
	for _, program := range []struct {
		name  string
		start func(t *testing.T, user string) *dialogue
	}{
		{"su", func(t *testing.T, user string) *dialogue {
			return h.start(t, "su", user, "-c", hold)
		}},
		{"su -", func(t *testing.T, user string) *dialogue {
			return h.start(t, "su", "-", user, "-c", hold)
		}},
		{"sudo", func(t *testing.T, user string) *dialogue {
			return h.start(t, "sudo", "-u", user, "sh", "-c", hold)
		}},
		{"login", func(t *testing.T, user string) *dialogue {
			d := h.startOnTerminal(t, "login -f "+user)
			d.await("$ ")
			d.say(hold + "\n")
			return d
		}},
	} {
		t.Run(program.name+" is like that of a session that is not isolated", func(t *testing.T) {
			parentOf := func(user string) (*dialogue, int) {
				d := program.start(t, user)
				d.await("parent=")
				inside, err := strconv.Atoi(d.await("."))
				expect.Check(t, err)
				pid, err := h.HostPID(inside)
				expect.Check(t, err)
				return d, pid
			}
			olga, olgasParent := parentOf("olga")
			for _, user := range users[1:] {
				d, parent := parentOf(user)
				compareProcesses(t, user, parent, olgasParent)
				d.end()
			}
			olga.end()
		})
	}
}
