// SPDX-License-Identifier: GPL-2.0-or-later

package faults

import (
	"context"
	"fmt"
	"os"
	"path"
	"regexp"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// scenario is a login that is repeated again and again.
type scenario struct {
	name      string
	module    string
	arguments []string // of the module
	user      string
	member    bool   // the module concerns the user
	netns     string // the name of the network namespace that the user gets, "" for one without
	reset     string // what inject removes before each login, see c/inject.c
	vforks    bool   // the holder is on its way to a program
	empty     bool   // a refusal leaves the login process in an empty network
	prune     bool   // what is disturbed is `pamnetctl prune` after a login, which is not
	held      bool   // a process that is stopped has the locks; what is disturbed is the wait for them
	prepare   string // what the administrator has set up

	// What an undisturbed session has. All others must have the same.
	interfaces []string // besides lo
	owner      string   // whose network it is to administer, "" for root
}

var scenarios = []*scenario{
	{name: "newnet", module: "pam_newnet", user: "nina", member: true, reset: "-"},
	// The first login since the machine was started: there is no /run/netns.
	{name: "usernet-first", module: "pam_usernet", user: "ulf", member: true, netns: "ulf", reset: "*"},
	{
		name: "usernet-join", module: "pam_usernet", user: "ulf", member: true, netns: "ulf", reset: "-",
		prepare:    "ip netns add ulf; ip link add to-ulf type veth peer name eth0 netns ulf",
		interfaces: []string{"eth0"},
	},
	{
		name: "groupnet-create", module: "pam_groupnet", user: "gina", member: true, netns: "lab", reset: "lab",
		prepare: "ip netns add other",
	},
	{
		name: "groupnet-join", module: "pam_groupnet", user: "gus", member: true, netns: "lab", reset: "-",
		prepare:    "ip netns add other; ip netns add lab; ip link add to-lab type veth peer name eth0 netns lab",
		interfaces: []string{"eth0"},
	},
	{name: "newnet-own", module: "pam_newnet", arguments: []string{"selfmanaged"}, user: "nina", member: true, reset: "-", owner: "nina"},
	{
		name: "usernet-own", module: "pam_usernet", arguments: []string{"selfmanaged"}, user: "ulf", member: true, netns: "ulf",
		reset: "ulf", prepare: "ip netns add other", owner: "ulf",
	},
	{
		name: "usernet-empty", module: "pam_usernet", arguments: []string{"refusal=empty"}, user: "ulf", member: true, netns: "ulf",
		reset: "ulf", empty: true, prepare: "ip netns add other",
	},
	{
		name: "usernet-setup", module: "pam_usernet", arguments: []string{"setup=" + setup}, user: "ulf", member: true, netns: "ulf",
		reset: "*", vforks: true, prepare: makeSetup,
		interfaces: []string{"eth0", "eth1"},
	},
	{
		name: "usernet-held", module: "pam_usernet", user: "ulf", member: true, netns: "ulf", reset: "ulf", held: true,
		prepare: "ip netns add other; mkdir -m 700 /run/libpam-net; umask 77; >" + locks,
	},
	{
		name: "prune", module: "pam_usernet", arguments: []string{"setup=" + setup}, user: "ulf", member: true, netns: "ulf",
		reset: "-", prune: true,
		// Besides that of the login there is one that somebody is in, and one that no login has made.
		prepare: makeSetup + `
			su gus -c "exec sleep 1000000" >/dev/null 2>&1 &
			until grep -qs ^made /run/libpam-net/netns/lab; do sleep 0.01; done
			ip netns add other`,
		interfaces: []string{"eth0", "eth1"},
	},
	{name: "newnet-stranger", module: "pam_newnet", user: "olga", reset: "-"},
	{name: "groupnet-stranger", module: "pam_groupnet", user: "olga", reset: "-"},
	// A source that is not known to be local: the child asks.
	{
		name: "newnet-directory", module: "pam_newnet", user: "nina", member: true, reset: "-",
		prepare: `sed -i '/^passwd\|^group/s/files/compat/' /etc/nsswitch.conf`,
	},
	{
		name: "usernet-stranger", module: "pam_usernet", user: "olga", reset: "-",
		prepare: `sed -i '/^passwd\|^group/s/files/compat/' /etc/nsswitch.conf`,
	},
}

// locks is the file of locks.
const locks = "/run/libpam-net/lock"

func TestTheDocumentHasARowForEachScenario(t *testing.T) {
	text, err := os.ReadFile("../../docs/RELIABILITY.md")
	expect.Check(t, err)
	for _, s := range scenarios {
		if !regexp.MustCompile(`(?m)^\| ([a-z-]+, )*` + s.name + `[,| ]`).Match(text) {
			t.Errorf("no row for %s", s.name)
		}
	}
}

// setup is a setup program. Its directory is root's alone.
const (
	setup     = "/run/sandbox/setup"
	makeSetup = `cat >` + setup + ` <<-'END'
			#!/bin/sh
			case $1 in
			up) ip -n "$2" link add eth0 type veth peer name eth1 ;;
			down) ip -n "$2" link del eth0 ;;
			esac
			END
			chmod 755 ` + setup
)

// alone is an entry of /etc/netns/NAME that has no namesake in /etc.
const alone = "faults.alone"

// overlay are the entries of /etc/netns/NAME, each with the command that makes
// it, and the one that makes its namesake unless it is there.
var overlay = []struct{ entry, make, namesake string }{
	{alone, "echo >", ":"},
	{"faults.d", "mkdir", "mkdir"},
	{"faults.link", "echo >", "ln -s hostname"},
	{"hosts", "echo >", ":"},
	{"resolv.conf", "echo >", ":"},
}

// resolvers are sockets that a session must not reach.
var resolvers = []string{"/run/systemd/resolve/io.systemd.Resolve", "/run/avahi-daemon/socket"}

// newMachine starts a machine that is ready for logins of the scenario.
func (s *scenario) newMachine() (*machine.Machine, error) {
	m, err := machine.New()
	if err != nil {
		return nil, err
	}
	script := "set -e\n" + s.prepare + "\n"
	for _, socket := range resolvers {
		script += fmt.Sprintf("mkdir -p %s; echo >%s\n", path.Dir(socket), socket)
	}
	for _, o := range overlay {
		dir := "/etc/netns/" + s.netns
		script += fmt.Sprintf("mkdir -p %s; %s %s/%s; %s /etc/%s\n", dir, o.make, dir, o.entry, o.namesake, o.entry)
	}
	result, err := m.Sh(context.Background(), script)
	if err == nil {
		err = result.Err()
	}
	for _, service := range []string{"faults", "other"} { // PAM reads both, and loads what they name
		if err == nil {
			err = m.PAM(service, "session required pam_permit.so")
		}
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("prepare for %s: %w", s.name, err)
	}
	return m, nil
}

// ownerID is the user ID of the owner of the scenario's network, on m.
func (s *scenario) ownerID(m *machine.Machine) int {
	for _, user := range []sandbox.User{m.Olga, m.Nina, m.Ulf, m.Gina, m.Gus} {
		if user.Name == s.owner {
			return user.UID
		}
	}
	return 0
}
