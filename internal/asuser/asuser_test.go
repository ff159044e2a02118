// SPDX-License-Identifier: GPL-2.0-or-later

package asuser

import (
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"libpam-net/internal/account"
	"libpam-net/test/expect"
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

func TestACommandThatCannotBeStartedIsAnError(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become a user")
	}
	runtime.LockOSThread()
	c := Command(&account.Account{Name: "nobody", UID: 65534, GID: 65534, Home: "/", Shell: "/bin/sh"}, nil, "true")
	c.Path = "/nosuch"
	if code, err := Run(c, true, c.Start); err == nil || !strings.Contains(err.Error(), `run ["true"] as uid 65534`) {
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
	c := Command(&account.Account{Name: "nobody", UID: 65534, GID: 65534, Home: "/", Shell: "/bin/sh"}, map[string]string{"PATH": Path}, "sh", "-c", script)
	var output strings.Builder
	c.Stdout = &output
	code, err := Run(c, false, c.Start)
	expect.Check(t, err)
	expect.Equal(t, "exit code", code, 3)
	if !strings.HasPrefix(output.String(), strings.Repeat("0123456789\n", 100000)) {
		t.Errorf("%d bytes", output.Len())
	}
}
