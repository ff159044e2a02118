// SPDX-License-Identifier: GPL-2.0-or-later

package systemd

import (
	"strings"
	"testing"

	"libpam-net/test/expect"
)

func TestAfterABootNamedNetworksComeBackAtTheFirstLoginWithTheirUplink(t *testing.T) {
	h := start(t)
	const uplink = `ip -brief address show dev eth0 scope global | sed "s/@[^ ]*//"; ping -q -c 1 -W 10 "$(ip route show default | cut -d " " -f 3)" >/dev/null && echo reached`
	before := map[string]string{}
	for user, name := range users {
		if name != "" {
			before[user] = h.ssh(user, uplink)
		}
	}
	h.run("loginctl enable-linger uta")
	id := h.run("cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1")
	h.enter(t.Context(), "systemctl reboot")
	expect.Eventually(t, "the machine boots anew", func() bool {
		result, err := h.enter(t.Context(), "cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1")
		return err == nil && result.ExitCode == 0 && strings.TrimSpace(result.Stdout) != id
	})
	expect.Check(t, h.booted())
	expect.Equal(t, "networks after the boot", h.run("ls /run/netns"), "uta")
	for user, want := range before {
		if !strings.Contains(want, "reached") {
			t.Errorf("before the boot, %s has %q", user, want)
		}
		expect.Equal(t, "uplink of "+user, h.ssh(user, uplink), want)
		h.belongs("ssh", user, h.ssh(user, net))
	}
	h.run("loginctl disable-linger uta")
}
