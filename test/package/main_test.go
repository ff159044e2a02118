// SPDX-License-Identifier: GPL-2.0-or-later

// Package packaging installs, upgrades and removes the packages of `make package`
// on machines of their own: those for Debian on a fresh Debian with its real dpkg,
// pam-auth-update and sshd.
package packaging

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

// build makes the packages of this tree, unless whoever started the program (`make
// test`) has just done that.
var build = sync.OnceValue(func() error {
	if os.Getenv("MODULES_BUILT") != "" {
		return nil
	}
	_, err := makeTarget("package")
	return err
})

// makeTarget runs make in the root of the sources.
func makeTarget(args ...string) (string, error) {
	output, err := exec.Command("make", append([]string{"-C", filepath.Dir(machine.Out())}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("make %q: %w\n%s", args, err, output)
	}
	return string(output), nil
}

// newest returns the path of a package for this processor.
func newest(t *testing.T, pattern string) string {
	t.Helper()
	expect.Check(t, build())
	found, err := filepath.Glob(filepath.Join(machine.Out(), "package", pattern))
	expect.Check(t, err)
	if len(found) != 1 {
		t.Skipf("there is no package %s: make deps package", pattern)
	}
	return found[0]
}

func deb(t *testing.T) string {
	t.Helper()
	return newest(t, "libpam-net_*_"+runtime.GOARCH+".deb")
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
	tree := filepath.Join(machine.Out(), "debian")
	if _, err := os.Stat(tree); err != nil {
		t.Skip("there is no fresh Debian in out/debian: make deps, as root")
	}
	s, err := sandbox.NewOn(tree)
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	d := &debian{&machine.Machine{Sandbox: s}, t}
	t.Cleanup(func() {
		if t.Failed() {
			log, err := s.Log()
			lines := slices.Collect(strings.Lines(log))
			t.Logf("the end of the log of the machine (%v):\n%s", err, strings.Join(lines[max(0, len(lines)-40):], ""))
		}
		expect.Check(t, s.Close())
	})
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

// try lets root run a script, without asking anything.
func (d *debian) try(script string, args ...string) sandbox.Result {
	d.t.Helper()
	return d.Try(d.t, "export DEBIAN_FRONTEND=noninteractive\n"+script, args...)
}

// run is try for a script that has to succeed.
func (d *debian) run(script string, args ...string) string {
	d.t.Helper()
	result := d.try(script, args...)
	if err := result.Err(); err != nil {
		d.t.Fatalf("%s %q: %v", script, args, err)
	}
	return strings.TrimSpace(result.Stdout)
}

// fails is try for a script that has to fail, and returns what it writes.
func (d *debian) fails(script string) string {
	d.t.Helper()
	result := d.try(script)
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
