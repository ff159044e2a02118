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
		Long: "Start a placeholder, a process that does nothing, in this session's network. It keeps the network there\n" +
			"until `pamnetctl release TAG`.",
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

func releaseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "release TAG",
		Short: "End what hold has started",
		Long: "End the placeholder that `pamnetctl hold TAG` has started. A network without a name ends with its last\n" +
			"process.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTag,
		RunE:              func(_ *cobra.Command, args []string) error { return join.Release(args[0]) },
	}
}
