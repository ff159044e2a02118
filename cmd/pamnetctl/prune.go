// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"libpam-net/internal/netns"
	"libpam-net/internal/setup"
)

func pruneCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "prune",
		Short: "Take down named networks that nobody is in (root)",
		Long: `Takes down the named networks that logins have created and that no process is in any more. A network
with a setup program is taken down after "PROGRAM down NAME". Networks of "ip netns add" stay.

Use it to free what logins have left: pamnet-prune.timer does so every hour, once it is enabled. The
exit code is 1 if a network could not be taken down.`,
		Args: cobra.NoArgs,
	}
	dryRun := c.Flags().BoolP("dry-run", "n", false, "only say what would be taken down")
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := onlyRoot("take down networks; use sudo"); err != nil {
			return err
		}
		runtime.LockOSThread()
		pruned, err := netns.Prune(*dryRun, down(c.ErrOrStderr()))
		if err != nil {
			return err
		}
		if *asJSON {
			return errors.Join(printJSON(c.OutOrStdout(), pruned), failures(pruned))
		}
		return errors.Join(printPruned(c.OutOrStdout(), pruned, *dryRun), failures(pruned))
	}
	return c
}

// down returns a function that runs a setup program and writes its output to output.
func down(output io.Writer) func(program, name string) error {
	return func(program, name string) error {
		return setup.Program{Path: program, Name: name, Output: func(line string) {
			fmt.Fprintf(output, "%s: %s\n", name, line)
		}}.Down()
	}
}

// printPruned prints a line for each network.
func printPruned(w io.Writer, pruned []netns.Pruned, dryRun bool) error {
	for _, p := range pruned {
		what := "stays: " + p.Why
		switch {
		case p.Gone && dryRun:
			what = "would be taken down"
		case p.Gone:
			what = "taken down"
		case p.Failed:
			what = "cannot be taken down: " + p.Why
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", p.Name, what); err != nil {
			return err
		}
	}
	return nil
}

// failures returns an error if some networks could not be taken down.
func failures(pruned []netns.Pruned) error {
	failed := 0
	for _, p := range pruned {
		if p.Failed {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s could not be taken down", count(failed, "network"))
	}
	return nil
}
