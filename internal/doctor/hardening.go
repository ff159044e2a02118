// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"maps"
	"slices"
	"strings"
)

// loginUnits are the units whose processes open sessions.
var loginUnits = []string{
	"ssh", "sshd", "ssh@", "sshd@", "cron", "crond", "atd", "getty@", "serial-getty@", "console-getty", "user@", "display-manager", "gdm", "gdm3",
	"lightdm", "sddm", "lxdm", "xdm", "greetd", "cockpit-session@", "cockpit-wsinstance-https@", "vsftpd", "proftpd", "smbd", "xrdp-sesman",
}

// needed are what the modules need of a unit.
var (
	neededCapabilities = []string{"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_CHROOT", "CAP_NET_ADMIN"}
	neededNamespaces   = []string{"net", "mnt"}
	neededCalls        = []string{"chroot", "clone", "mount", "setns", "umount2", "unshare"}
)

// callGroups has the groups of systemd.exec(5) that have needed calls.
var callGroups = map[string][]string{
	"@mount": {"chroot", "mount", "umount2"}, "@privileged": {"chroot"}, "@process": {"clone", "setns", "unshare"},
	"@system-service": {"clone", "setns", "unshare"},
}

// checkHardening finds settings of login services' units that refuse members.
func checkHardening(e *examination) {
	if len(e.lines) == 0 {
		return
	}
	units := e.units()
	for _, name := range slices.Sorted(maps.Keys(units)) {
		u := units[name]
		if len(u.all("PAMName")) == 0 && !slices.Contains(loginUnits, strings.TrimSuffix(name, ".service")) {
			continue
		}
		for _, check := range []func(*unit) (lacks []string, setting, allow string){lacksCapabilities, lacksNamespaces, lacksCalls} {
			lacks, setting, allow := check(u)
			if len(lacks) == 0 {
				continue
			}
			f := Finding{Evidence: u.places(setting)}
			dropIn := "/etc/systemd/system/" + name + ".d"
			f.Remedy = "mkdir -p " + quote(dropIn) + " && printf '[Service]\\n%s\\n' " + quote(setting+"="+allow) + " >" +
				quote(dropIn+"/pamnet-"+setting+".conf") + " && systemctl daemon-reload && systemctl try-restart " + quote(name)
			if strings.HasSuffix(name, "@.service") {
				f.Remedy = strings.TrimSuffix(f.Remedy, " && systemctl try-restart "+quote(name))
			}
			e.report(unitRefuses, f, "unit", name, "setting", setting, "lacks", list(lacks))
		}
	}
}

// lacksCapabilities returns the capabilities that a unit's bounding set lacks, and the value that adds them.
func lacksCapabilities(u *unit) (lacks []string, name, allow string) {
	const bounding = "CapabilityBoundingSet"
	return lacking(u.written(bounding), neededCapabilities), bounding, strings.Join(neededCapabilities, " ")
}

// lacksNamespaces returns the kinds of namespaces that a unit may not create or enter.
func lacksNamespaces(u *unit) (lacks []string, name, allow string) {
	const restrict = "RestrictNamespaces"
	var values []string
	for _, value := range u.written(restrict) {
		switch strings.ToLower(value) {
		case "", "no", "false", "off", "0":
			value = "~"
		case "yes", "true", "on", "1":
			value = ""
		}
		values = append(values, value)
	}
	return lacking(values, neededNamespaces), restrict, "no"
}

// lacking returns the names that a set lacks after assignments, as systemd.exec(5) has it for capabilities: the empty
// value is the empty set, "~" the full one. A list replaces the full set, and is added to another. A list with "~" is
// taken away. It is full at first.
func lacking(values, names []string) (lacks []string) {
	full, has := false, map[string]bool{}
	for _, value := range append([]string{"~"}, values...) {
		list, inverse := strings.CutPrefix(value, "~")
		words := strings.Fields(list)
		for _, name := range names {
			listed := slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(word, name) })
			switch {
			case len(words) == 0, full:
				has[name] = listed != inverse
			case listed:
				has[name] = !inverse
			}
		}
		full = len(words) == 0 && inverse
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return has[name] })
}

// lacksCalls returns the system calls that a unit's filter denies.
func lacksCalls(u *unit) (lacks []string, name, allow string) {
	const filter = "SystemCallFilter"
	values := u.all(filter)
	for _, call := range neededCalls {
		if !filterAllows(values, call) {
			lacks = append(lacks, call)
		}
	}
	return lacks, filter, strings.Join(neededCalls, " ")
}

// filterAllows returns whether a filter allows a call. By systemd.exec(5) the first value decides about calls that no
// value has: with "~" the filter has what is denied.
func filterAllows(values []setting, call string) bool {
	allowed := len(values) == 0 || strings.HasPrefix(values[0].value, "~")
	for _, s := range values {
		list, denies := strings.CutPrefix(s.value, "~")
		for _, word := range strings.Fields(list) {
			word, _, _ = strings.Cut(word, ":") // "call:EPERM"
			if word == call || slices.Contains(callGroups[word], call) {
				allowed = !denies
			}
		}
	}
	return allowed
}
