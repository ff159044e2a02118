// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"libpam-net/internal/join"
	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
)

func enterCommand() *cobra.Command {
	var asUser bool
	c := &cobra.Command{
		Use:   "enter [--as-user] NAME|USER|PID [-- COMMAND [ARGUMENT...]]",
		Short: "Run a command, or a shell, in a network (root)",
		Long: `Runs COMMAND, by default a shell, as root in the network NAME, in the network of USER's session, or in
that of the process PID. Only the network is another one: COMMAND sees the machine's programs,
/etc/resolv.conf and /sys. With --as-user, COMMAND runs in the session, with its files, as its user.

Use "pamnetctl enter USER" to look at a network or to mend it, and --as-user to see what the user sees.
The exit code is the command's.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := onlyRoot("enter the networks of others; use sudo, or `pamnetctl join` for your own networks"); err != nil {
				return err
			}
			runtime.LockOSThread()
			enter := enterNetwork
			if asUser {
				enter = enterSession
			}
			target, command := splitCommand(args)
			err := enter(target, command, c.ErrOrStderr())
			several := new(sessions.SeveralError)
			if errors.As(err, &several) {
				return choice(several, asUser)
			}
			return err
		},
	}
	c.Flags().BoolVar(&asUser, "as-user", false, "enter the session, as its user")
	c.ValidArgsFunction = completeNetwork(&asUser)
	c.Flags().SetInterspersed(false) // options behind the target are COMMAND's
	return c
}

// enterNetwork replaces this program by a command in a network. It returns only if it fails.
func enterNetwork(target string, command []string, notes io.Writer) error {
	fd, name, err := sessions.FindNetwork(target)
	if err != nil {
		return err
	}
	env := os.Environ()
	if len(command) == 0 {
		command = []string{cmp.Or(os.Getenv("SHELL"), "/bin/sh")}
		note(notes, fmt.Sprintf("root, in the network %s", name))
		env = withPrompt(env, command[0], name)
	}
	return join.Network(fd, command, env)
}

// enterSession runs a command in a session as its user.
func enterSession(target string, command []string, notes io.Writer) error {
	place, user, err := sessions.Find(target)
	if err != nil {
		return err
	}
	defer place.Close()
	a, err := policy.FindAccount(user)
	if err != nil {
		return err
	}
	if len(command) == 0 {
		command = []string{a.Shell}
		note(notes, fmt.Sprintf("%s, in the session; typing Ctrl-] three times ends it", a.Name))
	}
	code, err := join.Session(place, a, command)
	if err == nil && code != 0 {
		err = exitCode(code)
	}
	return err
}

// note tells a user who gets a shell on a terminal where the shell is.
func note(w io.Writer, text string) {
	if term.IsTerminal(unix.Stdin) {
		fmt.Fprintln(w, "pamnetctl:", plain(text))
	}
}

// harmless matches names that mean the same to all shells in a prompt.
var harmless = regexp.MustCompile(`^[A-Za-z0-9_.@-]+$|^net:\[\d+\]$`)

// withPrompt returns the environment for a shell whose prompt shows the name. For bash it sets PROMPT_COMMAND, because
// the files that bash reads set PS1.
func withPrompt(env []string, shell, name string) []string {
	if !harmless.MatchString(name) {
		return env
	}
	key, value := "PS1", "("+name+") # "
	if filepath.Base(shell) == "bash" {
		key, value = "PROMPT_COMMAND", `PS1="(`+name+`) $PS1"; unset PROMPT_COMMAND`
	}
	env = slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, key+"=") })
	return append(env, key+"="+value)
}

// choice returns an error that lists what the target matches, with a command for each.
func choice(s *sessions.SeveralError, asUser bool) error {
	command := "pamnetctl enter"
	if asUser {
		command += " --as-user"
	}
	text := s.Error() + "; choose one:"
	for _, one := range s.Sessions {
		text += fmt.Sprintf("\n  %s %d    # %s in %s, %s since %s", command, one.Leader,
			one.User, plain(one.Network()), cmp.Or(one.Service, "left running"), one.Since.Format("15:04:05"))
	}
	if s.Named {
		text += fmt.Sprintf("\n  nsenter --net=/run/netns/%s    # without a session", plain(s.Target))
	}
	return errors.New(text)
}
