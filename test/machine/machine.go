// SPDX-License-Identifier: GPL-2.0-or-later

// Package machine is a sandbox in which the modules are installed and in use,
// as an administrator does it.
package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"libpam-net/test/sandbox"
)

// Modules are the names of the modules, in the order in which services name
// them: where a user is concerned by two, the later one wins.
var Modules = []string{"pam_groupnet", "pam_newnet", "pam_usernet"}

// Services are those whose sessions the modules are in; su-l includes su.
var Services = []string{"sshd", "login", "su", "sudo", "sudo-i", "cron"}

// Machine is a running sandbox. The users are made, and in these groups.
type Machine struct {
	*sandbox.Sandbox
	Olga      sandbox.User // no member of anything
	Nina      sandbox.User // newnet
	Ulf       sandbox.User // usernet
	Gina, Gus sandbox.User // groupnet-lab
}

// Out is where `make build` puts the modules and programs.
func Out() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../out")
}

// Make runs make in the root of the sources.
func Make(args ...string) error {
	output, err := exec.Command("make", append([]string{"-C", filepath.Dir(Out())}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make %q: %w\n%s", args, err, output)
	}
	return nil
}

// Build makes the modules and programs of this tree, unless whoever started the
// program (`make test`) has just done that.
var Build = sync.OnceValue(func() error { return makeUnlessDone("build") })

func makeUnlessDone(target string) error {
	if os.Getenv("MODULES_BUILT") != "" {
		return nil
	}
	return Make(target)
}

// New starts a machine with the modules of this tree. Close it.
func New() (*Machine, error) {
	if os.Geteuid() == 0 { // nobody else gets a machine
		if err := Build(); err != nil {
			return nil, err
		}
	}
	return NewFrom(Out())
}

// NewFrom starts a machine with the modules and programs in a directory. Close it.
func NewFrom(out string) (*Machine, error) {
	s, err := sandbox.New()
	if err != nil {
		return nil, err
	}
	m := &Machine{Sandbox: s}
	if err := m.setUp(out); err != nil {
		s.Close()
		return nil, fmt.Errorf("set up the machine: %w", err)
	}
	return m, nil
}

func (m *Machine) setUp(out string) error {
	if err := m.install(out); err != nil {
		return err
	}
	for _, group := range []string{"newnet", "usernet", "groupnet-lab"} {
		if err := m.AddGroup(group); err != nil {
			return err
		}
	}
	for _, account := range []struct {
		user   *sandbox.User
		name   string
		groups []string
	}{
		{&m.Olga, "olga", nil},
		{&m.Nina, "nina", []string{"newnet"}},
		{&m.Ulf, "ulf", []string{"usernet"}},
		{&m.Gina, "gina", []string{"groupnet-lab"}},
		{&m.Gus, "gus", []string{"groupnet-lab"}},
	} {
		user, err := m.AddUser(account.name, sandbox.Groups(account.groups...))
		if err != nil {
			return err
		}
		*account.user = user
	}
	for _, service := range Services {
		for _, module := range Modules {
			if err := m.AppendPAM(service, "session required "+module+".so"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Machine) install(out string) error {
	dir, err := sandbox.ModuleDir()
	if err != nil {
		return err
	}
	for _, module := range Modules {
		if err := m.Install(filepath.Join(out, module+".so"), filepath.Join(dir, module+".so"), 0o644); err != nil {
			return err
		}
	}
	return m.Install(filepath.Join(out, "pamnetctl"), "/usr/bin/pamnetctl", 0o755)
}
