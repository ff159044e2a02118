// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"libpam-net/internal/amend"
	"libpam-net/internal/policy"
	"libpam-net/internal/trial"
)

// changer shows a change of the machine's configuration, asks, tries logins with the new files, and writes.
type changer struct {
	command     *cobra.Command
	root        string
	yes, dryRun bool

	compute       func(*amend.Tree) error  // makes the change in a tree
	released      func(policy.Module) bool // whose members may be isolated by less; nil: nobody's
	before, after [][]string               // commands that go with it
	about         []string                 // sentences about the changes
}

// addChange gives a command that changes the configuration its options.
func addChange(c *cobra.Command) *changer {
	k := &changer{command: c, root: "/"}
	c.Flags().BoolVarP(&k.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVarP(&k.dryRun, "dry-run", "n", false, "only show the changes")
	return k
}

func (k *changer) out() io.Writer { return k.command.OutOrStdout() }

// run makes the change. It returns whether there was one to make, and the user has agreed.
func (k *changer) run() (done bool, err error) {
	if k.root == "/" {
		if err := onlyRoot("change the configuration; use sudo"); err != nil {
			return false, err
		}
	}
	if k.yes && !k.dryRun {
		unlock, err := amend.Lock(k.root)
		if err != nil {
			return false, err
		}
		defer unlock()
	}
	tree, err := k.computed()
	if err != nil {
		return false, err
	}
	k.show(tree)
	if len(tree.Files())+len(k.before)+len(k.after) == 0 {
		fmt.Fprintln(k.out(), "nothing to change")
		return false, nil
	}
	if k.dryRun {
		return false, nil
	}
	if !k.yes {
		if err := k.ask(); err != nil {
			return false, err
		}
		unlock, err := amend.Lock(k.root)
		if err != nil {
			return false, err
		}
		defer unlock()
		if again, err := k.computed(); err != nil {
			return false, err
		} else if !again.Equal(tree) {
			return false, errors.New("the files have been changed meanwhile: try again")
		}
	}
	return true, k.make(tree)
}

func (k *changer) computed() (*amend.Tree, error) {
	tree := amend.New(k.root)
	if err := k.compute(tree); err != nil {
		return nil, err
	}
	return tree, tree.Check(k.released)
}

// show prints the change.
func (k *changer) show(tree *amend.Tree) {
	for _, command := range k.before {
		fmt.Fprintln(k.out(), "run", strings.Join(command, " "))
	}
	fmt.Fprint(k.out(), tree.Diff())
	for _, command := range k.after {
		fmt.Fprintln(k.out(), "run", strings.Join(command, " "))
	}
	for _, sentence := range k.about {
		fmt.Fprintln(k.out(), sentence)
	}
}

// ask asks whether to make the change. Any other answer than yes is an error.
func (k *changer) ask() error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("nothing is changed, because nobody can be asked: use --yes, or --dry-run to see the changes")
	}
	fmt.Fprint(k.out(), "Make these changes? [y/N] ")
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing is changed")
	}
	return nil
}

func (k *changer) make(tree *amend.Tree) error {
	staged, err := tree.Stage(k.released)
	if err != nil {
		return err
	}
	defer staged.Discard()
	if err := k.try(tree, staged); err != nil {
		return err
	}
	if err := runAll(k.before); err != nil {
		return err
	}
	if len(tree.Files()) > 0 {
		copies, err := staged.Commit()
		if err != nil {
			return err
		}
		fmt.Fprintln(k.out(), "the old files are in", copies)
	}
	return runAll(k.after)
}

func runAll(commands [][]string) error {
	for _, command := range commands {
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(output)))
		}
	}
	return nil
}

// waysBack are the services by which an administrator gets a root shell.
var waysBack = []string{"login", "sshd", "su", "su-l", "sudo", "sudo-i"}

// try logs root and the caller in with the new files. It returns an error if a login is refused that is not
// refused with the old ones, or if all of root's are.
func (k *changer) try(tree *amend.Tree, staged *amend.Staged) error {
	if k.root != "/" {
		return nil
	}
	services, err := tree.Services()
	if err != nil {
		return err
	}
	services = slices.DeleteFunc(services, func(s string) bool { return !slices.Contains(waysBack, s) })
	users := []string{"root"}
	if caller := os.Getenv("SUDO_USER"); caller != "" && caller != "root" {
		if _, err := user.Lookup(caller); err == nil {
			users = append(users, caller)
		}
	}
	works := len(services) == 0
	for _, name := range users {
		for _, service := range services {
			now, err := logIn(name, service, staged.Paths())
			if err != nil {
				return fmt.Errorf("nothing is changed: try a login of %s through %s: %w", name, service, err)
			}
			if now.Outcome != policy.Refused {
				works = true
				continue
			}
			if old, err := logIn(name, service, nil); err != nil || old.Outcome != policy.Refused {
				return fmt.Errorf("nothing is changed: %s would be refused through %s: %s", name, service, now.Why)
			}
		}
	}
	if !works {
		return fmt.Errorf("nothing is changed: root would be refused through %s, as it is now", strings.Join(services, ", "))
	}
	return nil
}

// logIn runs `pamnetctl check` in a mount namespace in which new files cover those that libpam reads.
func logIn(name, service string, files map[string]string) (report trial.Report, err error) {
	self, err := os.Executable()
	if err != nil {
		return report, err
	}
	script := "while [ \"$1\" != -- ]; do mount --bind \"$1\" \"$2\"; shift 2; done; shift; exec \"$@\""
	args := []string{"--mount", "--propagation", "slave", "/bin/sh", "-ec", script, "sh"}
	for target, source := range files {
		args = append(args, source, target)
	}
	cmd := exec.Command("unshare", append(args, "--", self, "check", name, "--service="+service, "--json")...)
	var problem strings.Builder
	cmd.Stderr = &problem
	output, err := cmd.Output()
	if json.Unmarshal(output, &report) == nil {
		return report, nil // its exit code is 1 for whatever is wrong
	}
	return report, fmt.Errorf("%w: %s", err, strings.TrimSpace(problem.String()))
}
