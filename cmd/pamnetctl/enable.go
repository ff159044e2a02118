// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"libpam-net/internal/amend"
	"libpam-net/internal/doctor"
	"libpam-net/internal/policy"
	"libpam-net/internal/session"
	"libpam-net/internal/setup"
	"libpam-net/pam"
)

func enableCommand() *cobra.Command {
	var users []string
	c := &cobra.Command{
		Use:   "enable MODULE [ARGUMENT...]",
		Short: "Put a module into use: its lines, its group, its members (root)",
		Long: `Gives each service that opens sessions a line of MODULE: newnet, usernet, groupnet, or groupnet-NAME for one
group. The lines get the ARGUMENTs. The group is made if there is none. Use pam_newnet(8) and its
siblings for the arguments.

It shows the changes and asks. Then it logs root and the caller in with the new files, and writes them
if these logins work.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeModule,
		Example: `  pamnetctl enable newnet --user alice
  pamnetctl enable usernet setup=uplink
  pamnetctl enable groupnet-lab --user gina --user greg`,
	}
	k := addChange(c)
	c.Flags().StringArrayVarP(&users, "user", "u", nil, "make `USER` a member; may be repeated")
	c.RunE = func(c *cobra.Command, args []string) error {
		module, group, err := parseModule(args[0])
		if err != nil {
			return err
		}
		arguments, request, err := parseArguments(module, args[1:])
		if err != nil {
			return err
		}
		module.Group = request.Group
		if group == "" && module.Kind != session.GroupNet {
			group = module.Group
		}
		if len(users) > 0 && group == "" {
			return fmt.Errorf("say of which group %s is to be a member: pamnetctl enable %s-NAME --user %[1]s", users[0], module.Group)
		}
		if group != "" && !module.Has(group) {
			return fmt.Errorf("group %s is none of %s", group, module.Groups())
		}
		if err := k.members(module, group, users); err != nil {
			return err
		}
		k.compute = func(tree *amend.Tree) error { return doctor.Enable(doctor.This(), tree, module, arguments) }
		done, err := k.run()
		if err != nil || !done {
			return err
		}
		next := "pamnetctl doctor"
		if len(users) > 0 {
			next = "pamnetctl check " + users[0] + ", " + next
		}
		fmt.Fprintf(k.out(), "%s is in use from the next login on; see: %s\n", module.Name, next)
		return nil
	}
	return c
}

func disableCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "disable MODULE",
		Short: "Take a module out of use (root)",
		Long: `Removes all lines of MODULE: newnet, usernet or groupnet. Its members get the host's network from the next
login on. The group stays.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeModule,
	}
	k := addChange(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		module, group, err := parseModule(args[0])
		if err != nil {
			return err
		}
		if group != "" {
			return fmt.Errorf("the lines are for all groups %s: pamnetctl disable %s", module.Groups(), module.Group)
		}
		k.released = func(m policy.Module) bool { return m.Name == module.Name }
		k.compute = func(tree *amend.Tree) error {
			lines, err := doctor.Disable(doctor.This(), tree, module)
			if lines > 0 {
				k.about = []string{fmt.Sprintf("Members of %s get the host's network from the next login on.", module.Groups())}
			}
			return err
		}
		_, err = k.run()
		return err
	}
	return c
}

func setCommand() *cobra.Command {
	var remove []string
	c := &cobra.Command{
		Use:   "set MODULE [ARGUMENT...] [--remove ARGUMENT]",
		Short: "Change the arguments of a module's lines (root)",
		Long: `Adds ARGUMENTs to all lines of MODULE: newnet, usernet or groupnet. An argument with a value replaces
another value; mask= is added to what is there. The rest of the lines stays as it is.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && len(remove) == 0 {
				return errors.New("name a module and its arguments")
			}
			return nil
		},
		ValidArgsFunction: completeModule,
		Example: `  pamnetctl set usernet setup=uplink
  pamnetctl set newnet mask=/run/docker.sock --remove lodown
  pamnetctl set newnet --remove mask`,
	}
	k := addChange(c)
	c.Flags().StringArrayVar(&remove, "remove", nil, "remove `ARGUMENT`, with any value if it is given without one; may be repeated")
	c.RunE = func(c *cobra.Command, args []string) error {
		module, group, err := parseModule(args[0])
		if err != nil {
			return err
		}
		if group != "" {
			return fmt.Errorf("the lines are for all groups %s: pamnetctl set %s", module.Groups(), module.Group)
		}
		arguments, request, err := parseArguments(module, args[1:])
		if err != nil {
			return err
		}
		if len(remove) > 0 || request.Group != module.Group { // another group, or less covered, is what is wanted
			k.released = func(m policy.Module) bool { return m.Name == module.Name }
		}
		k.compute = func(tree *amend.Tree) error {
			lines, err := doctor.Set(doctor.This(), tree, func(m policy.Module) bool { return m.Name == module.Name }, arguments, remove)
			if err == nil && lines == 0 {
				err = fmt.Errorf("no line of %s exists: pamnetctl enable %s", module.Name, strings.Join(args, " "))
			}
			return err
		}
		_, err = k.run()
		return err
	}
	return c
}

// parseModule returns the module that a word names, with the default of group=, and the group if the word is
// that of one: "groupnet-lab".
func parseModule(word string) (m policy.Module, group string, err error) {
	name := strings.TrimSuffix(strings.TrimPrefix(word, "pam_"), ".so")
	for _, m := range policy.Modules {
		switch {
		case name == m.Group:
			return m, "", nil
		case m.Kind == session.GroupNet && strings.HasPrefix(name, m.Group+"-") && m.Has(name):
			return m, name, nil
		}
	}
	return m, "", fmt.Errorf("there is no module %q: take newnet, usernet, groupnet or groupnet-NAME", word)
}

// libexec is where programs for setup= are.
var libexec = []string{"/usr/libexec/libpam-net", "/usr/local/libexec/libpam-net"}

// parseArguments returns the arguments as they are written into a line. setup= may name an installed program:
// "uplink", "pamnet-uplink". It returns an error if the module would ignore one, or could not run the program.
func parseArguments(m policy.Module, words []string) (arguments []string, r session.Request, err error) {
	for _, word := range words {
		if name, ok := strings.CutPrefix(word, "setup="); ok && name != "" && !strings.Contains(name, "/") {
			name = "pamnet-" + strings.TrimPrefix(name, "pamnet-")
			for _, dir := range libexec {
				if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
					word = "setup=" + filepath.Join(dir, name)
				}
			}
		}
		arguments = append(arguments, word)
	}
	r, complaints := pam.Parse(m.Kind, m.Group, arguments)
	for _, c := range complaints {
		return nil, r, fmt.Errorf("argument %q: %s; see %s(8)", c.Argument, c.Problem, m.Name)
	}
	if r.Setup != nil {
		if err := setup.Check("/", *r.Setup); err != nil {
			return nil, r, fmt.Errorf("argument %q: %w", "setup="+*r.Setup, err)
		}
	}
	return arguments, r, nil
}

// members adds the commands that make the group, and users members of it.
func (k *changer) members(m policy.Module, group string, users []string) error {
	p, err := policy.Load("/", policy.Live())
	if err != nil {
		return err
	}
	listing, err := p.Listing()
	if err != nil {
		return err
	}
	if err := errors.Join(listing.Failed...); err != nil {
		return fmt.Errorf("the groups of users are unknown: %w", err)
	}
	for _, name := range users {
		if err := p.CheckUser(name); err != nil {
			return err
		}
		if p.Member(name, m).UID == 0 {
			return fmt.Errorf("%s has uid 0: root can leave any network, and needs the host's", name)
		}
	}
	if group == "" {
		return nil
	}
	if _, err := user.LookupGroup(group); errors.As(err, new(user.UnknownGroupError)) {
		k.before = [][]string{{"groupadd", "--system", group}}
	} else if err != nil {
		return fmt.Errorf("look up group %q: %w", group, err)
	}
	for _, name := range users {
		if a := p.Member(name, m); a.State == session.Member && a.Group == group {
			continue
		}
		if len(k.before) == 0 && exec.Command("getent", "-s", "files", "group", group).Run() != nil {
			return fmt.Errorf("group %q is not in /etc/group: add %s to it in the directory that has it", group, name)
		}
		k.after = append(k.after, []string{"gpasswd", "--add", name, group})
	}
	return nil
}

// completeModule offers the modules, and then their arguments.
func completeModule(_ *cobra.Command, args []string, _ string) (words []cobra.Completion, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		for _, m := range policy.Modules {
			words = append(words, m.Group)
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.Clone(completedArguments), cobra.ShellCompDirectiveNoSpace
}

// completedArguments are the arguments of the modules, see pam/options.c.
var completedArguments = []string{"debug", "group=", "keepresolver", "lodown", "mask=", "refusal=empty", "rootshared", "selfmanaged", "setup=", "shownetns", "timeout="}
