// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/pamhost"
)

// clients are what a login asks a directory with: a source of nsswitch.conf, and the
// socket of the daemon behind it.
var clients = []struct{ source, daemon, socket string }{
	{"ldap", "nslcd", "/run/nslcd/socket"},
	{"sss", "sssd", "/var/lib/sss/pipes/nss"},
}

// between stands between a client and its daemon: it notes each connection in
// /run/asked, and then does what $1 says. $2 is the client's socket, and $3 the daemon's.
const between = `mkdir -p "$(dirname "$2")"; : >/run/asked; exec setsid perl -MSocket -e '
	my ($what, $path, $real, $listen, $daemon, @kept) = @ARGV;
	socket($listen, AF_UNIX, SOCK_STREAM, 0) && bind($listen, pack_sockaddr_un($path)) && listen($listen, 64) && chmod(0666, $path) or die $!;
	open(my $ready, ">", "/run/between");
	$SIG{CHLD} = "IGNORE";
	while (accept(my $client, $listen)) {
		open(my $asked, ">>", "/run/asked"); print $asked "x\n"; close($asked);
		if ($what eq "hang") { push @kept, $client; next }
		next if fork;
		socket($daemon, AF_UNIX, SOCK_STREAM, 0) && connect($daemon, pack_sockaddr_un($real)) or die $!;
		while (1) {
			my $in = ""; vec($in, fileno($client), 1) = 1; vec($in, fileno($daemon), 1) = 1;
			select($in, undef, undef, undef) or last;
			my ($from, $to) = vec($in, fileno($client), 1) ? ($client, $daemon) : ($daemon, $client);
			sysread($from, my $data, 65536) or last;
			select(undef, undef, undef, 0.05) if $from == $daemon;
			syswrite($to, $data);
		}
		exit;
	}' "$@" </dev/null >/dev/null 2>&1 &`

// allThree is the service of a stack of three lines.
const allThree = "allthree"

func (b *box) allThree(t *testing.T, arguments string) {
	t.Helper()
	lines := []string{}
	for _, module := range machine.Modules {
		lines = append(lines, "session required "+module+".so "+arguments)
	}
	expect.Check(t, b.PAM(allThree, append(lines, "session required pam_permit.so")...))
	expect.Check(t, b.PAM("none", "session required pam_permit.so"))
}

// asked reports on a login of the service has come to, and how many connections to
// the daemon it has made.
func (b *box) asked(t *testing.T, service, user string) (r pamhost.Report, verdict string, connections int) {
	t.Helper()
	b.sh(t, ": >/run/asked")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := b.Run(ctx, nil, "pamhost", "--report", "/run/report", service, user)
	expect.Check(t, err)
	data, err := b.ReadFile("/run/report")
	expect.Check(t, err)
	report, err := pamhost.Parse([]byte(data))
	expect.Check(t, err)
	asked, err := b.ReadFile("/run/asked")
	expect.Check(t, err)
	return report, verdictOf(report), strings.Count(asked, "\n")
}

func TestAServerThatHangsIsWaitedForOnceByAStack(t *testing.T) {
	for _, c := range clients {
		t.Run(c.source, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "slapd")
			b.sources(t, "passwd: files "+c.source, "group: files "+c.source)
			b.allThree(t, "timeout=2")
			b.sh(t, "set -- hang "+c.socket+" none; "+between)
			expect.Eventually(t, "it listens", func() bool { return b.succeeds(t, "test -e /run/between") })
			_, _, host := b.asked(t, "none", "olga")
			for _, module := range machine.Modules {
				b.service(t, module, "timeout=2")
			}
			// The child's own: by one module alone.
			_, _, one := b.asked(t, "pam_newnet", "olga")
			for user, want := range map[string]string{"olga": refused, "nina": refused, "root": letIn} {
				_, verdict, three := b.asked(t, allThree, user)
				expect.Equal(t, user, verdict, want)
				if one <= host || three > one {
					t.Errorf("%s: %d connections by three lines, %d by one, %d by none", user, three, one, host)
				}
				log := b.markLog(t)
				if n := strings.Count(log, fmt.Sprintf("%q ", user)); n < 3 {
					t.Errorf("%s: %d lines in the log: %s", user, n, log)
				}
			}
		})
	}
}

func TestASlowServerIsAskedOnceByAStack(t *testing.T) {
	t.Parallel()
	c := clients[0] // SSSD answers by its own memory
	b := newBox(t, "slapd", c.daemon)
	b.sources(t, "passwd: files "+c.source, "group: files "+c.source+" systemd")
	b.groups(t)
	b.becomes(t, "pam_newnet", "ldina", isolated)
	b.allThree(t, "")
	b.sh(t, fmt.Sprintf("mv %[1]s %[1]s.real; set -- slow %[1]s %[1]s.real; ", c.socket)+between)
	expect.Eventually(t, "it listens", func() bool { return b.succeeds(t, "test -e /run/between") })
	_, _, host := b.asked(t, "none", "olga")
	_, _, one := b.asked(t, "pam_newnet", "olga")
	_, verdict, three := b.asked(t, allThree, "olga")
	expect.Equal(t, "olga", verdict, letIn)
	// olga's own group, and two more questions.
	if one <= host || three-host > one-host+3 {
		t.Errorf("%d connections by three lines, %d by one, %d by none", three, one, host)
	}
	_, verdict, _ = b.asked(t, allThree, "root")
	expect.Equal(t, "root", verdict, letIn)
	_, verdict, _ = b.asked(t, allThree, "ldina")
	expect.Equal(t, "ldina", verdict, isolated)
}

func TestAServerThatIsAwayRefusesAStackOnce(t *testing.T) {
	t.Parallel()
	b := newBox(t, "slapd", "nslcd")
	b.sources(t, "passwd: files ldap", "group: files ldap systemd")
	b.groups(t)
	b.becomes(t, "pam_newnet", "ldina", isolated)
	b.allThree(t, "")
	for _, outage := range []unix.Signal{unix.SIGSTOP, unix.SIGTERM} {
		b.signal(t, "slapd", outage)
		for user, want := range map[string]string{"olga": refused, "liam": refused, "root": letIn} {
			_, verdict, _ := b.asked(t, allThree, user)
			expect.Equal(t, fmt.Sprintf("%s, after %v", user, outage), verdict, want)
		}
		b.signal(t, "slapd", unix.SIGCONT)
	}
}

// No client of a directory is loaded into a login process that has not had it.
func TestNoClientOfADirectoryIsMappedInALoginProcess(t *testing.T) {
	for _, c := range clients {
		t.Run(c.source, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "slapd", c.daemon)
			b.sources(t, "passwd: files "+c.source, "group: files "+c.source+" systemd")
			b.groups(t, "newnet:x:20010:nina")
			b.becomes(t, "pam_newnet", "ldina", isolated)
			b.allThree(t, "")
			check := func(user, want string) {
				t.Helper()
				r, verdict, _ := b.asked(t, allThree, user)
				expect.Equal(t, user, verdict, want)
				for _, file := range r.After.MappedFiles {
					if name := string(file); !slices.Contains(r.Before.MappedFiles, file) && !strings.Contains(name, "/security/") {
						t.Errorf("%s: %s has been mapped", user, name)
					}
				}
				if len(r.Before.MappedFiles) == 0 {
					t.Errorf("%s: nothing is mapped", user)
				}
			}
			check("olga", letIn)
			check("nina", isolated)
			check("root", letIn)
			b.stop(t, c.daemon)
			b.sh(t, "rm -f /var/lib/sss/mc/*")
			check("olga", refused)
			check("root", letIn)
		})
	}
}
