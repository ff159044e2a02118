// SPDX-License-Identifier: GPL-2.0-or-later

package hostile

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

const setupProgram = "/usr/local/sbin/uplink"

// newGroupBox is a box on which olga, who is no member, may become anybody by su, with a
// setup program: it notes that it has run, waits until /run/go-on is there, and ends.
func newGroupBox(t *testing.T, timeout int, script string) *box {
	t.Helper()
	b := newBox(t)
	rules := []string{"auth sufficient pam_permit.so", "account required pam_permit.so"}
	for _, module := range []string{"pam_usernet.so", "pam_groupnet.so"} {
		rules = append(rules, fmt.Sprintf("session required %s setup=%s timeout=%d", module, setupProgram, timeout))
	}
	expect.Check(t, b.PAM("su", rules...))
	expect.Check(t, b.WriteFile(setupProgram, "#!/bin/sh\n[ $1 = up ] || exit 0\n"+script+
		"\ntouch /run/setup.$$\nuntil [ -e /run/go-on ]; do sleep 0.02; done\n", 0o755))
	b.sh(t, "chmod 755 /usr/local/sbin; chown root:root /usr/local/sbin "+setupProgram)
	return b
}

// olga starts a script of hers, in these control groups.
func (b *box) olga(t *testing.T, script string, groups ...string) *exec.Cmd {
	t.Helper()
	cmd := b.Command("sh", append([]string{"-ec", `
		script=$1; shift
		for group; do chown -R olga $group; echo $$ >$group/cgroup.procs; done
		exec setpriv --reuid olga --regid olga --clear-groups sh -c "$script"`, "sh", script}, groups...)...)
	expect.Check(t, cmd.Start())
	return cmd
}

// awaitSetup waits until so many setup programs have been started.
func (b *box) awaitSetup(t *testing.T, runs string) {
	t.Helper()
	expect.Eventually(t, "the setup program runs", func() bool { return b.setups(t) == runs })
}

func (b *box) setups(t *testing.T) string {
	t.Helper()
	return b.sh(t, "ls /run | grep -c ^setup || :")
}

// pids are the processes of su, oldest first.
func (b *box) kill(t *testing.T, signal string) {
	t.Helper()
	b.sh(t, `setpriv --reuid olga --regid olga --clear-groups pkill -$1 --full '^su '`, signal)
}

const netOf = "readlink /proc/self/ns/net"

func TestAUserWhoFreezesTheirOwnLoginStopsNobodyElses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ hierarchies, freeze, thaw string }{
		{"/sys/fs/cgroup/unified /sys/fs/cgroup", "echo 1 >$1/cgroup.freeze", "echo 0 >$1/cgroup.freeze"},
		{"/sys/fs/cgroup/freezer", "echo FROZEN >$1/freezer.state", "echo THAWED >$1/freezer.state"},
	} {
		t.Run(c.freeze, func(t *testing.T) {
			group := controlGroup(t, strings.Fields(c.hierarchies)...)
			b := newGroupBox(t, 10, "")
			frozen := b.olga(t, "su gina -c true", group)
			b.awaitSetup(t, "1")
			b.sh(t, c.freeze, group)
			b.sh(t, "touch /run/go-on")
			for _, user := range []string{"gus", "gina", "ulf"} {
				got := b.sh(t, "su $1 -c '"+netOf+"'", user)
				if got == b.own(t) || got == "" {
					t.Errorf("%s is in %q", user, got)
				}
			}
			expect.Equal(t, "setups of lab and of ulf", b.setups(t), "2")
			b.sh(t, c.thaw, group)
			_ = frozen.Wait()
		})
	}
}

func TestAUserWhoStopsTheirOwnLoginKeepsNoNetwork(t *testing.T) {
	t.Parallel()
	b := newGroupBox(t, 5, "")
	stopped := b.olga(t, "su gina -c true")
	b.awaitSetup(t, "1")
	b.kill(t, "STOP")
	b.sh(t, "touch /run/go-on")
	expect.Equal(t, "network of gus", b.sh(t, "su gus -c '"+netOf+"'") != b.own(t), true)
	expect.Eventually(t, "prune takes the network down", func() bool {
		return strings.Contains(b.try(t, "pamnetctl prune").Stdout, "lab: taken down")
	})
	b.kill(t, "CONT")
	if err := stopped.Wait(); err == nil {
		t.Error("the login that was stopped is let in: its network is gone")
	}
}

// strace(1) stops the login process when it is about to move into what its child has made.
func TestALoginThatWasStoppedUntilItsNetworkWasTakenDownIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip(err)
	}
	b := newGroupBox(t, 2, "")
	b.sh(t, "touch /run/go-on")
	stopped := b.Command("strace", "-o", "/dev/null", "-e", "inject=unshare:signal=STOP", "su", "gina", "-c", "true")
	expect.Check(t, stopped.Start())
	expect.Eventually(t, "prune takes the network down", func() bool {
		return strings.Contains(b.try(t, "pamnetctl prune").Stdout, "lab: taken down")
	})
	b.sh(t, "pkill -CONT -x su")
	if err := stopped.Wait(); err == nil {
		t.Error("the login is let in: its network is gone")
	}
	log, err := b.Log()
	expect.Check(t, err)
	if !strings.Contains(log, `"gina" refused: the network may have been taken down meanwhile`) {
		t.Errorf("the log says\n%s", log)
	}
}

func TestMembersWhoKillTheirOwnLoginsDoNotStopItsSetup(t *testing.T) {
	t.Parallel()
	b := newGroupBox(t, 10, "")
	killed := b.olga(t, "exec su gina -c true")
	b.awaitSetup(t, "1")
	b.kill(t, "KILL")
	_ = killed.Wait()
	b.sh(t, "touch /run/go-on")
	b.sh(t, "su gus -c true")
	expect.Equal(t, "setups of lab", b.setups(t), "1")
}

func TestASetupProgramHasNothingOfItsCallersPriorities(t *testing.T) {
	t.Parallel()
	b := newGroupBox(t, 10, `exec >/run/seen
		chrt -p $$ | sed 's/.*: //'; ps -o ni= -p $$; taskset -cp $$ | sed 's/.*: //'; ionice -p $$; cat /proc/$$/oom_score_adj /proc/$$/timerslack_ns
		grep SigIgn /proc/$$/status; ulimit -Sc`)
	b.sh(t, "touch /run/go-on")
	cpus := b.sh(t, `taskset -cp $$ | sed 's/.*: //'`)
	// SIGXFSZ, ignored by the child, and the signals that the caller ignores.
	login := b.olga(t, `trap '' INT XFSZ; echo 900 >/proc/self/oom_score_adj; exec chrt --idle 0 taskset -c 0 ionice -c 3 nice -n 19 su ulf -c true`)
	expect.Check(t, login.Wait())
	expect.Equal(t, "what the program has", strings.Join(strings.Fields(b.sh(t, "cat /run/seen")), " "),
		"SCHED_OTHER 0 0 "+cpus+" none: prio 0 0 50000 SigIgn: 0000000000000000 0")
}
