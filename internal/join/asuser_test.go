// SPDX-License-Identifier: GPL-2.0-or-later

package join

import (
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"libpam-net/internal/policy"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestThreeKeysInARowAreForThisProgram(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		typed, arrives string
		away           bool
	}{
		"others":                      {"exit\r", "exit\r", false},
		"two":                         {"\x1d\x1d", "\x1d\x1d", false},
		"three":                       {"\x1d\x1d\x1d", "", true},
		"three that are not in a row": {"\x1d\x1dx\x1d", "\x1d\x1dx\x1d", false},
		"three behind others":         {"x\x1d\x1d\x1d", "x", true},
	} {
		t.Run(name, func(t *testing.T) {
			var tty strings.Builder
			away := false
			typeInto(&tty, io.MultiReader(strings.NewReader(c.typed)), func() { away = true })
			expect.Equal(t, "hung up", away, c.away)
			one := &strings.Builder{}
			away = false
			typeInto(one, byteByByte{strings.NewReader(c.typed)}, func() { away = true })
			expect.Equal(t, "hung up when they are typed slowly", away, c.away)
			if !c.away {
				expect.Equal(t, "what arrives", tty.String(), c.arrives)
				expect.Equal(t, "what arrives when it is typed slowly", one.String(), c.arrives)
			}
		})
	}
}

type byteByByte struct{ io.Reader }

func (r byteByByte) Read(p []byte) (int, error) { return r.Reader.Read(p[:1]) }

// nobody is a user who is not known to have anything.
var nobody = &policy.Account{Name: "nobody", UID: 65534, GID: 65534, Home: "/nosuch", Shell: "/bin/sh"}

// A user's program says what it has.
const look = `tty; echo; [ "$(ps -o sid= -p $$)" -eq $$ ] && echo leads a session; ls /proc/self/fd | xargs; grep CapInh: /proc/self/status; id -u; pwd`

func TestACommandHasNothingOfRoots(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become a user")
	}
	master, tty, err := pty.Open()
	expect.Check(t, err)
	defer master.Close()
	defer tty.Close()
	left, err := unix.Open("/etc/shadow", unix.O_RDONLY, 0) // and left open for programs
	expect.Check(t, err)
	defer unix.Close(left)
	for name, c := range map[string]struct {
		terminal bool
		tty      string
	}{
		"not its terminal":      {false, "not a tty"},
		"but a terminal if any": {true, "/dev/pts/"},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread()
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var caps [2]unix.CapUserData
			expect.Check(t, unix.Capget(&header, &caps[0]))
			caps[0].Inheritable = caps[0].Permitted
			expect.Check(t, unix.Capset(&header, &caps[0]))
			command := AsUser(nobody, map[string]string{"PATH": Path}, "sh", "-c", look)
			var output strings.Builder
			command.Stdin, command.Stdout, command.Stderr = tty, &output, tty
			code, err := Run(command, c.terminal, command.Start)
			expect.Check(t, err)
			expect.Equal(t, "exit code", code, 0)
			terminal, rest, _ := strings.Cut(output.String(), "\n\n")
			if !strings.HasPrefix(terminal, c.tty) || terminal == tty.Name() {
				t.Errorf("its terminal is %s; root's is %s", terminal, tty.Name())
			}
			expect.Equal(t, "what it has", rest, "leads a session\n0 1 2 3\nCapInh:\t0000000000000000\n65534\n/\n")
		})
	}
}

func TestACommandThatCannotBeStartedIsAnError(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become a user")
	}
	runtime.LockOSThread()
	c := AsUser(nobody, nil, "true")
	c.Path = "/nosuch"
	if code, err := Run(c, true, c.Start); err == nil || !strings.Contains(err.Error(), `run ["true"] as uid 65534`) {
		t.Errorf("%d, %v", code, err)
	}
}

func TestNothingIsRunWhereUsersMayTraceRootsPrograms(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh("echo 1 >/run/one; mount --bind /run/one /proc/sys/fs/suid_dumpable")
	expect.Check(t, err)
	runtime.LockOSThread()
	c := AsUser(nobody, nil, "true")
	if code, err := Run(c, false, c.Start); err == nil || !strings.Contains(err.Error(), "sysctl fs.suid_dumpable=2") {
		t.Errorf("%d, %v", code, err)
	}
}

func TestAllOutputOfACommandIsReturned(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become a user")
	}
	runtime.LockOSThread()
	// The second one keeps the pipe open, and writes on, until it has no reader any more.
	const script = "yes 0123456789 | head -n 100000; setsid yes & exit 3"
	c := AsUser(nobody, map[string]string{"PATH": Path}, "sh", "-c", script)
	var output strings.Builder
	c.Stdout = &output
	code, err := Run(c, false, c.Start)
	expect.Check(t, err)
	expect.Equal(t, "exit code", code, 3)
	if !strings.HasPrefix(output.String(), strings.Repeat("0123456789\n", 100000)) {
		t.Errorf("%d bytes", output.Len())
	}
}
