// SPDX-License-Identifier: GPL-2.0-or-later

package join

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/internal/sessions"
)

// Hold starts a placeholder, which keeps the caller's network past the logout, until Release. It returns the PID. No
// two placeholders of a user have the same tag.
func Hold(tag string) (pid int, err error) {
	if err := sessions.CheckTag(tag); err != nil {
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
		Path: program, Args: sessions.PlaceholderArgs(tag), Env: []string{}, Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start placeholder: %w", err)
	}
	// Two that start at once see each other here: the arguments are in /proc when Start returns.
	if err := refuseHeld(tag, cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return 0, err
	}
	return cmd.Process.Pid, nil
}

// refuseHeld returns an error if a placeholder other than the process except has the tag.
func refuseHeld(tag string, except int) error {
	holders, err := sessions.Holders(tag)
	if err != nil {
		return err
	}
	for _, p := range holders {
		if p.PID != except {
			return fmt.Errorf("tag %q: process %d holds net:[%d] under it: take another tag, or first `pamnetctl release %s`",
				tag, p.PID, p.Inode, tag)
		}
	}
	return nil
}

// Release ends the placeholder with a tag, and returns once it has ended.
func Release(tag string) error {
	if err := sessions.CheckTag(tag); err != nil {
		return err
	}
	holders, err := sessions.Holders(tag)
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
	return fmt.Errorf("no network of yours is held as %q; see `pamnetctl mine`", tag)
}

// end ends a placeholder. Its PID may be reused meanwhile: end opens a process first, and then looks whether that
// process is the placeholder, so that it kills no other (Linux 5.3).
func end(pid int, tag string) error {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("this takes Linux 5.3; use `kill %d` instead", pid)
	case err != nil:
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	if holds, err := sessions.IsHolder(pid, tag); err != nil || !holds {
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
