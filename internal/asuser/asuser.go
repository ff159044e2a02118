// SPDX-License-Identifier: GPL-2.0-or-later

// Package asuser runs a command as a user whom root does not trust. The command
// has the user's rights alone, a session of its own, none of this program's open
// files but stdin, stdout and stderr, and never this program's terminal: who has
// a terminal reads what is typed there, and types with TIOCSTI.
package asuser

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"libpam-net/internal/account"
	"libpam-net/internal/nsfs"
)

// Path is where users' programs are by default.
const Path = "/usr/local/bin:/usr/bin:/bin"

// atHome is a script that runs its arguments in the home directory, or in "/" if
// that cannot be entered. What has to be looked up is looked up by the user.
const atHome = `cd 2>/dev/null; exec "$@"`

// Command returns a command for Run. env is its environment, besides the variables
// that say who the user is.
func Command(a *account.Account, env map[string]string, command ...string) *exec.Cmd {
	all := map[string]string{}
	maps.Copy(all, env)
	maps.Copy(all, a.Env())
	c := &exec.Cmd{
		Path: "/bin/sh", Args: append([]string{"sh", "-c", atHome, "sh"}, command...), Dir: "/",
		Env: []string{},
		SysProcAttr: &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups},
			Setsid:     true,
			Pdeathsig:  syscall.SIGKILL,
		},
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		c.Env = append(c.Env, key+"="+all[key])
	}
	return c
}

// Run runs a command of Command's and returns its exit code, 128+N if signal N
// ended it. Once all is made that the command needs, Run calls start, which moves the
// calling thread to where the command is to run, if that is elsewhere, and starts it.
// The caller holds the thread for good, and has root's rights.
//
// Of the command's stdin, stdout and stderr, which the caller sets, Run replaces
// those that are terminals: with terminal by one that is the command's own, and that
// Run connects with them; else by /dev/null and by pipes. Run passes SIGINT and SIGQUIT
// on to the command. SIGTERM, SIGHUP, and Ctrl-] typed three times, end it.
func Run(c *exec.Cmd, terminal bool, start func() error) (code int, err error) {
	if err := errors.Join(refuseTracing(), nsfs.CloseOnExec(), dropInheritable()); err != nil {
		return 0, err
	}
	var p plumbing
	defer p.close()
	if err := p.lay(c, terminal); err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGWINCH)
	defer signal.Stop(signals)
	if err := start(); err != nil {
		return 0, fmt.Errorf("run %q as uid %d: %w", c.Args[4:], c.SysProcAttr.Credential.Uid, err)
	}
	ended := make(chan error)
	go func() { ended <- awaitEnd(c.Process.Pid) }()
	hangUp := func() { signals <- unix.SIGHUP }
	if err = p.open(hangUp); err != nil {
		hangUp()
	}
	for running := true; running; {
		select {
		case s := <-signals:
			p.signal(c.Process.Pid, s.(unix.Signal))
		case wait := <-ended:
			err, running = errors.Join(err, wait), false
		}
	}
	p.drain()
	if wait := c.Wait(); wait != nil && !errors.As(wait, new(*exec.ExitError)) {
		return 0, errors.Join(err, wait)
	}
	if status := c.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal()), err
	}
	return c.ProcessState.ExitCode(), err
}

// awaitEnd returns when a child has ended, and leaves it to be waited for: its PID
// stays its own, and may be sent signals.
func awaitEnd(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("waitid", err)
		}
	}
}

// dropInheritable takes the inheritable and with them the ambient capabilities from
// the calling thread, and so from what it starts. The other ones go with the user ID.
func dropInheritable() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for i := range caps {
		caps[i].Inheritable = 0
	}
	if err := unix.Capset(&header, &caps[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// refuseTracing fails where fs.suid_dumpable is 1. The process of a command shares this program's
// memory until it executes the command (vfork(2)), and has the user's IDs before that: with that
// setting the user may trace it.
func refuseTracing() error {
	text, err := os.ReadFile("/proc/sys/fs/suid_dumpable")
	if err != nil {
		return fmt.Errorf("read whether users may trace root's programs: %w", err)
	}
	if strings.TrimSpace(string(text)) == "1" {
		return errors.New("fs.suid_dumpable is 1: users may trace root's programs: sysctl fs.suid_dumpable=2")
	}
	return nil
}
