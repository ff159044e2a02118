// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"libpam-net/internal/join"
)

func holdCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hold TAG",
		Short: "Keep this session's network after the logout",
		Long: `Starts a placeholder in this session's network: a process that does nothing. The network, and what
you have built in it, stays until "pamnetctl release TAG".

Use it before you log out, if you want to continue in another login with "pamnetctl join TAG".`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			pid, err := join.Hold(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "process %d holds this network as %q\n", pid, args[0])
			return err
		},
	}
}
