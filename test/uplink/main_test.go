// SPDX-License-Identifier: GPL-2.0-or-later

// Package uplink lets pamnet-uplink connect namespaces on machines of their own,
// and sends traffic over what it makes.
package uplink

import (
	"os"
	"testing"

	"libpam-net/test/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}
