// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"strings"
)

const toolSection = "pamnetctl"

// tool measures `pamnetctl doctor` and `pamnetctl check` on a machine with many users and services.
func (s *suite) tool() error {
	users, services := s.sizes.users, s.sizes.services
	b := s.bedOf(ours)
	var passwd, group strings.Builder
	for i := range users {
		fmt.Fprintf(&passwd, "user%d:x:%d:%d::/home/user%d:/bin/sh\n", i, 200000+i, 200000+i, i)
		fmt.Fprintf(&group, "user%d:x:%d:\n", i, 200000+i)
		if i%2 == 0 {
			if err := b.AddToGroup("usernet", fmt.Sprintf("user%d", i)); err != nil {
				return err
			}
		}
	}
	if err := b.AppendFile("/etc/passwd", passwd.String()); err != nil {
		return err
	}
	if err := b.AppendFile("/etc/group", group.String()); err != nil {
		return err
	}
	for i := range services {
		err := b.PAM(fmt.Sprintf("service%d", i), "auth required pam_unix.so", "@include common-account",
			"session required pam_usernet.so", "@include common-session")
		if err != nil {
			return err
		}
	}
	doctor := contestant{column: ours, bed: b, argv: []string{"pamnetctl", "doctor"}, value: whole, worst: 1}
	r := Row{Section: toolSection, Name: "doctor", Size: fmt.Sprintf("%d users and %d services", users, services)}
	if err := s.measure(r, s.fewer(6), []contestant{doctor}, below(2000, "ms")); err != nil {
		return err
	}
	return s.check()
}

// check measures what `pamnetctl check` adds to the stack that it goes through.
func (s *suite) check() error {
	b := s.bedOf(ours)
	s.progress(toolSection, "check")
	alone := contestant{column: none, bed: b, argv: []string{loginProgram, "sshd", "ulf"}, value: printed}
	check := contestant{column: ours, bed: b, argv: []string{"pamnetctl", "check", "ulf"}, value: whole, worst: 1}
	values, err := measure(s.fewer(6), []contestant{alone, check})
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	beyond := make([]float64, len(values[ours]))
	for i := range beyond {
		beyond[i] = values[ours][i] - values[none][i]
	}
	r := Row{Section: toolSection, Name: "check, less its stack of the same round", Unit: "ms"}
	s.add(r, map[column][]float64{ours: beyond}, below(200, "ms"))
	_, err = b.watch.run(floorProgram, "remove", "ulf")
	return err
}

// listSessions measures `pamnetctl list` while n sessions are live.
func (s *suite) listSessions(n int) error {
	list := contestant{column: ours, bed: s.bedOf(ours), argv: []string{"pamnetctl", "list"}, value: whole}
	r := Row{Section: toolSection, Name: "list", Size: fmt.Sprintf("%d sessions", n)}
	return s.measure(r, s.fewer(6), []contestant{list}, below(1000, "ms"))
}
