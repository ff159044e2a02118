// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"libpam-net/internal/doctor"
)

func doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find what is wrong with this machine's setup (root)",
		Long: `Looks for what refuses logins, and for ways by which members come into the host's network. It prints
the worst first, each with what puts it right. It changes nothing.

Use it after an installation, and after each change of /etc/pam.d or of the groups. The exit code is 1
if there is an error or a warning.`,
		Args: cobra.NoArgs,
	}
	asJSON := addJSON(c)
	root := c.Flags().String("root", "/", "look at a machine that does not run, below `DIRECTORY`")
	c.RunE = func(c *cobra.Command, _ []string) error {
		machine := doctor.Machine{Root: *root}
		if *root == "/" {
			if err := onlyRoot("look at all of the machine; use sudo"); err != nil {
				return err
			}
			machine = doctor.This()
		}
		result, err := doctor.Examine(machine)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(c.OutOrStdout(), result.Findings)
		} else {
			err = printFindings(c.OutOrStdout(), result)
		}
		if err != nil {
			return err
		}
		return serious(result.Findings)
	}
	return c
}

// serious returns an error if there are findings other than notes.
func serious(findings []doctor.Finding) error {
	errs, warnings := 0, 0
	for _, f := range findings {
		switch f.Severity {
		case doctor.Error:
			errs++
		case doctor.Warning:
			warnings++
		}
	}
	if errs+warnings == 0 {
		return nil
	}
	return fmt.Errorf("%s, %s", count(errs, "error"), count(warnings, "warning"))
}

var colours = map[doctor.Severity]string{doctor.Error: "\x1b[1;31m", doctor.Warning: "\x1b[1;33m", doctor.Note: "\x1b[1m"}

func printFindings(w io.Writer, result doctor.Result) error {
	if len(result.Findings) == 0 {
		_, err := fmt.Fprintf(w, "no problems found (%s, %s with the modules)\n", count(result.Members, "member"), count(result.Services, "service"))
		return err
	}
	var b strings.Builder
	for i, f := range result.Findings {
		if i > 0 {
			b.WriteString("\n")
		}
		severity := string(f.Severity)
		if coloured(w) {
			severity = colours[f.Severity] + severity + "\x1b[0m"
		}
		fmt.Fprintf(&b, "%s: %s\n    %s\n", severity, f.What, f.Consequence)
		const most = 8
		fmt.Fprintf(&b, "    see %s", strings.Join(f.Evidence[:min(most, len(f.Evidence))], " "))
		if more := len(f.Evidence) - most; more > 0 {
			fmt.Fprintf(&b, " and %d more", more)
		}
		b.WriteString("\n")
		fmt.Fprintf(&b, "\n        %s\n", strings.ReplaceAll(f.Remedy, "\n", "\n        "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// coloured tells whether the output may have colours.
func coloured(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
