// SPDX-License-Identifier: GPL-2.0-or-later

// Command pamnetctl is for those who use the networks of the PAM modules, and for
// those who look after them: see pamnetctl(8).
package main

import (
	"os"

	"libpam-net/internal/check"
	"libpam-net/internal/ctl"
)

func main() {
	switch os.Args[0] {
	case check.ChildName:
		check.Child()
	case check.ModuleChildName:
		check.ModuleChild()
	}
	os.Exit(ctl.Main(os.Args[1:], os.Stdout, os.Stderr))
}
