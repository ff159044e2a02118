// SPDX-License-Identifier: GPL-2.0-or-later

package cgroup_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"libpam-net/internal/cgroup"
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
		expect.Equal(t, "unit of "+name, cgroup.Network(name).Unit(), want)
		escaped, err := exec.Command("systemd-escape", "--", name).Output()
		if err == nil {
			expect.Equal(t, "systemd-escape of "+name, "pamnet-setup-"+strings.TrimSpace(string(escaped))+".scope", want)
		}
	}
	long := cgroup.Network(strings.Repeat("-", 255)).Unit()
	if len(long) > 255 || long == cgroup.Network(strings.Repeat("-", 254)).Unit() {
		t.Errorf("the unit of a long name is %q", long)
	}
}

func TestWhatACommandLeavesRunningIsFoundAndEnded(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	network := cgroup.Network("left")
	if err := cgroup.MoveToInit(1); err != nil {
		t.Skip(err)
	}
	for what, script := range map[string]string{
		"what ends at SIGTERM":       "sleep 1000 & echo $!",
		"what has left its session":  "setsid sleep 1000 & echo $!",
		"what does not mind SIGTERM": "trap '' TERM; sleep 1000 & echo $!",
	} {
		t.Run(what, func(t *testing.T) {
			expect.Check(t, network.End()) // nothing is no error
			cmd := exec.Command("sh", "-c", "exec 2>/dev/null; "+script+"; exec >/dev/null; sleep 0.01")
			expect.Check(t, network.Start(cmd))
			_ = cmd.Wait()
			running, err := network.Settle(50 * time.Millisecond)
			expect.Check(t, err)
			if !running {
				t.Skip("no control group can be made here")
			}
			pids, err := network.Processes()
			expect.Check(t, err)
			expect.Equal(t, "processes", len(pids), 1)
			other, err := cgroup.Network("other").IsRunning()
			expect.Check(t, err)
			expect.Equal(t, "something runs in another group", other, false)
			expect.Check(t, network.End())
			pids, err = network.Processes()
			expect.Check(t, err)
			expect.Equal(t, "processes", len(pids), 0)
			left, err := private.Sh("ls -d /sys/fs/cgroup/*/pamnet-setup-left* /sys/fs/cgroup/pamnet-setup-left* 2>/dev/null || :")
			expect.Check(t, err)
			expect.Equal(t, "groups", left, "")
		})
	}
}
