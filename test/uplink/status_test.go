// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
)

// status returns what pamnetctl shows of the networks of a machine.
func (l *lab) status() string {
	l.t.Helper()
	var status struct {
		Networks []struct {
			Name, Uplink string
			DNS          []string
			OwnDNS       bool `json:"own_dns"`
		}
		Problems []string
	}
	expect.Check(l.t, json.Unmarshal([]byte(l.sh("pamnetctl status --json || :")), &status))
	text := ""
	for _, n := range status.Networks {
		text += fmt.Sprintf("%s %s %v %v\n", n.Name, n.Uplink, n.DNS, n.OwnDNS)
	}
	for _, p := range status.Problems {
		text += p + "\n"
	}
	return text
}

func TestPamnetctlStatusTellsTheStateOfEachUplink(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	expect.Check(t, l.Install(filepath.Join(machine.Out(), "pamnetctl"), "/usr/bin/pamnetctl", 0o755))
	const none = "outside down [203.0.113.53] false\nsecond down [203.0.113.53] false\n"
	expect.Equal(t, "without uplinks", l.status(), "anna down [203.0.113.53] false\nbert down [203.0.113.53] false\n"+none)
	l.ok("up", "anna")
	l.ok("up", "bert")
	l.sh("ip link del pnu3uw; mkdir -p /etc/netns/bert; echo nameserver 192.0.2.1 >/etc/netns/bert/resolv.conf")
	expect.Equal(t, "with two, of which one lacks its link", l.status(), "anna incomplete [203.0.113.53] false\nbert up [192.0.2.1] true\n"+none)
	l.ok("up", "anna")
	l.sh("nft delete element inet pamnet links '{ \"pnu3ux\" }'; ip netns del anna")
	expect.Equal(t, "without a network, and without a firewall", l.status(), "anna incomplete [203.0.113.53] false\nbert incomplete [192.0.2.1] true\n"+none)
	l.sh("sed -i /^bert/d /etc/passwd; echo nonsense >" + configuration)
	expect.Equal(t, "with a configuration that is wrong", l.status(), "bert  [192.0.2.1] true\noutside  [203.0.113.53] false\nsecond  [203.0.113.53] false\n"+
		configuration+":1: expected '=' after key\n")
}
