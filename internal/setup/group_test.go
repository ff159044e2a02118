// SPDX-License-Identifier: GPL-2.0-or-later

package setup_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"libpam-net/internal/setup"
	"libpam-net/internal/state"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestUnitNamesAreEscapedAsSystemdDoes(t *testing.T) {
	for name, want := range map[string]string{
		"lab":     "pamnet-setup-lab.scope",
		"tom-x":   `pamnet-setup-tom\x2dx.scope`,
		".a.b":    `pamnet-setup-\x2ea.b.scope`,
		"a b%é":   `pamnet-setup-a\x20b\x25\xc3\xa9.scope`,
		"A:_9@\\": `pamnet-setup-A:_9\x40\x5c.scope`,
	} {
		expect.Equal(t, "unit of "+name, setup.Group(name).Unit(), want)
		escaped, err := exec.Command("systemd-escape", "--", name).Output()
		if err == nil {
			expect.Equal(t, "systemd-escape of "+name, "pamnet-setup-"+strings.TrimSpace(string(escaped))+".scope", want)
		}
	}
	long := setup.Group(strings.Repeat("-", 255)).Unit()
	if len(long) > 255 || long == setup.Group(strings.Repeat("-", 254)).Unit() {
		t.Errorf("the unit of a long name is %q", long)
	}
}

func TestWhatAProgramLeavesRunningIsFoundAndEnded(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	group := setup.Group("left")
	if err := state.LeaveCgroups(1); err != nil {
		t.Skip(err)
	}
	for what, script := range map[string]string{
		"what ends at SIGTERM":       "sleep 1000 & echo $!",
		"what has left its session":  "setsid sleep 1000 & echo $!",
		"what does not mind SIGTERM": "trap '' TERM; sleep 1000 & echo $!",
	} {
		t.Run(what, func(t *testing.T) {
			expect.Check(t, group.End()) // nothing is no error
			install(t, "exec 2>/dev/null; "+script+"; exec >/dev/null; sleep 0.01")
			p := setup.Program{Path: program, Name: "left", Output: func(string) {}}
			expect.Check(t, p.Up(time.Now().Add(time.Minute)))
			running, err := group.Settle(50 * time.Millisecond)
			expect.Check(t, err)
			if !running {
				t.Skip("no control group can be made here")
			}
			pids, err := group.Processes()
			expect.Check(t, err)
			expect.Equal(t, "processes", len(pids), 1)
			other, err := setup.Group("other").IsRunning()
			expect.Check(t, err)
			expect.Equal(t, "something runs in another group", other, false)
			expect.Check(t, group.End())
			pids, err = group.Processes()
			expect.Check(t, err)
			expect.Equal(t, "processes", len(pids), 0)
			left, err := private.Sh("ls -d /sys/fs/cgroup/*/pamnet-setup-left* /sys/fs/cgroup/pamnet-setup-left* 2>/dev/null || :")
			expect.Check(t, err)
			expect.Equal(t, "groups", left, "")
		})
	}
}
