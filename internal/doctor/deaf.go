// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// tried are services that were tried with a refusal; docs/SECURITY.md has the table.
var tried = []string{
	"sshd", "login", "remote", "su", "su-l", "sudo", "sudo-i", "cron", "crond", "systemd-user", "runuser", "runuser-l", "atd",
	"cockpit", "doas", "greetd", "lightdm", "lightdm-autologin", "lightdm-greeter", "polkit-1", "proftpd",
}

// refusalEmpty is the argument by which a refused login process gets an empty network.
const refusalEmpty = "refusal=empty"

// checkDeaf finds services with the modules that go on after a refusal, or never open a session in the
// process that acts for the user. Of services that nobody has tried there is a note.
func checkDeaf(e *examination) {
	var untried []service
	for _, s := range e.services {
		switch {
		case len(s.ours) == 0 || s.name == "other":
		case s.name == "lxdm":
			e.ignoresRefusals(s, Error, "LXDM runs sessions that are refused.")
		case s.name == "xrdp-sesman" && e.hasOldSesman():
			e.ignoresRefusals(s, Error, "xrdp-sesman before 0.9.23 runs sessions that are refused.")
		case s.name == "xrdp-sesman":
		case s.name == "vsftpd":
			e.checkOption(s, "/etc/vsftpd.conf", `^session_support=(YES|TRUE|1)$`, "vsftpd opens sessions with session_support=YES alone.",
				"echo session_support=YES >>/etc/vsftpd.conf")
		case s.name == "samba":
			e.checkOption(s, "/etc/samba/smb.conf", `^obey\s*pam\s*restrictions\s*=\s*(yes|true|1)$`, "smbd opens sessions with \"obey pam restrictions = yes\" alone.",
				`sed -i '/^ *\[global\]/a obey pam restrictions = yes' /etc/samba/smb.conf`)
		case s.name == "dovecot":
			e.checkDovecot()
		case !slices.Contains(tried, s.name):
			untried = append(untried, s)
		}
	}
	for _, s := range untried {
		e.ignoresRefusals(s, Note, fmt.Sprintf("Nobody has tried whether %s obeys a refusal.", s.name))
	}
}

// ignoresRefusals reports that a service may run sessions that are refused, unless the lines say what
// happens then.
func (e *examination) ignoresRefusals(s service, severity Severity, what string) {
	f := Finding{
		Severity: severity, ID: "service-ignores-refusal", What: what,
		Consequence: "A member whose network fails is in the host's network.",
	}
	var plain []line
	shares := false
	for _, i := range s.ours {
		l := s.stack[i]
		if m, _ := moduleOf(l); !slices.Contains(l.Args, refusalEmpty) {
			f.Evidence = append(f.Evidence, l.String())
			plain = append(plain, asLine(l, m))
			shares = shares || l.File != e.pam.File(s.name)
		}
	}
	if len(plain) == 0 {
		return
	}
	if severity == Note {
		f.ID = "service-untried"
		f.Consequence = "If it ignores one, a member whose network fails is in the host's network."
	}
	f.Remedy = editAll(plain, func(l line) string { return change(l.Line, l.Control, append(slices.Clone(l.Args), refusalEmpty)) })
	if shares {
		// A process of another service with these lines may have sessions of several users.
		f.Remedy = "${EDITOR:-vi} " + quote(e.pam.File(s.name))
		f.Consequence += " Give it lines of its own, with " + refusalEmpty + "."
	}
	e.found(f)
}

// checkOption reports a service whose configuration lacks the line without which it opens no sessions.
func (e *examination) checkOption(s service, file, pattern, what, remedy string) {
	if !e.exists(file) || regexp.MustCompile(`(?im)^\s*`+strings.TrimPrefix(pattern, "^")).MatchString(e.read(file)) {
		return
	}
	e.found(Finding{
		Severity: Error, ID: "service-without-sessions", What: what, Evidence: []string{e.pam.File(s.name), file},
		Consequence: "No module is asked: members are in the host's network.",
		Remedy:      remedy,
	})
}

// checkDovecot finds a Dovecot whose worker, which serves all users, opens their sessions.
func (e *examination) checkDovecot() {
	for _, file := range append(e.glob("/etc/dovecot/conf.d/*"), "/etc/dovecot/dovecot.conf") {
		if !dovecotSession.MatchString(e.read(file)) {
			continue
		}
		e.found(Finding{
			Severity: Error, ID: "service-shares-process", Evidence: []string{file},
			What:        "Dovecot opens the sessions of all users in a worker of its own.",
			Consequence: "Members' mail is served in the host's network, and the worker stays in a member's.",
			Remedy:      `sed -i 's/\bsession=yes\b//' ` + quote(file),
		})
	}
}

var dovecotSession = regexp.MustCompile(`(?m)^\s*args\s*=.*\bsession=yes\b`)

// hasOldSesman tells whether a package of an xrdp-sesman is installed that ignores refusals, or of which
// nobody knows.
func (e *examination) hasOldSesman() bool {
	for paragraph := range strings.SplitSeq(e.read("/var/lib/dpkg/status"), "\n\n") {
		if m := sesmanVersion.FindStringSubmatch(paragraph); m != nil && strings.HasPrefix(paragraph, "Package: xrdp\n") {
			rest, zero := strings.CutPrefix(m[1], "0.")
			// Debian 12 has mended its 0.9.21 (CVE-2023-40184).
			return zero && older(rest, 9, 23) && !strings.Contains(m[2], "+deb12u")
		}
	}
	return true
}

var sesmanVersion = regexp.MustCompile(`(?m)^Version: (?:\d+:)?(\d+\.\d+\.\d+)(.*)$`)
