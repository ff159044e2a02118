// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// stopped begins `up anna`, which strace(1) stops at a call: $1 has its name, and $2, if it is
// there, what strace shows of it. While it stands still it runs the command $3, the exit status
// of which it prints, with the output. Then it lets `up` go on, and prints its exit status.
const stopped = `
	call=$1 shown=$2 command=$3
	when=1
	if [ -n "$shown" ]; then
		strace -o /tmp/calls -e trace=$call ` + program + ` up anna >/dev/null
		when=$(grep ^$call /tmp/calls | grep -n "$shown" | head -n 1 | cut -d: -f1)
		` + program + ` down anna
	fi
	strace -f -o /tmp/trace -e trace=$call -e inject=$call:signal=STOP:when=$when ` + program + ` up anna >/dev/null 2>/tmp/said &
	strace=$!
	until grep -q 'stopped by SIGSTOP' /tmp/trace 2>/dev/null; do sleep 0.01; done
	` + program + ` $command 2>&1 >/dev/null
	echo "while it is stopped: $?"
	pkill -CONT -x pamnet-uplink
	wait $strace
	echo "afterwards: $?"
	cat /tmp/said`

func TestAnUplinkThatStandsStillHoldsUpNoOther(t *testing.T) {
	private.Needs(t, "strace")
	l := newLab(t)
	// It enters the namespace when the link is there.
	expect.Equal(t, "up", l.sh(stopped, "setns", "", "up bert"), "while it is stopped: 0\nafterwards: 0")
	expect.Equal(t, "devices", l.devices(), "pnu3uw pnu3ux")
	l.ok("down", "bert")
	stale := l.state()
	l.ok("up", "anna")
	same(t, "state after another up", l.state(), stale)
}
