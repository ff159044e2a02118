// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"libpam-net/internal/journal"
)

// mostLines is how many lines log reads.
const mostLines = 100_000

func logCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "log [USER]",
		Short: "Show what the modules have logged, refusals first (root)",
		Long: `Shows the lines of the modules in the journal or, where there is none, in the log files below /var/log:
of all logins, or of USER's. Refused logins come first, and newer ones before older ones.

Use it to find out why a login was refused. "?" marks a line that any user can have written: the journal
proves who has sent a line, unless it is from a set-uid program such as su. A file proves nothing.`,
		Args: cobra.MaximumNArgs(1),
	}
	asJSON := addJSON(c)
	since := c.Flags().String("since", "1d", "show lines from `TIME` on: 90m, 24h or 7d ago, or \"2026-11-29 09:05\"")
	_ = c.RegisterFlagCompletionFunc("since", completeSince) // it fails if there is no such option
	service := "sshd"
	c.ValidArgsFunction = completeMember(&service)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := onlyRoot("read the logs of all logins; use sudo"); err != nil {
			return err
		}
		from, err := parseSince(*since, time.Now())
		if err != nil {
			return err
		}
		log, err := journal.Read(c.Context(), journal.Query{Since: from, Most: mostLines})
		if log.Source == "" {
			return err
		}
		cut := len(log.Lines) == mostLines
		journal.RefusedFirst(log.Lines)
		if user := strings.Join(args, ""); user != "" {
			log.Lines = slices.DeleteFunc(log.Lines, func(l journal.Line) bool { return l.User != user })
		}
		if *asJSON {
			return errors.Join(printJSON(c.OutOrStdout(), log.Lines), err)
		}
		if cut {
			fmt.Fprintf(c.ErrOrStderr(), "pamnetctl: log: these are the newest %d lines: see fewer with --since\n", mostLines)
		}
		return errors.Join(printLog(c.OutOrStdout(), log, from), err)
	}
	return c
}

// parseSince returns the time that the value of --since means.
func parseSince(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.AddDate(0, 0, -int(n)), nil
		}
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q is no time: take 90m, 24h, 7d or \"2026-11-29 09:05\"", text)
}

// printLog prints a row for each line.
func printLog(w io.Writer, log journal.Log, since time.Time) error {
	if len(log.Lines) == 0 {
		_, err := fmt.Fprintf(w, "no lines of the modules since %s (%s)\n", since.Format(time.DateTime), log.Source)
		return err
	}
	t := newTable(w)
	fmt.Fprintln(t, "TIME\t\tUSER\tSERVICE\tPID\tMODULE\tTEXT")
	for _, l := range log.Lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", l.Time.Format(time.DateTime), doubt(l), orDash(plain(l.User)), plain(l.Service),
			l.PID, l.Module, plain(l.Text))
	}
	if err := t.Flush(); err != nil || !slices.ContainsFunc(log.Lines, func(l journal.Line) bool { return !l.Proven }) {
		return err
	}
	_, err := fmt.Fprintf(w, "\n? Any user can have written this line (%s).\n", log.Source)
	return err
}

// doubt marks a line that may be anybody's.
func doubt(l journal.Line) string {
	if l.Proven {
		return ""
	}
	return "?"
}
