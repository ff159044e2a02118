package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command returns a command that runs in all namespaces of the sandbox: as root, in "/", in a session of its own,
// with a small standard environment. name is looked up inside.
//
// What is started is nsenter(1), which waits for the program and ends as the program does. To kill the program with
// its process group, call the command's Cancel. To kill nsenter (Process.Kill) kills the program alone, and leaves its
// reaping to the machine's process 1, for which Close has to wait.
func (s *Sandbox) Command(name string, args ...string) *exec.Cmd {
	return s.CommandContext(context.Background(), name, args...)
}

// CommandContext is Command with a context, whose end calls Cancel. What has left the process group, as a daemon
// does, lives on as it would on any machine, at most until Close.
func (s *Sandbox) CommandContext(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{
		"--target", strconv.Itoa(s.PID()), "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd", "--",
		// nsenter has to fork to enter the PID namespace. The program must not outlive it,
		"setpriv", "--pdeathsig", "KILL", "--",
		// and must be the leader of a group that nsenter is not in: see kill.
		"setsid", "--", name,
	}, args...)...)
	cmd.Env = slices.Clone(environment)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a group for nsenter and what it has just forked
	cmd.Cancel = func() error { return s.kill(cmd.Process) }
	cmd.WaitDelay = 10 * time.Second // for a daemon that keeps the output open
	if s.closed() {
		cmd.Err = fmt.Errorf("run %s in the sandbox: %w", name, os.ErrClosed) // the PID may be another's by now
	}
	return cmd
}

// kill kills what nsenter runs, and leaves it to nsenter to reap that and end. The machine's process 1, to which it
// would fall otherwise, does it late or, in some containers, never.
func (s *Sandbox) kill(nsenter *os.Process) error {
	if err := nsenter.Signal(syscall.Signal(0)); err != nil {
		return err // it is over, and its PID may be another's
	}
	processes, err := s.Processes()
	if err != nil {
		return err
	}
	for _, p := range processes {
		if p.Parent == nsenter.Pid && unix.Kill(-p.PID, unix.SIGKILL) == nil {
			return nil
		}
	}
	return unix.Kill(-nsenter.Pid, unix.SIGKILL) // setsid(1) has not run yet: both are in nsenter's group
}

// Result is what a command left behind.
type Result struct {
	Stdout, Stderr string
	ExitCode       int // 128 + N for a command that signal N ended
}

// Err is nil for a command that succeeded, else says how it ended and what it wrote.
func (r Result) Err() error {
	if r.ExitCode == 0 {
		return nil
	}
	return fmt.Errorf("exit status %d: %s", r.ExitCode, strings.TrimSpace(r.Stderr+r.Stdout))
}

// Run runs a command, as Command does, with stdin (nil: empty). The error is about the running only: a command that
// ran to its end, however it ended, is a Result without error.
func (s *Sandbox) Run(ctx context.Context, stdin io.Reader, name string, args ...string) (Result, error) {
	var stdout, stderr strings.Builder
	cmd := s.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	err := cmd.Run()
	result := Result{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: cmd.ProcessState.ExitCode()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.As(err, &exit):
		err = nil
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
			result.ExitCode = 128 + int(status.Signal())
		}
	}
	if err != nil {
		return result, fmt.Errorf("run %s in the sandbox: %w", name, err)
	}
	return result, nil
}

// Sh runs a script with /bin/sh. Its error is that of Run.
func (s *Sandbox) Sh(ctx context.Context, script string) (Result, error) {
	return s.Run(ctx, nil, "/bin/sh", "-c", script)
}

// succeed runs a command that has to succeed.
func (s *Sandbox) succeed(ctx context.Context, name string, args ...string) error {
	result, err := s.Run(ctx, nil, name, args...)
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
