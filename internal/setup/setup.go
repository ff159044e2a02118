// SPDX-License-Identifier: GPL-2.0-or-later

// Package setup runs the administrator's program that gives a new network
// namespace what it is to have, `PROGRAM up NAME`, and takes it back before the
// namespace is gone, `PROGRAM down NAME`.
package setup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
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
// the place of: each directory and symbolic link on the way to it counts. The
// path is that on the machine whose root directory is root.
func Check(root, program string) error {
	if !strings.HasPrefix(program, "/") {
		return fmt.Errorf("%q has no absolute path (setup=/DIRECTORY/PROGRAM)", program)
	}
	left := strings.Split(program, "/")
	at, links := "/", 0
	for len(left) > 0 {
		here := filepath.Join(at, left[0]) // at has no link in it, so that ".." is what it seems
		file := filepath.Join(root, here)
		left = left[1:]
		var st unix.Stat_t
		if err := unix.Lstat(file, &st); err != nil {
			return fmt.Errorf("%s: %w", here, err)
		}
		kind := st.Mode & unix.S_IFMT
		switch {
		case st.Uid != 0:
			return fmt.Errorf("%s: belongs to uid %d: it must be root's (chown root)", here, st.Uid)
		case kind != unix.S_IFLNK && st.Mode&0o022 != 0:
			return fmt.Errorf("%s: can be written by others than root (mode %#o): chmod go-w", here, st.Mode&0o7777)
		case kind == unix.S_IFLNK:
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			if links++; links > 40 {
				return fmt.Errorf("%s: %w", program, unix.ELOOP)
			}
			left = append(strings.Split(target, "/"), left...)
			if strings.HasPrefix(target, "/") {
				at = "/"
			}
		case len(left) == 0 && kind != unix.S_IFREG:
			return fmt.Errorf("%s: is no program", here)
		default:
			at = here
		}
	}
	return nil
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
