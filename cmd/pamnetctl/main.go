// SPDX-License-Identifier: GPL-2.0-or-later

// Command pamnetctl shows, holds and enters networks of sessions: see pamnetctl(8). Each command has a file, which
// parses its arguments and prints the result. The work is done in packages below internal/.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"libpam-net/internal/trial"
)

// The exit codes.
const (
	fine     = 0
	problems = 1
	usage    = 2
)

// version is the release. The Makefile sets it.
var version = "unreleased"

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
		Long: `pamnetctl shows, keeps and enters the networks of login sessions, which the PAM modules pam_newnet,
pam_usernet and pam_groupnet create.

The commands hold, mine, join, release and status are for everybody, and for their own networks. The
others are for root. Without a command it is "pamnetctl status".

Exit codes: 0 success, 1 a problem, which stderr describes, 2 a wrong command line. A command that
join, enter or check runs passes its own exit code on. pamnetctl(8) has more.`,
		Version:          version,
		SilenceErrors:    true,
		SilenceUsage:     true,
		PersistentPreRun: func(*cobra.Command, []string) { understood = true },
		RunE:             func(c *cobra.Command, _ []string) error { return showStatus(c.Context(), c.OutOrStdout(), false) },
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(holdCommand(), mineCommand(), joinCommand(), releaseCommand(), listCommand(), enterCommand(),
		checkCommand(), explainCommand(), doctorCommand(), pruneCommand(), logCommand(), statusCommand(), graphCommand(),
		enableCommand(), disableCommand(), setCommand())
	command, err := root.ExecuteC()
	if err == nil {
		return fine
	}
	if code := exitCode(0); errors.As(err, &code) {
		return int(code)
	}
	fmt.Fprintf(stderr, "%s: %v\n", strings.ReplaceAll(command.CommandPath(), " ", ": "), err)
	if understood {
		return problems
	}
	fmt.Fprintf(stderr, "Usage: %s; see %s --help\n", command.UseLine(), command.CommandPath())
	return usage
}

// exitCode is the exit code of a command that pamnetctl has run, and passes on.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// onlyRoot returns an error unless the caller is root. The sentence goes on after "only root can".
func onlyRoot(sentence string) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can " + sentence)
	}
	return nil
}
