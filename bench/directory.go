// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/ldap"
)

const directorySection = "2. pam_start to pam_end, where a directory is asked"

// clients are sources of nsswitch.conf that ask slapd.
var clients = []struct{ name, source string }{{"SSSD", "sss"}, {"nslcd", "ldap"}}

// directory measures logins that concern no module on machines with a directory.
func (s *suite) directory() error {
	s.progress(directorySection, "starting slapd, nslcd and SSSD")
	for _, b := range s.beds {
		if err := b.startDirectory(); err != nil {
			return fmt.Errorf("%s: %w", b.column, err)
		}
	}
	if err := s.directoryRows("olga", "non-member, %s, %s"); err != nil {
		return err
	}
	if err := s.hang(); err != nil {
		return err
	}
	for _, b := range s.beds {
		if err := ldap.Groups(b.Machine); err != nil {
			return err
		}
	}
	if err := s.directoryRows("ldolga", "non-member, user and groups of the directory, %s, %s"); err != nil {
		return err
	}
	return s.renewBeds()
}

func (s *suite) directoryRows(user, name string) error {
	for _, client := range clients {
		for _, b := range s.beds {
			if err := b.useDirectory(client.source); err != nil {
				return fmt.Errorf("%s: %w", b.column, err)
			}
		}
		for _, c := range nonMembers(user) {
			_, modules, _ := strings.Cut(c.name, ", ")
			c.name = fmt.Sprintf(name, client.name, modules)
			if err := s.race(Row{Section: directorySection}, s.rounds, c, times(1.5, debian12)); err != nil {
				return err
			}
		}
	}
	return nil
}

// nslcdConf makes nslcd give up on a server that hangs, but not before a module's timeout=.
const nslcdConf = `uri ldap://127.0.0.1/
base dc=test
bind_timelimit 2
timelimit 2
reconnect_sleeptime 1
reconnect_retrytime 1
`

func (b *bed) startDirectory() error {
	if err := ldap.Install(b.Machine); err != nil {
		return err
	}
	if err := b.WriteFile("/etc/nslcd.conf", nslcdConf, 0o600); err != nil {
		return err
	}
	for _, server := range []string{"slapd", "nslcd", "sssd"} {
		if err := ldap.Start(b.Machine, server); err != nil {
			return err
		}
	}
	return nil
}

// useDirectory makes a source the second one, and waits until it answers.
func (b *bed) useDirectory(source string) error {
	if err := ldap.Sources(b.Machine, "passwd: files "+source, "group: files "+source, "hosts: files"); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * rest) {
		err := b.sh("getent -s " + source + " passwd ldolga")
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// hangTimeout is the timeout= of the modules' lines where the directory hangs, in seconds.
const hangTimeout = 1

// hang measures a login of root, through three lines, while the server takes questions and does not answer. The
// machines only wait, so all do at once.
func (s *suite) hang() error {
	r := Row{Section: directorySection, Name: "root, nslcd, 3 modules, the server hangs", Unit: "s"}
	s.progress(r.Section, r.Name)
	values := make(map[column][]float64)
	for range s.fewer(20) {
		took, errs := make([]float64, len(s.beds)), make([]error, len(s.beds))
		var group sync.WaitGroup
		for i, b := range s.beds {
			group.Go(func() { took[i], errs[i] = b.hang() })
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for i, b := range s.beds {
			values[b.column] = append(values[b.column], took[i]/1000)
		}
	}
	once := below(hangTimeout+0.2, "s")
	once.text = fmt.Sprintf("timeout= once: ≤ %d s, and 0.2 s for the login", hangTimeout)
	s.add(r, values, once)
	return nil
}

// hang measures one such login, in ms.
func (b *bed) hang() (took float64, err error) {
	modules := slices.Clone(stacks[b.column])
	for i := range modules {
		if b.column == ours {
			modules[i] += fmt.Sprintf(" timeout=%d", hangTimeout)
		}
	}
	if err := b.PAM("hang", append(sessionRules(modules), "session required pam_permit.so")...); err != nil {
		return 0, err
	}
	if err := b.useDirectory("ldap"); err != nil {
		return 0, err
	}
	if err := ldap.Signal(b.Machine, "slapd", unix.SIGSTOP); err != nil {
		return 0, err
	}
	took, err = contestant{bed: b, argv: []string{loginProgram, "hang", "root"}, value: printed}.runOnce()
	return took, errors.Join(err, ldap.Signal(b.Machine, "slapd", unix.SIGCONT))
}
