// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
)

// Debian's postinst makes these links.
const iptables = `set -e
	for p in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
		ln -sf xtables-nft-multi /usr/sbin/$p
	done
`

// The firewalls are Debian's, as they come. Docker itself cannot run here: its rules are made
// by hand.
func TestRealFirewalls(t *testing.T) {
	tree := filepath.Join(machine.Out(), "firewalls")
	if _, err := os.Stat(tree); err != nil {
		t.Skipf("make deps unpacks the firewalls: %v", err)
	}
	for _, c := range []struct{ name, start, command string }{
		{"firewalld", `set -e
			ln -sf org.fedoraproject.FirewallD1.server.policy.choice /usr/share/polkit-1/actions/org.fedoraproject.FirewallD1.policy
			mkdir -p /run/dbus
			dbus-daemon --system --fork
			/usr/bin/python3 /usr/sbin/firewalld --nopid
			until firewall-cmd --state >/dev/null 2>&1; do sleep 0.1; done`, "firewall-cmd --permanent --zone=trusted"},
		{"ufw", iptables + `
			cp -n /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /etc/ufw/ || :
			ufw --force enable`, "ufw route allow in on pn+"},
		{"iptables", iptables + "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP; iptables -P INPUT DROP; ip6tables -A INPUT -p icmpv6 -j ACCEPT; ip6tables -A INPUT -j REJECT", "iptables -I FORWARD -i pn+ -j ACCEPT"},
		{"iptables-legacy", "iptables-legacy -P FORWARD DROP; ip6tables-legacy -A FORWARD -j REJECT; iptables-legacy -P INPUT DROP", "iptables-legacy -I FORWARD -i pn+ -j ACCEPT"},
		{"docker", iptables + `
			iptables -N DOCKER-USER
			iptables -A DOCKER-USER -j RETURN
			iptables -A FORWARD -j DOCKER-USER
			iptables -P FORWARD DROP`, "iptables -I DOCKER-USER -i pn+ -j ACCEPT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.patience = time.Minute
			expect.Check(t, l.InstallTree(tree))
			l.configure("host_services = ['tcp/90', 'udp/90']\n")
			l.serve("outside", ":80", "outside")
			l.serve("", ":90", "machine")
			l.sh(c.start)
			said := l.ok("up", "anna")
			if !contains(said, c.command) {
				t.Errorf("up does not say %q but %q", c.command, said)
			}
			for line := range strings.Lines(said) {
				if _, command, ok := strings.Cut(line, "of uplinks: "); ok {
					l.sh(command)
				}
			}
			if said := l.ok("up", "anna"); contains(said, "warning") {
				t.Errorf("up still says %q", said)
			}
			both(t, func(t *testing.T, v version) {
				l := l.with(t)
				l.asks("the world", "anna", address(v.outside, 80), "outside "+v.gateway)
				l.asks("a service of the host", "anna", address(gatewayOf(v.anna), 90), "machine "+v.anna)
				expect.Equal(t, "another service of the host", l.ask("anna", "tcp", address(v.gateway, 22)), "refused")
			})
		})
	}
}
