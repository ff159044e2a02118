// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
)

func listCommand() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use:   "list [USER]",
		Short: "List the isolated sessions (root)",
		Long: `Lists the sessions that are in another network than the host's: of all users, or of USER.

Use it to see who is isolated now, and to find the PID for "pamnetctl enter". FROM is the address from
which the user came to sshd, by the connection that sshd has. IN and OUT are the bytes that the network has received and sent, by all interfaces but lo. Sessions that share a network
share them. Users see their own networks with "pamnetctl mine".

A network that cannot be looked into is listed without interfaces, and the exit code is 1.`,
		ValidArgsFunction: completeUser,
	}
	asJSON := addJSON(c)
	c.Flags().BoolVar(&watch, "watch", false, "show them again every two seconds, until q is typed")
	c.Args = func(c *cobra.Command, args []string) error {
		if *asJSON && watch {
			return errors.New("--json and --watch exclude each other: use one of them")
		}
		return cobra.MaximumNArgs(1)(c, args)
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := onlyRoot("look into the sessions of others; use sudo, or `pamnetctl mine` for your own networks"); err != nil {
			return err
		}
		runtime.LockOSThread()
		user := strings.Join(args, "")
		if watch {
			return watchSessions(c.Context(), user)
		}
		all, err := listSessions(user)
		if all == nil && err != nil {
			return err
		}
		if *asJSON {
			return errors.Join(printJSON(c.OutOrStdout(), all), err)
		}
		return errors.Join(printSessions(c.OutOrStdout(), all), err)
	}
	return c
}

// listSessions returns the sessions of a user, or of all if user is "". With an error that concerns some networks only,
// it returns the sessions as well.
func listSessions(user string) ([]sessions.Session, error) {
	all, err := sessions.List()
	if err != nil {
		return nil, err
	}
	if user != "" {
		a, err := policy.FindAccount(user)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(s sessions.Session) bool { return s.UID != a.UID })
	}
	return sessions.Look(all)
}

func printSessions(w io.Writer, all []sessions.Session) error {
	t := newTable(w)
	fmt.Fprintln(t, "USER\tSERVICE\tFROM\tLEADER\tSINCE\tNETWORK\tOWNER\tPROCESSES\tIN\tOUT\tINTERFACES")
	for _, s := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", s.User, orDash(s.Service), orDash(s.From), s.Leader,
			s.Since.Format(time.DateTime), s.Network(), orDash(s.Owner), s.Processes, size(s.In), size(s.Out), plain(interfaces(s)))
	}
	return t.Flush()
}

// interfaces returns the interfaces with their addresses, and lo only if there is no other.
func interfaces(s sessions.Session) string {
	var list []string
	for _, i := range s.Interfaces {
		if i.Name == "lo" && len(s.Interfaces) > 1 {
			continue
		}
		if i.Name != "lo" && len(i.Addresses) > 0 {
			i.Name += "=" + strings.Join(i.Addresses, ",")
		}
		list = append(list, i.Name)
	}
	return orDash(strings.Join(list, " "))
}
