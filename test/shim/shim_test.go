// SPDX-License-Identifier: GPL-2.0-or-later

// Package shim tests the C of pam/ from both sides: the login process with a
// child that lies (testdata/child.c), and the real child with a name service
// that looks around in it (testdata/libnss_spy.c).
package shim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

var built string // the folder of everything that is compiled

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "shim"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(built)
		return m.Run()
	}())
}

// A host is a way to run pamhost with a module on it.
type host struct {
	name   string
	cflags []string
	front  []string // the command that pamhost is an argument of
	build  func() error
}

const found = 99 // how a host ends that has found a bug

var hosts = []*host{
	{name: "plain"},
	{
		name:   "under ASan and UBSan",
		cflags: []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"},
		front:  []string{"env", fmt.Sprintf("ASAN_OPTIONS=exitcode=%d", found)},
	},
	{
		name: "under valgrind",
		front: []string{
			"valgrind", "--quiet", "--child-silent-after-fork=yes", fmt.Sprintf("--error-exitcode=%d", found),
			"--leak-check=full", "--errors-for-leak-kinds=definite",
		},
	},
}

func init() {
	for _, h := range hosts {
		h.build = sync.OnceValue(func() error {
			log := []string{"testdata/log.c", "../pamhost/c/*.c"}
			shim := []string{"testdata/child.c", "../../pam/[^c]*.c"} // without what runs in the child, child*.c
			return errors.Join(
				h.compile("pamhost", log, "-pthread"),
				h.compile("newnet.so", shim, "-shared", "-fPIC", "-DKIND=KIND_NEWNET"),
				h.compile("usernet.so", shim, "-shared", "-fPIC", "-DKIND=KIND_USERNET"),
			)
		})
	}
}

func (h *host) path(name string) string { return filepath.Join(built, h.name, name) }

func (h *host) compile(name string, patterns []string, flags ...string) error {
	args := []string{"-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-o", h.path(name)}
	args = append(append(args, h.cflags...), flags...)
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		args = append(args, files...)
	}
	if err := os.MkdirAll(filepath.Dir(h.path(name)), 0o755); err != nil {
		return err
	}
	if output, err := exec.Command("gcc", append(args, "-lpam")...).CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", name, err, output)
	}
	return nil
}

// machine is a sandbox in which alice is a member.
type machine struct{ *sandbox.Sandbox }

const member = "alice"

func newMachine(t *testing.T) machine {
	t.Helper()
	s, err := sandbox.New()
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	t.Cleanup(func() { expect.Check(t, s.Close()) })
	m := machine{s}
	m.sources(t, "files")
	expect.Check(t, s.AddGroup("members"))
	_, err = s.AddUser(member, sandbox.Groups("members"))
	expect.Check(t, err)
	return m
}

// sources says where users and groups come from.
func (m machine) sources(t *testing.T, names string) {
	t.Helper()
	conf := fmt.Sprintf("passwd: %s\ngroup: %s\n", names, names)
	expect.Check(t, m.WriteFile("/etc/nsswitch.conf", conf, 0o644))
}

// onEachHost runs f for each host, which has been installed on m.
func onEachHost(t *testing.T, f func(t *testing.T, m machine, h *host)) {
	m := newMachine(t)
	for _, h := range hosts {
		t.Run(h.name, func(t *testing.T) {
			m.install(t, h)
			f(t, m, h)
		})
	}
}

// install brings what h runs into the sandbox.
func (m machine) install(t *testing.T, h *host) {
	t.Helper()
	if h.front != nil {
		needs(t, h.front[0])
	}
	expect.Check(t, h.build())
	for _, name := range []string{"pamhost", "newnet.so", "usernet.so"} {
		expect.Check(t, m.Install(h.path(name), m.path(h, name), 0o755))
	}
}

func (m machine) path(h *host, name string) string {
	return "/run/" + strings.ReplaceAll(h.name, " ", "-") + "/" + name
}

// session is one that pamhost opens and closes.
type session struct {
	user    string   // alice if empty
	module  string   // "newnet.so" if empty
	args    []string // of the module
	lines   []string // of the stack instead, up to pam_permit's
	options []string // of pamhost
	front   []string // in front of the host's command
}

// outcome is what came out of a session.
type outcome struct {
	pamhost.Report
	log  string // what the module logged
	took time.Duration
}

var sessions struct {
	sync.Mutex
	count int
}

// open runs a session on h, which has been installed.
func (m machine) open(t *testing.T, h *host, s session) outcome {
	t.Helper()
	sessions.Lock()
	sessions.count++
	service := fmt.Sprintf("session%d", sessions.count) // by which its lines are found in the log
	sessions.Unlock()

	module := m.path(h, cmp.Or(s.module, "newnet.so"))
	lines := s.lines
	if lines == nil {
		lines = []string{"session required " + module + " " + strings.Join(s.args, " ")}
	}
	expect.Check(t, m.PAM(service, append(lines, "session required pam_permit.so")...))
	report := "/run/" + service
	command := append(append(append([]string{}, s.front...), h.front...), m.path(h, "pamhost"), "--report", report)
	command = append(append(command, s.options...), service, cmp.Or(s.user, member))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start := time.Now()
	result, err := m.Run(ctx, nil, command[0], command[1:]...)
	o := outcome{took: time.Since(start)}
	expect.Check(t, err)
	if result.ExitCode > 1 {
		t.Fatalf("%s: %v", strings.Join(command, " "), result.Err())
	}
	data, err := m.ReadFile(report)
	expect.Check(t, err)
	o.Report, err = pamhost.Parse([]byte(data))
	expect.Check(t, err)
	o.log = m.logOf(t, service)
	return o
}

// logOf returns what the log has of a service, up to a line that is sent last.
func (m machine) logOf(t *testing.T, service string) string {
	t.Helper()
	end := "end of " + service
	_, err := m.Run(t.Context(), nil, "logger", "--socket-errors=on", end)
	expect.Check(t, err)
	_, err = m.WaitLog(t.Context(), end)
	expect.Check(t, err)
	log, err := m.Log()
	expect.Check(t, err)
	var lines strings.Builder
	for line := range strings.Lines(log) {
		if strings.Contains(line, "("+service+":session): ") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// refused fails the test unless the session was refused, with this reason in the
// log, and has left no trace in the host.
func (o outcome) refused(t *testing.T, reason string) {
	t.Helper()
	o.ended(t, "PAM_ABORT")
	if want := fmt.Sprintf("%q refused: %s", o.User, reason); !strings.Contains(o.log, want) {
		t.Errorf("the log says %q, want %q", o.log, want)
	}
	if len(o.Messages) != 1 || o.Messages[0].Style != "PAM_ERROR_MSG" {
		t.Errorf("the user is told %q", o.Messages)
	}
}

// isolated fails the test unless the host has been moved into new namespaces,
// and is else as it was.
func (o outcome) isolated(t *testing.T) {
	t.Helper()
	o.ended(t, "PAM_SUCCESS", pamhost.NetNamespace, pamhost.MountNamespace)
	if len(o.moved()) < 2 {
		t.Errorf("a namespace is the one that it came from: %v", o.After.Namespaces)
	}
}

// moved lists the namespaces that are other ones after the session was opened.
func (o outcome) moved() []string {
	var names []string
	for name, inode := range o.Before.Namespaces {
		if o.After.Namespaces[name] != inode {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// logged fails the test unless the module has logged the text that many times.
func (o outcome) logged(t *testing.T, text string, times int) {
	t.Helper()
	if n := strings.Count(o.log, text); n != times {
		t.Errorf("%q is %d times in the log, want %d: %s", text, n, times, o.log)
	}
}

// ended fails the test unless the session was opened with this result, and the
// host, but for what is ignored, is as it was.
func (o outcome) ended(t *testing.T, result string, ignored ...pamhost.Field) {
	t.Helper()
	if got := o.Result("pam_open_session"); got != result {
		t.Errorf("%s, want %s; log: %s", got, result, o.log)
	}
	o.unchanged(t, ignored...)
}

// unchanged fails the test unless the host, but for what is ignored and for the
// libraries of the name service, is as it was.
func (o outcome) unchanged(t *testing.T, ignored ...pamhost.Field) {
	t.Helper()
	for _, sentence := range o.Before.Diff(o.After, append(ignored, pamhost.MappedFiles)...) {
		t.Error(sentence)
	}
}

// needs skips the test if there is no such command.
func needs(t *testing.T, command string) {
	t.Helper()
	if _, err := exec.LookPath(command); err != nil {
		t.Skip(err)
	}
}
