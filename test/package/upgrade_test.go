// SPDX-License-Identifier: GPL-2.0-or-later

package packaging

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// original is Debian's own libpam-net.
const original = "/var/cache/apt/archives/libpam-net_*.deb"

// session is a login over ssh that is held open.
type session struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	output strings.Builder
}

func (d *debian) hold(user string) *session {
	d.t.Helper()
	s := &session{t: d.t, cmd: d.SSHCommand(user, "bash -c 'touch /tmp/"+user+"; read; interfaces'")}
	stdin, err := s.cmd.StdinPipe()
	expect.Check(d.t, err)
	s.stdin, s.cmd.Stdout, s.cmd.Stderr = stdin, &s.output, &s.output
	expect.Check(d.t, s.cmd.Start())
	expect.Eventually(d.t, user+" is logged in", func() bool { _, err := d.Stat("/tmp/" + user); return err == nil })
	return s
}

// end ends the session, after it has seen a network.
func (s *session) end(network string) {
	s.t.Helper()
	expect.Check(s.t, s.stdin.Close())
	expect.Check(s.t, s.cmd.Wait())
	expect.Equal(s.t, "the network of a session that was held", strings.TrimSpace(s.output.String()), network)
}

// previous makes a package of an earlier version.
func (d *debian) previous() string {
	d.t.Helper()
	dir := filepath.Join(d.t.TempDir(), "previous")
	script := `dpkg-deb -R "$1" "$2" && sed -i 's/^Version: .*/Version: 1.0.0~alpha-1/' "$2/DEBIAN/control" && dpkg-deb --root-owner-group -Zgzip -z1 -b "$2"`
	output, err := exec.Command("sh", "-c", script, "sh", deb(d.t), dir).CombinedOutput()
	if err != nil {
		d.t.Fatalf("%v: %s", err, output)
	}
	expect.Check(d.t, d.Install(dir+".deb", "/root/previous.deb", 0o644))
	expect.Check(d.t, os.RemoveAll(dir))
	return "/root/previous.deb"
}

func TestAnUpgradeFromDebiansOwnMakesTheLinesRequired(t *testing.T) {
	d := fresh(t)
	pam := d.pamFiles()
	d.enable(original)
	expect.Equal(t, "lines of the original", d.stack("common-session"),
		"required pam_unix.so; optional pam_newnet.so; optional pam_systemd.so; optional pam_usernet.so")
	d.run("sed -i 's/pam_newnet.so/& group=staff lodown/' /etc/pam.d/common-session{,-noninteractive}; adduser olga staff")
	olga := d.hold("olga")

	d.run("dpkg -i /root/new.deb")
	d.uses("required pam_newnet.so group=staff lodown", "required pam_usernet.so")
	expect.Equal(t, "olga's network", d.run("ssh olga@127.0.0.1 interfaces"), alone)
	expect.Equal(t, "ulf's network", d.run("ssh ulf@127.0.0.1 interfaces"), alone)
	olga.end(alone)
	expect.Equal(t, "missing or changed files", d.run("dpkg --verify libpam-net"), "")

	d.run("dpkg --purge libpam-net")
	expect.Equal(t, "files of libpam after it is purged", d.pamFiles(), pam)
	d.logIn(all)
}

func TestAnUpgradeFromDebiansOwnMakesTheLinesRequiredEvenInABlockThatIsChangedByHand(t *testing.T) {
	d := fresh(t)
	d.enable(original)
	d.run("sed -i '/pam_usernet/a session optional pam_permit.so' /etc/pam.d/common-session; dpkg -i /root/new.deb")
	expect.Equal(t, "common-session", d.stack("common-session"),
		"required pam_unix.so; required pam_newnet.so; optional pam_systemd.so; required pam_usernet.so; optional pam_permit.so")
	d.logIn(alone)
}

func TestGoingBackToDebiansOwnLocksNobodyOut(t *testing.T) {
	d := fresh(t)
	d.enable("/root/new.deb")
	d.run("mkdir -p /etc/netns/ulf; dpkg -i " + original) // without one it refuses ulf
	expect.Equal(t, "lines of the original", d.stack("common-session"),
		"required pam_unix.so; optional pam_systemd.so; required pam_newnet.so; required pam_usernet.so")
	d.logIn(alone)
}

func TestAnUpgradeKeepsWhatIsEnabledAndWhoIsLoggedIn(t *testing.T) {
	d := fresh(t)
	d.enable(d.previous())
	d.run("sed -i 's/pam_usernet.so/& lodown/' /etc/pam.d/common-session{,-noninteractive}")
	nina, ulf := d.hold("nina"), d.hold("ulf")

	// Who logs in meanwhile is isolated as well.
	seen := d.run(`while [ ! -e /tmp/done ]; do ssh nina@127.0.0.1 interfaces || echo refused; done >/tmp/seen &
		dpkg -i /root/new.deb >&2; touch /tmp/done; wait; sort /tmp/seen | uniq -c`)
	var logins int
	if n, err := fmt.Sscanf(seen, "%d lo", &logins); n != 1 || err != nil || strings.Contains(seen, "\n") || logins < 2 {
		t.Errorf("networks of logins during an upgrade: %s", seen)
	}
	nina.end(alone)
	ulf.end(alone)
	d.uses("required pam_groupnet.so", "required pam_newnet.so", "required pam_usernet.so lodown")
	d.logIn(alone)
}
