// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// profiles installs the profiles of pam-auth-update, as the package for Debian does.
func (h *host) profiles(t *testing.T) {
	t.Helper()
	found, err := filepath.Glob("../../build/pam-configs/*")
	expect.Check(t, err)
	for _, file := range found {
		content, err := os.ReadFile(file)
		expect.Check(t, err)
		expect.Check(t, h.WriteFile("/usr/share/pam-configs/"+filepath.Base(file), string(content), 0o644))
	}
}

// byHand are the stacks of an administrator who does without the shared files.
const byHand = `set -e; cd /etc/pam.d; rm -f common-session* other chfn chsh /usr/lib/pam.d/polkit-1
for s in sshd login su sudo cron runuser systemd-user; do
	printf '#\tours\nauth required pam_unix.so\naccount required pam_unix.so\nsession \\\n  required pam_unix.so # first\n\nsession optional pam_umask.so' >$s
	
done
printf 'auth required pam_deny.so\naccount required pam_deny.so\nsession required pam_deny.so\n' >other
printf 'auth include su\naccount include su\nsession include su\n' >su-l; printf 'auth include sudo\naccount include sudo\nsession include sudo\n' >sudo-i
printf 'auth include runuser\nsession include runuser\n' >runuser-l`

func TestEnableLeadsToIsolation(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]string{
		"Debian with pam-auth-update":                  ":",
		"Debian where pam-auth-update does not update": "sed -i '/pam_unix/a session optional pam_umask.so' /etc/pam.d/common-session",
		"stacks that were written by hand":             byHand,
		"a service of the distribution's":              "mkdir -p /usr/lib/pam.d; mv /etc/pam.d/sudo /usr/lib/pam.d/; sed -i 's/@include common-session.*/session required pam_unix.so/' /usr/lib/pam.d/sudo",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := newInstallation(t)
			h.profiles(t)
			for _, user := range []string{"alice", "olga"} {
				_, err := h.AddUser(user)
				expect.Check(t, err)
			}
			h.Bash(t, prepare)
			before := h.Bash(t, "tar -C / -c etc/pam.d usr/lib/pam.d 2>/dev/null | md5sum; cat /etc/group")
			shown := h.Bash(t, "pamnetctl enable newnet --user alice --dry-run")
			expect.Equal(t, "after a dry run", h.Bash(t, "tar -C / -c etc/pam.d usr/lib/pam.d 2>/dev/null | md5sum; cat /etc/group"), before)
			result := h.Try(t, "pamnetctl enable newnet --user alice </dev/null")
			expect.Equal(t, "nobody can be asked", result.ExitCode, 1)
			said := h.Bash(t, "pamnetctl enable newnet --user alice --yes")
			t.Log(said)
			if !strings.HasPrefix(said, shown) {
				t.Errorf("a dry run shows %s, and the change is %s", shown, said)
			}
			t.Log(h.Try(t, "pamnetctl doctor --fix --yes; pamnetctl doctor"))
			expect.Equal(t, "again", h.Bash(t, "pamnetctl enable newnet --user alice --yes"), "nothing to change")
			expect.Check(t, h.StartSSHD())
			for user, want := range map[string]string{"alice": "lo", "olga": "eth0 eth0peer lo"} {
				result, err := h.SSH(t.Context(), user, "echo $(ls /sys/class/net)")
				expect.Check(t, err)
				expect.Equal(t, user+"'s interfaces", strings.TrimSpace(result.Stdout), want)
			}
		})
	}
}

// What is enabled is in use, takes other arguments, survives pam-auth-update, and leaves nothing once it is
// disabled.
func TestSetAndDisable(t *testing.T) {
	t.Parallel()
	h, _ := newInstallation(t)
	h.profiles(t)
	_, err := h.AddUser("ulf")
	expect.Check(t, err)
	const files = "cd /etc/pam.d; md5sum *"
	before := h.Bash(t, files)
	if result := h.Try(t, "pamnetctl set usernet debug --yes"); result.ExitCode != 1 || !strings.Contains(result.Stderr, "no line of pam_usernet exists: pamnetctl enable usernet debug") {
		t.Errorf("there are no lines: %+v", result)
	}
	h.Bash(t, "pamnetctl enable usernet -y --user ulf setup=uplink timeout=5")
	const program = "setup=/usr/libexec/libpam-net/pamnet-uplink"
	update := func(want string) {
		t.Helper()
		for _, by := range []string{"pamnetctl", "pam-auth-update"} {
			lines := strings.Split(h.Bash(t, "grep -h pam_usernet /etc/pam.d/*"), "\n")
			for i, line := range lines {
				lines[i] = strings.Join(slices.Sorted(slices.Values(strings.Fields(line))), " ")
			}
			expect.Equal(t, "lines", len(lines), 3)
			expect.Equal(t, "the words of the lines by "+by, strings.Join(slices.Compact(lines), "; "), want)
			expect.Equal(t, "what pam-auth-update says", h.Bash(t, "DEBIAN_FRONTEND=noninteractive pam-auth-update --package 2>&1"), "")
		}
	}
	update("pam_usernet.so required session " + program + " timeout=5")
	h.Bash(t, "pamnetctl set usernet -y timeout=7 mask=/run/docker.sock --remove setup")
	update("mask=/run/docker.sock pam_usernet.so required session timeout=7")
	h.Bash(t, "pamnetctl check ulf")
	h.Bash(t, "pamnetctl disable usernet -y")
	expect.Equal(t, "the files of libpam", h.Bash(t, files), before)
	expect.Equal(t, "again", h.Bash(t, "pamnetctl disable usernet -y"), "nothing to change")
	expect.Equal(t, "the group", h.Bash(t, "getent group usernet | cut -d: -f4"), "ulf")
}

// A change after which root could not log in is not made, nor one that somebody refuses or that meets another.
func TestChangesThatAreNotMade(t *testing.T) {
	t.Parallel()
	h, _ := newInstallation(t)
	_, err := h.AddUser("alice")
	expect.Check(t, err)
	const state = "cat /etc/pam.d/* /etc/group | md5sum; ls -A /etc/pam.d"
	for name, c := range map[string]struct{ prepare, command, want string }{
		"the module crashes": {"cp /bin/true $(echo /lib/*/security/pam_newnet.so)", "pamnetctl enable newnet -y", "nothing is changed: root would be refused through"},
		"a link":             {"mv /etc/pam.d/runuser /etc/runuser; ln -s ../runuser /etc/pam.d/runuser", "pamnetctl enable newnet -y", "/etc/pam.d/runuser is a symbolic link to /etc/runuser"},
		"nobody is asked":    {":", "pamnetctl enable newnet </dev/null", "nothing is changed, because nobody can be asked"},
		"the answer is no":   {":", "script -qec 'pamnetctl enable newnet' /dev/null <<<no", "nothing is changed"},
	} {
		t.Run(name, func(t *testing.T) {
			h.Bash(t, "tar -C / -cpf /root/saved.tar etc/pam.d $(cd /; echo lib/*/security/pam_newnet.so); "+c.prepare)
			before := h.Bash(t, state)
			result := h.Try(t, c.command)
			if result.ExitCode == 0 || !strings.Contains(result.Stdout+result.Stderr, c.want) {
				t.Errorf("%+v", result)
			}
			expect.Equal(t, "files", h.Bash(t, state), before)
			h.Bash(t, "rm -r /etc/pam.d; tar -C / -xpf /root/saved.tar")
		})
	}
}
