// SPDX-License-Identifier: GPL-2.0-or-later

package systemd

import (
	"errors"
	"strings"
	"testing"

	"libpam-net/test/boot"
	"libpam-net/test/expect"
)

// fetch reads from a server that is not the machine's.
const fetch = "head -c 7 </dev/tcp/198.51.100.2/7777"

// outside makes a network beyond the machine's, with that server, an sshd.
func (h host) outside() {
	h.t.Helper()
	h.run(`
		[ ! -e /run/netns/outside ] || exit 0
		ip -batch - <<-END
			netns add outside
			link add outside type veth peer name eth0 netns outside
			address add 198.51.100.1/30 dev outside
			link set outside up
		END
		ip -n outside address add 198.51.100.2/30 dev eth0
		ip -n outside link set eth0 up
		systemd-run --quiet --unit=outside --property=Type=notify --property=NetworkNamespacePath=/run/netns/outside \
			/usr/sbin/sshd -D -p 7777`)
}

// end ends all that a user runs, and lets the timer's service take the network down.
func (h host) end(user string) {
	h.t.Helper()
	h.run(`
		loginctl terminate-user "$1" 2>/dev/null || :
		while [ -e "/sys/fs/cgroup/user.slice/user-$(id -u "$1").slice" ]; do sleep 0.01; done
		systemctl start pamnet-prune
		[ ! -e "/run/netns/$1" ]`, user)
}

func TestTheTimersServiceTakesDownNetworksThatNobodyIsIn(t *testing.T) {
	h := start(t)
	h.outside()
	h.run(`
		for user in gina gus ulf; do loginctl terminate-user $user 2>/dev/null || :; done
		loginctl enable-linger gina
		until systemctl is-active --quiet "user@$(id -u gina)"; do sleep 0.01; done
		pamnetctl check ulf`)
	h.end("ulf")
	expect.Equal(t, "named networks", h.run("cd /run/netns; ls -d lab outside ulf 2>/dev/null || :"), "lab\noutside")
	expect.Equal(t, "uplinks", h.run("for name in lab ulf; do /usr/libexec/libpam-net/pamnet-uplink show --json $name | grep -o '\"state\": *\"[a-z]*\"'; done"),
		"\"state\": \"up\"\n\"state\": \"down\"")
	h.run("loginctl disable-linger gina")
}

func TestAfterABootNamedNetworksComeBackAtTheFirstLoginWithTheirUplink(t *testing.T) {
	h := start(t)
	const uplink = `ip -brief address show dev eth0 scope global | sed "s/@[^ ]*//"; ` + fetch
	before := make(map[string]string)
	look := func(when string) {
		h.outside()
		for user, name := range users {
			if name == "" {
				continue
			}
			got := h.ssh(user, uplink)
			if !strings.HasSuffix(got, "SSH-2.0") || before[user] != "" && got != before[user] {
				t.Errorf("the uplink of %s %s the boot: %q, before %q", user, when, got, before[user])
			}
			before[user] = got
			h.belongs("ssh", user, h.ssh(user, net))
		}
		if result := h.try(`ssh nina@127.0.0.1 "$1"`, fetch); result.Stdout != "" {
			t.Errorf("nina, who has no uplink, reaches the outside %s the boot: %q", when, result.Stdout)
		}
	}
	look("before")
	h.run("loginctl enable-linger uta")
	// Nobody enters meanwhile: systemd stops all processes to kill them, and nsenter(1)
	// stops with what it has started, for ever.
	old, err := h.Sh(t.Context(), boot.Leader)
	expect.Check(t, errors.Join(err, old.Err()))
	_, err = h.Enter(t.Context(), "systemd-run --quiet systemctl reboot")
	expect.Check(t, err)
	expect.Eventually(t, "there is another process 1", func() bool {
		now, err := h.Sh(t.Context(), boot.Leader)
		return err == nil && now.ExitCode == 0 && now.Stdout != old.Stdout
	})
	expect.Check(t, h.Booted())
	expect.Equal(t, "networks after the boot, of users who linger", h.run("ls /run/netns"), "uta")
	h.run("loginctl disable-linger uta")
	look("after")
}
