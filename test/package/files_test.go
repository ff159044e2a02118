// SPDX-License-Identifier: GPL-2.0-or-later

package packaging

import (
	"errors"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// shell runs a script on the machine itself, which writes to a temporary directory alone.
func shell(t *testing.T, script string, args ...string) string {
	t.Helper()
	output, err := exec.Command("sh", append([]string{"-euc", script, "sh"}, args...)...).Output()
	if err != nil {
		t.Fatalf("%s %q: %v", script, args, err)
	}
	return strings.TrimSpace(string(output))
}

// files lists what is in a directory, with modes, as if nothing was compressed. A link has the place to which it leads.
func files(t *testing.T, dir string) []string {
	t.Helper()
	return strings.Split(shell(t, `cd "$1" && find . -type f -printf '%m %P\n' -o -type l -printf '%m %P -> %l\n' | sed 's/\.gz$//' | sort`, dir), "\n")
}

// onlyDeb are the files that Debian wants besides.
var onlyDeb = []string{
	"644 usr/share/doc/libpam-net/changelog.Debian",
	"644 usr/share/doc/libpam-net/copyright",
	"644 usr/share/lintian/overrides/libpam-net",
}

func TestMakeInstallInstallsWhatThePackageDoesAndUninstallTakesItBack(t *testing.T) {
	t.Parallel()
	unpacked, installed := t.TempDir(), t.TempDir()
	shell(t, `dpkg-deb -x "$1" "$2"`, deb(t), unpacked)
	expect.Check(t, machine.Make("-o", "build", "install", "DESTDIR="+installed))
	want := slices.DeleteFunc(files(t, unpacked), func(file string) bool { return slices.Contains(onlyDeb, file) })
	if got := files(t, installed); !slices.Equal(got, want) {
		t.Errorf("make install: got %q, but the package has %q", got, want)
	}
	if link := "777 usr/bin/pamnet-uplink -> ../libexec/libpam-net/pamnet-uplink"; !slices.Contains(want, link) {
		t.Errorf("%q is not in %q", link, want)
	}
	expect.Check(t, machine.Make("uninstall", "DESTDIR="+installed))
	expect.Equal(t, "files after make uninstall", shell(t, `find "$1" ! -type d`, installed), "")
}

func TestTheRPMHasTheSameFiles(t *testing.T) {
	t.Parallel()
	rpm := newest(t, "libpam-net-*."+shell(t, "uname -m")+".rpm")
	unpacked := t.TempDir()
	shell(t, `dpkg-deb -x "$1" "$2"`, deb(t), unpacked)
	var want []string
	for _, file := range files(t, unpacked) {
		_, file, _ := strings.Cut(file, " ")
		file, _, _ = strings.Cut(file, " -> ")
		switch dir, name := path.Split(file); {
		case strings.HasSuffix(dir, "/security/"):
			want = append(want, "/usr/lib64/security/"+name)
		case strings.Contains(dir, "/zsh/"): // each distribution has a place of its own
			want = append(want, "/usr/share/zsh/site-functions/"+name)
		case !strings.Contains(file, "pam-configs") && !strings.Contains(file, "lintian") && name != "changelog.Debian":
			want = append(want, "/"+file)
		}
	}
	slices.Sort(want)
	got := strings.Split(shell(t, `rpm -qp --queryformat '[%{FILEMODES:perms} %{FILENAMES}\n]' "$1" | sed -n 's/^[-l][^ ]* //; s/\.gz$//; /^\//p' | LC_ALL=C sort`, rpm), "\n")
	if !slices.Equal(got, want) {
		t.Errorf("got %q, but the package for Debian has %q", got, want)
	}
}

// It is a machine like this one, whatever that is: RPM's scripts need no Fedora.
func TestTheRPMLocksNobodyOutEither(t *testing.T) {
	t.Parallel()
	rpm := newest(t, "libpam-net-*."+shell(t, "uname -m")+".rpm")
	s, err := sandbox.New()
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	defer s.Close()
	expect.Check(t, s.Install(rpm, "/root/new.rpm", 0o644))
	sh := func(script string) sandbox.Result {
		result, err := s.Sh(t.Context(), `rpm() { command rpm --dbpath /root/db $force "$@"; }
			[ ! -e /etc/debian_version ] || force=--force-debian
			`+script)
		expect.Check(t, err)
		return result
	}
	expect.Check(t, sh("rpm -i --nodeps /root/new.rpm").Err())
	expect.Check(t, sh("getent group newnet usernet && test -e /usr/lib64/security/pam_newnet.so").Err())
	expect.Check(t, s.AppendPAM("su", "session required pam_newnet.so"))
	if result := sh("rpm -e libpam-net"); result.ExitCode == 0 || !strings.Contains(result.Stderr, "/etc/pam.d/su:session required pam_newnet.so") {
		t.Errorf("removal while a service names a module: %+v", result)
	}
	expect.Check(t, sh("test -e /usr/lib64/security/pam_newnet.so && sed -i /pam_newnet/d /etc/pam.d/su && rpm -e libpam-net").Err())
	expect.Equal(t, "exit code of a look for what is left", sh("test -e /usr/lib64/security/pam_newnet.so").ExitCode, 1)
}
