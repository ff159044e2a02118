// SPDX-License-Identifier: GPL-2.0-or-later

// Package hostile logs members in where everything is against it: limits and
// system calls that fail, users who spy on the login, files that change while
// they are looked at. Whatever happens, a member is isolated completely or
// refused, and the login process lives.
package hostile

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

var logins = flag.Int("hostile.logins", 180, "`number` of logins while files are exchanged; a tenth of them for each row of those that are spied on")

// patience ends what hangs, more of it where there are more logins.
var patience = time.Minute

// programs are the directory of what the tests install on each machine.
var programs string

func TestMain(m *testing.M) {
	sandbox.Main()
	flag.Parse()
	patience += time.Duration(*logins) * time.Second / 2
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() == 0 {
		dir, err := os.MkdirTemp("", "hostile")
		if err == nil {
			defer os.RemoveAll(dir)
			err = build(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

func build(dir string) error {
	programs = dir
	if _, err := pamhost.Build(dir); err != nil {
		return err
	}
	sources, err := filepath.Glob("testdata/*.c")
	if err != nil {
		return err
	}
	for _, source := range sources {
		program := filepath.Join(dir, strings.TrimSuffix(filepath.Base(source), ".c"))
		output, err := exec.Command("gcc", "-std=gnu11", "-O2", "-o", program, source).CombinedOutput()
		if err != nil {
			return fmt.Errorf("gcc %s: %w\n%s", source, err, output)
		}
	}
	return nil
}

// box is a machine with the programs, whose service "hostile" is a stack of all
// modules. Its own methods fail the test.
type box struct {
	*machine.Machine
}

func newBox(t *testing.T) *box {
	t.Helper()
	m := machine.Start(t)
	b := &box{m}
	files, err := filepath.Glob(programs + "/*")
	expect.Check(t, err)
	for _, file := range files {
		expect.Check(t, m.Install(file, "/usr/local/bin/"+filepath.Base(file), 0o755))
	}
	expect.Check(t, m.WriteFile("/etc/nsswitch.conf", "passwd: files\ngroup: files\n", 0o644))
	b.service(t, "hostile", "")
	return b
}

// service makes a service of all modules with these arguments, and others before.
func (b *box) service(t *testing.T, name, arguments string, before ...string) {
	t.Helper()
	// libpam logs that the first one is absent. So libc's socket to the log, which
	// is left open, is there before a module has anything to log.
	rules := append([]string{"auth optional pam_absent.so"}, before...)
	for _, module := range machine.Modules {
		rules = append(rules, "session required "+module+".so "+arguments)
	}
	expect.Check(t, b.PAM(name, append(rules, "session required pam_permit.so")...))
}

// try runs a script of root's with arguments.
func (b *box) try(t *testing.T, script string, args ...string) sandbox.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := b.Run(ctx, nil, "sh", append([]string{"-ec", script, "sh"}, args...)...)
	expect.Check(t, err)
	return result
}

// sh runs a script that has to succeed, and returns what it prints.
func (b *box) sh(t *testing.T, script string, args ...string) string {
	t.Helper()
	result := b.try(t, script, args...)
	if err := result.Err(); err != nil {
		t.Fatalf("%s %q: %v", script, args, err)
	}
	return strings.TrimSpace(result.Stdout)
}

// tail is the end of the machine's log.
func (b *box) tail(t *testing.T, lines int) string {
	t.Helper()
	log, err := b.Log()
	expect.Check(t, err)
	all := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// runs tells whether a program of this name runs.
func (b *box) runs(t *testing.T, name string) bool {
	t.Helper()
	return b.find(t, name) != 0
}

// find returns the PID of a program of this name, or 0.
func (b *box) find(t *testing.T, name string) int {
	t.Helper()
	processes, err := b.Processes()
	expect.Check(t, err)
	for _, p := range processes {
		if p.Name == name {
			return p.PID
		}
	}
	return 0
}

// start starts a program that runs cat in a session, which lasts until cat's stdin
// ends.
func (b *box) start(t *testing.T, program string, args ...string) (end func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := b.CommandContext(ctx, program, args...)
	stdin, err := cmd.StdinPipe()
	expect.Check(t, err)
	expect.Check(t, cmd.Start())
	expect.Eventually(t, "the session has begun", func() bool { return b.runs(t, "cat") })
	return func() {
		expect.Check(t, stdin.Close())
		expect.Check(t, cmd.Wait())
	}
}

// hold starts a program that prints a line and runs until its stdin ends. The
// error, of exit status 3, is that of a machine on which it cannot.
func (b *box) hold(t *testing.T, program string, args ...string) (line string, end func(), err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := b.CommandContext(ctx, program, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	expect.Check(t, err)
	stdout, err := cmd.StdoutPipe()
	expect.Check(t, err)
	expect.Check(t, cmd.Start())
	line, err = bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		err := cmd.Wait()
		if cmd.ProcessState.ExitCode() == 3 {
			return "", nil, errors.New(strings.TrimSpace(stderr.String()))
		}
		t.Fatalf("%s: %v: %s", program, err, stderr.String())
	}
	return strings.TrimSpace(line), func() {
		t.Helper()
		expect.Check(t, stdin.Close())
		expect.Check(t, cmd.Wait())
	}, nil
}

// controlGroup makes a control group below the first of these directories that the
// machine has, or skips the test. It ends with the test, after a machine that is
// started later.
func controlGroup(t *testing.T, parents ...string) (path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip(sandbox.ErrNeedRoot)
	}
	i := slices.IndexFunc(parents, func(parent string) bool { return unix.Access(parent, unix.F_OK) == nil })
	if i < 0 {
		t.Skipf("there are no control groups in %q", parents)
	}
	path, err := os.MkdirTemp(parents[i], "hostile.")
	if err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	t.Cleanup(func() {
		expect.Eventually(t, "the control group is empty", func() bool { return removeGroups(path) == nil })
	})
	expect.Check(t, os.Chmod(path, 0o755))
	if _, err := os.Stat(path + "/cgroup.procs"); err != nil {
		t.Skipf("%s is no control group: %v", path, err)
	}
	return path
}

// removeGroups removes a control group with those below.
func removeGroups(path string) error {
	below, err := os.ReadDir(path)
	for _, entry := range below {
		if entry.IsDir() {
			err = errors.Join(err, removeGroups(filepath.Join(path, entry.Name())))
		}
	}
	return errors.Join(err, unix.Rmdir(path))
}

// own is the machine's network namespace.
func (b *box) own(t *testing.T) string {
	t.Helper()
	own, err := sandbox.Namespace(b.PID(), "net")
	expect.Check(t, err)
	return own
}
