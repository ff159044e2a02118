// SPDX-License-Identifier: GPL-2.0-or-later

// Package hostile logs members in where everything is against it: limits and
// system calls that fail, users who spy on the login, files that change while
// they are looked at. Whatever happens, a member is isolated completely or
// refused, and the login process lives.
//go:build pending

package hostile

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"libpam-net/test/machine"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

var logins = flag.Int("hostile.logins", 300, "how many logins somebody attacks in a loop")

// patience ends what hangs, more of it where there are more logins.
var patience = time.Minute

// programs are the directory of what the tests install on each machine.
var programs string

func TestMain(m *testing.M) {
	sandbox.Main()
	flag.Parse()
	patience += time.Duration(*logins) * 100 * time.Millisecond
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hostile")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
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
	m, err := machine.New()
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	check(t, err)
	b := &box{m}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the machine's log:\n%s", b.tail(t, 40))
		}
		check(t, m.Close())
	})
	files, err := filepath.Glob(programs + "/*")
	check(t, err)
	for _, file := range files {
		check(t, m.Install(file, "/usr/local/bin/"+filepath.Base(file), 0o755))
	}
	check(t, m.WriteFile("/etc/nsswitch.conf", "passwd: files\ngroup: files\n", 0o644))
	b.service(t, "hostile", "")
	return b
}

// service makes a service of all modules with these arguments.
func (b *box) service(t *testing.T, name, arguments string) {
	t.Helper()
	// libpam logs that the first one is absent. So libc's socket to the log, which
	// is left open, is there before a module has anything to log.
	rules := []string{"auth optional pam_absent.so"}
	for _, module := range machine.Modules {
		rules = append(rules, "session required "+module+".so "+arguments)
	}
	check(t, b.PAM(name, append(rules, "session required pam_permit.so")...))
}

// try runs a script of root's with arguments.
func (b *box) try(t *testing.T, script string, args ...string) sandbox.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := b.Run(ctx, nil, "sh", append([]string{"-ec", script, "sh"}, args...)...)
	check(t, err)
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
	check(t, err)
	all := strings.Split(strings.TrimSpace(log), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// own is the machine's network namespace.
func (b *box) own(t *testing.T) string {
	t.Helper()
	own, err := sandbox.Namespace(b.PID(), "net")
	check(t, err)
	return own
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("in vain: wait until %s", what)
		}
	}
}
