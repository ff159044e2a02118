// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"regexp"
	"slices"
	"strings"

	"libpam-net/internal/policy"
)

// resolvers are sources of host names that ask a daemon over a socket, or read what one has written. The modules cover
// the sockets of nscd, Avahi and systemd-resolved by themselves.
var resolvers = []struct {
	source, file string
	mask         string // what to cover; "" if sessions need it for something else
	kind         *kind
}{
	{"resolve", "/run/systemd/resolve/io.systemd.Resolve", "", resolverReturns},
	{"mymachines", "/run/systemd/machine", "/run/systemd/machine", resolverAnswers},
	{"libvirt", "/var/lib/libvirt/dnsmasq", "/var/lib/libvirt/dnsmasq", resolverAnswers},
	{"libvirt_guest", "/var/lib/libvirt/dnsmasq", "/var/lib/libvirt/dnsmasq", resolverAnswers},
	{"wins", "/run/samba/winbindd", "", resolverShared},
	{"sss", "/var/lib/sss/pipes/nss", "", resolverShared},
	{"ldap", "/run/nslcd/socket", "", resolverShared},
}

var (
	hostsLine   = regexp.MustCompile(`(?m)^\s*hosts[:\s](.*)$`)
	hostsAction = regexp.MustCompile(`\[[^]]*\]`)
)

// checkResolvers finds sources of host names that answer sessions from the host's network.
func checkResolvers(e *examination) {
	const conf = "/etc/nsswitch.conf"
	var sources []string
	for _, line := range hostsLine.FindAllStringSubmatch(e.read(conf), -1) {
		line, _, _ := strings.Cut(hostsAction.ReplaceAllString(line[1], " "), "#")
		sources = append(sources, strings.Fields(line)...)
	}
	for _, r := range resolvers {
		if !e.hasUsers() || !slices.Contains(sources, r.source) || !e.exists(r.file) {
			continue
		}
		f := Finding{Evidence: []string{conf, r.file}}
		var open []policy.Rule
		for _, l := range e.lines {
			if r.mask != "" && !covers(l, r.file) {
				open = append(open, l)
				f.Evidence = append(f.Evidence, l.Line.String())
			}
		}
		if r.mask != "" && len(open) == 0 {
			continue
		}
		f.Diff = e.replaced(open, func(l policy.Rule) (string, []string) {
			return l.Line.Control, append(slices.Clone(l.Line.Args), "mask="+r.mask)
		})
		e.report(r.kind, f, "source", r.source, "file", r.file)
	}
}
