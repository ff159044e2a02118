// SPDX-License-Identifier: GPL-2.0-or-later

//go:build pending

package hostile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/sandbox"
)

// Every process of a session, from the login program to the job, has the same
// open as in the session of somebody whom the modules leave alone.
func TestASessionHoldsNothingOfTheModules(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	check(t, b.StartSSHD())
	for _, c := range []struct {
		is    string
		start func(t *testing.T, user string) (end func())
	}{
		{"of sshd", func(t *testing.T, user string) func() { return b.start(t, "ssh", "-l", user, "127.0.0.1", "cat") }},
		{"of su", func(t *testing.T, user string) func() { return b.start(t, "su", user, "-c", "cat") }},
		{"of cron", b.startJob},
	} {
		t.Run(c.is, func(t *testing.T) {
			all := make(map[string]string)
			for _, user := range []string{"olga", "nina", "ulf", "gina", "ulf"} {
				end := c.start(t, user)
				all[user] = b.openFiles(t, user)
				end()
				if all[user] != all["olga"] {
					t.Errorf("%s's session has open\n%s\nolga's has\n%s", user, all[user], all["olga"])
				}
			}
			if strings.Contains(all["ulf"], "net:") || strings.Contains(all["ulf"], "mnt:") || strings.Contains(all["ulf"], "libpam-net") {
				t.Errorf("open is:\n%s", all["ulf"])
			}
		})
	}
}

// start starts a program that runs cat in a session, which lasts until cat's stdin
// ends.
func (b *box) start(t *testing.T, program string, args ...string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := b.CommandContext(ctx, program, args...)
	stdin, err := cmd.StdinPipe()
	check(t, err)
	check(t, cmd.Start())
	eventually(t, "the session has begun", func() bool { return b.runs(t, "cat") })
	return func() {
		check(t, stdin.Close())
		check(t, cmd.Wait())
		eventually(t, "the session has ended", func() bool { return b.running(t) <= 2 }) // sshd
	}
}

// startJob starts cron with such a job.
func (b *box) startJob(t *testing.T, user string) (end func()) {
	t.Helper()
	b.sh(t, `
		mkfifo -m 666 /tmp/job; rm -f /run/crond.reboot
		echo '@reboot exec cat /tmp/job' | crontab -u $1 -`, user)
	check(t, b.StartCron())
	eventually(t, "the job has begun", func() bool { return b.runs(t, "cat") })
	return func() {
		b.sh(t, "kill $(cat /run/crond.pid); : >/tmp/job; rm /tmp/job; crontab -u $1 -r", user)
		eventually(t, "the job has ended", func() bool { return b.running(t) <= 2 })
	}
}

// runs tells whether a program of this name runs.
func (b *box) runs(t *testing.T, name string) bool {
	t.Helper()
	processes, err := b.Processes()
	check(t, err)
	return slices.ContainsFunc(processes, func(p sandbox.Process) bool { return p.Name == name })
}

// running counts the processes.
func (b *box) running(t *testing.T) int {
	t.Helper()
	processes, err := b.Processes()
	check(t, err)
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
	check(t, err)
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
	check(t, err)
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
	check(t, b.StartSSHD())
	for _, c := range []struct{ name, command string }{
		{"pamhost", "exec pamhost --report /dev/null --open 50 hostile ulf"},
		{"session", "exec pamhost --report /dev/null --open 50 --close-fds 0,1,2 --threads 3 hostile ulf"},
		{"su", "exec su ulf -c true"},
		{"sshd", "exec ssh -l ulf 127.0.0.1 true"},
	} {
		t.Run(c.command, func(t *testing.T) {
			b.sh(t, "ip netns del ulf 2>/dev/null || true")
			lock, err := b.LockNames()
			check(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := b.CommandContext(ctx, "sh", "-c", c.command)
			check(t, cmd.Start())
			var child sandbox.Process
			var open []string
			eventually(t, "the child waits for the lock", func() bool {
				processes, err := b.Processes()
				check(t, err)
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
			check(t, lock.Close())
			check(t, cmd.Wait())
		})
	}
}

// childs is what the child may have open: its socket, the lock, and what Go waits
// for events with and reads its share of the processors from.
var childs = regexp.MustCompile(`^([012]=/dev/null|3=socket:.*|\d+=(anon_inode:\[event(poll|fd)\]|/run/libpam-net/lock|/sys/fs/cgroup/.*/?cpu\..*))$`)
