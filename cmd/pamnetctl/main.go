// SPDX-License-Identifier: GPL-2.0-or-later

// Command pamnetctl shows, holds and enters networks of sessions: see pamnetctl(8). Each command has a file, which
// parses its arguments and prints the result. The work is done in packages below internal/.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"libpam-net/internal/trial"
)

// The exit codes.
const (
	fine     = 0
	problems = 1
	usage    = 2
)

func main() {
	switch os.Args[0] {
	case trial.ChildName:
		trial.Child()
	case trial.ModuleChildName:
		trial.ModuleChild()
	}
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs a command and returns the exit code.
func execute(args []string, stdout, stderr io.Writer) int {
	understood := false
	root := &cobra.Command{
		Use:   "pamnetctl",
		Short: "Networks of login sessions",
		Long: "pamnetctl shows, keeps and enters your own networks, and looks after those that the PAM modules\n" +
			"pam_newnet, pam_usernet and pam_groupnet make. See pamnetctl(8).",
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { understood = true },
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(holdCommand(), mineCommand(), joinCommand(), releaseCommand(), listCommand(), enterCommand(),
		checkCommand(), explainCommand(), doctorCommand(), pruneCommand())
	command, err := root.ExecuteC()
	if err == nil {
		return fine
	}
	if code := exitCode(0); errors.As(err, &code) {
		return int(code)
	}
	fmt.Fprintf(stderr, "pamnetctl: %v\n", err)
	if understood {
		return problems
	}
	fmt.Fprintf(stderr, "Usage: %s; see %s --help\n", command.UseLine(), command.CommandPath())
	return usage
}

// exitCode is that of a command which has been run, and is passed on.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// plain is a text for a terminal. Users choose the names of their interfaces.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// addJSON gives a command that prints a table the option --json.
func addJSON(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON")
}

// printJSON prints a list; an empty one is [].
func printJSON[T any](w io.Writer, list []T) error {
	if list == nil {
		list = []T{}
	}
	return printObject(w, list)
}

func printObject(w io.Writer, object any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(object)
}
