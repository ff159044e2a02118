// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"libpam-net/internal/sessions"
)

func mineCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "mine",
		Short: "List your own networks",
		Long: `Lists the networks that processes of yours are in. "*" marks this session's.

Use it to find the TAG or the PID for "pamnetctl join". You can join the managed ones (selfmanaged),
and are their root. LEADERS are the processes that none of your others in the network has started.`,
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
	t := newTable(w)
	fmt.Fprintln(t, "\tTAG\tINODE\tMANAGED\tPROCESSES\tLEADERS\tINTERFACES")
	for _, n := range networks {
		current, managed := "", "no"
		if n.Current {
			current = "*"
		}
		if n.Managed {
			managed = "yes"
		}
		leaders := strings.Trim(strings.ReplaceAll(fmt.Sprint(n.Leaders), " ", ","), "[]")
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%d\t%s\t%s\n",
			current, orDash(strings.Join(n.Tags, ",")), n.Inode, managed, n.Processes, leaders, strings.Join(n.Interfaces, ","))
	}
	return t.Flush()
}
