// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"path"
	"slices"
	"strings"

	"libpam-net/internal/policy"
	"libpam-net/internal/session"
	"libpam-net/internal/uplink"
	"libpam-net/internal/uplink/config"
)

// checkUplinks finds uplinks that do not work, or are open for want of their firewall.
func checkUplinks(e *examination) {
	if e.Uplinks == nil || len(e.listing.Failed) > 0 {
		e.unknown(uplinkOpen)
		return
	}
	all, err := e.Uplinks()
	if err != nil {
		if len(all) > 0 || len(e.uplinkLines()) > 0 {
			e.report(uplinkFails, Finding{Evidence: []string{config.Path}}, "error", err.Error())
		}
		e.unknown(uplinkOpen)
		return
	}
	bad := map[*kind][]uplink.Found{}
	for _, found := range all {
		f := Finding{Evidence: []string{found.Device}}
		switch {
		case found.Nobody && found.Renamed != "":
			f.Remedy = "pamnet-uplink down " + quote(found.Name)
			e.report(uplinkRenamed, f, "network", found.Name, "user", found.Renamed)
		case found.Nobody:
			f.Remedy = "pamnet-uplink down " + quote(found.Name)
			e.report(uplinkNobody, f, "network", found.Name)
		case found.State == uplink.StateIncomplete && found.Open:
			bad[uplinkOpen] = append(bad[uplinkOpen], found)
		case found.State == uplink.StateIncomplete:
			bad[uplinkIncomplete] = append(bad[uplinkIncomplete], found)
		}
		if found.Problem != "" {
			found.Warnings = append(found.Warnings, found.Problem)
		}
		for _, warning := range found.Warnings {
			e.report(uplinkWarning, f, "warning", strings.TrimSuffix(warning, "."), "network", found.Name)
		}
	}
	for k, found := range bad {
		f := Finding{Remedy: "pamnet-uplink up --all"}
		var names []string
		for _, u := range found {
			f.Evidence, names = append(f.Evidence, u.Device), append(names, u.Name)
		}
		e.report(k, f, "networks", some(names), "uplinks", plural(len(names), "The uplink", "The uplinks"), "are", plural(len(names), "is", "are"),
			"has", plural(len(names), "has", "have"))
	}
	e.checkMissingUplinks(all)
}

// checkMissingUplinks finds networks whose lines have pamnet-uplink for a setup program, and that have no uplink: a
// login by another line, without it, has created them.
func (e *examination) checkMissingUplinks(all []uplink.Found) {
	for _, c := range e.concerns {
		i := slices.IndexFunc(e.uplinkLines(), func(r policy.Rule) bool { return r.Module == c.Module })
		if i < 0 || c.Kind == session.NewNet {
			continue
		}
		for _, a := range c.members {
			name := c.NetnsName(a)
			file := "/run/netns/" + name
			if slices.ContainsFunc(all, func(f uplink.Found) bool { return f.Name == name }) || !e.exists(file) || e.OpenNetns == nil || e.OpenNetns(name) != nil {
				continue
			}
			e.report(uplinkMissing, Finding{Evidence: []string{file, e.uplinkLines()[i].Line.String()}, Remedy: "pamnet-uplink up " + quote(name)},
				"network", name)
		}
	}
}

// uplinkLines returns the lines whose setup program is pamnet-uplink.
func (e *examination) uplinkLines() (rules []policy.Rule) {
	for _, r := range e.lines {
		if r.Request.Setup != nil && path.Base(*r.Request.Setup) == "pamnet-uplink" {
			rules = append(rules, r)
		}
	}
	return rules
}
