// SPDX-License-Identifier: GPL-2.0-or-later

package ctl

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"libpam-net/test/expect"
)

// terminal is one of root's, where a script of bash runs.
type terminal struct {
	t    *testing.T
	in   io.Writer
	cmd  *exec.Cmd
	mu   sync.Mutex
	seen strings.Builder // on the screen, and not expected yet
}

// terminal starts a script on a terminal of 30 lines and 90 columns.
func (h *host) terminal(t *testing.T, script string) *terminal {
	t.Helper()
	c := &terminal{t: t, cmd: h.Command("script", "-qefc", "trap : INT; stty rows 30 cols 90; tty >/tmp/roots; "+script, "/dev/null")}
	in, err := c.cmd.StdinPipe()
	expect.Check(t, err)
	c.in, c.cmd.Stdout = in, c
	h.session(t, c.cmd)
	return c
}

func (c *terminal) Write(text []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.Write(text)
}

// expect waits for a text to appear behind the last that was expected.
func (c *terminal) expect(text string) {
	c.t.Helper()
	c.t.Cleanup(func() {
		if c.t.Failed() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.t.Logf("the terminal shows %q", c.seen.String())
		}
	})
	expect.Eventually(c.t, fmt.Sprintf("the terminal shows %q", text), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, rest, found := strings.Cut(c.seen.String(), text)
		if found {
			c.seen.Reset()
			c.seen.WriteString(rest)
		}
		return found
	})
}

func (c *terminal) keys(keys string) {
	c.t.Helper()
	_, err := io.WriteString(c.in, keys)
	expect.Check(c.t, err)
}

// end waits for the end of the script, and returns what is left on the screen.
func (c *terminal) end() string {
	c.t.Helper()
	if err := c.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		c.t.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.String()
}

// typing is a program that types a command into every terminal that it finds, as if
// somebody did at the keyboard: into its own, and those that are open.
const typing = `#!/usr/bin/perl
for my $file ("/dev/tty", glob "/proc/self/fd/*") {
	open(my $terminal, "+<", $file) or next;
	ioctl($terminal, 0x5412, $_) for split //, "touch /tmp/typed\n"; # TIOCSTI
}
`

// after shows what has become of root's terminal.
const after = `; echo code=$?; perl -e 'ioctl(STDIN, 0x541b, my $n = pack "i", 0); print "typed=", unpack("i", $n), "\n"'; stty -a | grep -ow -e '-*icanon' -e '-*echo' -e '-*isig' | xargs`

// restored is what after shows of a terminal that is as it was.
const restored = "typed=0\r\nisig icanon echo\r\n"

func TestWhatRunsAsAUserNeverHasRootsTerminal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	expect.Check(t, h.WriteFile("/usr/local/bin/typing", typing, 0o755))
	h.Bash(t, "echo 'typing; tty >/tmp/users; exit 7' >~ulf/.bashrc; echo 'tty; ls /proc/self/fd | xargs; typing; exit 7' >/tmp/run; chmod 755 /tmp/run")
	h.login(t, "ulf", "true")
	t.Run("in enter --as-user, where it has one of its own", func(t *testing.T) {
		c := h.terminal(t, "pamnetctl enter --as-user ulf"+after)
		c.expect("pamnetctl: ulf, in the session; typing Ctrl-] three times ends it")
		c.expect("code=7\r\n" + restored)
		c.end()
		h.Bash(t, `grep ^/dev/pts/ /tmp/users && ! cmp -s /tmp/roots /tmp/users && [ ! -e /tmp/typed ]`)
	})
	t.Run("in enter --as-user of a command, by another descriptor", func(t *testing.T) {
		c := h.terminal(t, "exec 7<>/dev/tty; pamnetctl enter --as-user ulf -- bash /tmp/run"+after)
		c.expect("/dev/pts/")
		c.expect("\r\n0 1 2 3\r\n")
		c.expect("code=7\r\n" + restored)
	})
	t.Run("in enter --as-user, whichever of stdin, stdout and stderr it is", func(t *testing.T) {
		for _, redirected := range []string{"</dev/null", ">/tmp/out", "2>/tmp/err", "</dev/null >/tmp/out", "</dev/null 2>/tmp/err", ">/tmp/out 2>/tmp/err"} {
			c := h.terminal(t, "pamnetctl enter --as-user ulf -- bash /tmp/run "+redirected+after)
			c.expect("code=7\r\n" + restored)
		}
	})
	t.Run("in check --run, where it has none", func(t *testing.T) {
		c := h.terminal(t, "exec 7<>/dev/tty; pamnetctl check nina --run 'bash /tmp/run; ps -o tty= -p $$,$PPID | xargs; exit 7'"+after)
		c.expect("not a tty\r\n0 1 2 3\r\n? ?\r\n") // nor has its parent, in which modules work
		c.expect("code=7\r\n" + restored)
	})
	t.Run("in check --run, whichever of stdin, stdout and stderr it is", func(t *testing.T) {
		for _, redirected := range []string{"</dev/null", ">/tmp/out", "2>/tmp/err", "</dev/null >/tmp/out"} {
			c := h.terminal(t, "pamnetctl check nina --run 'bash /tmp/run; exit 7' "+redirected+after)
			c.expect("code=7\r\n" + restored)
		}
	})
}

func TestAUsersTerminalIsLikeRoots(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.Bash(t, "echo 'PS1=ready:' >~ulf/.bashrc")
	h.login(t, "ulf", "true")
	start := func(t *testing.T) *terminal {
		c := h.terminal(t, "pamnetctl enter --as-user ulf"+after)
		c.expect("ready:")
		return c
	}
	t.Run("in size, also when that changes", func(t *testing.T) {
		c := start(t)
		c.keys("stty size; tty >/tmp/users; echo -n >/tmp/know\r")
		c.expect("30 90")
		h.Bash(t, `until [ -e /tmp/know ]; do sleep 0.01; done; stty -F $(cat /tmp/roots) rows 40 cols 100
			until [ "$(stty -F $(cat /tmp/users) size)" = "40 100" ]; do sleep 0.01; done`)
		c.keys("exit 4\r")
		c.expect("code=4\r\n" + restored)
	})
	t.Run("in job control", func(t *testing.T) {
		c := start(t)
		for key, outcome := range map[string]string{"\003": "status=130", "\032": "status=148", "\034": "status=131"} {
			c.keys("sleep 3000\r")
			h.Bash(t, "until pgrep -xf 'sleep 3000'; do sleep 0.01; done")
			c.keys(key)
			c.expect("ready:")
			c.keys("echo status=$?; kill -KILL %%; wait; clear\r")
			c.expect(outcome)
			h.Bash(t, "while pgrep -xf 'sleep 3000'; do sleep 0.01; done")
		}
		c.keys("exit 6\r")
		c.expect("code=6\r\n" + restored)
	})
	t.Run("until somebody types Ctrl-] three times", func(t *testing.T) {
		c := start(t)
		c.keys("trap '' HUP INT TERM QUIT; kill -STOP $$\r")
		h.Bash(t, `until ps -o stat= -u ulf | grep '^T'; do sleep 0.01; done`)
		c.keys("\x1d\x1dx\x1d\x1d\x1d")
		c.expect("code=137\r\n" + restored)
	})
	for _, signal := range []string{"TERM", "HUP"} {
		t.Run("until pamnetctl gets SIG"+signal, func(t *testing.T) {
			c := start(t)
			h.Bash(t, "pkill -"+signal+" -xf 'pamnetctl enter --as-user ulf'")
			c.expect("code=137\r\n" + restored)
		})
	}
	t.Run("until it ends, whatever still writes to it", func(t *testing.T) {
		c := start(t)
		c.keys("trap '' HUP; setsid yes & until pgrep -x yes; do :; done; exit 3\r")
		c.expect("code=3\r\n" + restored)
	})
	t.Run("and shows all that was written", func(t *testing.T) {
		c := start(t)
		c.keys("exec perl -e 'print \"$_\\n\" for 1..20000; print \"the\", \" end\\n\"'\r")
		c.expect("the end")
		c.expect("code=0\r\n" + restored)
	})
}

func TestCtrlCInACheckIsForTheCommand(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	before := h.state(t)
	c := h.terminal(t, "pamnetctl check nina --run 'trap \"echo interrupted; exit 9\" INT; sleep 3000 & wait'"+after)
	h.Bash(t, "until pgrep -xf 'sleep 3000'; do sleep 0.01; done")
	c.keys("\003")
	c.expect("interrupted")
	c.expect("code=9\r\n" + restored)
	c.end()
	h.Bash(t, "rm /tmp/roots")
	h.unchanged(t, "check", before)
}
