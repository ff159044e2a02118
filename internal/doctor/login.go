// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"path/filepath"
	"strings"

	"libpam-net/internal/policy"
)

// programs are the programs of services that are no login once the package is gone: its file in /etc/pam.d stays. They are
// found by the part of the service's name before a dash.
var programs = map[string][]string{
	"atd": {"atd"}, "cockpit": {"cockpit-ws", "cockpit-session"}, "cron": {"cron"}, "crond": {"crond"}, "doas": {"doas"},
	"dovecot": {"dovecot"}, "gdm": {"gdm", "gdm3"}, "greetd": {"greetd"}, "lightdm": {"lightdm"}, "login": {"login"},
	"lxdm": {"lxdm"}, "polkit": {"pkexec"}, "proftpd": {"proftpd"}, "remote": {"login"}, "runuser": {"runuser"},
	"samba": {"smbd"}, "sddm": {"sddm"}, "sshd": {"sshd"}, "su": {"su"}, "sudo": {"sudo"}, "systemd": {"systemd"},
	"vsftpd": {"vsftpd"}, "xdm": {"xdm"}, "xrdp": {"xrdp-sesman"},
}

// programDirs are the directories of programs, as patterns.
var programDirs = []string{
	"/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/libexec", "/usr/lib/systemd",
	"/lib/systemd", "/usr/lib/cockpit", "/usr/libexec/cockpit*", "/run/wrappers/bin", "/run/current-system/sw/bin",
}

// WhyNoLogin returns why nobody logs in through a service of the machine below root, "" if somebody may.
func WhyNoLogin(root string, p *policy.Policy, service string) string {
	e := &examination{Machine: Machine{Root: root}, Policy: p}
	if !e.opensSessions(e.service(service)) {
		return "it opens no sessions"
	}
	name, _, _ := strings.Cut(service, "-")
	names := programs[name]
	for _, dir := range programDirs {
		for _, program := range names {
			if len(e.glob(filepath.Join(dir, program))) > 0 {
				return ""
			}
		}
	}
	if len(names) == 0 { // nobody knows which program asks for it
		return ""
	}
	return fmt.Sprintf("its program %s is not installed", names[0])
}

// Daemons returns the sockets of daemons that can start programs in the host's network.
func Daemons() (paths []string) {
	for _, s := range sockets {
		if strings.HasPrefix(s.what, "start ") {
			paths = append(paths, s.path)
		}
	}
	return paths
}
