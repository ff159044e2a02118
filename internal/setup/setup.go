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

	"golang.org/x/sys/unix"

	"libpam-net/internal/trust"
)

// The whole environment of the program, but for what Run adds.
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

// Run runs the program, up or down, as root, in the namespaces of the calling thread, which the
// caller holds, and without any descriptor, resource limit or group of the login.
// Its output goes to line, a line at a time. Whatever is of its process group is
// killed at the deadline; as is the program itself when the thread ends.
//
// The path must be absolute, and a program that only root can write or replace.
func (p Program) Run(action string, deadline time.Time, line func(string)) error {
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
	err := cmd.Run()
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

// downTime is what a program has for `down`: logins to the network wait for it.
const downTime = 7 * time.Second

// Down runs the program before its network is taken down; else it is as Run.
func (p Program) Down(line func(string)) error {
	return p.Run("down", time.Now().Add(downTime), line)
}

// Check refuses a program that anybody but root could write, or put another in
// the place of. The path is that on the machine whose root directory is root.
func Check(root, program string) error {
	if !strings.HasPrefix(program, "/") {
		return fmt.Errorf("%q has no absolute path (setup=/DIRECTORY/PROGRAM)", program)
	}
	real, st, err := trust.Follow(root, program)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%s: is no program", real)
	}
	if err == nil {
		err = trust.Check(real, st)
	}
	if untrusted := (*trust.Error)(nil); errors.As(err, &untrusted) {
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
