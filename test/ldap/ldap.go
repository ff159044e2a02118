// SPDX-License-Identifier: GPL-2.0-or-later

// Package ldap serves users and groups from a directory on a test machine: with slapd, and its clients
// nslcd, nscd and SSSD. `make deps` unpacks them.
package ldap

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/machine"
)

// The gids of the directory's groups. Local groups may share them.
const (
	NewnetGID    = 20010
	UsernetGID   = 20020
	GroupnetXGID = 20030
)

// patience is how long a server may take to start.
const patience = 30 * time.Second

// entries are what the directory holds. Its users begin with "ld"; liam is a local user.
var entries = `dn: dc=test
objectClass: dcObject
objectClass: organization
dc: test
o: test
` + account("ldina", 20001, 20000) +
	account("ldulf", 20002, 20000) +
	account("ldgina", 20003, 20000) +
	account("ldolga", 20004, 20000) +
	account("ldpia", 20005, NewnetGID) +
	// The first that is found, so that an answer that is cut short has nothing else.
	posixGroup("all", 20040, "ldina", "ldulf", "ldgina", "liam") +
	posixGroup("ldusers", 20000) +
	posixGroup("newnet", NewnetGID, "ldina", "liam") +
	posixGroup("usernet", UsernetGID, "ldulf", "liam") +
	posixGroup("groupnet-x", GroupnetXGID, "ldgina", "liam")

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

// Commands start the servers, which are in the background when they return.
var Commands = map[string]string{
	"slapd": "slapd -f /run/directory/slapd.conf -h ldap://127.0.0.1/",
	"nslcd": "nslcd",
	"nscd":  "nscd",
	"sssd":  "sssd -D",
}

// Install puts the servers on a machine, with their configuration and with what the directory holds. No server
// runs yet. The error wraps machine.ErrMissing where `make deps` has not unpacked them.
func Install(m *machine.Machine) error {
	unpacked := filepath.Join(machine.Out(), "directory")
	if _, err := os.Stat(unpacked); err != nil {
		return fmt.Errorf("slapd and its clients are not in out/directory: %w", machine.ErrMissing)
	}
	if err := m.InstallTree(unpacked); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"/run/directory/slapd.conf": slapdConf,
		"/run/directory/entries":    entries,
		"/etc/nslcd.conf":           nslcdConf,
		"/etc/sssd/sssd.conf":       sssdConf,
	} {
		if err := m.WriteFile(name, content, 0o600); err != nil {
			return err
		}
	}
	for _, dir := range []string{
		"/run/nslcd", "/run/nscd", "/var/cache/nscd",
		"/var/lib/sss/db", "/var/lib/sss/mc", "/var/lib/sss/pipes/private", "/var/log/sssd",
	} {
		if err := m.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return sh(m, "slapadd -q -f /run/directory/slapd.conf -l /run/directory/entries")
}

// Start starts a server.
func Start(m *machine.Machine, server string) error { return sh(m, Commands[server]) }

func sh(m *machine.Machine, script string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	result, err := m.Sh(ctx, script)
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", script, err)
	}
	return nil
}

// Signal sends a signal to a server.
func Signal(m *machine.Machine, server string, signal unix.Signal) error {
	pids, err := PIDs(m, server)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, signal); err != nil {
			return fmt.Errorf("send %v to %s: %w", signal, server, err)
		}
	}
	return nil
}

// PIDs returns those of a server.
func PIDs(m *machine.Machine, server string) (pids []int, err error) {
	processes, err := m.Processes()
	for _, p := range processes {
		if p.Name == server {
			pids = append(pids, p.PID)
		}
	}
	return pids, err
}

// Sources writes nsswitch.conf with these lines.
func Sources(m *machine.Machine, lines ...string) error {
	return m.WriteFile("/etc/nsswitch.conf", strings.Join(lines, "\n")+"\n", 0o644)
}

var modulesGroup = regexp.MustCompile(`^(newnet|usernet|groupnet-\w+):`)

// Groups replaces the modules' local groups by these lines.
func Groups(m *machine.Machine, lines ...string) error {
	old, err := m.ReadFile("/etc/group")
	if err != nil {
		return err
	}
	var content strings.Builder
	for line := range strings.Lines(old) {
		if !modulesGroup.MatchString(line) {
			content.WriteString(line)
		}
	}
	for _, line := range lines {
		content.WriteString(line + "\n")
	}
	return m.WriteFile("/etc/group", content.String(), 0o644)
}
