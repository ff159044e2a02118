// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"libpam-net/internal/sessions"
)

// period is how often --watch looks.
const period = 2 * time.Second

func listCommand() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the sessions that are isolated now (root)",
		Long: "List the sessions that are in another network than the host's. Your own, without being root: pamnetctl mine.\n" +
			"--watch shows them anew every two seconds; q ends it.",
	}
	asJSON := addJSON(c)
	c.Flags().BoolVar(&watch, "watch", false, "show them anew every two seconds, until q is typed")
	c.Args = func(c *cobra.Command, args []string) error {
		if *asJSON && watch {
			return errors.New("say either --json or --watch")
		}
		return cobra.NoArgs(c, args)
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if os.Geteuid() != 0 {
			return errors.New("list: only root can look into the sessions of others: use sudo, or `pamnetctl mine` for your own")
		}
		runtime.LockOSThread()
		if watch {
			return watchSessions(c.Context())
		}
		all, err := listSessions()
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

// listSessions lists the sessions, also with an error that is of some networks only.
func listSessions() ([]sessions.Session, error) {
	all, err := sessions.List()
	if err == nil {
		all, err = sessions.Look(all)
	}
	if err != nil {
		err = fmt.Errorf("list: %w", err)
	}
	return all, err
}

func printSessions(w io.Writer, all []sessions.Session) error {
	out := bufio.NewWriter(w) // else every cell is a system call
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "USER\tSERVICE\tLEADER\tSINCE\tNETWORK\tOWNER\tPROCESSES\tIN\tOUT\tINTERFACES")
	for _, s := range all {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", s.User, orDash(s.Service), s.Leader,
			s.Since.Format(time.DateTime), s.Network(), orDash(s.Owner), s.Processes, size(s.In), size(s.Out), plain(interfaces(s)))
	}
	return errors.Join(t.Flush(), out.Flush())
}

// interfaces are those with their addresses, lo only if there is no other.
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

// size is a number of bytes like 1.5M.
func size(n uint64) string {
	if n < 1024 {
		return strconv.FormatUint(n, 10)
	}
	value, units := float64(n), "KMGTPE"
	for value /= 1024; value >= 1023.95 && len(units) > 1; value /= 1024 {
		units = units[1:]
	}
	return fmt.Sprintf("%.1f%c", value, units[0])
}

// watchSessions prints the sessions on the terminal again and again.
func watchSessions(ctx context.Context) error {
	in, out := int(os.Stdin.Fd()), int(os.Stdout.Fd())
	was, err := unix.IoctlGetTermios(in, unix.TCGETS)
	if err != nil {
		return errors.New("list: --watch needs a terminal")
	}
	keys := *was
	keys.Lflag &^= unix.ICANON | unix.ECHO
	if err := unix.IoctlSetTermios(in, unix.TCSETS, &keys); err != nil {
		return fmt.Errorf("list: set terminal: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(in, unix.TCSETS, was) }()
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	ctx, quit := context.WithCancel(ctx)
	go func() {
		defer quit()
		for key := []byte{0}; key[0] != 'q'; {
			if n, err := os.Stdin.Read(key); n == 0 || err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		all, err := listSessions()
		if all == nil && err != nil {
			return err
		}
		var text bytes.Buffer
		fmt.Fprintf(&text, "%s  sessions: %d  (q ends)\n\n", time.Now().Format(time.TimeOnly), len(all))
		if err != nil {
			fmt.Fprintf(&text, "%s\n\n", plain(err.Error()))
		}
		if err := printSessions(&text, all); err != nil {
			return err
		}
		rows, columns := 24, 80
		if w, err := unix.IoctlGetWinsize(out, unix.TIOCGWINSZ); err == nil && w.Row > 0 && w.Col > 0 {
			rows, columns = int(w.Row), int(w.Col)
		}
		if _, err := io.WriteString(os.Stdout, "\x1b[H\x1b[2J"+fit(text.String(), rows, columns)); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-resized:
		case <-ctx.Done():
			fmt.Println()
			return nil
		}
	}
}

// fit cuts a text to the size of a screen.
func fit(text string, rows, columns int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) > rows {
		lines = append(lines[:rows-1], fmt.Sprintf("... and %d more", len(lines)-rows+1))
	}
	for i, line := range lines {
		if runes := []rune(line); len(runes) > columns {
			lines[i] = string(runes[:columns])
		}
	}
	return strings.Join(lines, "\r\n")
}
