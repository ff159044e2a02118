// SPDX-License-Identifier: GPL-2.0-or-later

// Package doctor looks over a machine with the modules, and returns what is wrong with it: what refuses
// logins, and by which ways members get the host's network. It changes nothing. Its findings are rows of the
// table in findings.go.
package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"libpam-net/internal/amend"
	"libpam-net/internal/policy"
	"libpam-net/internal/session"
)

// Severity is how bad a finding is.
type Severity string

// Error: a login is refused, or a member is not isolated. Warning: the isolation can be bypassed, or the
// configuration is probably a mistake. Note: informational.
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
	Advice      string   `json:"advice"` // what to do, a sentence
	Remedy      string   `json:"remedy"` // a command that does it, and may be repeated; "" if there is none
	Diff        []Edit   `json:"diff"`   // the lines of files that do it

	profiles []string // the profiles of pam-auth-update that do it
	instead  []Edit   // and what else does, where pam-auth-update cannot
}

// Result is what Examine returns.
type Result struct {
	Findings []Finding // the worst first
	Good     []string  // sentences about what is well
	Members  int       // the members that are listed
	Services int       // the services with the modules
}

// The checks. Findings that are equally bad are shown in this order, in which they are best corrected.
var checks = []func(*examination){
	checkModules,
	checkProblems,
	checkMissingModules,
	checkSources,
	checkGroups,
	checkAddedGroups,
	checkMembers,
	checkTypes,
	checkLines,
	checkServices,
	checkMisnamed,
	checkRefusals,
	checkArguments,
	checkDifferences,
	checkSSHD,
	checkHardening,
	checkSudo,
	checkPrograms,
	checkEtcNetns,
	checkEtcUnused,
	checkRunNetns,
	checkUnowned,
	checkUplinks,
	checkKernel,
	checkUplinkModules,
	checkPropagation,
	checkConfinement,
	checkSockets,
	checkResolvers,
	checkVsock,
	checkPtrace,
	checkLinger,
	checkUnits,
	checkProcesses,
	checkDeleted,
}

// Examine looks over a machine. It returns an error if the machine cannot be looked at.
func Examine(m Machine) (Result, error) {
	e, err := m.examine(m.oracle())
	if err != nil {
		return Result{}, err
	}
	result := Result{Findings: e.findings, Members: len(e.users), Services: e.isolating}
	for _, k := range table {
		if k.good != "" && !e.seen[k] {
			result.Good = append(result.Good, k.good)
		}
	}
	return result, nil
}

func (m Machine) oracle() *policy.Oracle {
	if m.Live {
		return policy.Live()
	}
	return policy.Files(m.Root)
}

// survey begins an examination.
func (m Machine) survey(o *policy.Oracle) (*examination, error) {
	if m.tree == nil {
		m.tree = amend.New(m.Root)
	}
	stacks, err := m.tree.Stacks()
	if err != nil {
		return nil, fmt.Errorf("read the PAM configuration: %w", err)
	}
	p, err := policy.New(stacks, o)
	if err != nil {
		return nil, err
	}
	e := &examination{Machine: m, Policy: p, seen: map[*kind]bool{}}
	if err := e.survey(); err != nil {
		return nil, fmt.Errorf("read the accounts: %w", err)
	}
	return e, nil
}

// examine looks over a machine. The findings are sorted, the worst first.
func (m Machine) examine(o *policy.Oracle) (*examination, error) {
	e, err := m.survey(o)
	if err != nil {
		return nil, err
	}
	if !m.Live {
		e.unknown(moduleLogin, nameService, runningOutside)
	}
	for _, check := range checks {
		check(e)
	}
	slices.SortStableFunc(e.findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity))
	})
	return e, nil
}

// examination is one look at a machine.
type examination struct {
	Machine
	*policy.Policy
	listing  policy.Listing
	services []service
	concerns []concern        // the groups that have a line, or members
	users    []session.Answer // the members of all groups, by name
	lines    []policy.Rule    // the modules' lines, each once

	running []daemon         // see daemons; nil until they are asked for
	systemd map[string]*unit // see units
	asked   []string         // services that programs ask for by their configuration

	isolating int // the number of services with the modules
	findings  []Finding
	seen      map[*kind]bool // the kinds of which it cannot be said that there is no finding
}

// concern is a group that a module is for.
type concern struct {
	policy.Module
	groups   []string // the names of the groups that exist
	members  []session.Answer
	complete bool // there are no other groups and members
}

// names returns the names of the members.
func (c concern) names() (names []string) {
	for _, a := range c.members {
		names = append(names, a.User)
	}
	return names
}

// survey lists the services, the lines, and the groups with their members.
func (e *examination) survey() (err error) {
	if e.listing, err = e.Listing(); err != nil {
		return err
	}
	e.asked = slices.Concat(e.sshdServices(), e.sudoServices(), e.unitServices())
	places := map[string]bool{}
	for _, name := range e.Stacks.Services() {
		s := e.service(name)
		for _, r := range s.ours {
			if place := r.Line.String(); !places[place] {
				places[place] = true
				e.lines = append(e.lines, r)
			}
		}
		if e.opensSessions(s) {
			e.services = append(e.services, s)
			if len(s.ours) > 0 {
				e.isolating++
			}
		}
	}
	for _, m := range e.Concerned() {
		c := concern{Module: m}
		if c.groups, _, err = e.Groups(m); err != nil {
			return err
		}
		if c.members, c.complete, err = e.Members(m); err != nil {
			return err
		}
		if len(e.linesOf(m)) > 0 || len(c.members) > 0 {
			e.concerns = append(e.concerns, c)
			e.users = append(e.users, c.members...)
		}
	}
	byName := func(a, b session.Answer) int { return cmp.Compare(a.User, b.User) }
	slices.SortStableFunc(e.users, byName)
	e.users = slices.CompactFunc(e.users, func(a, b session.Answer) bool { return a.User == b.User })
	return nil
}

// linesOf returns the lines for a group.
func (e *examination) linesOf(m policy.Module) (rules []policy.Rule) {
	for _, r := range e.lines {
		if r.Module == m {
			rules = append(rules, r)
		}
	}
	return rules
}

// report adds a finding, unless there is one of the same kind and place. The values fill in the kind's
// placeholders, names and values by turns.
func (e *examination) report(k *kind, f Finding, values ...string) {
	e.unknown(k)
	f.ID, f.Severity = k.id, k.severity
	f.What, f.Consequence, f.Advice = fill(k.problem, values), fill(k.effect, values), fill(k.advice, values)
	if vendors := overridden(f.Diff); len(vendors) > 0 {
		f.Advice += fmt.Sprintf(" The change is for a copy of %s in /etc/pam.d, which an update does not overwrite.", list(vendors))
	}
	if f.fixable() {
		f.Remedy = FixCommand
	}
	f.What, f.Consequence, f.Advice = printable(f.What), printable(f.Consequence), printable(f.Advice)
	for i := range f.Evidence {
		f.Evidence[i] = printable(f.Evidence[i])
	}
	if f.Remedy != printable(f.Remedy) {
		f.Remedy = "" // nobody could read what is to be run
	}
	if f.Evidence == nil {
		f.Evidence = []string{} // [] in JSON
	}
	if f.Diff == nil {
		f.Diff = []Edit{}
	}
	if !slices.ContainsFunc(e.findings, func(g Finding) bool {
		return g.ID == f.ID && g.What == f.What && slices.Equal(g.Evidence, f.Evidence)
	}) {
		e.findings = append(e.findings, f)
	}
}

// printable returns a text with escapes in the place of what a terminal may obey: users name files and processes.
func printable(text string) string {
	if !strings.ContainsFunc(text, isUnprintable) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isUnprintable(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isUnprintable(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// unknown notes that there may be findings of these kinds.
func (e *examination) unknown(kinds ...*kind) {
	for _, k := range kinds {
		e.seen[k] = true
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

// some is list for names that may be many.
func some(names []string) string {
	const most = 7
	if len(names) > most+1 {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return list(names)
}

// plural returns one or more, by n.
func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// quote quotes a word for the shell.
func quote(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+=,:@%", r))
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
