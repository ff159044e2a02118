// SPDX-License-Identifier: GPL-2.0-or-later

// Package setup runs the administrator's program that gives a new network
// namespace what it is to have, `PROGRAM up NAME`, and takes it back before the
// namespace is gone, `PROGRAM down NAME`.
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

	"libpam-net/internal/cgroup"
	"libpam-net/internal/mount"
)

// The whole environment of the program, but for what Up and Down add.
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// hangUp is for how long the output of a program is read that has ended, but has
// left something behind that has it open.
const hangUp = 100 * time.Millisecond

// Program is a program and what it gets to know.
type Program struct {
	Path string
	Name string   // of the network namespace
	Env  []string // of the login: "PAM_USER=bob"
}

// Up runs the program for a new network, as root, in the namespaces of the calling
// thread, which the caller holds, and without any descriptor, resource limit or group of
// the login. It runs in the control group of the network, with all that it leaves running.
// Its output goes to line, a line at a time. The process group is killed at the deadline,
// and the program itself when the thread ends.
//
// The path must be absolute, and a program that only root can write or replace.
func (p Program) Up(deadline time.Time, line func(string)) error {
	return p.run("up", cgroup.Network(p.Name).Start, deadline, line)
}

// downTime is what a program has for `down`: logins to the network wait for it.
const downTime = 7 * time.Second

// Down runs the program before its network is taken down, where the caller is; else it
// is as Up.
func (p Program) Down(line func(string)) error {
	return p.run("down", (*exec.Cmd).Start, time.Now().Add(downTime), line)
}

func (p Program) run(action string, start func(*exec.Cmd) error, deadline time.Time, line func(string)) error {
	if err := Check("/", p.Path); err != nil {
		return fmt.Errorf("setup program %w", err)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	out := &lines{each: line}
	cmd := exec.CommandContext(ctx, p.Path, action, p.Name)
	cmd.Dir = "/"
	cmd.Env = append([]string{path, "NETNS=" + p.Name, "NETNS_PATH=/run/netns/" + p.Name}, p.Env...)
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

// withDefaultSignals calls f while SIGXFSZ, which the modules' child ignores, is not
// ignored: what is ignored stays so in a program that is executed.
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

// Check refuses a program that anybody but root could write, or put another in
// the place of. The path is that on the machine whose root directory is root.
func Check(root, program string) error {
	if !strings.HasPrefix(program, "/") {
		return fmt.Errorf("%q has no absolute path (setup=/DIRECTORY/PROGRAM)", program)
	}
	real, st, err := mount.Follow(root, program)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%s: is no program", real)
	}
	if err == nil {
		err = mount.CheckOwner(real, st)
	}
	if untrusted := (*mount.UntrustedError)(nil); errors.As(err, &untrusted) {
		return fmt.Errorf("%w: it must be root's alone (chown root, chmod go-w)", err)
	}
	return err
}

// lines cuts what is written to it into lines.
type lines struct {
	each func(string)
	rest []byte
}

const lineMax = 800 // what a line of the log holds

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
