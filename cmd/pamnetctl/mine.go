// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"libpam-net/internal/sessions"
)

func mineCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "mine",
		Short: "List your own networks",
		Long: "List the networks that processes of yours are in; * is this session's. You administer those that are\n" +
			"managed (selfmanaged), and can join them from another login.",
		Args: cobra.NoArgs,
	}
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		networks, err := sessions.Own()
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), networks)
		}
		return printNetworks(c.OutOrStdout(), networks)
	}
	return c
}

func printNetworks(w io.Writer, networks []sessions.OwnNetwork) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tTAG\tINODE\tMANAGED\tPROCESSES\tLEADERS\tINTERFACES")
	for _, n := range networks {
		current, managed, tags := "", "no", "-"
		if n.Current {
			current = "*"
		}
		if n.Managed {
			managed = "yes"
		}
		if len(n.Tags) > 0 {
			tags = strings.Join(n.Tags, ",")
		}
		leaders := strings.Trim(strings.ReplaceAll(fmt.Sprint(n.Leaders), " ", ","), "[]")
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%s\t%s\n",
			current, tags, n.Inode, managed, n.Processes, leaders, strings.Join(n.Interfaces, ","))
	}
	return t.Flush()
}
