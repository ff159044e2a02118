// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// sssdMembers are members by SSSD. Of users who are not its own it knows no groups,
// and lists them as members or not as it happens.
var sssdMembers = []struct{ module, user string }{
	{"pam_newnet", "ldina"},
	{"pam_newnet", "ldpia"},
	{"pam_usernet", "ldulf"},
	{"pam_groupnet", "ldgina"},
	{"pam_newnet", "pia"},
}

// newSSSD starts a machine that asks the directory through SSSD.
func newSSSD(t *testing.T) *box {
	t.Helper()
	b := newBox(t, "slapd", "sssd")
	b.sources(t, "passwd: files sss", "group: files sss systemd")
	b.groups(t)
	b.becomes(t, "pam_newnet", "ldina", isolated)
	return b
}

func (b *box) expectSSSD(t *testing.T, verdict, why string) {
	t.Helper()
	for _, m := range sssdMembers {
		b.expect(t, m.module, m.user, verdict, why)
	}
}

func TestWithoutSSSDNoMemberIsTakenForANonMember(t *testing.T) {
	t.Parallel()
	b := newSSSD(t)
	b.expectSSSD(t, isolated, "")
	b.expect(t, "pam_newnet", "ldolga", letIn, "")
	b.expect(t, "pam_newnet", "olga", letIn, "")

	b.stop(t, "sssd")
	b.expectSSSD(t, safe, "")
	b.sh(t, "rm /var/lib/sss/mc/*") // which its library reads without asking it
	b.expectSSSD(t, refused, `source "sss"`)
	b.expect(t, "pam_newnet", "olga", refused, `source "sss"`)
	b.expect(t, "pam_newnet", "root", letIn, `source "sss"`)

	b.start(t, "sssd")
	b.becomes(t, "pam_newnet", "ldina", isolated)
	b.expectSSSD(t, isolated, "")
}

// newHiddenSSSD is a machine whose library of SSSD does not say that SSSD is down.
func newHiddenSSSD(t *testing.T) *box {
	t.Helper()
	b := newBox(t)
	library := filepath.Join(t.TempDir(), "libnss_sss.so.2")
	output, err := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-o", library, "testdata/libnss_sss.c").CombinedOutput()
	if err != nil {
		t.Fatalf("gcc: %v\n%s", err, output)
	}
	modules, err := sandbox.ModuleDir()
	expect.Check(t, err)
	expect.Check(t, b.Install(library, filepath.Join(filepath.Dir(modules), "libnss_sss.so.2"), 0o644))
	return b
}

func TestALibraryThatDoesNotSayThatSSSDIsDownMakesNobodyANonMember(t *testing.T) {
	t.Parallel()
	b := newHiddenSSSD(t)
	for _, order := range []string{"files sss", "sss files", "files sss systemd"} {
		b.sources(t, "passwd: "+order, "group: "+order)
		b.expect(t, "pam_newnet", "olga", refused, `source "sss"`)
		b.expect(t, "pam_groupnet", "olga", refused, `source "sss"`)
		b.expect(t, "pam_newnet", "nina", safe, "")
		b.expect(t, "pam_newnet", "root", letIn, `source "sss"`)
	}
}

// busy is an SSSD that is asked more than it can take: nothing before there is
// /run/go-on, and then something ten times a second.
const busy = `mkdir -p /var/lib/sss/pipes; exec setsid perl -MSocket -MFcntl -e '
	my ($address, $sssd, @asking) = pack_sockaddr_un("/var/lib/sss/pipes/nss");
	socket($sssd, AF_UNIX, SOCK_STREAM, 0) && bind($sssd, $address) && listen($sssd, 1) or die $!;
	while (1) {
		do { socket(my $c, AF_UNIX, SOCK_STREAM, 0); fcntl($c, F_SETFL, O_NONBLOCK); push @asking, $c }
			while connect($asking[-1], $address);
		open(my $full, ">", "/run/full");
		select(undef, undef, undef, 0.1);
		next unless -e "/run/go-on";
		accept(my $c, $sssd);
		select(undef, undef, undef, 0.005);
	}' </dev/null >/dev/null 2>&1 &`

func TestABusySSSDIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := newHiddenSSSD(t)
	b.sources(t, "passwd: files sss", "group: files sss")
	b.sh(t, busy)
	expect.Eventually(t, "SSSD is busy", func() bool { return b.succeeds(t, "test -e /run/full") })
	b.expect(t, "pam_newnet", "olga", refused, `source "sss" of nsswitch.conf does not answer: Resource temporarily unavailable`)
	b.sh(t, "touch /run/go-on")
	b.expect(t, "pam_newnet", "olga", letIn, "")
}

// What SSSD calls its own lookups with makes its library find nothing.
func TestNobodyGetsRidOfSSSDByAVariable(t *testing.T) {
	t.Parallel()
	b := newSSSD(t)
	expect.Check(t, b.PAM("su", "auth sufficient pam_permit.so", "account sufficient pam_permit.so",
		"session required pam_newnet.so", "session required pam_permit.so"))
	const su = "setpriv --reuid olga --clear-groups env _SSS_LOOPS=%s su pia -c 'readlink /proc/self/ns/net'"
	machine := b.sh(t, "readlink /proc/self/ns/net")
	b.sh(t, "rm /var/lib/sss/mc/*") // which its library reads without asking it
	for _, value := range []string{"YES", "NO"} {
		result, err := b.Sh(t.Context(), fmt.Sprintf(su, value))
		expect.Check(t, err)
		if value == "YES" && result.ExitCode != 0 {
			t.Errorf("su: %v", result.Err())
		}
		if strings.TrimSpace(result.Stdout) == machine {
			t.Errorf("with _SSS_LOOPS=%s, pia is in the machine's network", value)
		}
	}
}

func TestAnOfflineSSSDHasTheWordOfItsCache(t *testing.T) {
	t.Parallel()
	b := newSSSD(t)
	b.expectSSSD(t, isolated, "")
	b.expect(t, "pam_newnet", "ldolga", letIn, "")
	b.stop(t, "slapd")
	b.expectSSSD(t, isolated, "")
	b.expect(t, "pam_newnet", "ldolga", letIn, "")
}

// To a question whose answer it has not cached, an offline SSSD says "not found",
// as it does when it is online and there is no such thing. Nobody can tell one from
// the other: see docs/SECURITY.md.
func TestAnOfflineSSSDWithAnEmptyCacheSaysThatThereAreNoMembers(t *testing.T) {
	t.Parallel()
	b := newSSSD(t)
	b.stop(t, "slapd")
	b.stop(t, "sssd")
	b.sh(t, "rm -f /var/lib/sss/db/* /var/lib/sss/mc/*")
	b.start(t, "sssd")
	b.becomes(t, "pam_newnet", "olga", letIn)
	b.expect(t, "pam_newnet", "pia", letIn, "")
}
