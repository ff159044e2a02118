// SPDX-License-Identifier: GPL-2.0-or-later

package packaging

import (
	"strings"
	"testing"

	"libpam-net/test/expect"
)

func TestAFreshInstallationIsInUseOnceItIsEnabledAndGoneOncePurged(t *testing.T) {
	d := fresh(t)
	files := func() string {
		return d.run("find / -xdev -path /var/log -prune -o -path /var/cache -prune -o -path /var/lib/dpkg -prune -o -print | sort")
	}
	before, pam := files(), d.pamFiles()

	d.run("dpkg -i /root/new.deb")
	expect.Equal(t, "groups", d.run("getent group newnet usernet | cut -d: -f1"), "newnet\nusernet")
	expect.Equal(t, "files of libpam before it is enabled", d.pamFiles(), pam)
	d.run("adduser nina newnet; adduser ulf usernet")
	d.logIn(all)

	d.run("pam-auth-update --enable " + profiles)
	d.uses(required...)
	d.logIn(alone)
	expect.Check(t, d.WriteFile("/etc/cron.d/job", "@reboot nina /usr/local/bin/interfaces >/tmp/cron.new; mv /tmp/cron.new /tmp/cron\n", 0o644))
	expect.Check(t, d.StartCron())
	expect.Eventually(t, "cron has run a job", func() bool { _, err := d.Stat("/tmp/cron"); return err == nil })
	expect.Equal(t, "what a job sees", d.run("cat /tmp/cron"), alone)

	d.run("systemctl enable pamnet-prune.timer")
	d.run("rm /etc/cron.d/job; dpkg --purge libpam-net")
	expect.Equal(t, "files of libpam after it is purged", d.pamFiles(), pam)
	d.logIn(all)
	expect.Equal(t, "files after it is purged", files(), before)
}

func TestTheUsersNetworkWinsOverTheNewOne(t *testing.T) {
	d := fresh(t)
	d.enable("/root/new.deb")
	d.run("adduser nina usernet")
	expect.Equal(t, "nina's network", d.run("ssh nina@127.0.0.1 stat -Lc %i /proc/self/ns/net"), d.run("stat -c %i /run/netns/nina"))
}

func TestRemovalTakesTheModulesOutOfUse(t *testing.T) {
	d := fresh(t)
	pam := d.pamFiles()
	d.enable("/root/new.deb")
	session := d.hold("nina")
	d.run("dpkg --remove libpam-net")
	expect.Equal(t, "files of libpam", d.pamFiles(), pam)
	d.logIn(all)
	session.end(alone)
	expect.Equal(t, "members of newnet", d.run("getent group newnet | cut -d: -f4"), "nina")
	d.run("dpkg --purge libpam-net")
	d.logIn(all)
}

func TestRemovalIsRefusedWhileALineWouldLockEverybodyOut(t *testing.T) {
	for name, change := range map[string]string{
		"by hand":                       "echo 'session required pam_newnet.so' >>/etc/pam.d/sshd",
		"by hand in a common file":      "echo 'session required pam_newnet.so' >>/etc/pam.d/common-session",
		"in a block changed by hand":    "sed -i '/pam_newnet/a session optional pam_permit.so' /etc/pam.d/common-session",
		"by hand, and a copy of a file": "cp /etc/pam.d/common-session /etc/pam.d/x.bak; sed -i '/pam_newnet/s/^/auth required pam_permit.so\\n/' /etc/pam.d/common-session",
	} {
		t.Run(name, func(t *testing.T) {
			d := fresh(t)
			d.enable("/root/new.deb")
			d.run(change)
			before := d.pamFiles()
			if output := d.fails("dpkg --purge libpam-net"); !strings.Contains(output, "pam_newnet.so") || !strings.Contains(output, "/etc/pam.d/") {
				t.Errorf("it does not say which line: %s", output)
			}
			expect.Equal(t, "files of libpam", d.pamFiles(), before)
			expect.Equal(t, "package", d.run("dpkg-query -Wf '${db:Status-Status}' libpam-net"), "installed")
			d.logIn(alone)
		})
	}
}
