// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"libpam-net/internal/doctor"
	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// examine lets doctor look at the machine after a script has been run there.
func (h *host) examine(t *testing.T, script string, args ...string) (findings []doctor.Finding) {
	t.Helper()
	result := h.Try(t, "set -e; cd /; umask 022; { "+script+"\n} >/root/said 2>&1; pamnetctl doctor --json", args...)
	if err := json.Unmarshal([]byte(result.Stdout), &findings); err != nil {
		t.Fatalf("%v: %+v %s", err, result, h.read(t, "/root/said"))
	}
	return findings
}

// sentences are findings that neither a command nor a diff corrects: what an administrator does who reads the
// sentence. Where "$1" is used it is the first file or line that the finding names.
var sentences = map[string]string{
	"no-members":        "usermod -aG newnet alice",
	"group-added":       `: >"$1"`,
	"line-differs":      `sed -i 's/ setup=[^ ]*//; s/ mask=[^ ]*//' /etc/pam.d/*`,
	"service-misnamed":  `rm "$1"`,
	"etc-netns-unused":  `rm -r "$1"`,
	"pam-line":          `sed -i "${1#*:}d" "${1%:*}"`,
	"pam-module":        `sed -i "${1#*:}d" "${1%:*}"`,
	"member-of-two":     "gpasswd -d alice usernet || groupdel groupnet-two",
	"etc-netns-refused": `mv "$1" /root/`,
	"etc-netns-skipped": `touch "/etc/${1##*/}"`,
	"etc-netns-renamed": `rm "$1"`,
	"run-netns-foreign": `umount -l "$1" 2>/dev/null; rm -f "$1"`,
}

// follow does what a finding says: it makes the changes of the diff by content, else runs the command, else
// does what the sentence says.
func (h *host) follow(t *testing.T, f doctor.Finding, reinstall func()) {
	t.Helper()
	command, written := sentences[f.ID]
	switch {
	case strings.HasPrefix(f.Remedy, "pamnetctl "):
		h.Try(t, f.Remedy+" --yes") // its exit code is 1 for what is left
	case f.Remedy != "":
		h.Bash(t, f.Remedy)
	case f.Advice == "Install libpam-net again.":
		reinstall()
	case written:
		h.Bash(t, command, strings.Split(f.Evidence[0], " ")...)
	case len(f.Diff) == 0:
		t.Errorf("nothing says what to do: %+v", f)
	}
	for _, edit := range f.Diff {
		if f.Remedy != "" || written {
			break
		}
		text, err := h.ReadFile(edit.File)
		if err != nil {
			text = h.read(t, strings.Replace(edit.File, "/etc/pam.d/", "/usr/lib/pam.d/", 1))
		}
		after, err := edit.Apply(text)
		expect.Check(t, err)
		expect.Check(t, h.WriteFile(edit.File, after, 0o644))
	}
}

// obey does what doctor says, beginning with what it has found, one thing after the
// other, until it finds nothing. It returns the IDs of the findings.
func (h *host) obey(t *testing.T, findings []doctor.Finding, reinstall func()) (ids []string) {
	t.Helper()
	for range 12 {
		if len(findings) == 0 {
			return ids
		}
		f := findings[0]
		t.Logf("%s %s %s\n%v%s", f.Severity, f.What, f.Advice, f.Diff, f.Remedy)
		ids = append(ids, f.ID)
		h.follow(t, f, reinstall)
		findings = h.examine(t, ":")
	}
	t.Errorf("doctor always finds something: %q %+v", ids, findings)
	return ids
}

// newInstallation starts a machine on which nothing has been done but `make install`.
func newInstallation(t *testing.T) (h *host, reinstall func()) {
	t.Helper()
	s, err := sandbox.New()
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	t.Cleanup(func() { expect.Check(t, s.Close()) })
	expect.Check(t, machine.Build())
	tree := t.TempDir()
	output, err := exec.Command("make", "-C", "../..", "--assume-old=build", "install", "DESTDIR="+tree).CombinedOutput()
	if err != nil {
		t.Fatalf("make install: %v\n%s", err, output)
	}
	reinstall = func() {
		t.Helper()
		expect.Check(t, s.InstallTree(tree))
	}
	reinstall()
	return &host{Machine: &machine.Machine{Sandbox: s}}, reinstall
}

// An administrator who has just installed the modules is led by doctor alone to a
// machine on which members are isolated; and from whatever goes wrong then, back.
func TestDoctorLeadsToIsolation(t *testing.T) {
	t.Parallel()
	h, reinstall := newInstallation(t)
	for _, user := range []string{"alice", "bob", "carol", "olga"} {
		_, err := h.AddUser(user)
		expect.Check(t, err)
	}
	expect.Check(t, h.StartSSHD())

	expect.Equal(t, "the findings", strings.Join(h.obey(t, h.examine(t, ":"), reinstall), " "),
		"no-group no-members")
	expect.Equal(t, "the end", strings.Split(h.Bash(t, "pamnetctl doctor"), ",")[0], "no problems found (1 member")
	for user, want := range map[string]string{"alice": "lo", "olga": "eth0 eth0peer lo"} {
		result, err := h.SSH(t.Context(), user, "echo $(ls /sys/class/net)")
		expect.Check(t, err)
		expect.Equal(t, user+"'s interfaces", strings.TrimSpace(result.Stdout), want)
	}
	shown := strings.Split(h.Bash(t, "pamnetctl check alice"), "\n")
	expect.Equal(t, "what check shows", shown[0], "alice through sshd: isolated")
	expect.Equal(t, "the module", strings.Join(strings.Fields(shown[1]), " "), "module pam_newnet")
	expect.Equal(t, "check of all members", strings.Fields(strings.Split(h.Bash(t, "pamnetctl check --all-members"), "\n")[1])[1], "isolated")

	// More groups, a named network, and a session: all is well still.
	h.obey(t, h.examine(t, "groupadd usernet; usermod -aG usernet bob; groupadd groupnet-lab; usermod -aG groupnet-lab carol"), reinstall)
	expect.Check(t, h.StartCron())
	session := h.logIn(t, "bob", "doctor")
	if findings := h.examine(t, `mkdir -p /etc/netns/bob; echo nameserver 192.0.2.2 >/etc/netns/bob/resolv.conf
		mv /etc/resolv.conf /run/; ln -s /run/resolv.conf /etc`); len(findings) > 0 {
		t.Fatalf("while all is well: %+v", findings)
	}
	session.logOut(t)

	modules, err := sandbox.ModuleDir()
	expect.Check(t, err)
	archive, err := txtar.ParseFile("../../internal/doctor/testdata/breaks.txtar")
	expect.Check(t, err)
	saved := "etc/pam.d etc/passwd etc/shadow etc/group etc/gshadow etc/netns etc/ssh etc/resolv.conf usr/lib/pam.d " + modules[1:]
	h.Bash(t, "tar -C / -cf /root/saved.tar $1", saved)
	seen := map[string]bool{}
	for _, file := range archive.Files {
		want, sentence, _ := strings.Cut(file.Name, ": ")
		// It would be the kernel of this machine; or, see internal/doctor, the same again.
		if strings.HasPrefix(want, "files ") || seen[want] {
			continue
		}
		seen[want] = true
		t.Run(sentence, func(t *testing.T) {
			findings := h.examine(t, `modules=$1; plain=$1/pam_permit.so
				mksocket() { perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => shift, Listen => 1) or die' "$1"; }
				eval "$2"`, modules, string(file.Data))
			var got []string
			for _, f := range findings {
				got = append(got, fmt.Sprint(f.Severity, " ", f.ID))
			}
			if got := strings.Join(slices.Compact(got), ", "); got != want {
				t.Errorf("found %s, not %s", got, want)
			}
			h.obey(t, findings, reinstall)
			h.Bash(t, `cd /; rm -rf $1 etc/ssh/sshd_config.d run/docker.sock run/dbus/system_bus_socket run/systemd var/lib/systemd/linger sbin/dhclient
				tar -xpf /root/saved.tar; ip netns del bob 2>/dev/null || :; rm -f run/netns/*; ip netns add bob`, "etc/pam.d etc/netns usr/lib/pam.d")
		})
	}
}
