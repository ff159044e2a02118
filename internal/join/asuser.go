// SPDX-License-Identifier: GPL-2.0-or-later

package join

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

	"libpam-net/internal/nsfs"
	"libpam-net/internal/policy"
)

// Path is the default PATH of users.
const Path = "/usr/local/bin:/usr/bin:/bin"

// atHome is a script that runs its arguments in the home directory, or in "/" if that cannot be entered. The script
// runs as the user, and so it is the user who looks up the directory and the program.
const atHome = `cd 2>/dev/null; exec "$@"`

// AsUser returns a command for Run that has a user's rights and a session of its own. Its environment is env, with the
// variables that describe the user.
func AsUser(a *policy.Account, env map[string]string, command ...string) *exec.Cmd {
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

// Run runs a command made by AsUser, and returns its exit code, or 128+N if signal N ended it. It prepares everything
// that the command needs, and calls start then. start must start the command. It may move the calling thread first, to
// where the command is to run. The caller must be root and hold the OS thread for good.
//
// The command has none of this program's open files but stdin, stdout and stderr, which the caller sets, and never this
// program's terminal: a program that has a terminal reads what is typed there, and types with TIOCSTI. Run replaces each
// of the three that is a terminal:
//   - with terminal, by a terminal of the command's own, and connects the two
//   - otherwise by /dev/null for stdin, and by pipes
//
// Run passes SIGINT and SIGQUIT on to the command. SIGTERM, SIGHUP, and Ctrl-] typed three times, end the command.
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

// awaitEnd returns when a child has ended. It leaves the child a zombie, so that its PID is not reused and may be sent
// signals.
func awaitEnd(pid int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("waitid", err)
		}
	}
}

// dropInheritable takes the inheritable capabilities, and with them the ambient ones, from the calling thread and from
// what it starts. The kernel takes the others when the user ID changes.
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
