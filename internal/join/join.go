// SPDX-License-Identifier: GPL-2.0-or-later

// Package join runs programs in somebody's network. One rule holds for all of them: while this process has more rights
// than a user, it executes, loads and looks up nothing in a view that this user can shape.
//
//   - Network runs a command as root in a network. It sees the machine's files, and no user shapes those.
//   - Session runs a command in a session, among the session's files. It has the rights of the session's user from the
//     start: AsUser and Run do that, for `pamnetctl check` as well.
//   - Own runs a command of a user's in a network that the user owns. It takes no privilege.
//   - Hold starts a program that keeps a network, and Release ends it. They take no privilege.
//
// Network and Session get what package sessions has pinned and checked, by descriptors.
package join

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
)

// Network replaces this program by a command in the network namespace fd. It returns only if it fails.
func Network(fd int, command, env []string) error {
	runtime.LockOSThread() // exec(2) keeps the thread that calls it
	if err := netns.Join(fd); err != nil {
		return err
	}
	return execute(command, env)
}

// Session runs a command in a session as its user, and returns its exit code. Where this program has a terminal, the
// command has another one of its own. Of this program's environment it has the variables for terminal and language.
// The caller must be root and hold the OS thread for good: the thread stays in the session.
func Session(place *sessions.Place, user *policy.Account, command []string) (code int, err error) {
	env := map[string]string{"PATH": Path}
	for _, v := range os.Environ() {
		key, value, _ := strings.Cut(v, "=")
		if key == "TERM" || key == "LANG" || strings.HasPrefix(key, "LC_") {
			env[key] = value
		}
	}
	c := AsUser(user, env, command...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	return Run(c, true, func() error {
		if err := place.Enter(); err != nil {
			return err
		}
		return c.Start()
	})
}

// execute replaces this program by a command. It returns only if it fails.
func execute(command, env []string) error {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("run %w", err)
	}
	return fmt.Errorf("run %s: %w", program, unix.Exec(program, command, env))
}
