// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"errors"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"libpam-net/internal/netns"
	"libpam-net/internal/session"
	"libpam-net/internal/view"
)

// renamed are files in /etc that programs replace by a rename, with the programs; none: every machine has
// them.
var renamed = map[string][]string{
	"resolv.conf": {
		"/sbin/dhclient", "/usr/sbin/dhclient", "/usr/sbin/NetworkManager", "/sbin/resolvconf", "/usr/sbin/resolvconf", "/usr/sbin/connmand",
		"/usr/sbin/dhcpcd", "/sbin/dhcpcd", "/sbin/netconfig",
	},
	"passwd": nil, "group": nil, "shadow": nil, "gshadow": nil, "subuid": nil, "subgid": nil, "ld.so.cache": nil,
}

// checkEtcNetns finds files in /etc/netns that logins refuse or skip, for the networks that members have.
func checkEtcNetns(e *examination) {
	for _, name := range e.networks() {
		if netns.CheckName(name) != nil {
			continue
		}
		dir := "/etc/netns/" + name
		entries, err := view.CheckOverrides(e.Root, name)
		if err != nil {
			e.report(etcRefused, Finding{Evidence: []string{dir}, Remedy: rootAlone("/etc/netns", dir)}, "error", err.Error())
		}
		for _, entry := range entries {
			file, target := dir+"/"+entry.Name, "/etc/"+entry.Name
			f := Finding{Evidence: []string{file}}
			values := []string{"file", file, "target", target, "network", name}
			switch {
			case entry.Skipped && misnamed[entry.Name] != "":
				values[3] = "/etc/" + misnamed[entry.Name]
				f.Remedy = "mv " + quote(file) + " " + quote(dir+"/"+misnamed[entry.Name])
				e.report(etcMisnamed, f, values...)
			case entry.Skipped:
				e.report(etcSkipped, f, values...)
			case entry.Err != nil:
				if st := e.stat(file); st != nil && (st.Uid != 0 || st.Mode&0o022 != 0) {
					f.Remedy = rootAlone(file)
				}
				e.report(etcRefused, f, "error", entry.Err.Error())
			case !e.isRenamed(target):
			case target == "/etc/resolv.conf":
				e.report(resolvRenamed, f, values...)
			default:
				e.report(etcRenamed, f, values...)
			}
		}
	}
}

// misnamed are names of files that people give to others.
var misnamed = map[string]string{
	"resolve.conf": "resolv.conf", "resolv.cnf": "resolv.conf", "resolver.conf": "resolv.conf", "host": "hosts", "hosts.conf": "hosts",
	"nsswitch": "nsswitch.conf", "nswitch.conf": "nsswitch.conf",
}

// checkEtcUnused finds directories in /etc/netns for the network of no member. "ip netns exec" uses those of other
// networks.
func checkEtcUnused(e *examination) {
	if !e.listing.Complete() || len(e.listing.Failed) > 0 {
		return
	}
	used := e.networks()
	for _, dir := range e.glob("/etc/netns/*") {
		name := path.Base(dir)
		if slices.Contains(used, name) || e.exists("/run/netns/"+name) {
			continue
		}
		why := "The user may have another name now, or be a member of no group."
		for _, c := range e.concerns {
			if c.Kind == session.NewNet && slices.Contains(c.names(), name) {
				why = "Networks of " + c.Name + " have no name."
			}
		}
		e.report(etcUnused, Finding{Evidence: []string{dir}}, "file", dir, "why", why)
	}
}

// networks returns the names of the networks that members have, sorted.
func (e *examination) networks() []string {
	names := map[string]bool{}
	for _, c := range e.concerns {
		for _, a := range c.members {
			names[c.NetnsName(a)] = true
		}
	}
	delete(names, "")
	return slices.Sorted(maps.Keys(names))
}

// isRenamed returns whether a program replaces a file by a rename. The cover is then lost in running
// sessions.
func (e *examination) isRenamed(target string) bool {
	programs, ok := renamed[strings.TrimPrefix(target, "/etc/")]
	info, err := os.Lstat(e.path(target))
	return ok && err == nil && info.Mode().IsRegular() && (len(programs) == 0 || slices.ContainsFunc(programs, e.exists))
}

// checkUnowned finds networks that a login has created for a user or group whose name nobody has any more.
func checkUnowned(e *examination) {
	if !e.listing.Complete() || len(e.listing.Failed) > 0 {
		return
	}
	used := e.networks()
	for _, record := range e.glob("/run/libpam-net/netns/*") {
		name := path.Base(record)
		file := "/run/netns/" + name
		isGroup := slices.ContainsFunc(e.concerns, func(c concern) bool { return slices.Contains(c.groups, c.Module.Group+"-"+name) })
		if !slices.Contains(used, name) && !isGroup && e.CheckUser(name) != nil && e.exists(file) {
			e.report(netnsNobody, Finding{Evidence: []string{file}}, "network", name)
		}
	}
}

// checkRunNetns finds files in /run/netns that are no network namespaces.
func checkRunNetns(e *examination) {
	entries, err := os.ReadDir(e.path("/run/netns"))
	if err != nil || e.OpenNetns == nil {
		return // no named network yet
	}
	used := e.networks()
	for _, entry := range entries {
		name := entry.Name()
		err := e.OpenNetns(name)
		if err == nil || errors.Is(err, netns.ErrAbsent) { // an empty file, which logins take over
			continue
		}
		k := runForeign
		if slices.Contains(used, name) {
			k = runForeignUsed
		}
		file := "/run/netns/" + name
		e.report(k, Finding{Evidence: []string{file}}, "file", file, "error", err.Error())
	}
}
