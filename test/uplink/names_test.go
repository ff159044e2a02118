// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// An account may be renamed, and have a login under each name.
func TestOneOfTwoNamesOfANumberHasTheUplink(t *testing.T) {
	private.Needs(t, "strace")
	l := newLab(t)
	l.sh("echo twin:x:5000:100::/:/bin/sh >>/etc/passwd; ip netns add twin")
	l.ok("up", "anna")
	one := l.state()
	l.ok("down", "anna")
	// It makes the link, which tells later to which name it belongs.
	said := l.sh(stopped, "sendto", "RTM_NEWLINK.*NLM_F_CREATE", "up twin")
	expect.Equal(t, "up", said,
		`pamnet-uplink: connect "twin": interface pnu3uw, of uid 5000, belongs to "anna": run pamnet-uplink down anna first`+
			"\nwhile it is stopped: 1\nafterwards: 0")
	same(t, "state after both", l.state(), one)
	l.ok("down", "twin")
	same(t, "state after down of the other", l.state(), one)
	l.ok("down", "anna")
	l.ok("up", "twin")
	expect.Equal(t, "devices", l.devices(), "pnu3uw")
}
