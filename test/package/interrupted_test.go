// SPDX-License-Identifier: GPL-2.0-or-later

package packaging

import (
	"fmt"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

func TestAnInstallationThatIsInterruptedLocksNobodyOut(t *testing.T) {
	t.Run("unpacked alone, and removed", func(t *testing.T) {
		d := fresh(t)
		pam := d.pamFiles()
		d.run("dpkg --unpack /root/new.deb")
		d.logIn(all)
		d.run("dpkg --remove libpam-net")
		d.logIn(all)
		expect.Equal(t, "files of libpam", d.pamFiles(), pam)
	})
	t.Run("an upgrade that is unpacked alone, and purged", func(t *testing.T) {
		d := fresh(t)
		d.enable(d.previous())
		// prerm is not asked, and so cannot refuse.
		d.run("echo 'session required pam_newnet.so # by hand' >>/etc/pam.d/sshd")
		d.run("dpkg --unpack /root/new.deb")
		d.logIn(alone)
		d.run("dpkg --purge libpam-net")
		d.uses()
		d.logIn(all)
		expect.Equal(t, "line by hand", d.run("grep 'by hand' /etc/pam.d/sshd"), "# libpam-net is gone: session required pam_newnet.so # by hand")
	})
	t.Run("the same, and pam-auth-update's block is changed by hand", func(t *testing.T) {
		d := fresh(t)
		d.enable(d.previous())
		d.run("sed -i '/pam_newnet/a session optional pam_permit.so' /etc/pam.d/common-session")
		d.run("dpkg --unpack /root/new.deb; dpkg --purge libpam-net")
		d.logIn(all)
	})
	t.Run("an upgrade from Debian's own that is unpacked alone, and removed", func(t *testing.T) {
		d := fresh(t)
		d.enable(original)
		d.run("dpkg --unpack /root/new.deb")
		d.logIn(alone)
		d.run("dpkg --remove libpam-net")
		d.uses()
		d.logIn(all)
	})
	t.Run("postinst fails", func(t *testing.T) {
		d := fresh(t)
		d.breakTool("addgroup")
		d.fails("dpkg -i /root/new.deb")
		d.logIn(all)
		d.run("rm /usr/local/sbin/addgroup; dpkg --configure -a")
		d.enable("/root/new.deb")
		d.logIn(alone)
	})
	t.Run("postinst fails, and it is removed", func(t *testing.T) {
		d := fresh(t)
		d.enable(d.previous())
		d.breakTool("pam-auth-update")
		d.fails("dpkg -i /root/new.deb")
		d.logIn(alone)
		d.run("rm /usr/local/sbin/pam-auth-update; dpkg --remove libpam-net")
		d.uses()
		d.logIn(all)
	})
	t.Run("prerm fails", func(t *testing.T) {
		d := fresh(t)
		d.enable("/root/new.deb")
		d.breakTool("pam-auth-update")
		d.fails("dpkg --remove libpam-net")
		d.logIn(alone)
		d.run("rm /usr/local/sbin/pam-auth-update; dpkg --configure -a; dpkg --remove libpam-net")
		d.logIn(all)
	})
	t.Run("a removal is taken back after prerm", func(t *testing.T) {
		d := fresh(t)
		d.enable("/root/new.deb")
		// Its preinst is run between our prerm and our postinst.
		d.run(`mkdir -p /root/other/DEBIAN && cd /root/other/DEBIAN
			printf '%s\n' 'Package: other' 'Version: 1' 'Architecture: all' 'Maintainer: x <x@example.org>' \
				'Conflicts: libpam-net' 'Replaces: libpam-net' 'Description: gets in the way' >control
			printf '%s\n' '#!/bin/sh' 'grep -c newnet /etc/pam.d/common-session >/root/lines' 'exit 1' >preinst
			chmod 755 preinst; dpkg-deb -b /root/other`)
		d.fails("dpkg -i -B /root/other.deb")
		expect.Equal(t, "lines in between", d.run("cat /root/lines"), "0")
		d.uses(required...)
		d.logIn(alone)
	})
}

// breakTool puts a program that fails into the way of another.
func (d *debian) breakTool(name string) {
	d.t.Helper()
	expect.Check(d.t, d.WriteFile("/usr/local/sbin/"+name, "#!/bin/sh\nexit 1\n", 0o755))
}

func TestDpkgMayBeKilledAtAnyMoment(t *testing.T) {
	for name, c := range map[string]struct{ command, members string }{
		"of an upgrade": {"dpkg -i /root/new.deb", alone},
		"of a removal":  {"dpkg --remove libpam-net", ""}, // at some moment members are in use no longer
	} {
		t.Run(name, func(t *testing.T) {
			d := fresh(t)
			d.enable(d.previous())
			for moment := range 10 {
				after := fmt.Sprintf("0.%02d", 5+6*moment)
				d.run(`setsid timeout -s KILL $1 $2 </dev/null >/dev/null 2>&1 || :
					while pgrep -x 'dpkg|dpkg-deb|prerm|postrm|postinst|pam-auth-update' >/dev/null; do sleep 0.01; done`,
					after, c.command)
				for user, want := range map[string]string{"root": all, "olga": all, "nina": c.members} {
					seen := d.run("ssh $1@127.0.0.1 interfaces", user)
					if want != "" && seen != want || !strings.Contains(seen, "lo") {
						t.Errorf("killed after %s s: %s sees %q", after, user, seen)
					}
				}
				d.run("dpkg --configure -a; dpkg -i /root/previous.deb; pam-auth-update --enable " + profiles)
			}
			d.logIn(alone)
		})
	}
}
