// SPDX-License-Identifier: GPL-2.0-or-later

package own

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
)

// A placeholder keeps a network there and does nothing else: sleep(1), which is
// smaller than anything in Go. It says by its arguments what it is. The name of
// the program is at the end because a sleep that is many programs in one (busybox,
// uutils) goes by that.
const (
	placeholderBegin = "pamnet-hold "
	placeholderEnd   = "/sleep"
	forever          = "infinity"
)

func placeholderArgs(tag string) []string {
	return []string{placeholderBegin + tag + placeholderEnd, forever}
}

// tagOf returns the tag under which the process with these arguments holds a
// network; "" if it is no placeholder.
func tagOf(args []string) string {
	if len(args) != 2 || args[1] != forever {
		return ""
	}
	tag, begins := strings.CutPrefix(args[0], placeholderBegin)
	tag, ends := strings.CutSuffix(tag, placeholderEnd)
	if !begins || !ends || checkTag(tag) != nil {
		return ""
	}
	return tag
}

var validTag = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func checkTag(tag string) error {
	if !validTag.MatchString(tag) {
		return fmt.Errorf("tag %q: take 1 to 64 letters, digits, dots, underscores and dashes", tag)
	}
	return nil
}

// Hold starts a placeholder, which keeps the caller's network there past the
// logout, until Release, and returns its PID. No two of a user's have the same tag.
func Hold(tag string) (pid int, err error) {
	if err := checkTag(tag); err != nil {
		return 0, err
	}
	if err := refuseHeld(tag, 0); err != nil {
		return 0, err
	}
	program, err := exec.LookPath("sleep")
	if err != nil {
		return 0, fmt.Errorf("find sleep(1): %w", err)
	}
	if err := nsfs.CloseOnExec(); err != nil {
		return 0, err
	}
	cmd := &exec.Cmd{
		Path: program, Args: placeholderArgs(tag), Env: []string{}, Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start placeholder: %w", err)
	}
	// Of two at once each sees the other here, for its arguments are there when Start returns.
	if err := refuseHeld(tag, cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 0, err
	}
	return cmd.Process.Pid, nil
}

// refuseHeld returns an error if a placeholder other than the process except has the tag.
func refuseHeld(tag string, except int) error {
	holders, err := holders(tag)
	if err != nil {
		return err
	}
	for _, p := range holders {
		if p.PID != except {
			return fmt.Errorf("tag %q: process %d holds net:[%d] under it: take another, or first `pamnetctl release %s`",
				tag, p.PID, p.inode, tag)
		}
	}
	return nil
}

// holders returns the user's placeholders with this tag.
func holders(tag string) (found []process, err error) {
	processes, err := list()
	if err != nil {
		return nil, err
	}
	for _, p := range processes {
		if p.tag == tag {
			found = append(found, p)
		}
	}
	return found, nil
}

// Release ends the placeholder with this tag, and has seen the end of it when it returns.
func Release(tag string) error {
	if err := checkTag(tag); err != nil {
		return err
	}
	holders, err := holders(tag)
	if err != nil {
		return err
	}
	if len(holders) == 0 {
		return notHeld(tag)
	}
	for _, p := range holders {
		if err := end(p.PID, tag); err != nil {
			return fmt.Errorf("end placeholder %d: %w", p.PID, err)
		}
	}
	return nil
}

func notHeld(tag string) error {
	return fmt.Errorf("no network of yours is held as %q: see `pamnetctl mine`", tag)
}

// end ends a placeholder. Whatever becomes of its PID meanwhile, no other process is
// hit: what is opened is a process, and then it is looked at again (Linux 5.3).
func end(pid int, tag string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("this takes Linux 5.3: `kill %d` does it, too", pid)
	case err != nil:
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	found, err := procfs.NewProc(pid)
	if err == nil {
		var p *process
		if p, err = read(found); err == nil && (p == nil || p.tag != tag) {
			return nil // it has ended, and another process has its PID
		}
	}
	if err != nil && !nsfs.Ended(err) {
		return err
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill: %w", err)
	}
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("poll", err)
		}
	}
}

// find returns a process of a network that is held under a tag, or else the one
// with this PID, whosever it is.
func find(target string) (pid int, err error) {
	holders, err := holders(target)
	if err != nil {
		return 0, err
	}
	if len(holders) > 0 {
		return holders[0].PID, nil
	}
	pid, err = strconv.Atoi(target)
	if err != nil || pid <= 0 {
		if err := checkTag(target); err != nil {
			return 0, err
		}
		return 0, notHeld(target)
	}
	return pid, nil
}
