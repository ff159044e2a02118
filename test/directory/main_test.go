// SPDX-License-Identifier: GPL-2.0-or-later

// Package directory takes away the directory that users and groups are in, in
// every way there is, and looks at whom the modules let in: LDAP with slapd, and
// nslcd, nscd and SSSD in between, on machines of their own (package machine).
package directory

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

var programs pamhost.Paths

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() == 0 {
		dir, err := os.MkdirTemp("", "directory")
		if err == nil {
			defer os.RemoveAll(dir)
			programs, err = pamhost.Build(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	// They mostly wait, for servers that do not answer.
	if err := flag.Set("test.parallel", "12"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
