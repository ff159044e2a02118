// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"cmp"
	"os"

	"github.com/spf13/cobra"

	"libpam-net/internal/join"
)

func joinCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "join TAG|PID [-- COMMAND [ARGUMENT...]]",
		Short: "Run a command, or a shell, in another of your own networks",
		Long: `Runs COMMAND, by default your shell, in the network that is held under TAG, or that the process PID
is in. You must own the network (selfmanaged), and are its root. Outside of it the command has your
rights, and /etc/resolv.conf and /sys stay those of this login.

Use it to continue in another login what you have begun before "pamnetctl hold TAG". "pamnetctl mine"
lists the tags. The exit code is the command's.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeTag,
		RunE: func(_ *cobra.Command, args []string) error {
			target, command := splitCommand(args)
			if len(command) == 0 {
				command = []string{cmp.Or(os.Getenv("SHELL"), "/bin/sh")}
			}
			return join.Own(target, command, os.Environ())
		},
	}
	c.Flags().SetInterspersed(false) // options behind TAG are COMMAND's
	return c
}

// splitCommand splits "TAG -- COMMAND ARGUMENT..."; the dashes may be left out.
func splitCommand(args []string) (target string, command []string) {
	command = args[1:]
	if len(command) > 0 && command[0] == "--" {
		command = command[1:]
	}
	return args[0], command
}
