// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// logins are ways to run a command, $2, as a user, $1.
var logins = []struct{ service, script string }{
	{"sshd", `ssh $1@127.0.0.1 "$2"`},
	{"su", `su $1 -c "$2"`},
	{"su-l", `su - $1 -c "$2"`},
	{"sudo", `sudo -u $1 sh -c "$2"`},
	{"sudo-i", `sudo -iu $1 sh -c "$2"`},
	{"login", `trap "rm /home/$1/.profile" EXIT; echo "$2; exit" >/home/$1/.profile; script -qefc "login -f $1" /dev/null`},
}

// message is what a user reads whom a module refuses.
func message(service, module string) string {
	if service == "sudo" { // lets modules say something only with -i
		return "sudo: pam_open_session: Critical error - immediate abort"
	}
	return "Login refused: your network could not be set up (" + module + "). Ask your administrator to check the system log."
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name           string
		damage, repair func(t *testing.T, h *host)
		user, module   string
		reason         string
	}{
		{
			name:   "a directory in /etc/netns that everybody can write to",
			damage: byRoot("chmod 777 /etc/netns/ulf"),
			repair: byRoot("chmod 755 /etc/netns/ulf"),
			user:   "ulf", module: "pam_usernet",
			reason: "/etc/netns/ulf can be written by others than root (mode 0777): it must be root's alone",
		},
		{
			name:   "a directory in /etc/netns that is the user's",
			damage: byRoot("chown ulf /etc/netns/ulf"),
			repair: byRoot("chown root /etc/netns/ulf"),
			user:   "ulf", module: "pam_usernet",
			reason: "it must be root's alone (chown root",
		},
		{
			name:   "a file with content in the place of the network",
			damage: byRoot("ip netns del ulf && echo content >/run/netns/ulf"),
			repair: byRoot("grep -qx content /run/netns/ulf && rm /run/netns/ulf"),
			user:   "ulf", module: "pam_usernet",
			reason: "/run/netns/ulf: not a network namespace",
		},
		{
			name:   "a module that was built without the link script",
			damage: func(t *testing.T, h *host) { h.installNewnet(t, buildPlain(t)) },
			repair: func(t *testing.T, h *host) { h.installNewnet(t, filepath.Join(machine.Out(), "pam_newnet.so")) },
			user:   "nina", module: "pam_newnet",
			reason: `build it with "make build"`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := prepared(t)
			expect.Check(t, h.StartSSHD())
			c.damage(t, h)
			const listHandles = "ls -l /run/netns; grep /run/netns /proc/self/mountinfo"
			checkUnchanged, handles := h.remember(t), h.Bash(t, listHandles)
			for _, login := range logins {
				t.Run(login.service, func(t *testing.T) {
					who := fmt.Sprintf("%s(%s:session): %q refused: ", c.module, login.service, c.user)
					h.checkRefusal(t, login.script, c.user, message(login.service, c.module), who, c.reason)
					checkUnchanged(t)
					expect.Equal(t, "handles", h.Bash(t, listHandles), handles)
					_, ran := h.attempt(t, login.script, "olga")
					expect.Equal(t, "olga is let in", ran, true)
				})
			}
			c.repair(t, h)
			for _, login := range logins {
				t.Run(login.service+" after the repair", func(t *testing.T) {
					_, ran := h.attempt(t, login.script, c.user)
					expect.Equal(t, c.user+" is let in", ran, true)
				})
			}
		})
	}
}

func byRoot(script string) func(t *testing.T, h *host) {
	return func(t *testing.T, h *host) {
		t.Helper()
		h.Bash(t, script)
	}
}

// buildPlain builds pam_newnet as somebody does who does not know the Makefile.
func buildPlain(t *testing.T) string {
	t.Helper()
	module := filepath.Join(t.TempDir(), "pam_newnet.so")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", module, "./cmd/pam_newnet")
	build.Dir = filepath.Dir(machine.Out())
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, output)
	}
	return module
}

func (h *host) installNewnet(t *testing.T, module string) {
	t.Helper()
	dir, err := sandbox.ModuleDir()
	expect.Check(t, err)
	expect.Check(t, h.Install(module, filepath.Join(dir, "pam_newnet.so"), 0o644))
}

// checkRefusal checks that a user is not let in and told so, and that one line
// of the log says who and why.
func (h *host) checkRefusal(t *testing.T, script, user, message, who, why string) {
	t.Helper()
	var result sandbox.Result
	var ran bool
	log := h.logOf(t, func() { result, ran = h.attempt(t, script, user) })

	expect.Equal(t, "is let in", ran, false)
	if result.ExitCode == 0 {
		t.Error("the login program says that it did")
	}
	if output := result.Stdout + result.Stderr; !strings.Contains(output, message) {
		t.Errorf("the user should read %q: %q", message, output)
	}
	log = slices.DeleteFunc(log, func(line string) bool { return !strings.Contains(line, "net(") })
	pattern := "^err .*" + regexp.QuoteMeta(who) + ".*" + regexp.QuoteMeta(why)
	if len(log) != 1 || !regexp.MustCompile(pattern).MatchString(log[0]) {
		t.Errorf("the log should have one line that matches %q: %q", pattern, log)
	}
}

// attempt tries to run a command as a user, and tells whether it ran.
func (h *host) attempt(t *testing.T, script, user string) (result sandbox.Result, ran bool) {
	t.Helper()
	h.Bash(t, "rm -f /tmp/ran")
	result = h.Try(t, script, user, "touch /tmp/ran")
	_, err := h.Stat("/tmp/ran")
	return result, err == nil
}

func TestARefusedSSHLoginForwardsNothing(t *testing.T) {
	t.Parallel()
	h := prepared(t)
	expect.Check(t, h.StartSSHD())
	h.startServers(t)
	h.Bash(t, "chmod 777 /etc/netns/ulf")
	l := h.logIn(t, "ulf", "") // sshd keeps a connection without a session
	defer l.logOut(t)
	l.testForwarding(t, []string{"", "", ""})
	for _, refused := range []string{"-O forward -R 7003:127.0.0.1:7000", "true", "-s sftp"} {
		if result := l.Try(t, "ssh -S $1 $2@127.0.0.1 "+refused, l.control, l.user); result.ExitCode == 0 {
			t.Errorf("ssh %s succeeds", refused)
		}
	}
}
