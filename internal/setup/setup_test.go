// SPDX-License-Identifier: GPL-2.0-or-later

package setup_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"libpam-net/internal/setup"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

const program = "/run/bin/program"

// install makes the script the program.
func install(t *testing.T, script string) {
	t.Helper()
	expect.Check(t, os.MkdirAll("/run/bin", 0o755))
	expect.Check(t, os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}

// run returns what the program has written.
func run(path string, patience time.Duration) (output []string, err error) {
	p := setup.Program{Path: path, Name: "lab", Env: []string{"PAM_USER=alice"}}
	p.Output = func(line string) { output = append(output, line) }
	err = p.Up(time.Now().Add(patience))
	return output, err
}

func TestRun(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	t.Cleanup(func() { expect.Check(t, setup.Group("lab").End()) })
	t.Run("the program has its arguments, an environment of its own and no input", func(t *testing.T) {
		install(t, `printf '%s\n' "$0 $*"; readlink /proc/$$/fd/0; pwd; id -G; env | sort | grep -v ^_=`)
		output, err := run(program, time.Minute)
		expect.Check(t, err)
		want := []string{
			program + " up lab", "/dev/null", "/", "0", "NETNS=lab", "NETNS_PATH=/run/netns/lab", "PAM_USER=alice",
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PWD=/",
		}
		if !slices.Equal(output, want) {
			t.Errorf("%q, not %q", output, want)
		}
	})
	t.Run("its errors are output, too, and a last line needs no end", func(t *testing.T) {
		install(t, "echo one; echo two >&2; echo; printf three")
		output, err := run(program, time.Minute)
		expect.Check(t, err)
		if !slices.Equal(output, []string{"one", "two", "three"}) {
			t.Errorf("%q", output)
		}
	})
	t.Run("a long line is cut", func(t *testing.T) {
		install(t, "head -c 2000 /dev/zero | tr '\\0' x")
		output, err := run(program, time.Minute)
		expect.Check(t, err)
		if len(output) != 3 || len(output[0]) != 800 || strings.Join(output, "") != strings.Repeat("x", 2000) {
			t.Errorf("%q", output)
		}
	})
	t.Run("what it leaves running is not waited for", func(t *testing.T) {
		install(t, "echo started; sleep 1000 & echo $!")
		output, err := run(program, time.Minute)
		expect.Check(t, err)
		if len(output) != 2 {
			t.Fatalf("%q", output)
		}
		if _, err := private.Sh("kill " + output[1]); err != nil {
			t.Errorf("it does not run: %v", err)
		}
	})
	for what, script := range map[string]string{"exits with an error": "exit 3", "is killed": "kill -9 $$"} {
		t.Run("it fails if it "+what, func(t *testing.T) {
			install(t, "echo reason; "+script)
			output, err := run(program, time.Minute)
			if err == nil || !strings.HasPrefix(err.Error(), "setup program "+program+": ") || !slices.Equal(output, []string{"reason"}) {
				t.Errorf("%q: %v", output, err)
			}
		})
	}
	t.Run("it is killed at its deadline, with what it has started", func(t *testing.T) {
		install(t, "sleep 1000 & echo $!; echo $$; wait")
		output, err := run(program, 500*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "in time") || len(output) != 2 {
			t.Fatalf("%q: %v", output, err)
		}
		for _, pid := range output {
			expect.Eventually(t, "end of process "+pid, func() bool {
				state, err := private.Sh("cat /proc/" + pid + "/stat 2>/dev/null || true")
				return err == nil && (state == "" || strings.Contains(state, ") Z "))
			})
		}
	})
}

func TestRunRefuses(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	t.Cleanup(func() { expect.Check(t, setup.Group("lab").End()) })
	for _, c := range []struct{ what, make, path, because string }{
		{"a relative path", "", "bin/program", "has no absolute path"},
		{"no path", "", "", "has no absolute path"},
		{"a program that is not there", "rm $1", program, "no such file"},
		{"a user's program", "chown 1 $1", program, "belongs to uid 1"},
		{"a program that a group may write", "chmod 775 $1", program, "can be written by others"},
		{"a program that all may write", "chmod 757 $1", program, "can be written by others"},
		{"a program that may not be run", "chmod 644 $1", program, "permission denied"},
		{"a directory", "", "/run/bin", "is not a program"},
		{"a directory, by its name", "", "/run/bin/..", "is not a program"},
		{"a FIFO, without blocking", "rm $1; mkfifo $1", program, "is not a program"},
		{"a program in a user's directory", "chown 1 /run/bin", program, "belongs to uid 1"},
		{"a program in a directory for all", "chmod 1777 /run/bin", program, "can be written by others"},
		{"a link that is a user's", "ln -s $1 /run/bin/link; chown -h 1 /run/bin/link", "/run/bin/link", "belongs to uid 1"},
		{"a link to a user's program", "cp $1 /run/theirs; chown 1 /run/theirs; ln -s ../theirs /run/bin/link", "/run/bin/link", "belongs to uid 1"},
		{
			"a link through a user's directory",
			"mkdir /run/home; chown 1 /run/home; cp $1 /run/home/p; ln -s /run/home /run/bin/dir", "/run/bin/dir/p", "/run/home: belongs to uid 1",
		},
		{"a link to itself", "ln -s link /run/bin/link", "/run/bin/link", "too many levels"},
		{"what is below a file", "", program + "/x", "not a directory"},
	} {
		t.Run(c.what, func(t *testing.T) {
			expect.Check(t, os.RemoveAll("/run/bin"))
			install(t, "touch /run/has-run")
			_, err := private.Sh("set -- " + program + "\n" + c.make)
			expect.Check(t, err)
			_, err = run(c.path, time.Minute)
			if err == nil || !strings.Contains(err.Error(), c.because) {
				t.Errorf("%v", err)
			}
			if _, err := os.Stat("/run/has-run"); err == nil {
				t.Error("it has run")
			}
		})
	}
	t.Run("but not a link of root's to a program of root's", func(t *testing.T) {
		expect.Check(t, os.RemoveAll("/run/bin"))
		install(t, "echo fine")
		_, err := private.Sh("mkdir /run/bin/dir; ln -s ../program /run/bin/dir/link")
		expect.Check(t, err)
		output, err := run("/run/bin//dir/./link", time.Minute)
		if err != nil || !slices.Equal(output, []string{"fine"}) {
			t.Errorf("%q: %v", output, err)
		}
	})
}
