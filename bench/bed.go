// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"libpam-net/test/ldap"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// bed is a machine on which the logins of one column are made. All have the same accounts
// and services, with the modules of their column in them.
type bed struct {
	column
	*machine.Machine
	watch *stopwatch
}

// The programs in a bed.
const (
	loginProgram = "/usr/local/bin/login-timed"
	floorProgram = "/usr/local/bin/floor"
	watchProgram = "/usr/local/bin/stopwatch"
	floorLibrary = "/usr/local/lib/floor.so"
)

// compile builds one of the programs in c/ into dir, and returns its path.
func compile(dir, name string) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	program := filepath.Join(dir, name)
	output, err := exec.Command("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program,
		filepath.Join(filepath.Dir(file), "c", name+".c"), "-Wl,--as-needed", "-lpam").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compile %s: %w\n%s", name, err, output)
	}
	return program, nil
}

// The modules of each column for stacks of one, two and three. Debian 12 has no third one, so its second one is
// there once more.
var stacks = map[column][]string{
	debian12: {"pam_newnet.so", "pam_usernet.so", "pam_usernet.so group=groupnet-lab"},
	debian13: {"pam_newnet.so", "pam_usernet.so", "pam_groupnet.so"},
	ours:     {"pam_newnet.so", "pam_usernet.so", "pam_groupnet.so"},
}

// newBed starts the machine of a column. The caller must close it.
func newBed(c column, programs map[string]string) (*bed, error) {
	m, err := machine.New()
	if err != nil {
		return nil, err
	}
	b := &bed{column: c, Machine: m}
	if err := b.setUp(programs); err != nil {
		m.Close()
		return nil, fmt.Errorf("set up the machine for %q: %w", c, err)
	}
	return b, nil
}

func (b *bed) close() error {
	return errors.Join(b.watch.stop(), b.Machine.Close())
}

func (b *bed) setUp(programs map[string]string) error {
	for path, program := range programs {
		if err := b.Install(program, path, 0o755); err != nil {
			return err
		}
	}
	if b.column == ours {
		if err := b.makeFloor(); err != nil {
			return err
		}
	} else {
		if err := b.replaceOurs(); err != nil {
			return err
		}
	}
	if err := b.makeServices(); err != nil {
		return err
	}
	if err := b.makeAccounts(); err != nil {
		return err
	}
	// No library is loaded for a lookup, whatever the machine's own sources are.
	if err := ldap.Sources(b.Machine, "passwd: files", "group: files", "hosts: files"); err != nil {
		return err
	}
	if err := b.StartSSHD(); err != nil {
		return err
	}
	// What `ip netns add` does with /run/netns when it is first called.
	if err := b.sh("ip netns add first && ip netns delete first"); err != nil {
		return err
	}
	var err error
	b.watch, err = startStopwatch(b.Command(watchProgram))
	return err
}

// makeFloor makes the services of the floor of a non-member's login: as many of the least modules, in files of
// their own, since libpam loads a file once. It installs the library of a member's as well. `make floor` has built them.
func (b *bed) makeFloor() error {
	dir, err := sandbox.ModuleDir()
	if err != nil {
		return err
	}
	built := filepath.Join(machine.Out(), "floor")
	if err := b.Install(filepath.Join(built, "library.so"), floorLibrary, 0o644); err != nil {
		return err
	}
	var modules []string
	for i, service := range []string{"one", "two", "three"} {
		name := fmt.Sprintf("pam_floor%d.so", i)
		if err := b.Install(filepath.Join(built, "module.so"), filepath.Join(dir, name), 0o644); err != nil {
			return err
		}
		modules = append(modules, name)
		if err := b.PAM(floorService(service), append(sessionRules(modules), "session required pam_permit.so")...); err != nil {
			return err
		}
	}
	return nil
}

func floorService(service string) string { return "floor-" + service }

// replaceOurs puts the column's modules in the place of ours, in the machine's services too.
func (b *bed) replaceOurs() error {
	dir, err := sandbox.ModuleDir()
	if err != nil {
		return err
	}
	for _, module := range machine.Modules {
		if err := b.Remove(filepath.Join(dir, module+".so")); err != nil {
			return err
		}
	}
	if b.column != none {
		modules, err := filepath.Glob(filepath.Join(machine.Out(), "peers", string(b.column), "*.so"))
		if err != nil {
			return err
		}
		if modules == nil {
			return fmt.Errorf("out/peers/%s has no modules; run: make peers", b.column)
		}
		for _, module := range modules {
			if err := b.Install(module, filepath.Join(dir, filepath.Base(module)), 0o644); err != nil {
				return err
			}
		}
	}
	for _, service := range machine.Services {
		content, err := b.ReadFile("/etc/pam.d/" + service)
		if err != nil {
			return err
		}
		rules := slices.DeleteFunc(strings.Split(strings.TrimSpace(content), "\n"), func(line string) bool {
			return slices.ContainsFunc(machine.Modules, func(module string) bool { return strings.Contains(line, module+".so") })
		})
		if err := b.PAM(service, append(rules, sessionRules(stacks[b.column])...)...); err != nil {
			return err
		}
	}
	return nil
}

func sessionRules(modules []string) (rules []string) {
	for _, module := range modules {
		rules = append(rules, "session required "+module)
	}
	return rules
}

// makeServices makes a service for each number of modules, and one for each module.
func (b *bed) makeServices() error {
	if err := b.PAM("other", "auth required pam_deny.so", "account required pam_deny.so",
		"password required pam_deny.so", "session required pam_deny.so"); err != nil {
		return err
	}
	for service, part := range map[string][2]int{
		"one": {0, 1}, "two": {0, 2}, "three": {0, 3}, "newnet": {0, 1}, "usernet": {1, 2}, "groupnet": {2, 3},
	} {
		var rules []string
		if modules := stacks[b.column]; modules != nil {
			rules = sessionRules(modules[part[0]:part[1]])
		}
		// libpam refuses a stack in which every module abstains.
		if err := b.PAM(service, append(rules, "session required pam_permit.so")...); err != nil {
			return err
		}
	}
	return nil
}

// makeAccounts makes the users of all cases, with what lies in /etc/netns for them. The C
// modules fail where that has no directory for the user.
func (b *bed) makeAccounts() error {
	for i := range mostOverlays {
		if err := b.WriteFile("/etc/"+overlay(i), "the machine's\n", 0o644); err != nil {
			return err
		}
	}
	directories := []string{"ulf", "lab"}
	for _, n := range named() {
		group := "usernet"
		if n.module == "groupnet" {
			group = "groupnet-" + n.name
			if err := b.AddGroup(group); err != nil {
				return err
			}
		}
		if _, err := b.AddUser(n.name, sandbox.Groups(group)); err != nil {
			return err
		}
		directories = append(directories, n.name)
		for i := range n.overlays {
			if err := b.WriteFile("/etc/netns/"+n.name+"/"+overlay(i), "the session's\n", 0o644); err != nil {
				return err
			}
		}
	}
	for _, name := range directories {
		if err := b.MkdirAll("/etc/netns/"+name, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func overlay(i int) string { return fmt.Sprintf("overlay%02d", i) }

// sh runs a script, which has to succeed.
func (b *bed) sh(script string) error {
	result, err := b.Sh(context.Background(), script)
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %q: %w", b.column, script, err)
	}
	return nil
}

// fill makes named networks from number from up to number to.
func (b *bed) fill(from, to int) error {
	var batch strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&batch, "netns add n%d\n", i)
	}
	result, err := b.Run(context.Background(), strings.NewReader(batch.String()), "ip", "-batch", "-")
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: make named networks: %w", b.column, err)
	}
	return nil
}

// failure tells what a machine logged last.
func (b *bed) failure(argv []string, a answer) error {
	log, _ := b.Log()
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return fmt.Errorf("%s: %q: exit status %d: %s; the log ends with:\n%s", b.column, argv, a.status, a.text,
		strings.Join(lines[max(0, len(lines)-10):], "\n"))
}
