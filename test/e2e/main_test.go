// SPDX-License-Identifier: GPL-2.0-or-later

// Package e2e logs users in with the real login programs, on machines of their
// own (package machine), and looks at where they land: from inside the session
// (view_test.go), at the login program from outside (process_test.go), and over
// the network (network_test.go).
package e2e

import (
	"os"
	"testing"

	"libpam-net/test/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}
