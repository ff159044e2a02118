// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"libpam-net/internal/netns"
	"libpam-net/internal/setup"
)

func pruneCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "prune",
		Short: "Take down named networks that nobody is in (root)",
		Long: "Take down the named networks that logins have made and that no process is in any more, after the setup\n" +
			"program, if there was one, has been run as `PROGRAM down NAME`. What `ip netns add` has made stays.",
		Args: cobra.NoArgs,
	}
	dryRun := c.Flags().BoolP("dry-run", "n", false, "only say what would be taken down")
	asJSON := addJSON(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if os.Geteuid() != 0 {
			return errors.New("prune: only root can take down networks: use sudo")
		}
		runtime.LockOSThread()
		pruned, err := netns.Prune(*dryRun, down(c.ErrOrStderr()))
		if err != nil {
			return fmt.Errorf("prune: %w", err)
		}
		if *asJSON {
			return errors.Join(printJSON(c.OutOrStdout(), pruned), failures(pruned))
		}
		return errors.Join(printPruned(c.OutOrStdout(), pruned, *dryRun), failures(pruned))
	}
	return c
}

// down runs a setup program, and passes its output on.
func down(output io.Writer) func(program, name string) error {
	return func(program, name string) error {
		return setup.Program{Path: program, Name: name, Output: func(line string) {
			fmt.Fprintf(output, "%s: %s\n", name, line)
		}}.Down()
	}
}

// printPruned prints a line for each namespace.
func printPruned(w io.Writer, pruned []netns.Pruned, dryRun bool) error {
	for _, p := range pruned {
		what := "stays: " + p.Why
		switch {
		case p.Gone && dryRun:
			what = "would be taken down"
		case p.Gone:
			what = "taken down"
		case p.Failed:
			what = "stays, for it cannot be taken down: " + p.Why
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n", p.Name, what); err != nil {
			return err
		}
	}
	return nil
}

// failures is the error that there are namespaces for which that is one.
func failures(pruned []netns.Pruned) error {
	failed := 0
	for _, p := range pruned {
		if p.Failed {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("networks that could not be taken down: %d", failed)
	}
	return nil
}
