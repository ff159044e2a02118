// SPDX-License-Identifier: GPL-2.0-or-later

package hosts

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/pamhost"
)

// patience ends what hangs. Everything here should take milliseconds.
const patience = time.Minute

// box is a machine with the host programs on it. Its own methods fail the test.
type box struct {
	*machine.Machine
	count atomic.Int64 // of what is numbered
}

// newBox starts a machine that ends with the test. No session may leave a
// process behind; the log shows if the test fails.
func newBox(t *testing.T) *box {
	t.Helper()
	m := machine.Start(t)
	t.Cleanup(func() {
		processes, err := m.Processes()
		expect.Check(t, err)
		for _, p := range processes[1:] {
			t.Errorf("left behind: process %d, %q", p.Inside, p.Args)
		}
	})
	for name, program := range map[string]string{
		"pamhost": programs.Pamhost, "gohost": programs.Gohost, "old_kernel": programs.oldKernel,
	} {
		expect.Check(t, m.Install(program, "/usr/local/bin/"+name, 0o755))
	}
	// No library is loaded for a lookup, whatever the machine's own sources are.
	expect.Check(t, m.WriteFile("/etc/nsswitch.conf", "passwd: files\ngroup: files\n", 0o644))
	return &box{Machine: m}
}

// sh runs a script as root, which has to succeed, and returns what it prints.
func (b *box) sh(t *testing.T, script string) string {
	t.Helper()
	return b.run(t, "sh", "-ec", script)
}

// in runs a script as root in the namespaces of a process of the machine.
func (b *box) in(t *testing.T, pid int, script string) string {
	t.Helper()
	return b.run(t, "nsenter", "--target", strconv.Itoa(pid), "--mount", "--net", "--", "sh", "-ec", script)
}

func (b *box) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := b.Run(ctx, nil, program, args...)
	expect.Check(t, err)
	if err := result.Err(); err != nil {
		t.Fatalf("%s %q: %v", program, args, err)
	}
	return strings.TrimSpace(result.Stdout)
}

// login is one session in a host.
type login struct {
	host    string   // the program and its options
	stack   []string // the lines of its service, without "session"
	user    string
	command string // what sh runs in the session, if anything
}

// outcome is what came of a login.
type outcome struct {
	pamhost.Report
	output string   // of the command, errors included
	log    []string // the lines of the modules
}

// everything is a stack of all modules.
var everything = allWith("")

// allWith is a stack of all modules with the same arguments.
func allWith(arguments string) []string {
	var stack []string
	for _, module := range machine.Modules {
		stack = append(stack, "required "+module+".so "+arguments)
	}
	return append(stack, "required pam_permit.so") // a stack of which all abstain is refused
}

// open opens a session, runs the command in it, and closes it.
func (b *box) open(t *testing.T, l login) outcome {
	t.Helper()
	return b.start(t, l).wait(t)
}

// host is a host program at work.
type host struct {
	box     *box
	cmd     *exec.Cmd
	stdin   io.Closer
	stdout  *bufio.Reader
	stderr  strings.Builder
	service string
	report  string // the files of what the host and the command say
	output  string
}

// start starts a host.
func (b *box) start(t *testing.T, l login) *host {
	t.Helper()
	n := b.count.Add(1)
	h := &host{
		box: b, service: fmt.Sprintf("service%d", n),
		report: fmt.Sprintf("/run/report%d", n), output: fmt.Sprintf("/tmp/output%d", n),
	}
	// libpam logs that this module is absent. So libc's socket to the log, which is
	// left open, is there before a module has anything to log.
	rules := []string{"auth optional pam_absent.so"}
	for _, line := range l.stack {
		rules = append(rules, "session "+line)
	}
	expect.Check(t, b.PAM(h.service, rules...))

	args := append(strings.Fields(l.host), "--report", h.report, h.service, l.user)
	if l.command != "" {
		// Not to the host's descriptors, which may be closed.
		args = append(args, "--", "sh", "-c", "exec >"+h.output+" 2>&1\n"+l.command)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	h.cmd = b.CommandContext(ctx, args[0], args[1:]...)
	h.cmd.Stderr = &h.stderr
	stdin, err := h.cmd.StdinPipe()
	expect.Check(t, err)
	stdout, err := h.cmd.StdoutPipe()
	expect.Check(t, err)
	h.stdin, h.stdout = stdin, bufio.NewReader(stdout)
	expect.Check(t, h.cmd.Start())
	return h
}

// ready waits until the session of a host of the option --hold is open, and
// returns the host's PID in the sandbox. The session stays open until h.wait.
func (h *host) ready(t *testing.T) (pid int) {
	t.Helper()
	line, err := h.stdout.ReadString('\n')
	if _, scan := fmt.Sscanf(line, "ready %d\n", &pid); scan != nil {
		ended := h.cmd.Wait()
		t.Fatalf("no session: %v, %v: %s; the log: %q", err, ended, h.stderr.String(), h.box.logged(t, h.service))
	}
	return pid
}

// wait returns when the host has ended.
func (h *host) wait(t *testing.T) outcome {
	t.Helper()
	h.stdin.Close()
	stdout, err := io.ReadAll(h.stdout)
	expect.Check(t, err)
	err = h.cmd.Wait()
	if code := h.cmd.ProcessState.ExitCode(); code != 0 && code != 1 {
		t.Fatalf("%q: %v: %s", h.cmd.Args, err, h.stderr.String())
	}
	expect.Equal(t, "what the host printed", string(stdout)+h.stderr.String(), "")
	data, err := h.box.ReadFile(h.report)
	expect.Check(t, err)
	o := outcome{log: h.box.logged(t, h.service)}
	o.Report, err = pamhost.Parse([]byte(data))
	expect.Check(t, err)
	if o.Command != nil {
		o.output, err = h.box.ReadFile(h.output)
		expect.Check(t, err)
	}
	return o
}

// logLine is "info pamhost: pam_newnet(service1:session): text".
var logLine = regexp.MustCompile(`^(\w+) \w+: (\w+)\((\w+):session\): (.*)\n$`)

// logged returns the lines that modules have logged in a service so far.
func (b *box) logged(t *testing.T, service string) []string {
	t.Helper()
	// When a mark that is sent now is there, so is what came before.
	socket, err := net.Dial("unixgram", b.Root()+"/dev/log")
	expect.Check(t, err)
	defer socket.Close()
	mark := fmt.Sprintf("mark %d of %s", b.count.Add(1), service)
	_, err = socket.Write([]byte(mark))
	expect.Check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = b.WaitLog(ctx, mark)
	expect.Check(t, err)
	log, err := b.Log()
	expect.Check(t, err)
	var lines []string
	for line := range strings.Lines(log) {
		if m := logLine.FindStringSubmatch(line); m != nil && m[3] == service {
			lines = append(lines, m[1]+" "+m[2]+": "+m[4])
		}
	}
	return lines
}

// logs reports log lines other than these. "(net:[...])" at the end is left out.
func (o outcome) logs(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, line := range o.log {
		got = append(got, netnsID.ReplaceAllString(line, ""))
	}
	expect.Equal(t, "log", strings.Join(got, "\n"), strings.Join(want, "\n"))
}

var netnsID = regexp.MustCompile(` \(net:\[\d+\]\)$`)
