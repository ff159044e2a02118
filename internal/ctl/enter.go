// SPDX-License-Identifier: GPL-2.0-or-later

package ctl

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"libpam-net/internal/account"
	"libpam-net/internal/sessions"
)

func enterCommand() *cobra.Command {
	var asUser bool
	c := &cobra.Command{
		Use:   "enter [--as-user] USER|NAME|PID [-- COMMAND [ARGUMENT...]]",
		Short: "Run a command, or a shell, in somebody's session (root)",
		Long: "Run COMMAND (default: a shell), as root, in the network and the mounts of the session of USER, in the network\n" +
			"NAME, or that the process PID is in. The exit code is the command's.",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeSession,
		RunE: func(_ *cobra.Command, args []string) error {
			if os.Geteuid() != 0 {
				return errors.New("enter: only root can enter the sessions of others: use sudo, or `pamnetctl join` for your own networks")
			}
			target, command := splitCommand(args)
			pid, user, err := sessions.Find(target)
			if err != nil {
				return fmt.Errorf("enter: %w", err)
			}
			shell := cmp.Or(os.Getenv("SHELL"), "/bin/sh")
			var as *account.Account
			if asUser {
				if as, err = account.Lookup(user); err != nil {
					return fmt.Errorf("enter: %w", err)
				}
				shell = as.Shell
			}
			if len(command) == 0 {
				command = []string{shell}
			}
			return fmt.Errorf("enter: %w", sessions.Enter(pid, as, command, sessions.Env(as)))
		},
	}
	c.Flags().BoolVar(&asUser, "as-user", false, "as the user whose session it is")
	c.Flags().SetInterspersed(false) // options behind the target are COMMAND's
	return c
}
