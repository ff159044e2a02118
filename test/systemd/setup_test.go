// SPDX-License-Identifier: GPL-2.0-or-later

package systemd

import (
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// What a setup program leaves running is the network's, not that of the first login.
func TestWhatASetupProgramLeavesRunningLivesAsLongAsTheNetwork(t *testing.T) {
	h := start(t)
	h.run(`
		printf '%s\n' '#!/bin/sh' 'echo "$1" >>/run/setup.log; [ "$1" = up ] || exit 0' \
			'ip netns exec "$2" setsid sleep 4242 >/dev/null 2>&1 </dev/null &' 'echo $! >/run/tunnel.pid' >/usr/local/sbin/tunnel
		chmod 755 /usr/local/sbin/tunnel
		useradd --create-home --shell /bin/bash --groups usernet tom-x
		sed -i.kept 's,setup=[^ ]*,setup=/usr/local/sbin/tunnel,' /etc/pam.d/common-session{,-noninteractive}`)
	const (
		tunnel = `tr '\0' ' ' <"/proc/$(cat /run/tunnel.pid)/cmdline"`
		log    = `paste -sd ' ' /run/setup.log`
	)
	first := h.ssh("tom-x", net)
	h.run(`loginctl terminate-user tom-x; while loginctl list-users --no-legend | grep -q tom-x; do sleep 0.01; done`)
	expect.Equal(t, "what was left running, when nobody is logged in", h.run(tunnel), "sleep 4242")
	expect.Equal(t, "its unit", h.run(`sed -n 's,^0::,,p' "/proc/$(cat /run/tunnel.pid)/cgroup"`), `/system.slice/pamnet-setup-tom\x2dx.scope`)
	expect.Equal(t, "network of the next login", h.ssh("tom-x", net), first)
	expect.Equal(t, "runs of the program", h.run(log), "up")

	h.run(`kill "$(cat /run/tunnel.pid)"; while [ -e "/proc/$(cat /run/tunnel.pid)" ]; do sleep 0.01; done`)
	if again := h.ssh("tom-x", net); again == first {
		t.Error("a login is let into the network whose tunnel has ended")
	}
	expect.Equal(t, "runs of the program, when the tunnel has ended", h.run(log), "up up")
	h.run(`loginctl terminate-user tom-x; while loginctl list-users --no-legend | grep -q tom-x; do sleep 0.01; done`)
	if said := h.run(`pamnetctl prune`); !strings.Contains(said, "tom-x: taken down") {
		t.Errorf("prune: %s", said)
	}
	expect.Equal(t, "runs of the program, with prune's", h.run(log), "up up down")
	if result := h.try(`[ -e "/proc/$(cat /run/tunnel.pid)" ] || systemctl --quiet is-active 'pamnet-setup-tom\x2dx.scope'`); result.ExitCode == 0 {
		t.Error("what was left running lives on")
	}
	h.run(`for f in /etc/pam.d/common-session{,-noninteractive}; do mv $f.kept $f; done; userdel --force --remove tom-x`)
}
