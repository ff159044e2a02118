// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"regexp"
	"slices"
	"strings"

	"libpam-net/internal/policy"
)

// tried are the services that were tested with a refusal; docs/SECURITY.md has the table.
var tried = []string{
	"sshd", "login", "remote", "su", "su-l", "sudo", "sudo-i", "cron", "crond", "systemd-user", "runuser", "runuser-l", "atd",
	"cockpit", "doas", "greetd", "lightdm", "lightdm-autologin", "lightdm-greeter", "polkit-1", "proftpd",
}

// refusalEmpty is the argument that gives a refused login process an empty network.
const refusalEmpty = "refusal=empty"

// checkRefusals finds services with the modules that ignore a refusal, or open no session in the process that
// acts for the user. It notes services that nobody has tried.
func checkRefusals(e *examination) {
	for _, s := range e.services {
		switch {
		case len(s.ours) == 0 || s.name == "other":
		case s.name == "lxdm", s.name == "xrdp-sesman" && e.hasOldSesman():
			e.ignoresRefusals(s, ignoresRefusal)
		case s.name == "xrdp-sesman":
		case s.name == "vsftpd":
			e.checkOption(s, "/etc/vsftpd.conf", `^session_support=(YES|TRUE|1)$`, "", "session_support=YES")
		case s.name == "samba":
			e.checkOption(s, "/etc/samba/smb.conf", `^obey\s*pam\s*restrictions\s*=\s*(yes|true|1)$`, `^\s*\[global\]`,
				"obey pam restrictions = yes")
		case s.name == "dovecot":
			e.checkDovecot()
		case !slices.Contains(tried, s.name) && !e.isAsked(s.name):
			e.ignoresRefusals(s, untried)
		}
	}
}

// ignoresRefusals reports a service that may open sessions that are refused, unless its lines have
// refusal=empty.
func (e *examination) ignoresRefusals(s service, k *kind) {
	f := Finding{}
	var plain []policy.Rule
	file := e.Stacks.File(s.name)
	shares := false
	for _, r := range s.ours {
		if !slices.Contains(r.Line.Args, refusalEmpty) {
			f.Evidence = append(f.Evidence, r.Line.String())
			plain = append(plain, r)
			shares = shares || r.Line.File != file
		}
	}
	if len(plain) == 0 {
		return
	}
	if !shares { // a process of another service with these lines may have sessions of several users
		f.Diff = e.replaced(plain, func(r policy.Rule) (string, []string) {
			return r.Line.Control, append(slices.Clone(r.Line.Args), refusalEmpty)
		})
	}
	e.report(k, f, "service", s.name, "file", file)
}

// checkOption reports a service whose configuration lacks the line that makes it open sessions. The line
// belongs behind the one that matches section, or at the end of the file.
func (e *examination) checkOption(s service, file, pattern, section, line string) {
	matching := func(pattern string) string {
		return regexp.MustCompile(`(?im)` + strings.Replace(pattern, "^", `^\s*`, 1)).FindString(e.read(file))
	}
	if !e.exists(file) || matching(pattern) != "" {
		return
	}
	edit := Edit{File: file, Lines: []string{"+ " + line}}
	if found := matching(section); section != "" && found != "" {
		edit.Lines = slices.Insert(edit.Lines, 0, "  "+strings.TrimLeft(found, "\n"))
	}
	e.report(withoutSessions, Finding{Evidence: []string{e.Stacks.File(s.name), file}, Diff: []Edit{edit}},
		"service", s.name, "setting", line, "file", file)
}

// checkDovecot finds a Dovecot whose worker, which serves all users, opens their sessions.
func (e *examination) checkDovecot() {
	for _, file := range append(e.glob("/etc/dovecot/conf.d/*"), "/etc/dovecot/dovecot.conf") {
		for _, line := range dovecotSession.FindAllString(e.read(file), -1) {
			without := strings.Replace(strings.Replace(line, "session=yes ", "", 1), "session=yes", "", 1)
			e.report(sharesProcess, Finding{Evidence: []string{file}, Diff: []Edit{{File: file, Lines: []string{"- " + line, "+ " + without}}}})
		}
	}
}

var dovecotSession = regexp.MustCompile(`(?m)^[ \t]*args\s*=.*\bsession=yes\b.*$`)

// hasOldSesman returns whether the installed xrdp-sesman ignores refusals, or is of no known version.
func (e *examination) hasOldSesman() bool {
	for paragraph := range strings.SplitSeq(e.read("/var/lib/dpkg/status"), "\n\n") {
		if m := sesmanVersion.FindStringSubmatch(paragraph); m != nil && strings.HasPrefix(paragraph, "Package: xrdp\n") {
			rest, zero := strings.CutPrefix(m[1], "0.")
			// Debian 12 has corrected its 0.9.21 (CVE-2023-40184).
			return zero && older(rest, 9, 23) && !strings.Contains(m[2], "+deb12u")
		}
	}
	return true
}

var sesmanVersion = regexp.MustCompile(`(?m)^Version: (?:\d+:)?(\d+\.\d+\.\d+)(.*)$`)
