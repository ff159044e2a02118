// SPDX-License-Identifier: GPL-2.0-or-later

// Package packaging installs, upgrades and removes the packages of `make package`
// on machines of their own: those for Debian on a fresh Debian with its real dpkg,
// pam-auth-update and sshd.
package packaging

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

// newest returns the path of a package for this processor.
func newest(t *testing.T, pattern string) string {
	t.Helper()
	found, err := machine.Package(pattern)
	return need(t, found, err)
}

func deb(t *testing.T) string {
	t.Helper()
	found, err := machine.Deb()
	return need(t, found, err)
}

// need skips the test where something cannot be had.
func need(t *testing.T, found string, err error) string {
	t.Helper()
	if errors.Is(err, machine.ErrMissing) {
		t.Skip(err)
	}
	expect.Check(t, err)
	return found
}

// debian is a fresh Debian of its own, with sshd running and these users: olga,
// nina and ulf, who are members of newnet and usernet once those exist.
type debian struct {
	*machine.Machine
	t *testing.T
}

// profiles are those of pam-auth-update.
const profiles = "libpam-net-groupnet libpam-net-newnet libpam-net-usernet"

func fresh(t *testing.T) *debian {
	t.Helper()
	t.Parallel()
	tree, err := machine.DebianTree()
	need(t, tree, err)
	s, err := sandbox.NewOn(tree)
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	d := &debian{&machine.Machine{Sandbox: s}, t}
	d.EndWith(t)
	expect.Check(t, s.Install(deb(t), "/root/new.deb", 0o644))
	// Not from /sys, which the original leaves as it is.
	expect.Check(t, s.WriteFile("/usr/local/bin/interfaces", "#!/bin/sh\necho $(sed -n 's/^ *\\(.*\\):.*/\\1/p' /proc/net/dev | sort)\n", 0o755))
	for _, name := range []string{"olga", "nina", "ulf"} {
		user, err := s.AddUser(name)
		expect.Check(t, err)
		expect.Check(t, s.AllowSudo(user))
	}
	expect.Check(t, s.StartSSHD())
	return d
}

// quietly lets no program ask anything.
const quietly = "export DEBIAN_FRONTEND=noninteractive\n"

// run lets root run a script that has to succeed.
func (d *debian) run(script string, args ...string) string {
	d.t.Helper()
	return d.Bash(d.t, quietly+script, args...)
}

// fails is run for a script that has to fail, and returns what it writes.
func (d *debian) fails(script string) string {
	d.t.Helper()
	result := d.Try(d.t, quietly+script)
	if result.ExitCode == 0 {
		d.t.Fatalf("%s: it succeeded", script)
	}
	return result.Stdout + result.Stderr
}

// enable installs a package and puts it to use.
func (d *debian) enable(deb string) {
	d.t.Helper()
	d.run(`dpkg -i $1
		for group in newnet usernet; do getent group $group || addgroup --system $group; done
		adduser nina newnet; adduser ulf usernet
		pam-auth-update --enable $(cd /usr/share/pam-configs && ls -d libpam-net-*)`, deb)
}

// networks are what users see: all of the machine's interfaces, or lo.
const (
	all   = "eth0 eth0peer lo"
	alone = "lo"
)

// services open a session for a user.
var services = []string{
	`ssh $1@127.0.0.1 interfaces`,
	`su $1 -c interfaces`,
	`su - $1 -c interfaces`,
	`sudo -u $1 interfaces`,
}

// logIn lets everybody log in by all services: members see their network, and
// others, and root, that of the machine.
func (d *debian) logIn(members string) {
	d.t.Helper()
	for user, want := range map[string]string{"root": all, "olga": all, "nina": members, "ulf": members} {
		for _, service := range services {
			expect.Equal(d.t, user+" by "+service, d.run(service, user), want)
		}
	}
}

// stack returns the modules that pam-auth-update has put into a file, with their
// controls and arguments.
func (d *debian) stack(file string) string {
	d.t.Helper()
	content, err := d.ReadFile("/etc/pam.d/" + file)
	expect.Check(d.t, err)
	_, block, _ := strings.Cut(content, "the \"Additional\" block)\n")
	block, _, _ = strings.Cut(block, "# end of pam-auth-update config")
	var lines []string
	for line := range strings.Lines(block) {
		lines = append(lines, strings.Join(strings.Fields(line)[1:], " "))
	}
	return strings.Join(lines, "; ")
}

// uses expects that our modules are in use, or none.
func (d *debian) uses(modules ...string) {
	d.t.Helper()
	for file, others := range map[string][]string{
		"common-session":                {"required pam_unix.so", "optional pam_systemd.so"},
		"common-session-noninteractive": {"required pam_unix.so"},
	} {
		expect.Equal(d.t, file, d.stack(file), strings.Join(slices.Concat(others, modules), "; "))
	}
}

// required are the lines that all profiles make.
var required = []string{"required pam_groupnet.so", "required pam_newnet.so", "required pam_usernet.so"}

// pamFiles tells the files of libpam apart.
func (d *debian) pamFiles() string {
	d.t.Helper()
	return d.run("cd /etc/pam.d && md5sum *")
}
