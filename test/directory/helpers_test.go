// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/ldap"
	"libpam-net/test/machine"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

// patience ends what hangs.
const patience = 30 * time.Second

// box is a machine without a directory. Besides the users of package machine it
// has liam, whom only the directory lists as a member, and pia, whose primary
// group is the directory's newnet. Its own methods fail the test.
type box struct {
	*machine.Machine
	marks int
}

// newBox starts a machine that ends with the test, and runs the servers.
func newBox(t *testing.T, servers ...string) *box {
	t.Helper()
	m := machine.Start(t)
	if len(servers) > 0 {
		err := ldap.Install(m)
		if errors.Is(err, machine.ErrMissing) {
			t.Skip(err)
		}
		expect.Check(t, err)
	}
	expect.Check(t, m.Install(programs.Pamhost, "/usr/local/bin/pamhost", 0o755))
	_, err := m.AddUser("liam")
	expect.Check(t, err)
	_, err = m.AddUser("pia", func(u *sandbox.User) { u.GID = ldap.NewnetGID })
	expect.Check(t, err)
	b := &box{Machine: m}
	for _, module := range machine.Modules {
		b.service(t, module, "")
	}
	for _, server := range servers {
		b.start(t, server)
	}
	return b
}

// service writes that of b.login.
func (b *box) service(t *testing.T, module, arguments string) {
	t.Helper()
	expect.Check(t, b.PAM(module, "session required "+module+".so "+arguments, "session required pam_permit.so"))
}

// sh runs a script as root, which has to succeed, and returns what it prints.
func (b *box) sh(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := b.Sh(ctx, script)
	expect.Check(t, err)
	if err := result.Err(); err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return strings.TrimSpace(result.Stdout)
}

// succeeds tells whether a script does.
func (b *box) succeeds(t *testing.T, script string) bool {
	t.Helper()
	result, err := b.Sh(t.Context(), script)
	expect.Check(t, err)
	return result.ExitCode == 0
}

// Verdicts on a login.
const (
	isolated = "isolated"
	letIn    = "let in, not isolated"
	refused  = "refused"
	safe     = isolated + " or " + refused // to be expected only
)

// login opens a session with one module, in a program that may be run by another
// one. It returns what became of it, and what the module has logged, a line for
// each record.
func (b *box) login(t *testing.T, module, user string, runner ...string) (verdict, log string) {
	t.Helper()
	before, err := b.Log()
	expect.Check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args := append(runner, "pamhost", "--report", "/run/report", module, user)
	result, err := b.Run(ctx, nil, args[0], args[1:]...)
	expect.Check(t, err)
	if result.ExitCode > 1 {
		t.Fatalf("pamhost: %v", result.Err())
	}
	data, err := b.ReadFile("/run/report")
	expect.Check(t, err)
	report, err := pamhost.Parse([]byte(data))
	expect.Check(t, err)
	for line := range strings.Lines(b.markLog(t)[len(before):]) {
		if strings.Contains(line, module+"("+module+":session)") {
			log += line
		}
	}
	return verdictOf(report), log
}

// verdictOf is one of the verdicts, or else what is wrong.
func verdictOf(r pamhost.Report) string {
	code := r.Result("pam_open_session")
	var moved []string
	for _, kind := range []string{"net", "mnt"} {
		if r.Before.Namespaces[kind] != r.After.Namespaces[kind] {
			moved = append(moved, kind)
		}
	}
	switch {
	case code == "PAM_SUCCESS" && len(moved) == 2:
		return isolated
	case code == "PAM_SUCCESS" && moved == nil:
		return letIn
	case code == "PAM_ABORT" && moved == nil:
		return refused
	}
	return fmt.Sprintf("%s and moved: %v", code, moved)
}

// markLog returns the log once all that was sent so far is in it.
func (b *box) markLog(t *testing.T) (log string) {
	t.Helper()
	socket, err := net.Dial("unixgram", b.Root()+"/dev/log")
	expect.Check(t, err)
	defer socket.Close()
	b.marks++
	mark := fmt.Sprintf("mark %d.", b.marks)
	_, err = socket.Write([]byte(mark))
	expect.Check(t, err)
	expect.Eventually(t, "the log has its mark", func() bool {
		log, err = b.Log()
		expect.Check(t, err)
		return strings.Contains(log, mark+"\n")
	})
	return log
}

// expect logs a user in, and checks the verdict. Who is refused, or let in as
// root, has one line in the log that says why.
func (b *box) expect(t *testing.T, module, user, want, why string) {
	t.Helper()
	verdict, log := b.login(t, module, user)
	checkVerdict(t, module+", "+user, verdict, want, log)
	prefix := ""
	switch {
	case verdict != want:
		return
	case want == refused:
		prefix = fmt.Sprintf("err pamhost: %[1]s(%[1]s:session): %[2]q refused: ", module, user)
	case user == "root" && why != "":
		prefix = fmt.Sprintf("err pamhost: %[1]s(%[1]s:session): %[2]q let in as root, not isolated: ", module, user)
	default:
		return
	}
	if !strings.HasPrefix(log, prefix) || !strings.Contains(log, why) || strings.Count(log, "\n") != 1 {
		t.Errorf("%s, %s: logged %q, should be one line %q...%q", module, user, log, prefix, why)
	}
}

func checkVerdict(t *testing.T, what, verdict, want, log string) {
	t.Helper()
	if verdict != want && (want != safe || verdict != isolated && verdict != refused) {
		t.Errorf("%s: %s, should be %s; logged: %s", what, verdict, want, log)
	}
}

// becomes waits until a user's logins have this verdict.
func (b *box) becomes(t *testing.T, module, user, want string) {
	t.Helper()
	expect.Eventually(t, fmt.Sprintf("%s is %s", user, want), func() bool {
		verdict, _ := b.login(t, module, user)
		return verdict == want
	})
}
