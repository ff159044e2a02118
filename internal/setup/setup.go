// SPDX-License-Identifier: GPL-2.0-or-later

// Package setup runs the administrator's program that gives a new network namespace its uplink, as
// `PROGRAM up NAME`, and takes the uplink away before the namespace is taken down, as `PROGRAM down NAME`.
// It also has the control group of what the program leaves running.
package setup

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

// environment is the whole environment of the program, but for NETNS, NETNS_PATH and Program.Env.
const environment = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// hangUp is how long the output is read after the end of the program, while a process that it has left
// has the output open.
const hangUp = 100 * time.Millisecond

// downTime is how long `down` may take: logins to the network wait for it.
const downTime = 7 * time.Second

// Program is a setup program, and what it is told.
type Program struct {
	Path   string   // absolute, of a file that root alone can write or replace
	Name   string   // of the network namespace
	Env    []string // of the login: "PAM_USER=bob"
	Output func(line string)
}

// Up runs the program for a new network, as root, in the namespaces of the calling thread, which the caller
// must hold.
//
//   - The program has no descriptor, resource limit or supplementary group of the login.
//   - It runs in the control group of the network, with all that it leaves running.
//   - At the deadline its process group is killed. If the thread ends, the program is killed.
func (p Program) Up(deadline time.Time) error { return p.run("up", Group(p.Name).start, deadline) }

// Down runs the program before its network is taken down. It differs from Up in two ways: the program runs in
// the control group of the caller, and has seven seconds.
func (p Program) Down() error { return p.run("down", (*exec.Cmd).Start, time.Now().Add(downTime)) }

func (p Program) run(action string, start func(*exec.Cmd) error, deadline time.Time) error {
	if err := Check("/", p.Path); err != nil {
		return fmt.Errorf("setup program %w", err)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	out := &lines{each: p.Output}
	cmd := exec.CommandContext(ctx, p.Path, action, p.Name)
	cmd.Dir = "/"
	cmd.Env = append([]string{environment, "NETNS=" + p.Name, "NETNS_PATH=/run/netns/" + p.Name}, p.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = hangUp
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Pdeathsig:  syscall.SIGKILL,
		Credential: &syscall.Credential{}, // root's, without the caller's groups
	}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	err := withDefaultSignals(func() error { return start(cmd) })
	if err == nil {
		err = cmd.Wait()
	}
	out.flush()
	switch {
	case ctx.Err() != nil:
		err = errors.New("did not end in time")
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil
	}
	if err != nil {
		return fmt.Errorf("setup program %s: %w", p.Path, err)
	}
	return nil
}

// withDefaultSignals calls f while SIGXFSZ has its default action. The modules' child ignores the signal, and
// an executed program inherits that.
func withDefaultSignals(f func() error) error {
	var before, byDefault [8]uint64 // the kernel's struct sigaction, on every processor
	const size = 8                  // of a set of signals
	act := func(to, old *[8]uint64) unix.Errno {
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGXFSZ),
			uintptr(unsafe.Pointer(to)), uintptr(unsafe.Pointer(old)), size, 0, 0)
		return errno
	}
	if errno := act(&byDefault, &before); errno != 0 {
		return fmt.Errorf("sigaction SIGXFSZ: %w", errno)
	}
	defer act(&before, &byDefault)
	return f()
}

// Check returns an error if a user other than root can write or replace the program. The path is that on the
// machine whose root directory is root.
func Check(root, program string) error {
	if !strings.HasPrefix(program, "/") {
		return fmt.Errorf("%q has no absolute path (setup=/DIRECTORY/PROGRAM)", program)
	}
	real, st, err := mount.Follow(root, program)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%s: is not a program", real)
	}
	if err == nil {
		err = mount.CheckOwner(real, st)
	}
	if untrusted := (*mount.UntrustedError)(nil); errors.As(err, &untrusted) {
		return fmt.Errorf("%w: it must be root's alone (chown root, chmod go-w)", err)
	}
	return err
}

// lines calls each with every line that is written to it.
type lines struct {
	each func(string)
	rest []byte
}

const lineMax = 800 // fits into a line of the log

func (l *lines) Write(data []byte) (int, error) {
	for _, c := range data {
		if c == '\n' || len(l.rest) == lineMax {
			l.flush()
		}
		if c != '\n' {
			l.rest = append(l.rest, c)
		}
	}
	return len(data), nil
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.each(string(l.rest))
	}
	l.rest = l.rest[:0]
}
