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

var firewalls = []struct{ name, start, command string }{
	{"firewalld", `set -e
		ln -sf org.fedoraproject.FirewallD1.server.policy.choice /usr/share/polkit-1/actions/org.fedoraproject.FirewallD1.policy
		mkdir -p /run/dbus
		dbus-daemon --system --fork
		/usr/bin/python3 /usr/sbin/firewalld --nopid
		until firewall-cmd --state >/dev/null 2>&1; do sleep 0.1; done`, "firewall-cmd --permanent --zone=trusted"},
	{"ufw", iptables + `
		cp -n /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /etc/ufw/ || :
		ufw --force enable
		ufw allow 1/tcp && ufw delete allow 1/tcp # ufw writes more into its files than they come with`, "ufw route allow in on pn+"},
	{"iptables", iptables + "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP; iptables -P INPUT DROP; ip6tables -A INPUT -p icmpv6 -j ACCEPT; ip6tables -A INPUT -j REJECT", "iptables -I FORWARD -i pn+ -j ACCEPT"},
	{"iptables-legacy", "iptables-legacy -P FORWARD DROP; ip6tables-legacy -A FORWARD -j REJECT; iptables-legacy -P INPUT DROP", "iptables-legacy -I FORWARD -i pn+ -j ACCEPT"},
	{"docker", iptables + `
		iptables -N DOCKER-USER
		iptables -A DOCKER-USER -j RETURN
		iptables -A FORWARD -j DOCKER-USER
		iptables -P FORWARD DROP`, "iptables -I DOCKER-USER -i pn+ -j ACCEPT"},
}

// withFirewalls runs a test beside each firewall. They are Debian's, as they come. Docker itself
// cannot run here: its rules are made by hand.
func withFirewalls(t *testing.T, config string, f func(l *lab, command string)) {
	tree := filepath.Join(machine.Out(), "firewalls")
	if _, err := os.Stat(tree); err != nil {
		t.Skipf("make deps unpacks the firewalls: %v", err)
	}
	for _, c := range firewalls {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.patience = time.Minute
			expect.Check(t, l.InstallTree(tree))
			l.configure(config + "host_services = ['tcp/90', 'udp/90']\n")
			l.serve("outside", ":80", "outside")
			l.serve("", ":90", "machine")
			l.sh(c.start)
			f(l, c.command)
		})
	}
}

// reachesAllowed tells whether anna reaches what uplinks may, and nothing else.
func (l *lab) reachesAllowed(when string) {
	both(l.t, func(t *testing.T, v version) {
		l := l.with(t)
		l.asks("the world "+when, "anna", address(v.outside, 80), "outside "+v.gateway)
		l.asks("a service of the host "+when, "anna", address(gatewayOf(v.anna), 90), "machine "+v.anna)
		expect.Equal(t, "another service of the host "+when, l.ask("anna", "tcp", address(v.gateway, 22)), "refused")
	})
}

func TestRealFirewalls(t *testing.T) {
	withFirewalls(t, "", func(l *lab, command string) {
		said := l.ok("up", "anna")
		if !contains(said, command) {
			l.t.Errorf("up does not say %q but %q", command, said)
		}
		for line := range strings.Lines(said) {
			if _, command, ok := strings.Cut(line, "of uplinks: "); ok {
				l.sh(command)
			}
		}
		if said := l.ok("up", "anna"); contains(said, "warning") {
			l.t.Errorf("up still says %q", said)
		}
		l.reachesAllowed("after the commands")
	})
}

// rules prints what firewalls have, in memory and in files.
const rules = `
	for save in iptables-legacy-save ip6tables-legacy-save iptables-save ip6tables-save; do
		$save 2>/dev/null | sed 's/\[.*\]//; /^#/d'
	done
	cat /etc/ufw/user*.rules 2>/dev/null || :
	for permanent in '' --permanent; do firewall-cmd $permanent --list-all-zones 2>/dev/null || :; done
	ls /var/lib/libpam-net 2>/dev/null || :
`

func TestRealFirewallsAreManaged(t *testing.T) {
	withFirewalls(t, "firewall = 'manage'\n", func(l *lab, command string) {
		before := l.sh(rules)
		for range 2 {
			if said := l.ok("up", "anna"); contains(said, "warning") {
				l.t.Errorf("up says %q", said)
			}
			l.reachesAllowed("after up")
		}
		managed := l.sh(rules)
		if strings.Contains(command, "firewall-cmd") {
			l.sh("firewall-cmd --reload")
			l.reachesAllowed("after a reload")
		}
		l.ok("up", "bert")
		l.ok("down", "anna")
		same(l.t, "the firewall's rules beside one uplink", strings.Split(l.sh(rules), "\n"), strings.Split(managed, "\n"))
		l.ok("down", "bert")
		same(l.t, "the firewall's rules after the last down", strings.Split(l.sh(rules), "\n"), strings.Split(before, "\n"))
	})
}
