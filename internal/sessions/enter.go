// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"libpam-net/internal/account"
	"libpam-net/internal/nsenter"
	"libpam-net/internal/proc"
)

// Find returns the process to enter for a PID, a user, or the name of a network, and
// the user whom its session is of. A user or name that stands for several networks
// is an error, which lists them.
func Find(target string) (pid int, user string, err error) {
	all, err := List()
	if err != nil {
		return 0, "", err
	}
	if pid, err := strconv.Atoi(target); err == nil {
		return pid, userOf(all, pid), nil
	}
	found := slices.DeleteFunc(all, func(s Session) bool { return s.User != target && s.Name != target })
	networks := map[uint64]bool{}
	var choices []string
	for _, s := range found {
		networks[s.Inode] = true
		choices = append(choices, fmt.Sprintf("%d (%s in %s, %s since %s)",
			s.Leader, s.User, s.Network(), s.Service, s.Since.Format("15:04:05")))
	}
	switch len(networks) {
	case 0:
		return 0, "", fmt.Errorf("no session is isolated that %q is the user, the network or the PID of: see `pamnetctl list`", target)
	case 1:
		return found[0].Leader, found[0].User, nil
	default:
		return 0, "", fmt.Errorf("%q is in several networks; say one of these PIDs: %s", target, strings.Join(choices, ", "))
	}
}

// userOf is whose session a process is in, or else whose it is.
func userOf(all []Session, pid int) string {
	for _, s := range all {
		if s.Leader == pid {
			return s.User
		}
	}
	var st unix.Stat_t
	_ = unix.Stat(proc.Path(pid, ""), &st) // Enter tells
	return nameOf(st.Uid)
}

// Enter replaces this program by a command in the network and the mounts of a
// process, under its "/". as is the account that it is run as, nil for root. It
// returns only if it cannot.
func Enter(pid int, as *account.Account, command, env []string) error {
	places := []nsenter.Enter{{Option: "--net"}, {Option: "--mount"}, {Option: "--root"}}
	for i, file := range []string{"ns/net", "ns/mnt", "root"} {
		fd, err := unix.Open(proc.Path(pid, file), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if proc.Ended(err) {
			return fmt.Errorf("there is no process %d: see `pamnetctl list`", pid)
		}
		if err != nil {
			return fmt.Errorf("open %s: %w", proc.Path(pid, file), err)
		}
		places[i].FD = fd
	}
	var net, host unix.Stat_t
	if err := errors.Join(unix.Fstat(places[0].FD, &net), unix.Stat(proc.Path(1, "ns/net"), &host)); err != nil {
		return fmt.Errorf("stat network namespace: %w", err)
	}
	if net.Ino == host.Ino {
		return fmt.Errorf("process %d is not isolated, but in the host's network: see `pamnetctl list`", pid)
	}
	if as != nil {
		command = append(asUser(as), command...)
	}
	return nsenter.Exec(places, nil, command, env)
}

// asUser is the command that runs another one as a user. It asks no PAM, whose
// modules would open one more session.
func asUser(a *account.Account) []string {
	groups := "--clear-groups"
	if len(a.Groups) > 0 {
		groups = "--groups=" + strings.Trim(strings.ReplaceAll(fmt.Sprint(a.Groups), " ", ","), "[]")
	}
	return []string{
		"setpriv", "--reuid=" + strconv.FormatUint(uint64(a.UID), 10), "--regid=" + strconv.FormatUint(uint64(a.GID), 10),
		groups, "--inh-caps=-all", "--",
	}
}

// Env is this program's environment, with what says who the account is.
func Env(a *account.Account) []string {
	env := os.Environ()
	if a == nil {
		return env
	}
	for key, value := range a.Env() {
		env = append(slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, key+"=") }), key+"="+value)
	}
	return env
}
