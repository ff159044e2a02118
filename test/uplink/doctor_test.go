// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"libpam-net/internal/doctor"
	"libpam-net/test/expect"
	"libpam-net/test/machine"
)

func TestDoctorSeesWhatIsWrongWithUplinks(t *testing.T) {
	l := newLab(t)
	const pamnetctl = "/usr/bin/pamnetctl"
	expect.Check(t, l.Install(filepath.Join(machine.Out(), "pamnetctl"), pamnetctl, 0o755))
	l.ok("up", "anna")
	l.ok("up", "bert")
	for _, c := range []struct {
		what, damage, repair string
		want                 []string
	}{
		{"nothing is wrong", "true", "true", nil},
		{"all rules are flushed", "nft flush ruleset", program + " up --all", []string{"error uplink-incomplete"}},
		{"a network is new", "ip netns del anna; ip netns add anna", program + " up anna", []string{"warning uplink-incomplete"}},
		{"a user has another name", "usermod -l otto bert", "usermod -l bert otto", []string{"warning uplink-nobody"}},
		{"the configuration has an error", "echo mtv=3 >" + configuration, "rm " + configuration, []string{"error uplink-config"}},
		{"there are no uplinks", "echo mtv=3 >" + configuration + "; " + program + " down anna; " + program + " down bert", "true", nil},
	} {
		l.sh(c.damage)
		var findings []doctor.Finding
		expect.Check(t, json.Unmarshal([]byte(l.sh(pamnetctl+" doctor --json || :")), &findings))
		var got []string
		for _, f := range findings {
			if kind := string(f.Severity) + " " + f.ID; len(f.ID) > 7 && f.ID[:7] == "uplink-" && kind != "warning uplink-warning" {
				got = append(got, kind)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, not %q: %+v", c.what, got, c.want, findings)
		}
		l.sh(c.repair)
	}
}
