// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"path"
	"slices"
	"strings"
)

// confined are the login programs that a profile of AppArmor may be for.
var confined = []string{
	"sshd", "sshd-session", "login", "su", "sudo", "doas", "cron", "crond", "atd", "runuser", "gdm3", "gdm", "lightdm", "sddm", "lxdm", "xdm", "greetd",
	"cockpit-session", "xrdp-sesman", "vsftpd", "proftpd",
}

// checkConfinement finds SELinux and profiles of AppArmor that may deny login programs what the modules do.
func checkConfinement(e *examination) {
	if len(e.lines) == 0 {
		return
	}
	const enforce = "/sys/fs/selinux/enforce"
	if e.read(enforce) == "1" && len(e.glob("/var/lib/selinux/*/active/modules/*/libpam_net")) == 0 {
		e.report(selinuxEnforces, Finding{Evidence: []string{enforce}})
	}
	const profiles = "/sys/kernel/security/apparmor/profiles"
	for line := range strings.Lines(e.read(profiles)) {
		name, mode, _ := strings.Cut(strings.TrimSpace(line), " (")
		if mode = strings.TrimSuffix(mode, ")"); (mode == "enforce" || mode == "kill") && slices.Contains(confined, path.Base(name)) {
			e.report(apparmorEnforces, Finding{Evidence: []string{profiles}}, "profile", name)
		}
	}
}
