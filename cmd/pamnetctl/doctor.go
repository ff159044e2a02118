// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"libpam-net/internal/amend"
	"libpam-net/internal/doctor"
)

func doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find what is wrong with this machine's setup (root)",
		Long: `Looks for what refuses logins, and for ways by which members come into the host's network. It prints
the worst first, each with what to do. It changes nothing, but with --fix.

With --fix it corrects the errors and warnings of files of PAM that a program can correct: it shows the
changes and asks. Then it logs root and the caller in with the new files, and writes them if these logins
work.

Use it after an installation, and after each change of /etc/pam.d or of the groups. The exit code is 1
if there is an error or a warning.`,
		Args: cobra.NoArgs,
	}
	asJSON := addJSON(c)
	verbose := c.Flags().BoolP("verbose", "v", false, "print also what is well")
	quiet := c.Flags().BoolP("quiet", "q", false, "print one line, for monitoring")
	fix := c.Flags().Bool("fix", false, "correct what a program can correct")
	k := addChange(c)
	root := c.Flags().String("root", "/", "look at a machine that does not run, below `DIRECTORY`")
	c.RunE = func(c *cobra.Command, _ []string) error {
		machine := doctor.Machine{Root: *root}
		if *root == "/" {
			if err := onlyRoot("look at all of the machine; use sudo"); err != nil {
				return err
			}
			machine = doctor.This()
		}
		if *fix {
			k.root = *root
			if err := k.fix(machine); err != nil || k.dryRun {
				return err
			}
		}
		result, err := doctor.Examine(machine)
		if err != nil {
			return err
		}
		if *quiet {
			return printSummary(c.OutOrStdout(), result)
		}
		if *asJSON {
			err = printJSON(c.OutOrStdout(), result.Findings)
		} else {
			if !*verbose {
				result.Good = nil
			}
			err = printFindings(c.OutOrStdout(), result)
		}
		if err != nil {
			return err
		}
		return serious(result.Findings)
	}
	return c
}

// fix corrects what the findings say.
func (k *changer) fix(machine doctor.Machine) error {
	k.compute = func(tree *amend.Tree) error {
		fixed, err := doctor.Fix(machine, tree)
		if err != nil {
			return err
		}
		k.released = fixed.Unused
		k.about = nil
		for _, f := range fixed.Done {
			k.about = append(k.about, "corrects: "+f.What)
		}
		for _, problem := range slices.Sorted(maps.Keys(fixed.Failed)) {
			k.about = append(k.about, fmt.Sprintf("cannot correct: %s: %v", problem, fixed.Failed[problem]))
		}
		return nil
	}
	_, err := k.run()
	return err
}

// printSummary prints one line. The error is the exit code.
func printSummary(w io.Writer, result doctor.Result) error {
	bad := serious(result.Findings)
	if bad == nil {
		_, err := fmt.Fprintln(w, "no problems found")
		return err
	}
	var ids []string
	for _, f := range result.Findings {
		if f.Severity != doctor.Note && !slices.Contains(ids, f.ID) {
			ids = append(ids, f.ID)
		}
	}
	if _, err := fmt.Fprintf(w, "%v: %s\n", bad, strings.Join(ids, ", ")); err != nil {
		return err
	}
	return exitCode(problems)
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
	const indent = "        "
	shown := map[string]bool{} // commands
	var blocks []string        // with an empty line between one and the next
	for _, f := range result.Findings {
		severity := string(f.Severity)
		if coloured(w) {
			severity = colours[f.Severity] + severity + "\x1b[0m"
		}
		const most = 8
		see := strings.Join(f.Evidence[:min(most, len(f.Evidence))], " ")
		if more := len(f.Evidence) - most; more > 0 {
			see += fmt.Sprintf(" and %d more", more)
		}
		blocks = append(blocks, fmt.Sprintf("%s: %s\n    %s\n    see %s\n    %s", severity, f.What, f.Consequence, see, f.Advice))
		for _, edit := range f.Diff {
			blocks = append(blocks, indent+edit.File+"\n"+indent+strings.Join(edit.Lines, "\n"+indent))
		}
		if f.Remedy != "" && !shown[f.Remedy] && f.Remedy != doctor.FixCommand {
			blocks = append(blocks, indent+f.Remedy)
		}
		shown[f.Remedy] = true
	}
	if shown[doctor.FixCommand] {
		blocks = append(blocks, "This makes the changes that are shown, once they are confirmed:\n\n"+indent+doctor.FixCommand)
	}
	last := ""
	for _, sentence := range result.Good {
		last += "ok: " + sentence + "\n"
	}
	if len(result.Findings) == 0 {
		last += fmt.Sprintf("no problems found (%s, %s with the modules)\n", count(result.Members, "member"), count(result.Services, "service"))
	}
	if last != "" {
		blocks = append(blocks, strings.TrimSuffix(last, "\n"))
	}
	_, err := io.WriteString(w, strings.Join(blocks, "\n\n")+"\n")
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
