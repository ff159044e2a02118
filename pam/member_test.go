// SPDX-License-Identifier: GPL-2.0-or-later

package pam_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// lookup asks testdata/member.c, with further variables in its environment.
type lookup func(t *testing.T, kind, user, group string, environment ...string) string

// newLookup compiles it, and the sources fake (testdata/libnss_fake.c) and
// broken (which misses a library) for nsswitch.conf. flags are gcc's, front is what
// to put in front of the program.
func newLookup(t *testing.T, flags []string, front ...string) lookup {
	t.Helper()
	dir := t.TempDir()
	compile(t, dir+"/lookup", append(flags, "testdata/member.c", "member.c", "source.c", "nsswitch.c", "child_lookup.c", "wire.c", "module.c", "reason.c")...)
	fake := []string{"-shared", "-fPIC", "-Wl,--no-as-needed", "testdata/libnss_fake.c", "-L" + dir}
	compile(t, dir+"/libnss_fake.so.2", fake...)
	compile(t, dir+"/libmissing.so", fake...)
	compile(t, dir+"/libnss_broken.so.2", append(fake, "-lmissing")...)
	expect.Check(t, os.Remove(dir+"/libmissing.so"))
	return func(t *testing.T, kind, user, group string, environment ...string) string {
		t.Helper()
		command := append(front, dir+"/lookup", kind, user, group)
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Env = append(os.Environ(), append(environment, "LD_LIBRARY_PATH="+dir)...)
		return output(t, cmd)
	}
}

// write makes a file, and its directory.
func write(t *testing.T, path, content string) {
	t.Helper()
	expect.Check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	expect.Check(t, os.WriteFile(path, []byte(content), 0o644))
}

const (
	passwd = `root:x:0:0::/root:/bin/sh
alice:x:1000:1000::/:/bin/sh
bob:x:1001:500::/:/bin/sh
gina:x:1002:1002::/:/bin/sh
olga:x:1003:1003::/:/bin/sh
many:x:1004:1004::/:/bin/sh
in.name:x:1005:1005::/:/bin/sh
in@example.org:x:1006:1006::/:/bin/sh
EXAMPLE\in:x:1007:1007::/:/bin/sh
ægir日:x:1008:1008::/:/bin/sh
`
	group = `root:x:0:
newnet:x:500:alice,ghost,in.name,in@example.org,EXAMPLE\in,ægir日
groupnet-lab:x:501:gina,alice
groupnet-zoo:x:502:gina
groupnet:x:503:olga
groupnetx-a:x:504:olga
groupnet-:x:505:olga
olga:x:1003:
`
)

func TestLookup(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	ask := newLookup(t, sanitize())
	t.Run("who is a member", func(t *testing.T) { testMembers(t, ask) })
	t.Run("while a source is down", func(t *testing.T) { testDown(t, ask) })
	t.Run("under valgrind", testUnderValgrind)
	t.Run("with a file missing", func(t *testing.T) { testWithoutFiles(t, ask) })
}

func testMembers(t *testing.T, ask lookup) {
	manyGroups := group
	for i := range 200 {
		manyGroups += fmt.Sprintf("g%d:x:%d:many\n", i, 2000+i)
	}
	manyGroups += "late:x:3000:many\ngroupnet-late:x:3001:many\n"
	bigGroup := "newnet:x:500:" + strings.Repeat("somebody-or-other-0123,", 20000) + "olga\n"

	const local = "passwd: files systemd\ngroup: files systemd\n"
	for _, c := range []struct {
		what                  string
		nsswitch, group       string // "" are the local ones
		kind, user, groupname string
		want                  string
	}{
		{"a member by the group's list", "", "", "newnet", "alice", "newnet", "member of newnet as alice"},
		{"a member by the primary group", "", "", "newnet", "bob", "newnet", "member of newnet as bob"},
		{"no member", "", "", "newnet", "olga", "newnet", "non-member"},
		{"root is asked about like everybody", "", "", "newnet", "root", "newnet", "non-member"},
		{"a user without an account in the list", "", "", "newnet", "ghost", "newnet", "member of newnet as ghost"},
		{"a user who does not exist", "", "", "newnet", "nobody-such", "newnet", "non-member, no user"},
		{"a group that does not exist", "", "", "newnet", "alice", "nosuch", "non-member, no group"},
		{"neither exists", "", "", "newnet", "nobody-such", "nosuch", "non-member, no user, no group"},
		{"a dot in the name", "", "", "newnet", "in.name", "newnet", "member of newnet as in.name"},
		{"an @ in the name", "", "", "newnet", "in@example.org", "newnet", "member of newnet as in@example.org"},
		{"a backslash in the name", "", "", "newnet", `EXAMPLE\in`, "newnet", `member of newnet as EXAMPLE\in`},
		{"a name that is not ASCII", "", "", "newnet", "ægir日", "newnet", "member of newnet as ægir日"},
		{"a name that is too long", "", "", "newnet", strings.Repeat("x", 256), "newnet", "unknown: user name: File name too long"},
		{"another group of the same number", "", "newnet:x:500:\nalias:x:500:alice\n", "newnet", "alice", "newnet", "member of newnet as alice"},

		{"a group named by its prefix", "", "", "groupnet", "alice", "groupnet", "member of groupnet-lab as alice"},
		{"several such groups: the first counts", "", "", "groupnet", "gina", "groupnet", "member of groupnet-lab and others as gina"},
		{"a group with an empty name is one", "", "", "groupnet", "olga", "groupnet", "member of groupnet- as olga"},
		{"such a group as the primary one", "", "groupnet-own:x:500:\n", "groupnet", "bob", "groupnet", "member of groupnet-own as bob"},
		{"the primary one is the first", "", "groupnet-a:x:499:bob\ngroupnet-own:x:500:\n", "groupnet", "bob", "groupnet", "member of groupnet-own and others as bob"},
		{"no such group", "", "", "groupnet", "bob", "groupnet", "non-member"},
		{"nobody has that prefix", "", "", "groupnet", "gina", "gr", "non-member"},
		{"a user in no group who does not exist", "", "", "groupnet", "nobody-such", "groupnet", "non-member, no user"},

		{"a group with 20,000 members", "", bigGroup, "newnet", "olga", "newnet", "member of newnet as olga"},
		{"a group with 20,000 others", "", bigGroup, "newnet", "alice", "newnet", "non-member"},
		{"a user in 202 groups", "", manyGroups, "newnet", "many", "late", "member of late as many"},
		{"a user in 202 groups, one by its prefix", "", manyGroups, "groupnet", "many", "groupnet", "member of groupnet-late as many"},

		{
			"comments, tabs, actions and other databases are passed over",
			"#group: fake\n\n\tpasswd:\tfiles [SUCCESS=return NOTFOUND=continue] [!UNAVAIL=continue] systemd\nhosts: fake\nshadow: fake\ngroup:files systemd\n", "",
			"newnet", "olga", "newnet", "non-member",
		},
		{"an empty nsswitch.conf means files", "\n", "", "newnet", "olga", "newnet", "non-member"},
		{"so does a line that has no newline, for libc", "passwd: files\ngroup: fake", "", "newnet", "alice", "newnet", "member of newnet as alice"},
		{"and one that begins with a colon", "passwd: files\n:group: fake\n", "", "newnet", "alice", "newnet", "member of newnet as alice"},
		{"but one without newline may be meant, too", "passwd: files\ngroup: fake", "", "newnet", "olga", "farnet", "member of farnet as olga"},
		{"a source that is not on this machine, and up", "passwd: files fake\ngroup: files fake\n", "", "newnet", "olga", "newnet", "non-member"},
		{"its user in its group", "passwd: files fake\ngroup: files fake\n", "", "newnet", "far", "farnet", "member of farnet as far"},
		{"its user in the machine's group", "passwd: files fake\ngroup: files fake\n", "newnet:x:500:far\n", "newnet", "far", "newnet", "member of newnet as far"},
		{"its user with the machine's group as the primary one", "passwd: files fake\ngroup: files fake\n", "", "newnet", "fargo", "newnet", "member of newnet as fargo"},
		{"the machine's user in its group", "passwd: files\ngroup: files fake\n", "", "newnet", "olga", "farnet", "member of farnet as olga"},
		{"its group by a prefix", "passwd: files fake\ngroup: files fake\n", "", "groupnet", "far", "groupnet", "member of groupnet-far as far"},
		{"a member by a source behind [NOTFOUND=return], which is not obeyed", "passwd: files\ngroup: files [NOTFOUND=return] fake\n", "", "newnet", "olga", "farnet", "member of farnet as olga"},
		{"a user by such a source", "passwd: files [NOTFOUND=return] fake\ngroup: files [NOTFOUND=return] fake\n", "", "groupnet", "far", "groupnet", "member of groupnet-far as far"},
		{"a member by a source behind [SUCCESS=return], which is libc's default", "passwd: files\ngroup: files [SUCCESS=return] fake\n", group + "farnet:x:600:\n", "newnet", "olga", "farnet", "member of farnet as olga"},
		{"a member by a source that is merged", "passwd: files\ngroup: files [SUCCESS=merge] fake\n", group + "farnet:x:600:\n", "newnet", "olga", "farnet", "member of farnet as olga"},
		{"a non-member by all of them", "passwd: files\ngroup: files [NOTFOUND=return] fake [SUCCESS=merge] systemd\n", "", "newnet", "gina", "farnet", "non-member"},
		{"initgroups has sources of its own", "passwd: files\ngroup: files\ninitgroups: files [SUCCESS=continue] fake\n", group + "farnet:x:600:\n", "newnet", "olga", "farnet", "member of farnet as olga"},
	} {
		t.Run(c.what, func(t *testing.T) {
			arrange(t, cmp.Or(c.nsswitch, local), cmp.Or(c.group, group))
			if got := ask(t, c.kind, c.user, c.groupname); got != c.want {
				t.Errorf("%s\nand not\n%s", got, c.want)
			}
		})
	}
}

// arrange writes what the name service reads.
func arrange(t *testing.T, nsswitch, group string) {
	t.Helper()
	write(t, "/etc/nsswitch.conf", nsswitch)
	write(t, "/etc/passwd", passwd)
	write(t, "/etc/group", group)
	write(t, "/run/fake/passwd", "far:x:2000:2000::/:/bin/sh\nfargo:x:2001:500::/:/bin/sh\n")
	write(t, "/run/fake/group", "farnet:x:600:far,olga\ngroupnet-far:x:601:far\n")
}

// Whoever a directory that is down knows to be a member must not be taken for
// somebody else.
func testDown(t *testing.T, ask lookup) {
	failures := map[string][]string{
		"unavailable": {"FAKE_STATUS=unavail", "FAKE_ERRNO=111"},
		"not there":   {"FAKE_STATUS=unavail", "FAKE_ERRNO=2"},
		"busy":        {"FAKE_STATUS=tryagain", "FAKE_ERRNO=11"},
	}
	questions := [][]string{
		{"newnet", "olga", "newnet"},
		{"newnet", "olga", "farnet"},
		{"newnet", "far", "farnet"},
		{"newnet", "far", "newnet"},
		{"groupnet", "bob", "groupnet"},
		{"groupnet", "far", "groupnet"},
	}
	unknown := func(what string, question, environment []string) {
		t.Run(what, func(t *testing.T) {
			got := ask(t, question[0], question[1], question[2], environment...)
			if strings.Contains(got, "non-member") || !strings.Contains(got, "unknown: ") {
				t.Error(got)
			}
		})
	}
	for _, sources := range []string{
		"files fake",
		"fake files",
		"fake systemd",
		"files fake systemd",
		"files [NOTFOUND=continue] fake [UNAVAIL=continue TRYAGAIN=continue] systemd",
		"files fake [!SUCCESS=continue] files",
		"files [NOTFOUND=return] fake",
		"files [NOTFOUND=return] fake systemd",
		"files [SUCCESS=return] fake",
		"files [SUCCESS=merge] fake systemd",
		"files [!UNAVAIL=return] fake",
	} {
		arrange(t, "passwd: "+sources+"\ngroup: "+sources+"\n", group)
		for what, environment := range failures {
			unknown("with "+sources+", fake "+what, questions[0], environment)
		}
		for _, question := range questions[1:] {
			unknown(fmt.Sprintf("with %s: %q", sources, question), question, failures["unavailable"])
		}
	}
	for _, c := range []struct{ what, nsswitch string }{
		{"only groups are there", "passwd: files\ngroup: files fake systemd\n"},
		{"only memberships are there", "passwd: files\ngroup: files\ninitgroups: fake files\n"},
		{"it has a line after another's", "passwd: files\ngroup: files\ngroup: files fake systemd\n"},
		{"it has a line before another's", "passwd: files\ngroup: files fake systemd\ngroup: files\n"},
		{"it comes after many", "passwd: files\ngroup: files " + strings.Repeat("files ", 20) + "fake systemd\n"},
		{"it comes after too many", "passwd: files\ngroup: files " + strings.Repeat("files ", 50) + "fake systemd\n"},
		{"another one lacks a library", "passwd: files\ngroup: files broken systemd\n"},
		{"it comes at the end of a long line", "passwd: files\ngroup: files" + strings.Repeat(" ", 1000) + "fake systemd\n"},
	} {
		arrange(t, c.nsswitch, group)
		unknown("where "+c.what, questions[0], failures["unavailable"])
	}
	t.Run("where only users are there, the machine's own user is none", func(t *testing.T) {
		arrange(t, "passwd: files fake systemd\ngroup: files\n", group)
		got := ask(t, "newnet", "olga", "newnet", failures["unavailable"]...)
		if want := "non-member"; got != want {
			t.Errorf("%s\nand not\n%s", got, want)
		}
	})
	arrange(t, "passwd: files\ngroup: files fake systemd\n", group)
	unknown("with more to say than fits anywhere", questions[0], []string{"FAKE_STATUS=tryagain", "FAKE_ERRNO=34"})
	t.Run("who is found to be a member all the same is one", func(t *testing.T) {
		got := ask(t, "newnet", "alice", "newnet", failures["unavailable"]...)
		if want := "member of newnet as alice"; got != want {
			t.Errorf("%s\nand not\n%s", got, want)
		}
	})
}

func testWithoutFiles(t *testing.T, ask lookup) {
	for _, c := range []struct{ what, missing, user, want string }{
		{"/etc/group", "/etc/group", "olga", "unknown: "},
		{"/etc/passwd", "/etc/passwd", "olga", "unknown: "},
		{"/etc/passwd, for somebody in the group's list", "/etc/passwd", "alice", "unknown: "},
		{"/etc/nsswitch.conf, which means files", "/etc/nsswitch.conf", "olga", "non-member"},
		{"/etc/nsswitch.conf, for a member", "/etc/nsswitch.conf", "alice", "member of newnet as alice"},
	} {
		t.Run(c.what, func(t *testing.T) {
			arrange(t, "passwd: files systemd\ngroup: files systemd\n", group)
			expect.Check(t, os.Remove(c.missing))
			if got := ask(t, "newnet", c.user, "newnet"); !strings.Contains(got, c.want) {
				t.Errorf("%s\nand not\n%s", got, c.want)
			}
		})
	}
	t.Run("an nsswitch.conf that cannot be read", func(t *testing.T) {
		arrange(t, "", group)
		expect.Check(t, os.Remove("/etc/nsswitch.conf"))
		expect.Check(t, os.Mkdir("/etc/nsswitch.conf", 0o755))
		if got := ask(t, "newnet", "olga", "newnet"); !strings.Contains(got, "unknown: /etc/nsswitch.conf: ") {
			t.Error(got)
		}
	})
}

func testUnderValgrind(t *testing.T) {
	private.Needs(t, valgrind[0])
	ask := newLookup(t, nil, valgrind...)
	arrange(t, "passwd: files fake\ngroup: files fake broken systemd\ninitgroups: fake\n", group)
	for _, c := range []struct {
		kind, user, group string
		environment       []string
		want              string
	}{
		{"newnet", "far", "newnet", nil, "unknown: "},
		{"newnet", "far", "farnet", nil, "member of farnet as far"},
		{"groupnet", "gina", "groupnet", nil, "member of groupnet-lab and others as gina"},
		{"newnet", "alice", "newnet", []string{"FAKE_STATUS=unavail"}, "member of newnet as alice"},
		{"groupnet", "far", "groupnet", []string{"FAKE_STATUS=tryagain", "FAKE_ERRNO=34"}, "unknown: "},
	} {
		if got := ask(t, c.kind, c.user, c.group, c.environment...); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s, not %s", got, c.want)
		}
	}
}
