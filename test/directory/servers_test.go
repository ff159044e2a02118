// SPDX-License-Identifier: GPL-2.0-or-later

package directory

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
)

// The directory's groups, with gids that local groups may share.
const (
	newnetGID    = 20010
	usernetGID   = 20020
	groupnetXGID = 20030
)

// entries are what the directory holds. The users of it begin with "ld"; liam is
// a local user.
var entries = `dn: dc=test
objectClass: dcObject
objectClass: organization
dc: test
o: test
` + account("ldina", 20001, 20000) +
	account("ldulf", 20002, 20000) +
	account("ldgina", 20003, 20000) +
	account("ldolga", 20004, 20000) +
	account("ldpia", 20005, newnetGID) +
	// The first that is found, so that an answer that is cut short has nothing else.
	posixGroup("all", 20040, "ldina", "ldulf", "ldgina", "liam") +
	posixGroup("ldusers", 20000) +
	posixGroup("newnet", newnetGID, "ldina", "liam") +
	posixGroup("usernet", usernetGID, "ldulf", "liam") +
	posixGroup("groupnet-x", groupnetXGID, "ldgina", "liam")

func account(name string, uid, gid int) string {
	return fmt.Sprintf(`
dn: uid=%[1]s,dc=test
objectClass: account
objectClass: posixAccount
uid: %[1]s
cn: %[1]s
uidNumber: %[2]d
gidNumber: %[3]d
homeDirectory: /home/%[1]s
loginShell: /bin/sh
`, name, uid, gid)
}

func posixGroup(name string, gid int, members ...string) string {
	entry := fmt.Sprintf("\ndn: cn=%[1]s,dc=test\nobjectClass: posixGroup\ncn: %[1]s\ngidNumber: %[2]d\n", name, gid)
	for _, member := range members {
		entry += "memberUid: " + member + "\n"
	}
	return entry
}

const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
pidfile /run/directory/slapd.pid
loglevel 0
database ldif
suffix dc=test
directory /run/directory
`

// nslcd gives up soon, and tries again every other second.
const nslcdConf = `uri ldap://127.0.0.1/
base dc=test
bind_timelimit 1
timelimit 1
threads 1
reconnect_sleeptime 1
reconnect_retrytime 2
`

const sssdConf = `[sssd]
config_file_version = 2
services = nss
domains = test
[domain/test]
id_provider = ldap
auth_provider = none
access_provider = permit
ldap_uri = ldap://127.0.0.1
ldap_search_base = dc=test
ldap_id_use_start_tls = false
ldap_opt_timeout = 1
ldap_network_timeout = 1
ldap_search_timeout = 1
offline_timeout = 1
offline_timeout_max = 1
offline_timeout_random_offset = 0
`

// commands start the servers, which are in the background when they return.
var commands = map[string]string{
	"slapd": "slapd -f /run/directory/slapd.conf -h ldap://127.0.0.1/",
	"nslcd": "nslcd",
	"nscd":  "nscd",
	"sssd":  "sssd -D",
}

// configure writes the servers' files.
func (b *box) configure(t *testing.T) {
	t.Helper()
	for name, content := range map[string]string{
		"/run/directory/slapd.conf": slapdConf,
		"/run/directory/entries":    entries,
		"/etc/nslcd.conf":           nslcdConf,
		"/etc/sssd/sssd.conf":       sssdConf,
	} {
		expect.Check(t, b.WriteFile(name, content, 0o600))
	}
	for _, dir := range []string{
		"/run/nslcd", "/run/nscd", "/var/cache/nscd",
		"/var/lib/sss/db", "/var/lib/sss/mc", "/var/lib/sss/pipes/private", "/var/log/sssd",
	} {
		expect.Check(t, b.MkdirAll(dir, 0o755))
	}
	b.sh(t, "slapadd -q -f /run/directory/slapd.conf -l /run/directory/entries")
}

func (b *box) start(t *testing.T, server string) {
	t.Helper()
	b.sh(t, commands[server])
}

// stop ends a server in good order, and returns when it is gone.
func (b *box) stop(t *testing.T, server string) {
	t.Helper()
	b.signal(t, server, unix.SIGTERM)
	expect.Eventually(t, server+" has ended", func() bool { return len(b.pids(t, server)) == 0 })
}

func (b *box) signal(t *testing.T, server string, signal unix.Signal) {
	t.Helper()
	for _, pid := range b.pids(t, server) {
		expect.Check(t, unix.Kill(pid, signal))
	}
}

// pids are a server's.
func (b *box) pids(t *testing.T, server string) (pids []int) {
	t.Helper()
	processes, err := b.Processes()
	expect.Check(t, err)
	for _, p := range processes {
		if p.Name == server {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// sources writes nsswitch.conf with these lines.
func (b *box) sources(t *testing.T, lines ...string) {
	t.Helper()
	expect.Check(t, b.WriteFile("/etc/nsswitch.conf", strings.Join(lines, "\n")+"\n", 0o644))
}

var modulesGroup = regexp.MustCompile(`^(newnet|usernet|groupnet-\w+):`)

// groups replaces the modules' local groups by these lines.
func (b *box) groups(t *testing.T, lines ...string) {
	t.Helper()
	old, err := b.ReadFile("/etc/group")
	expect.Check(t, err)
	var content strings.Builder
	for line := range strings.Lines(old) {
		if !modulesGroup.MatchString(line) {
			content.WriteString(line)
		}
	}
	for _, line := range lines {
		content.WriteString(line + "\n")
	}
	expect.Check(t, b.WriteFile("/etc/group", content.String(), 0o644))
}
