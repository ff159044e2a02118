// SPDX-License-Identifier: GPL-2.0-or-later

// Package doctor looks over a machine on which the modules are installed, and says
// what is wrong with it: what would refuse logins, and by which ways members come
// into the host's network all the same. It changes nothing.
package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"libpam-net/internal/pamstack"
)

// Severity is how bad a finding is.
type Severity string

// An Error is a login that is refused, or a member who is not isolated; a Warning
// is a way around the isolation, or something that is hardly meant; a Note is worth
// knowing, and no problem.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

var severities = []Severity{Error, Warning, Note}

// Finding is something that is wrong.
type Finding struct {
	Severity    Severity `json:"severity"`
	ID          string   `json:"id"`       // of the kind: "line-order"
	What        string   `json:"what"`     // a sentence
	Evidence    []string `json:"evidence"` // files, with the line: "/etc/pam.d/sshd:12"
	Consequence string   `json:"consequence"`
	Remedy      string   `json:"remedy"` // commands for root's shell
}

// Result is what comes of looking.
type Result struct {
	Findings []Finding // the worst first
	Members  int       // users that the modules concern
	Services int       // whose sessions they are in
}

// The checks, in the order in which findings that are equally bad are shown, which
// is that in which they are best put right.
var checks = []func(*examination){
	checkModules,
	checkProblems,
	checkMissingModules,
	checkGroups,
	checkMembers,
	checkLines,
	checkServices,
	checkDeaf,
	checkArguments,
	checkSSHD,
	checkEtcNetns,
	checkRunNetns,
	checkKernel,
	checkSockets,
	checkVsock,
	checkPtrace,
	checkLinger,
	checkProcesses,
}

// Examine looks over a machine. An error says that it cannot be looked at.
func Examine(m Machine) (Result, error) {
	e := &examination{Machine: m}
	var err error
	if e.pam, err = pamstack.Load(m.Root); err != nil {
		return Result{}, fmt.Errorf("read the configuration of PAM: %w", err)
	}
	if e.accounts, err = m.readAccounts(); err != nil {
		return Result{}, fmt.Errorf("read the accounts: %w", err)
	}
	e.survey()
	for _, check := range checks {
		check(e)
	}
	slices.SortStableFunc(e.findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity))
	})
	return Result{Findings: e.findings, Members: len(e.allMembers()), Services: e.isolating}, nil
}

// examination is one look at a machine.
type examination struct {
	Machine
	pam      *pamstack.Config
	accounts accounts
	services []service
	concerns []concern // whom there are lines or members for
	lines    []line    // of the modules, each once

	isolating int // services that the modules are in
	findings  []Finding
}

// found adds a finding, unless there is one of the same kind and place.
func (e *examination) found(f Finding) {
	same := func(g Finding) bool {
		return g.ID == f.ID && g.What == f.What && slices.Equal(g.Evidence, f.Evidence)
	}
	if f.Evidence == nil {
		f.Evidence = []string{} // [] in JSON
	}
	if !slices.ContainsFunc(e.findings, same) {
		e.findings = append(e.findings, f)
	}
}

// list puts names into a sentence: "a, b and c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// plural is "opens" of "open" for one, "open" for more.
func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
