// SPDX-License-Identifier: GPL-2.0-or-later

package hostile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// Every process of a session, from the login program to the job, has the same
// open as in the session of somebody whom the modules leave alone.
func TestASessionHoldsNothingOfTheModules(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	expect.Check(t, b.StartSSHD())
	for is, start := range map[string]starter{
		"of sshd": func(t *testing.T, user sandbox.User) func() {
			return b.start(t, "ssh", "-l", user.Name, "127.0.0.1", "cat")
		},
		"of su":   func(t *testing.T, user sandbox.User) func() { return b.start(t, "su", user.Name, "-c", "cat") },
		"of cron": b.startJob,
	} {
		t.Run(is, func(t *testing.T) { b.compareSessions(t, start) })
	}
}

// There the process of the login becomes the user's, and forks (sd-pam) to close
// the session.
func TestASessionOfSystemdHoldsNothingOfTheModules(t *testing.T) {
	t.Parallel()
	group := controlGroup(t, "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
	b := newBox(t)
	rules, err := b.ReadFile("/usr/lib/pam.d/systemd-user")
	expect.Check(t, err)
	expect.Check(t, b.WriteFile("/etc/pam.d/systemd-user", rules, 0o644))
	for _, module := range machine.Modules {
		expect.Check(t, b.AppendPAM("systemd-user", "session required "+module+".so"))
	}
	open := b.compareSessions(t, func(t *testing.T, user sandbox.User) (end func()) {
		return b.startManager(t, group, user)
	})
	if !strings.Contains(open, "(sd-pam):") {
		t.Errorf("no process (sd-pam):\n%s", open)
	}
}

// starter starts a session in which cat runs.
type starter func(t *testing.T, user sandbox.User) (end func())

// compareSessions compares what is open on a machine during sessions of members
// with what is during olga's, and returns that.
func (b *box) compareSessions(t *testing.T, start starter) (open string) {
	t.Helper()
	before := b.running(t)
	for _, user := range []sandbox.User{b.Olga, b.Nina, b.Ulf, b.Gina, b.Ulf} {
		end := start(t, user)
		now := b.openFiles(t, user.Name)
		network, err := sandbox.Namespace(b.find(t, "cat"), "net")
		expect.Check(t, err)
		end()
		expect.Eventually(t, "the session has ended", func() bool { return b.running(t) == before })
		if user.Name == "olga" {
			open = now
		} else if network == b.own(t) {
			t.Errorf("%s is in the machine's own network namespace", user.Name)
		}
		if now != open {
			t.Errorf("in %s's session is open\n%s\nin olga's\n%s", user.Name, now, open)
		}
	}
	if regexp.MustCompile("net:|mnt:|libpam-net").MatchString(open) {
		t.Errorf("open is:\n%s", open)
	}
	return open
}

// startJob starts cron with such a job.
func (b *box) startJob(t *testing.T, user sandbox.User) (end func()) {
	t.Helper()
	b.sh(t, `
		mkfifo -m 666 /tmp/job; rm -f /run/crond.reboot
		echo '@reboot exec cat /tmp/job' | crontab -u $1 -`, user.Name)
	expect.Check(t, b.StartCron())
	expect.Eventually(t, "the job has begun", func() bool { return b.runs(t, "cat") })
	return func() {
		b.sh(t, "kill $(cat /run/crond.pid); : >/tmp/job; rm /tmp/job; crontab -u $1 -r", user.Name)
	}
}

// startManager starts systemd, with the unit by which it starts a user's own
// systemd on every machine and its PAM service, and such a job in that one. It
// is not process 1 but root's own systemd: the code is the same. All of it is in
// a control group of version 2, and takes that for the root of them.
func (b *box) startManager(t *testing.T, group string, user sandbox.User) (end func()) {
	t.Helper()
	b.sh(t, `
		mkdir -p /run/units/user@.service.d /run/units/own /run/user/0 /run/systemd/system
		cp /usr/lib/systemd/system/user@.service /run/units
		cat >/run/units/default.target <<-END
			[Unit]
			Wants=user@$1.service idle.service
		END
		cat >/run/units/idle.service <<-END
			[Unit]
			After=user@$1.service
			[Service]
			Type=idle
			ExecStart=sleep infinity
		END
		cat >/run/units/user-runtime-dir@.service <<-END
			[Service]
			Type=oneshot
			RemainAfterExit=yes
			ExecStart=install --directory --owner=%i --mode=700 /run/user/%i
		END
		cat >/run/units/user@.service.d/test.conf <<-END
			[Service]
			Environment=XDG_RUNTIME_DIR=/run/user/%i SYSTEMD_UNIT_PATH=/run/units/own:/usr/lib/systemd/user
		END
		cat >/run/units/own/default.target <<-END
			[Unit]
			Wants=job.service
		END
		cat >/run/units/own/job.service <<-END
			[Service]
			Type=idle
			ExecStart=cat /tmp/job
		END
		rm -f /tmp/job; mkfifo -m 666 /tmp/job`, strconv.Itoa(user.UID))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	manager := b.CommandContext(ctx, "sh", "-ec", `
		echo $$ >$1/cgroup.procs
		export XDG_RUNTIME_DIR=/run/user/0 SYSTEMD_UNIT_PATH=/run/units:/usr/lib/systemd/user
		exec unshare --cgroup --mount --propagation slave sh -ec '
			mount -t cgroup2 cgroup2 /sys/fs/cgroup
			umask 0 # as process 1 has it: users tell it that they are ready
			exec /lib/systemd/systemd --user'`, "sh", group)
	var stderr strings.Builder
	manager.Stderr = &stderr
	expect.Check(t, manager.Start())
	// Both begin when all else is done.
	expect.Eventually(t, "the job has begun", func() bool { return b.runs(t, "cat") && b.runs(t, "sleep") })
	return func() {
		processes, err := b.Processes()
		expect.Check(t, err)
		for _, p := range processes {
			if p.Parent == manager.Process.Pid {
				expect.Check(t, unix.Kill(p.PID, unix.SIGTERM))
			}
		}
		if err := manager.Wait(); err != nil {
			t.Fatalf("systemd: %v: %s", err, stderr.String())
		}
	}
}

// running counts the processes.
func (b *box) running(t *testing.T) int {
	t.Helper()
	processes, err := b.Processes()
	expect.Check(t, err)
	return len(processes)
}

var (
	numbers = regexp.MustCompile(`\d+`)
	loading = regexp.MustCompile(`=/(usr|lib|etc)/`) // what a program opens as it starts
)

// openFiles tells what every process of the machine has open, as seen from
// outside, without the numbers that differ each time and the user's name.
func (b *box) openFiles(t *testing.T, user string) string {
	t.Helper()
	processes, err := b.Processes()
	expect.Check(t, err)
	var lines []string
	for _, p := range processes {
		line := p.Name + ":"
		for _, fd := range descriptors(t, p.PID) {
			if !loading.MatchString(fd) {
				line += " " + fd
			}
		}
		lines = append(lines, strings.ReplaceAll(numbers.ReplaceAllString(line, "N"), user, "USER"))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// descriptors are what a process has open: "3=socket:[4711]".
func descriptors(t *testing.T, pid int) []string {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	expect.Check(t, err)
	var all []string
	for _, name := range names {
		if target, err := os.Readlink(name); err == nil {
			all = append(all, filepath.Base(name)+"="+target)
		}
	}
	return all
}

// While the child waits for the lock it can be looked at.
func TestTheChildHoldsNothingOfItsHost(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	expect.Check(t, b.StartSSHD())
	for _, c := range []struct{ name, command string }{
		{"pamhost", "exec pamhost --bare --open 50 hostile ulf"},
		{"pamhost", "exec pamhost --bare --open 50 --close-fds 0,1,2 hostile ulf"},
		{"su", "exec su ulf -c true"},
		{"sshd", "exec ssh -l ulf 127.0.0.1 true"},
	} {
		t.Run(c.command, func(t *testing.T) {
			b.sh(t, "ip netns del ulf 2>/dev/null || true")
			lock, err := b.LockNames()
			expect.Check(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := b.CommandContext(ctx, "sh", "-c", c.command)
			expect.Check(t, cmd.Start())
			var child sandbox.Process
			var open []string
			expect.Eventually(t, "the child waits for the lock", func() bool {
				processes, err := b.Processes()
				expect.Check(t, err)
				for _, p := range processes {
					child, open = p, descriptors(t, p.PID)
					if slices.ContainsFunc(open, func(fd string) bool { return strings.HasSuffix(fd, "="+machine.Lock) }) {
						return true
					}
				}
				return false
			})
			if child.Name != c.name {
				t.Errorf("who waits is %q", child.Name)
			}
			for _, fd := range open {
				if !childs.MatchString(fd) {
					t.Errorf("the child has open %s", fd)
				}
			}
			if want := []string{"0=/dev/null", "1=/dev/null", "2=/dev/null"}; len(open) < 5 || !slices.Equal(open[:3], want) {
				t.Errorf("the child has open %v", open)
			}
			expect.Check(t, lock.Close())
			expect.Check(t, cmd.Wait())
		})
	}
}

// childs is what the child may have open: its socket, the lock, and what Go waits
// for events with and reads its share of the processors from.
var childs = regexp.MustCompile(`^([012]=/dev/null|3=socket:.*|\d+=(anon_inode:\[event(poll|fd)\]|/run/libpam-net/(lock|use)|/sys/fs/cgroup/.*/?cpu\..*))$`)
