// SPDX-License-Identifier: GPL-2.0-or-later

package doctor_test

import (
	"os"
	"path/filepath"
	"testing"

	"libpam-net/internal/doctor"
	"libpam-net/internal/policy"
	"libpam-net/test/expect"
)

func TestWhyNoLogin(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	const session = "session required pam_permit.so\n"
	for file, content := range map[string]string{
		"/etc/passwd": "", "/etc/group": "", "/etc/pam.d/common-session": session, "/usr/sbin/sshd": "", "/usr/bin/su": "", "/usr/bin/gdm3": "",
		"/etc/pam.d/sshd": "@include common-session\n", "/etc/pam.d/su-l": session, "/etc/pam.d/vsftpd": session,
		"/etc/pam.d/vsftpd.dpkg-old": session, "/etc/pam.d/gdm-password": session, "/etc/pam.d/passwd": session,
		"/etc/pam.d/ours": session, "/etc/pam.d/denying": "session required pam_deny.so\n", "/etc/pam.d/login": session,
	} {
		expect.Check(t, os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755))
		expect.Check(t, os.WriteFile(filepath.Join(root, file), []byte(content), 0o644))
	}
	p, err := policy.Load(root, policy.Files(root))
	expect.Check(t, err)
	for service, want := range map[string]string{
		"sshd": "", "su-l": "", "gdm-password": "", "ours": "",
		"login": "its program login is not installed", "vsftpd": "its program vsftpd is not installed",
		"passwd": "it opens no sessions", "common-session": "it opens no sessions",
		"vsftpd.dpkg-old": "it opens no sessions", "denying": "it opens no sessions",
	} {
		expect.Equal(t, service, doctor.WhyNoLogin(root, p, service), want)
	}
}
