// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"fmt"
	"testing"
)

func TestLegacyObstacles(t *testing.T) {
	const forward = "iptables-legacy chain FORWARD refuses what it does not know, and so the packets of uplinks: "
	for _, c := range []struct {
		what, rules string
		input       bool
		want        string
	}{
		{"no rules", "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n", true, "[]"},
		{
			"a policy", "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\nCOMMIT\n", false,
			"[" + forward + "iptables-legacy -I FORWARD -i pn+ -j ACCEPT && iptables-legacy -I FORWARD -o pn+ -j ACCEPT]",
		},
		{
			"a policy for the host", "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n", true,
			"[iptables-legacy chain INPUT refuses what it does not know, and so the packets of uplinks: iptables-legacy -I INPUT -i pn+ -j ACCEPT]",
		},
		{
			"a last rule", "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -i eth0 -j DROP\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\nCOMMIT\n", false,
			"[" + forward + "iptables-legacy -I FORWARD -i pn+ -j ACCEPT && iptables-legacy -I FORWARD -o pn+ -j ACCEPT]",
		},
		{
			"docker's", "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\n-A DOCKER-USER -j RETURN\nCOMMIT\n", false,
			"[" + forward + "iptables-legacy -I DOCKER-USER -i pn+ -j ACCEPT && iptables-legacy -I DOCKER-USER -o pn+ -j ACCEPT]",
		},
		{
			"ufw's", "*filter\n:FORWARD DROP [0:0]\n:ufw-user-forward - [0:0]\nCOMMIT\n", false,
			"[" + forward + "ufw route allow in on pn+ && ufw route allow out on pn+]",
		},
		{"one that knows uplinks", "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -i pn+ -j ACCEPT\n-A FORWARD -o pn+ -j ACCEPT\nCOMMIT\n", false, "[]"},
		{"rules that refuse some packets only", "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -p tcp -m tcp --dport 25 -j REJECT\nCOMMIT\n", true, "[]"},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := filter{program: "iptables-legacy", family: "ip", table: "filter"}
			if got := fmt.Sprint(f.legacy(c.rules, c.input)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestEachCommandHasOneThatUndoesIt(t *testing.T) {
	for command, want := range map[string]string{
		addToZone:                   removeFromZone,
		"firewall-cmd --reload":     "",
		"ufw route allow in on pn+": "ufw route delete allow in on pn+",
		"ufw allow in on pn+":       "ufw delete allow in on pn+",
		"ip6tables-legacy -I DOCKER-USER -o pn+ -j ACCEPT":       "ip6tables-legacy -D DOCKER-USER -o pn+ -j ACCEPT",
		`nft insert rule inet site forward iifname "pn*" accept`: "",
	} {
		if got := undoOf(command); got != want {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
}
