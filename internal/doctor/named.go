// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"libpam-net/internal/netns"
	"libpam-net/internal/view"
)

// renamed are files in /etc that are replaced by a rename, with the programs that
// do it; none: every machine has them.
var renamed = map[string][]string{
	"resolv.conf": {
		"/sbin/dhclient", "/usr/sbin/dhclient", "/usr/sbin/NetworkManager", "/sbin/resolvconf", "/usr/sbin/resolvconf", "/usr/sbin/connmand",
		"/usr/sbin/dhcpcd", "/sbin/dhcpcd", "/sbin/netconfig",
	},
	"passwd": nil, "group": nil, "shadow": nil, "gshadow": nil, "subuid": nil, "subgid": nil, "ld.so.cache": nil,
}

// checkEtcNetns finds what logins refuse or skip in /etc/netns, for the networks that
// members have.
func checkEtcNetns(e *examination) {
	for _, name := range e.networks() {
		if netns.CheckName(name) != nil {
			continue
		}
		dir := "/etc/netns/" + name
		entries, err := view.CheckOverrides(e.Root, name)
		if err != nil {
			e.refusedOverride(err, dir, "chown root: /etc/netns "+quote(dir)+" && chmod go-w /etc/netns "+quote(dir))
		}
		for _, entry := range entries {
			file := dir + "/" + entry.Name
			target := "/etc/" + entry.Name
			switch {
			case entry.Skipped:
				command := "touch "
				if info, err := os.Stat(e.path(file)); err == nil && info.IsDir() {
					command = "mkdir "
				}
				e.found(Finding{
					Severity: Warning, ID: "etc-netns-skipped",
					What:        fmt.Sprintf("%s stands in for nothing: there is no %s.", file, target),
					Evidence:    []string{file},
					Consequence: fmt.Sprintf("Sessions in network %s do without it.", name),
					Remedy:      command + quote(target),
				})
			case entry.Err != nil:
				remedy := "chown root: " + quote(file) + " && chmod go-w " + quote(file)
				if st := e.stat(file); st == nil || st.Uid == 0 && st.Mode&0o022 == 0 {
					remedy = "mv " + quote(file) + " /root/" // no file, or one for a directory
				}
				e.refusedOverride(entry.Err, file, remedy)
			default:
				e.checkRenamed(name, file, target)
			}
		}
	}
}

func (e *examination) refusedOverride(err error, file, remedy string) {
	e.found(Finding{
		Severity: Error, ID: "etc-netns-refused",
		What:        err.Error() + ".",
		Evidence:    []string{file},
		Consequence: "Logins to this network are refused.",
		Remedy:      remedy,
	})
}

// checkRenamed finds covers that are lost in running sessions when a program replaces
// the file below.
func (e *examination) checkRenamed(name, file, target string) {
	programs, ok := renamed[strings.TrimPrefix(target, "/etc/")]
	info, err := os.Lstat(e.path(target))
	if !ok || err != nil || !info.Mode().IsRegular() || len(programs) > 0 && !slices.ContainsFunc(programs, e.exists) {
		return
	}
	f := Finding{
		Severity: Note, ID: "etc-netns-renamed",
		What:        fmt.Sprintf("%s stands in for %s, which programs replace by a rename.", file, target),
		Evidence:    []string{file},
		Consequence: fmt.Sprintf("From then on running sessions in network %s see the host's.", name),
		Remedy:      "rm " + quote(file),
	}
	if target == "/etc/resolv.conf" {
		// The cover of a link holds, and programs write to what it leads to.
		f.Remedy = "mv /etc/resolv.conf /etc/resolv.conf.host && ln -s resolv.conf.host /etc/resolv.conf"
	}
	e.found(f)
}

// checkRunNetns finds what is in /run/netns and is no network namespace.
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
		file := "/run/netns/" + name
		f := Finding{
			Severity: Note, ID: "run-netns-foreign",
			What:        fmt.Sprintf("%s is no network for a session: %v.", file, err),
			Evidence:    []string{file},
			Consequence: "Whoever is to have a network of this name is refused; nobody is at present.",
			Remedy:      "umount -l " + quote(file) + " 2>/dev/null; rm -rf " + quote(file),
		}
		if slices.Contains(used, name) {
			f.Severity = Error
			f.Consequence = "Whoever has the network of this name is refused."
		}
		e.found(f)
	}
}
