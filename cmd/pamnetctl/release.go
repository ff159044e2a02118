// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"github.com/spf13/cobra"

	"libpam-net/internal/join"
)

func releaseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "release TAG",
		Short: "Stop keeping a network that hold keeps",
		Long: `Ends the placeholder that "pamnetctl hold TAG" has started. A network without a name ends with its
last process.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeTag,
		RunE:              func(_ *cobra.Command, args []string) error { return join.Release(args[0]) },
	}
}
