// SPDX-License-Identifier: GPL-2.0-or-later

// Package hosts opens sessions in host programs that stand in for login
// services of every sort (package pamhost), on machines of their own (package
// machine). It looks at what a session gets, and at what becomes of the host.
package hosts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"libpam-net/test/machine"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

// programs are where the programs are that the tests install on each machine.
var programs struct {
	pamhost.Paths
	oldKernel string
	fuse      string
}

// TestMain builds the modules first, so that those of this tree are tested.
func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() == 0 {
		dir, err := os.MkdirTemp("", "hosts")
		if err == nil {
			defer os.RemoveAll(dir)
			err = build(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

func build(dir string) (err error) {
	if err := machine.Build(); err != nil {
		return err
	}
	if programs.Paths, err = pamhost.Build(dir); err != nil {
		return err
	}
	programs.oldKernel = filepath.Join(dir, "old-kernel")
	programs.fuse = filepath.Join(dir, "fuse")
	for _, command := range [][]string{
		{"go", "build", "-o", programs.fuse, "../fuse"},
		{"gcc", "-std=gnu11", "-O2", "-o", programs.oldKernel, "testdata/old_kernel.c"},
	} {
		output, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", command, err, output)
		}
	}
	return nil
}
