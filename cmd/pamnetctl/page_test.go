// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
	"libpam-net/internal/trial"
	"libpam-net/test/browser"
	"libpam-net/test/expect"
)

// manyLogins is what check finds out about a number of users and services. The last user is not isolated through the
// last service.
func manyLogins(users, services int) *matrix {
	m := &matrix{
		Host: "server", Date: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), System: "Debian, Linux", Version: "1.0",
		Untried: []untried{{Service: "passwd", Why: "it opens no sessions"}, {User: "zoe", Why: "interrupted"}},
	}
	for i := range services {
		m.Services = append(m.Services, fmt.Sprintf("service-%03d", i))
	}
	for i := range users {
		user := fmt.Sprintf("user-%03d", i)
		m.Users = append(m.Users, user)
		for k, service := range m.Services {
			r := trial.Report{
				User: user, Service: service, Outcome: policy.Isolated, Module: "pam_usernet", Problems: []string{},
				Network: &trial.Network{Inode: uint64(i), Name: user, Network: &sessions.Network{
					Interfaces: []sessions.Interface{{Name: "eth0", Up: true, Addresses: []string{fmt.Sprintf("10.0.%d.2/30", i)}}},
					Routes:     []sessions.Route{{Gateway: fmt.Sprintf("10.0.%d.1", i), Interface: "eth0"}},
				}},
				Shown: trial.Shown{DNS: []string{"10.0.0.1"}, Open: &trial.Openness{Exposure: 1.4, Ways: []trial.Way{
					{ID: "tmp", What: "Temporary directories are shared.", Weight: 2, Open: true, Evidence: []string{"/tmp"}},
					{ID: "vsock", What: "AF_VSOCK reaches the hypervisor.", Weight: 3},
				}}},
			}
			if i == users-1 && k == services-1 {
				r.Outcome, r.Network.Name, r.Problems = policy.Host, "", []string{`a member of "usernet" stays in <the host's> network`}
			}
			m.Logins = append(m.Logins, r)
		}
	}
	return m
}

func TestAReportIsReadInABrowserWithoutAnythingElse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(file)
	expect.Check(t, err)
	expect.Check(t, printPage(f, manyLogins(500, 200)))
	expect.Check(t, f.Close())
	p := browser.Open(t, file)
	// 501 results and a header; 500 networks and one; 2 ways and one; 500 exposures and one; 2 reasons, 2 of every report and one
	const rows = 502 + 501 + 3 + 501 + 5
	for _, width := range []int{1280, 400} {
		p.Resize(width)
		expect.Equal(t, fmt.Sprintf("rows that are seen within %d pixels", width), p.Eval(`[...document.querySelectorAll("tr")].filter(r => {
			const b = r.getBoundingClientRect()
			return b.height > 10 && b.height < 400 && b.left >= 0 && b.width > 100 && getComputedStyle(r).visibility == "visible"
		}).length`), any(float64(rows)))
		expect.Equal(t, fmt.Sprintf("a page wider than %d pixels", width), p.Eval(`document.documentElement.scrollWidth > innerWidth`), any(false))
	}
	p.Resize(1280)
	expect.Equal(t, "tables that are wider than the page", p.Eval(`[...document.querySelectorAll(".scroll")].filter(r => r.scrollWidth > r.clientWidth).length`), any(0.0))
	expect.Equal(t, "a plain row is one line", p.Eval(`document.querySelector("tbody tr").getBoundingClientRect().height < 48`), any(true))
	expect.Equal(t, "the first cell", p.Eval(`document.querySelector("tbody tr").innerText`), any("user-000\tisolated\tuser-000\tpam_usernet\tall 200\tnone"))
	expect.Equal(t, "what is not right", p.Eval(`[...document.querySelectorAll("td.bad")].map(c => c.parentNode.innerText).join("\n")`),
		any("user-499\tnot isolated\tthe host's\tpam_usernet\tservice-199\ta member of \"usernet\" stays in <the host's> network"))
	roles := p.Roles()
	expect.Equal(t, "what a screen reader finds", fmt.Sprint(roles["table"], roles["caption"], roles["region"], roles["row"], roles["main"]), fmt.Sprint(5, 5, 5, rows, 1))
	p.Print()
	expect.Equal(t, "the header on each sheet of paper", p.Eval(`getComputedStyle(document.querySelector("thead")).display`), any("table-header-group"))
	expect.Equal(t, "language and title", p.Eval(`document.documentElement.lang + ": " + document.title`), any("en: Networks of logins on server, 2026-11-29"))
	expect.Equal(t, "requests", fmt.Sprint(p.Requests), "[file://"+file+"]")
}
