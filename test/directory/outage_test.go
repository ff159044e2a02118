// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/ldap"
)

// Of the modules' groups, the machine's own /etc/group may have none, empty ones
// with the directory's gids, or one with a member.
var (
	noGroups    []string
	emptyGroups = []string{"newnet:x:20010:", "usernet:x:20020:", "groupnet-x:x:20030:"}
	ninasGroup  = []string{"newnet:x:20010:nina"}
)

// situations are ways to ask the directory. A source that is down is hidden by
// one that is not, and comes after it; the line's spelling is libc's to judge.
var situations = []struct {
	name, passwd, group string
	groups              []string
}{
	{"the directory asked last", "passwd: files ldap", "group: files ldap", noGroups},
	{"systemd asked after the directory", "passwd: files ldap", "group: files ldap systemd", emptyGroups},
	{"the files asked after the directory", "passwd: files ldap", "group: ldap files", ninasGroup},
	{"a space before the colons", "passwd : files ldap", "group : files ldap systemd", emptyGroups},
	{"no colons, and no group", "passwd files ldap", "group files ldap systemd", noGroups},
	{"no space after an action", "passwd: files [NOTFOUND=continue]ldap", "group: files [NOTFOUND=continue]ldap systemd", ninasGroup},
}

// eachSituation runs a test in all of them.
func (b *box) eachSituation(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			b.sources(t, s.passwd, s.group)
			b.groups(t, s.groups...)
			test(t)
		})
	}
}

// members of the modules' groups, as nobody but the directory knows.
var members = []struct{ module, user string }{
	{"pam_newnet", "ldina"},
	{"pam_newnet", "ldpia"}, // by her primary group
	{"pam_usernet", "ldulf"},
	{"pam_groupnet", "ldgina"},
	{"pam_newnet", "liam"},
	{"pam_groupnet", "liam"},
}

// isThere checks that the modules do as the directory says.
func (b *box) isThere(t *testing.T) {
	t.Helper()
	for _, m := range members {
		b.expect(t, m.module, m.user, isolated, "")
	}
	b.expect(t, "pam_newnet", "pia", isolated, "") // a local user with the directory's gid
	b.expect(t, "pam_newnet", "ldolga", letIn, "")
	b.expect(t, "pam_groupnet", "olga", letIn, "")
	b.expect(t, "pam_usernet", "root", letIn, "")
}

// isAway checks that nobody is taken for a non-member.
func (b *box) isAway(t *testing.T) {
	t.Helper()
	const blamed = `source "ldap"`
	for _, m := range members {
		b.expect(t, m.module, m.user, refused, blamed)
	}
	// Nothing proves that the directory does not list her.
	b.expect(t, "pam_newnet", "olga", refused, blamed)
	b.expect(t, "pam_groupnet", "olga", refused, blamed)
	b.expect(t, "pam_newnet", "root", letIn, blamed)
	b.expect(t, "pam_groupnet", "root", letIn, blamed)
	if b.succeeds(t, "grep -q ^newnet:.*nina /etc/group") {
		b.expect(t, "pam_newnet", "nina", isolated, "")
	}
}

func TestWhileTheDirectoryIsAwayNoMemberIsTakenForANonMember(t *testing.T) {
	for _, c := range []struct {
		name          string
		breaks, mends func(b *box, t *testing.T)
	}{
		{
			"the server is stopped",
			func(b *box, t *testing.T) { b.stop(t, "slapd") },
			func(b *box, t *testing.T) { b.start(t, "slapd") },
		},
		{
			"the server hangs",
			func(b *box, t *testing.T) { b.signal(t, "slapd", unix.SIGSTOP) },
			func(b *box, t *testing.T) { b.signal(t, "slapd", unix.SIGCONT) },
		},
		{
			"the client is stopped",
			func(b *box, t *testing.T) { b.stop(t, "nslcd") },
			func(b *box, t *testing.T) { b.start(t, "nslcd") },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "slapd", "nslcd")
			b.sources(t, situations[0].passwd, situations[0].group)
			b.becomes(t, "pam_newnet", "ldina", isolated)
			c.breaks(b, t)
			b.eachSituation(t, b.isAway)
			c.mends(b, t)
			b.becomes(t, "pam_newnet", "ldina", isolated)
			t.Run("afterwards", func(t *testing.T) { b.eachSituation(t, b.isThere) })
		})
	}
}

func TestAServerThatTakesTooLongMakesNobodyANonMember(t *testing.T) {
	t.Parallel()
	b := newBox(t, "slapd")
	expect.Check(t, b.WriteFile("/etc/nslcd.conf", "uri ldap://127.0.0.1/\nbase dc=test\n"+
		"bind_timelimit 1\ntimelimit 1\nreconnect_sleeptime 0\nreconnect_retrytime 0\n", 0o600))
	b.start(t, "nslcd")
	b.sources(t, "passwd: files", "group: files ldap")
	b.groups(t, emptyGroups...)
	b.service(t, "pam_newnet", "timeout=1")
	b.becomes(t, "pam_newnet", "liam", isolated)
	b.signal(t, "slapd", unix.SIGSTOP)
	b.expect(t, "pam_newnet", "liam", refused, "no verdict within 1 s")
	b.expect(t, "pam_newnet", "root", letIn, "no verdict within 1 s")
	b.signal(t, "slapd", unix.SIGCONT)
	b.becomes(t, "pam_newnet", "liam", isolated)
}

// As with a limit of the server, or where a search takes it too long.
func TestAnAnswerThatIsCutShortIsNone(t *testing.T) {
	t.Parallel()
	b := newBox(t, "slapd", "nslcd")
	b.stop(t, "slapd")
	expect.Check(t, b.AppendFile("/run/directory/slapd.conf", "sizelimit 1\n"))
	b.start(t, "slapd")
	b.eachSituation(t, func(t *testing.T) {
		b.groups(t, emptyGroups...) // so that only the search for liam's groups finds him
		b.becomes(t, "pam_usernet", "ldolga", letIn)
		b.expect(t, "pam_groupnet", "ldgina", refused, "")
		b.expect(t, "pam_groupnet", "liam", refused, "")
		b.expect(t, "pam_newnet", "liam", safe, "")
	})
}

func TestWhileTheDirectoryComesAndGoesNoMemberIsTakenForANonMember(t *testing.T) {
	t.Parallel()
	b := newBox(t, "slapd")
	// Nobody waits for the server.
	expect.Check(t, b.WriteFile("/etc/nslcd.conf", "uri ldap://127.0.0.1/\nbase dc=test\n"+
		"reconnect_sleeptime 0\nreconnect_retrytime 0\n", 0o600))
	b.start(t, "nslcd")
	b.groups(t, emptyGroups...)
	b.sources(t, "passwd: files ldap", "group: files ldap systemd")
	b.becomes(t, "pam_newnet", "ldina", isolated)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seed := rand.IntN(1 << 15)
	outages := b.CommandContext(ctx, "bash", "-c", `RANDOM=$1
		pause() { sleep .$((RANDOM % 90 + 10)); }
		while pause; do
			kill -KILL $(cat /run/directory/slapd.pid)
			pause
			`+ldap.Commands["slapd"]+`
		done`, "bash", strconv.Itoa(seed))
	expect.Check(t, outages.Start())
	count := make(map[string]int)
	for i, start := 0, time.Now(); time.Since(start) < 5*time.Second || count[isolated] == 0 || count[refused] == 0; i++ {
		if ctx.Err() != nil {
			t.Errorf("it has not come and gone often enough: %v", count)
			break
		}
		m := members[i%len(members)]
		verdict, log := b.login(t, m.module, m.user)
		checkVerdict(t, m.module+", "+m.user, verdict, safe, log)
		count[verdict]++
	}
	cancel()
	outages.Wait()
	t.Logf("seed %d: %v", seed, count)
}
