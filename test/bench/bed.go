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
)

// compile makes one of the programs in c/.
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

// The modules of each column for stacks of one, two and three. The original has no third
// one, so its second one is there once more.
var stacks = map[column][]string{
	original: {"pam_newnet.so", "pam_usernet.so", "pam_usernet.so group=groupnet-lab"},
	ours:     {"pam_newnet.so", "pam_usernet.so", "pam_groupnet.so"},
}

// newBed starts a machine, with the original's modules from a directory where the column
// wants them. Close it.
func newBed(c column, programs map[string]string, theirs string) (*bed, error) {
	m, err := machine.New()
	if err != nil {
		return nil, err
	}
	b := &bed{column: c, Machine: m}
	if err := b.setUp(programs, theirs); err != nil {
		m.Close()
		return nil, fmt.Errorf("set up the machine for %q: %w", c, err)
	}
	return b, nil
}

func (b *bed) close() error {
	return errors.Join(b.watch.stop(), b.Machine.Close())
}

func (b *bed) setUp(programs map[string]string, theirs string) error {
	for path, program := range programs {
		if err := b.Install(program, path, 0o755); err != nil {
			return err
		}
	}
	if b.column == original {
		if err := b.installOriginal(theirs); err != nil {
			return err
		}
	}
	if b.column != ours {
		if err := b.useInServices(); err != nil {
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
	if err := b.WriteFile("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n", 0o644); err != nil {
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

func (b *bed) installOriginal(theirs string) error {
	dir, err := sandbox.ModuleDir()
	if err != nil {
		return err
	}
	for _, module := range []string{"pam_newnet.so", "pam_usernet.so"} {
		if err := b.Install(filepath.Join(theirs, module), filepath.Join(dir, module), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// useInServices puts the column's modules in the place of ours in the machine's services.
func (b *bed) useInServices() error {
	for _, service := range machine.Services {
		content, err := b.ReadFile("/etc/pam.d/" + service)
		if err != nil {
			return err
		}
		rules := slices.DeleteFunc(strings.Split(strings.TrimSpace(content), "\n"), func(line string) bool {
			return slices.ContainsFunc(machine.Modules, func(module string) bool { return strings.Contains(line, module+".so") })
		})
		if b.column == original {
			rules = append(rules, "session required pam_newnet.so", "session required pam_usernet.so")
		}
		if err := b.PAM(service, rules...); err != nil {
			return err
		}
	}
	return nil
}

// makeServices makes a service for each number of modules, and one for each module.
func (b *bed) makeServices() error {
	if err := b.PAM("other", "auth required pam_deny.so", "account required pam_deny.so",
		"password required pam_deny.so", "session required pam_deny.so"); err != nil {
		return err
	}
	modules := stacks[b.column]
	services := map[string][]string{"one": nil, "two": nil, "three": nil, "newnet": nil, "usernet": nil, "groupnet": nil}
	if modules != nil {
		services = map[string][]string{
			"one": modules[:1], "two": modules[:2], "three": modules,
			"newnet": modules[:1], "usernet": modules[1:2], "groupnet": modules[2:],
		}
	}
	for service, modules := range services {
		var rules []string
		for _, module := range modules {
			rules = append(rules, "session required "+module)
		}
		// libpam refuses a stack in which every module abstains.
		if err := b.PAM(service, append(rules, "session required pam_permit.so")...); err != nil {
			return err
		}
	}
	return nil
}

// makeAccounts makes the users of all cases, with what lies in /etc/netns for them. The original
// fails where that has no directory for the user.
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
