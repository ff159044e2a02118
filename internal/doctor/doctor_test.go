// SPDX-License-Identifier: GPL-2.0-or-later

package doctor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"libpam-net/internal/amend"
	"libpam-net/internal/doctor"
	"libpam-net/internal/netns"
	"libpam-net/internal/trial"
	"libpam-net/internal/uplink"
	"libpam-net/test/expect"
)

// healthy is a machine on which all is well.
var healthy = map[string]string{
	"/etc/passwd": "root:x:0:0::/root:/bin/bash\nalice:x:5001:5001::/home/alice:/bin/bash\nbob:x:5002:5002::/home/bob:/bin/bash\n" +
		"carol:x:5003:902::/home/carol:/bin/bash\nolga:x:5004:5004::/home/olga:/bin/bash\n",
	"/etc/group": "root:x:0:\nalice:x:5001:\nbob:x:5002:\nolga:x:5004:\nnewnet:x:900:alice\nusernet:x:901:bob\ngroupnet-lab:x:902:carol\ndocker:x:903:olga\n",
	"/etc/hosts": "127.0.0.1 localhost\n",

	"/etc/pam.d/sshd":                          "auth required pam_unix.so\n@include common-session\nsession required pam_limits.so\n",
	"/etc/pam.d/cron":                          "auth required pam_unix.so\n@include common-session-noninteractive\n",
	"/etc/pam.d/su":                            "auth required pam_unix.so\n@include common-session\n",
	"/etc/pam.d/su-l":                          "auth include su\nsession include su\n",
	"/etc/pam.d/runuser":                       "auth required pam_permit.so\nsession required pam_unix.so\n" + lines,
	"/etc/pam.d/passwd":                        "password required pam_unix.so\nsession required pam_permit.so\n",
	"/etc/pam.d/sshd.dpkg-old":                 "session required pam_permit.so\n",
	"/etc/pam.d/other":                         "@include common-session\n",
	"/usr/lib/pam.d/systemd-user":              "@include common-session-noninteractive\nsession optional pam_systemd.so\n",
	"/etc/pam.d/common-session":                "session [default=1] pam_permit.so\nsession requisite pam_deny.so\nsession required pam_permit.so\nsession required pam_unix.so\nsession optional pam_systemd.so\n-session optional pam_nosuch.so\n" + lines,
	"/etc/pam.d/common-session-noninteractive": "session required pam_unix.so\n" + lines,

	"/etc/ssh/sshd_config":              "# UsePAM no\nInclude /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nMatch User x\n",
	"/usr/sbin/sshd":                    "",
	"/etc/netns/bob/resolv.conf":        "nameserver 192.0.2.1\n",
	"/run/netns/bob":                    "",
	"/run/systemd/resolv.conf":          "",
	"/proc/sys/kernel/osrelease":        "6.1.0-1-amd64\n",
	"/proc/sys/user/max_net_namespaces": "1000\n",
	"/proc/self/ns/net":                 "",
	"/proc/self/ns/user":                "",
	"/proc/100/status":                  "Name:\tsh\nUid:\t5001\t5001\t5001\t5001\n",
	"/proc/101/status":                  "Name:\tsh\nUid:\t5004\t5004\t5004\t5004\n",
	"/dev/null":                         "",
	"/usr/local/sbin/x":                 "",
}

const (
	lines      = "session required pam_groupnet.so\nsession required pam_newnet.so\nsession required pam_usernet.so\n"
	modulesDir = "/usr/lib/security"
)

// modules compiles what looks and answers like a module, one that was built plainly, and ones with which
// logins go wrong.
var modules = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "doctor"); err != nil {
		return "", err
	}
	const (
		linked = `#include <security/pam_ext.h>
			#include <security/pam_modules.h>
			#include <string.h>
			#include <syslog.h>
			__attribute__((section(".pamnet.go.relro"), used)) static void *entry;
			int pam_sm_close_session(pam_handle_t *h, int flags, int n, const char **args) { return PAM_SUCCESS; }
			int pam_sm_open_session(pam_handle_t *h, int flags, int n, const char **args) {
				int member = strcmp(args[n - 1], "group=pamnet-nobody") != 0;
				%s
				return member ? PAM_ABORT : PAM_IGNORE;
			}`
		starts = `if (member) pam_syslog(h, LOG_DEBUG, "Go has started");`
	)
	for name, source := range map[string]string{
		"good":             fmt.Sprintf(linked, starts),
		"bad":              `int crosscall2(void) { return 0; } int pam_sm_open_session(void) { return 0; } int pam_sm_close_session(void) { return 0; }`,
		"crashes":          fmt.Sprintf(linked, "*(volatile char *)0 = 0;"),
		"crashes-members":  fmt.Sprintf(linked, "if (member) *(volatile char *)0 = 0;"),
		"refuses":          fmt.Sprintf(linked, "return PAM_ABORT;"),
		"starts-nothing":   fmt.Sprintf(linked, `if (member) pam_syslog(h, LOG_ERR, "\"x\" refused: the child ended without a verdict");`),
		"lets-members-out": fmt.Sprintf(linked, starts+" return PAM_IGNORE;"),
	} {
		cmd := exec.Command("gcc", "-shared", "-fPIC", "-x", "c", "-o", filepath.Join(dir, name), "-", "-lpam")
		if name != "bad" {
			cmd.Args = append(cmd.Args, "-Wl,--version-script=../../build/module/module.map")
		}
		cmd.Stdin = strings.NewReader(source)
		if output, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("gcc: %w: %s", err, output)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	if os.Args[0] == trial.ModuleChildName {
		trial.ModuleChild()
	}
	code := m.Run()
	if dir, err := modules(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func write(t testing.TB, root, name, content string) {
	t.Helper()
	file := filepath.Join(root, name)
	expect.Check(t, os.MkdirAll(filepath.Dir(file), 0o755))
	expect.Check(t, os.WriteFile(file, []byte(content), 0o644))
}

// newMachine makes a machine on which all is well, below a directory.
func newMachine(t testing.TB) doctor.Machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: the files of a machine are root's")
	}
	root := t.TempDir()
	for name, content := range healthy {
		write(t, root, name, content)
	}
	compiled, err := modules()
	expect.Check(t, err)
	good, err := os.ReadFile(filepath.Join(compiled, "good"))
	expect.Check(t, err)
	for _, module := range []string{"permit", "unix", "deny", "limits", "systemd", "groupnet", "newnet", "usernet"} {
		write(t, root, modulesDir+"/pam_"+module+".so", string(good))
	}
	for name, target := range map[string]string{
		"/etc/resolv.conf": "../run/systemd/resolv.conf", "/proc/1/ns/net": "net:[1]", "/proc/100/ns/net": "net:[2]", "/proc/101/ns/net": "net:[1]",
	} {
		expect.Check(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		expect.Check(t, os.Symlink(target, filepath.Join(root, name)))
	}
	return doctor.Machine{Root: root, OpenNetns: func(name string) error {
		content, err := os.ReadFile(filepath.Join(root, "run/netns", name))
		if err == nil && len(content) > 0 {
			err = fmt.Errorf("open network namespace %q: %w", name, netns.ErrNotNamespace)
		}
		return err
	}, Uplinks: func() (all []uplink.Found, err error) {
		text, err := os.ReadFile(filepath.Join(root, "run/uplinks"))
		if err != nil {
			return nil, nil
		}
		if err := json.Unmarshal(text, &all); err != nil {
			return nil, errors.New(strings.TrimSpace(string(text)))
		}
		return all, nil
	}}
}

func found(t testing.TB, m doctor.Machine) (all []string, findings []doctor.Finding) {
	t.Helper()
	result, err := doctor.Examine(m)
	expect.Check(t, err)
	for _, f := range result.Findings {
		all = append(all, string(f.Severity)+" "+f.ID)
		if f.What == "" || len(f.Evidence) == 0 || f.Consequence == "" || f.Advice == "" || strings.ContainsAny(f.What+f.Consequence+f.Advice, "{}\x1b") {
			t.Errorf("this is not all: %+v", f)
		}
	}
	return all, result.Findings
}

func TestNothingIsFoundWhereAllIsWell(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.TryModule = trial.Module
	if all, findings := found(t, m); len(all) > 0 {
		t.Errorf("%+v", findings)
	}
}

func TestEachFindingIsFound(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/breaks.txtar")
	expect.Check(t, err)
	compiled, err := modules()
	expect.Check(t, err)
	for _, file := range archive.Files {
		want, sentence, _ := strings.Cut(strings.TrimPrefix(file.Name, "files "), ": ")
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			if want == "nothing" {
				want = ""
			}
			if strings.HasSuffix(want, "module-login") {
				m.TryModule = trial.Module
			}
			cmd := exec.Command("sh", "-ec", `gpasswd() { sed -i "s/^\($3:.*\)$2/\1/" etc/group; sed -i "s/^carol:x:5003:902/carol:x:5003:100/" etc/passwd; }
				mksocket() { perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => shift, Listen => 1) or die' "$1"; }
				`+string(file.Data))
			cmd.Dir = m.Root
			cmd.Env = append(os.Environ(), "modules="+filepath.Join(m.Root, modulesDir), "compiled="+compiled, "plain="+filepath.Join(compiled, "bad"))
			if output, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			all, findings := found(t, m)
			if got := strings.Join(slices.Compact(all), ", "); got != want {
				t.Errorf("%q, not %q: %+v", all, want, findings)
			}
			for _, f := range findings {
				t.Logf("%s: %s %s %s %q %v %s", f.Severity, f.What, f.Consequence, f.Advice, f.Evidence, f.Diff, f.Remedy)
			}
			fix(t, m)
		})
	}
}

// Where pam-auth-update manages the shared files it is to add the lines, unless it does not update them, or
// the line has arguments.
func TestAProfileIsTheRemedyWhereItCanBe(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("../amend/testdata/debian.txtar")
	expect.Check(t, err)
	const shared = "cron, other, sshd, su, su-l and systemd-user open sessions without "
	for _, c := range []struct {
		what, script string
		want         []string // what is wrong, and what to do
	}{
		{"it can", ":", []string{shared + "pam_groupnet, pam_newnet and pam_usernet. Add the missing lines by pam-auth-update. []"}},
		{"somebody has changed its block", "sed -i '/^# end of/i# mine' etc/pam.d/common-session", []string{
			"cron and systemd-user open sessions without pam_groupnet, pam_newnet and pam_usernet. Add the missing lines at the end of " +
				"/etc/pam.d/common-session-noninteractive. [{/etc/pam.d/common-session-noninteractive [+ session required pam_groupnet.so " +
				"+ session required pam_newnet.so + session required pam_usernet.so]}]",
		}},
		{"a line has arguments", "sed -i 's/pam_newnet.so/& lodown/' etc/pam.d/runuser", []string{
			shared + "pam_groupnet and pam_usernet. Add the missing lines by pam-auth-update. []",
			"other, sshd, su and su-l open sessions without pam_newnet. Add the missing lines at the end of " +
				"/etc/pam.d/common-session. [{/etc/pam.d/common-session [+ session required pam_newnet.so lodown]}]",
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			for _, name := range []string{"groupnet", "newnet", "usernet"} {
				write(t, m.Root, "/usr/share/pam-configs/libpam-net-"+name, "Default: no\n")
			}
			for _, file := range archive.Files {
				if strings.HasPrefix(file.Name, "etc/pam.d/common-") || strings.HasPrefix(file.Name, "var/lib/pam/") {
					write(t, m.Root, file.Name, string(file.Data))
				}
			}
			cmd := exec.Command("sh", "-ec", c.script)
			cmd.Dir = m.Root
			expect.Check(t, cmd.Run())
			_, findings := found(t, m)
			for _, want := range c.want {
				if !slices.ContainsFunc(findings, func(f doctor.Finding) bool {
					return f.ID == "service-without-module" && fmt.Sprint(f.What, " ", f.Advice, " ", f.Diff) == want && f.Remedy == doctor.FixCommand
				}) {
					t.Errorf("there is none: %s: %+v", want, findings)
				}
			}
			fix(t, m)
		})
	}
}

// Where a directory does not list its members there may be some. Services without a line are reported, and no
// finding takes a line away, or makes a local group.
func TestMembersThatNobodyLists(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	write(t, m.Root, "/etc/nsswitch.conf", "passwd: files sss\ngroup: files sss\n")
	write(t, m.Root, "/etc/group", "root:x:0:\n")
	write(t, m.Root, "/etc/passwd", "root:x:0:0::/root:/bin/bash\n")
	write(t, m.Root, "/etc/pam.d/runuser", "auth required pam_permit.so\nsession required pam_unix.so\n"+
		"session required pam_groupnet.so\nsession required pam_newnet.so group=exam\n")
	all, findings := found(t, m)
	want := "error service-without-module, warning service-without-module, note name-listing"
	if got := strings.Join(slices.Compact(all), ", "); got != want {
		t.Errorf("%s, not %s: %+v", got, want, findings)
	}
	for _, f := range findings {
		for _, edit := range f.Diff {
			if slices.ContainsFunc(edit.Lines, func(line string) bool { return !strings.HasPrefix(line, "+ ") }) {
				t.Errorf("a line is taken away: %+v", f)
			}
		}
		if f.Remedy != "" && f.Remedy != doctor.FixCommand {
			t.Errorf("a command: %+v", f)
		}
	}
}

// fix corrects what Fix corrects. Afterwards there is nothing for it to do, and whatever makes logins worse has
// not been done.
func fix(t *testing.T, m doctor.Machine) {
	t.Helper()
	for _, first := range []bool{true, false} {
		tree := amend.New(m.Root)
		fixed, err := doctor.Fix(m, tree)
		expect.Check(t, err)
		for problem, err := range fixed.Failed {
			t.Errorf("not corrected: %s: %v", problem, err)
		}
		if !first && len(tree.Files()) > 0 {
			t.Errorf("it changes something again: %s", tree.Diff())
		}
		staged, err := tree.Stage(fixed.Unused)
		expect.Check(t, err)
		_, err = staged.Commit()
		expect.Check(t, err)
	}
	_, findings := found(t, m)
	for _, f := range findings {
		if f.Remedy == doctor.FixCommand {
			t.Errorf("it is still there: %+v", f)
		}
	}
}
