// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/doctor"
	"libpam-net/internal/policy"
	"libpam-net/internal/trial"
)

// matrix is what check finds out about users and services. With --all-services it is what check prints as JSON.
type matrix struct {
	Host     string         `json:"host"`
	Date     time.Time      `json:"date"` // of the first login
	System   string         `json:"system"`
	Version  string         `json:"version"` // of pamnetctl
	Users    []string       `json:"users"`
	Services []string       `json:"services"`
	Logins   []trial.Report `json:"logins"`
	Untried  []untried      `json:"untried"`

	incomplete error // why more was to be tried
}

// untried is a login that was not tried.
type untried struct {
	User    string `json:"user"`    // "" for all
	Service string `json:"service"` // "" for all
	Why     string `json:"why"`
}

// logins returns the services of the machine that people log in through, and the others.
func logins(p *policy.Policy) (services []string, others []untried) {
	for _, s := range p.Stacks.Services() {
		if why := doctor.WhyNoLogin("/", p, s); why != "" {
			others = append(others, untried{Service: s, Why: why})
		} else {
			services = append(services, s)
		}
	}
	return services, others
}

// membersOf returns the users who are members by the lines of some services, or of sshd if services is empty. complete
// is false if there may be more.
func membersOf(p *policy.Policy, services []string) (members []string, complete bool, err error) {
	complete = true
	if len(services) == 0 {
		services = []string{defaultService}
	}
	for _, s := range services {
		more, all, err := p.ServiceMembers(s)
		if err != nil {
			return nil, false, err
		}
		members, complete = append(members, more...), complete && all
	}
	slices.Sort(members)
	return slices.Compact(members), complete, nil
}

// matrix checks users by services, one login after the other.
func (k checker) matrix(ctx context.Context, args []string) (err error) {
	m := &matrix{Date: time.Now().Truncate(time.Second), Version: version, Logins: []trial.Report{}, Untried: []untried{}}
	if m.Host, err = os.Hostname(); err != nil {
		return err
	}
	if m.System, err = system(); err != nil {
		return err
	}
	if err := k.choose(m, args); err != nil {
		return err
	}
	var page *pageFile
	if k.page != "" {
		if page, err = createPage(k.page); err != nil { // before an hour of logins
			return err
		}
		defer page.Close()
	}
	m.incomplete = k.tryAll(ctx, m)
	switch {
	case *k.asJSON && k.allServices:
		err = printObject(k.out, m)
	case *k.asJSON:
		err = printJSON(k.out, m.Logins)
	case len(m.Services) == 1:
		err = printReports(k.out, m.Logins)
	default:
		err = printMatrix(k.out, m)
	}
	if page != nil {
		err = errors.Join(err, printPage(page, m), page.commit())
	}
	if err := errors.Join(err, m.incomplete); err != nil {
		return err
	}
	bad := map[string]bool{}
	for _, r := range m.Logins {
		if len(r.Problems) > 0 {
			bad[r.User] = true
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("problems with %s", count(len(bad), "user"))
	}
	return nil
}

// choose finds the users and services to try.
func (k checker) choose(m *matrix, args []string) error {
	m.Services = k.services
	if k.allServices {
		m.Services, m.Untried = logins(k.policy)
	} else if len(m.Services) == 0 {
		m.Services = []string{defaultService}
	}
	m.Users = append(args, k.users...)
	for _, user := range m.Users {
		if err := k.policy.CheckUser(user); err != nil {
			return err
		}
	}
	members, complete, err := membersOf(k.policy, m.Services)
	if err != nil {
		return err
	}
	if k.allMembers {
		m.Users = members
	} else if left := slices.DeleteFunc(members, func(name string) bool { return slices.Contains(m.Users, name) }); len(left) > 0 {
		for _, name := range left {
			m.Untried = append(m.Untried, untried{User: name, Why: "a member whom the command line did not name"})
		}
	}
	if !k.allServices {
		all, _ := logins(k.policy)
		for _, service := range all {
			if !slices.Contains(m.Services, service) {
				m.Untried = append(m.Untried, untried{Service: service, Why: "a service that the command line did not name"})
			}
		}
	}
	if !complete {
		m.Untried = append(m.Untried, untried{Why: "further members, whom a directory does not list"})
		fmt.Fprintln(k.errors, "pamnetctl: check: there may be more members, which a directory does not list")
	}
	return nil
}

// tryAll tries the logins of m, user by user. A login that cannot be tried is noted, and does not stop the others.
func (k checker) tryAll(ctx context.Context, m *matrix) error {
	failed := 0
	start := time.Now()
	for i, user := range m.Users {
		for n, service := range m.Services {
			login, r, err := k.open(ctx, user, service, false)
			if err == nil {
				err = login.Close()
			}
			if errors.Is(err, errInterrupted) {
				for _, service := range m.Services[n:] {
					m.Untried = append(m.Untried, untried{user, service, "interrupted"})
				}
				for _, user := range m.Users[i+1:] {
					m.Untried = append(m.Untried, untried{user, "", "interrupted"})
				}
				return errInterrupted
			}
			if err != nil {
				failed++
				fmt.Fprintf(k.errors, "pamnetctl: check: %s through %s: %v\n", user, service, err)
				m.Untried = append(m.Untried, untried{user, service, err.Error()})
				continue
			}
			m.Logins = append(m.Logins, r)
		}
		// Each user's networks are taken down before the next one's are made, but for those that are still in use.
		if _, err := k.series.TakeBack(); err != nil {
			return err
		}
		if i == 0 {
			k.estimate(time.Since(start), len(m.Users), len(m.Services))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s could not be tried", count(failed, "login"))
	}
	return nil
}

// estimate says how long a check takes, if that is long, by the time that one user has taken.
func (k checker) estimate(one time.Duration, users, services int) {
	if rest := one * time.Duration(users-1); rest > time.Minute {
		fmt.Fprintf(k.errors, "pamnetctl: check: %s through %s take about %s; --user and --service limit that, and Ctrl-C shows what is known by then\n",
			count(users, "user"), count(services, "service"), rest.Round(time.Minute))
	}
}

// system returns the name of the distribution, and the version of the kernel.
func system() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	kernel := "Linux " + unix.ByteSliceToString(u.Release[:])
	text, _ := os.ReadFile("/etc/os-release") // os-release(5): it may be missing
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"'`) + ", " + kernel, nil
		}
	}
	return kernel, nil
}

// row is what a user gets through a number of services.
type row struct {
	User, Module, Network string
	Outcome               policy.Outcome
	Services              []string
	Problems              []string
}

// rows returns the results of each user, the services with the same one together.
func (m *matrix) rows() (rows []*row) {
	found := map[string]*row{}
	for _, r := range m.Logins {
		x := row{User: r.User, Module: r.Module, Outcome: r.Outcome, Problems: r.Problems}
		switch {
		case r.Outcome == policy.Refused:
			x.Problems = []string{reason(r)}
		case r.Outcome == policy.Host:
			x.Network = "the host's"
		case r.Network.Name == "":
			x.Network = "its own"
		default:
			x.Network = r.Network.Name
		}
		key := fmt.Sprintf("%q", []any{x.User, x.Module, x.Outcome, x.Network, x.Problems})
		if found[key] == nil {
			found[key] = &x
			rows = append(rows, &x)
		}
		found[key].Services = append(found[key].Services, r.Service)
	}
	slices.SortStableFunc(rows, func(a, b *row) int { return cmp.Compare(a.User, b.User) })
	return rows
}

// among names some of all: "all 12" for all, "all 12 but su" for nearly all.
func among(some, all []string) string {
	const few = 3
	others := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
	switch {
	case len(all) <= few || len(others) > few || len(some) <= len(others):
		return strings.Join(some, ", ")
	case len(others) > 0:
		return fmt.Sprintf("all %d but %s", len(all), strings.Join(others, ", "))
	default:
		return fmt.Sprintf("all %d", len(all))
	}
}

// reasons returns what was not tried, that with the same reason together.
func (m *matrix) reasons() (all []reasonFor) {
	for _, u := range m.Untried {
		what := u.Service
		switch {
		case u.User != "" && u.Service != "":
			what = u.User + " through " + u.Service
		case u.User != "":
			what = u.User
		case u.Service == "":
			what = "others"
		}
		i := slices.IndexFunc(all, func(r reasonFor) bool { return r.Why == u.Why })
		if i < 0 {
			i, all = len(all), append(all, reasonFor{Why: u.Why})
		}
		all[i].What = append(all[i].What, what)
	}
	return all
}

type reasonFor struct {
	Why  string
	What []string
}

// printMatrix prints a line for each result that a user gets, and what was not tried.
func printMatrix(w io.Writer, m *matrix) error {
	t := newTable(w)
	fmt.Fprintln(t, "USER\tOUTCOME\tMODULE\tNETWORK\tSERVICES\tPROBLEMS")
	for _, r := range m.rows() {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.User, r.Outcome, orDash(r.Module), orDash(r.Network), among(r.Services, m.Services),
			orDash(plain(strings.Join(r.Problems, "; "))))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range m.reasons() {
		if _, err := fmt.Fprintf(w, "not tried: %s: %s\n", strings.Join(r.What, ", "), r.Why); err != nil {
			return err
		}
	}
	return nil
}
