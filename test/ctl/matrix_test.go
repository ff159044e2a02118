// SPDX-License-Identifier: GPL-2.0-or-later

package ctl

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"libpam-net/test/browser"
	"libpam-net/test/expect"
)

// cells is what `pamnetctl check --all-services --json` prints.
type cells struct {
	Host, Date, System, Version string
	Users, Services             []string
	Logins                      []report
	Untried                     []struct{ User, Service, Why string }
}

func TestTheMatrixOfMembersAndServices(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startSSHD(t)
	h.Bash(t, "cd /etc/pam.d; rm -f other runuser* chpasswd newusers; echo 'session required pam_permit.so' | tee vsftpd >lacking; cp su systemd-user; pamnetctl check olga")
	const services = "cron lacking login sshd su su-l sudo sudo-i systemd-user"
	before := h.state(t)
	m := parse[cells](t, h.Try(t, "pamnetctl check --all-members --all-services --json").Stdout)
	h.unchanged(t, "check --all-members --all-services", before)
	expect.Equal(t, "users", strings.Join(m.Users, " "), "gina gus nina ulf")
	expect.Equal(t, "services", strings.Join(m.Services, " "), services)
	expect.Equal(t, "host", m.Host, h.Bash(t, "hostname"))
	expect.Equal(t, "logins", len(m.Logins), 4*len(m.Services))
	networks := map[string]string{"gina": "lab", "gus": "lab", "nina": "", "ulf": "ulf"}
	for _, r := range m.Logins {
		got, want := fmt.Sprint(r.Outcome, len(r.Problems), r.Network.Name), "isolated0"+networks[r.User]
		if r.Service == "lacking" {
			want = "host1"
		}
		expect.Equal(t, r.User+" through "+r.Service, got, want)
	}
	why := map[string]string{}
	for _, u := range m.Untried {
		why[u.User+u.Service] = u.Why
	}
	expect.Equal(t, "why not passwd", why["passwd"], "it opens no sessions")
	expect.Equal(t, "why not vsftpd", why["vsftpd"], "its program vsftpd is not installed")

	t.Run("as a table", func(t *testing.T) {
		result := h.Try(t, "pamnetctl check --all-members --all-services")
		table := masked(result.Stdout)
		for _, line := range []string{
			"USER  OUTCOME  MODULE  NETWORK  SERVICES  PROBLEMS\n",
			"gina  isolated  pam_groupnet  lab  all 9 but lacking  -\n",
			"nina  host  -  the host's  lacking  a member of \"newnet\" stays in the host's network: the service has no line of pam_newnet\n",
			"nina  isolated  pam_newnet  its own  all 9 but lacking  -\n",
			"not tried: vsftpd: its program vsftpd is not installed\n",
		} {
			if !strings.Contains(table, line) {
				t.Errorf("no line %q in\n%s", line, table)
			}
		}
		expect.Equal(t, "end", fmt.Sprint(result.ExitCode, " ", result.Stderr), "1 pamnetctl: check: problems with 4 users\n")
		expect.Equal(t, "where all is well", masked(h.Bash(t, "pamnetctl check --user ulf --service su --service cron --service sshd --user olga")),
			"USER  OUTCOME  MODULE  NETWORK  SERVICES  PROBLEMS\nolga  host  -  the host's  su, cron, sshd  -\nulf  isolated  pam_usernet  ulf  su, cron, sshd  -\n"+
				"not tried: gina, gus, nina: a member whom the command line did not name\n"+
				"not tried: lacking, login, su-l, sudo, sudo-i, systemd-user: a service that the command line did not name")
	})
	t.Run("as a page", func(t *testing.T) {
		h.Bash(t, "mkdir /var/report; ln -s /etc/passwd /var/report/page.html; ! pamnetctl check --all-members --all-services --html /var/report/page.html >/dev/null 2>&1; ls -A /var/report")
		expect.Equal(t, "the file", h.Bash(t, "cd /var/report; ls -A; stat -c '%a %F' page.html; grep -c root /etc/passwd"), "page.html\n644 regular file\n1")
		file := filepath.Join(t.TempDir(), "page.html")
		expect.Check(t, os.WriteFile(file, []byte(h.Bash(t, "cat /var/report/page.html")), 0o644))
		p := browser.Open(t, file)
		expect.Equal(t, "requests", fmt.Sprint(p.Requests), "[file://"+file+"]")
		expect.Equal(t, "the title", p.Eval("document.title.startsWith('Networks of logins on "+m.Host+", 20')"), any(true))
		expect.Equal(t, "the verdict", p.Eval("document.querySelector('.verdict').innerText"), any("Logins with a problem: 4 of 36."))
		expect.Equal(t, "results", p.Eval("[...document.querySelectorAll('#networks + .scroll tbody tr')].map(r => r.cells[0].innerText + ' ' + r.cells[2].innerText).join('\\n')"),
			any("gina lab\ngina the host's\ngus lab\ngus the host's\nnina its own\nnina the host's\nulf ulf\nulf the host's"))
		expect.Equal(t, "ways", p.Eval("[...document.querySelectorAll('#open ~ .scroll table')][0].rows.length > 10"), any(true))
		expect.Equal(t, "what was not tried", p.Eval("[...document.querySelectorAll('#untried + .scroll th')].map(c => c.innerText).includes('vsftpd')"), any(true))
	})
	t.Run("a page that cannot be written is noticed before anybody is logged in", func(t *testing.T) {
		result := h.Try(t, "pamnetctl check --all-members --html /nosuch/page.html")
		if result.ExitCode != 1 || result.Stdout != "" || !strings.Contains(result.Stderr, "write the report: open /nosuch/") {
			t.Errorf("%+v", result)
		}
	})
	t.Run("a login that ends the process stops no other one", func(t *testing.T) {
		expect.Check(t, h.PAM("ending", "session required pam_permit.so", "session required pam_exec.so /usr/local/sbin/ends"))
		expect.Check(t, h.WriteFile("/usr/local/sbin/ends", "#!/bin/sh\n[ $PAM_USER != gus ] || kill -KILL $PPID", 0o755))
		result := h.Try(t, "pamnetctl check --user gina --user gus --user olga --service ending --html /var/ending.html")
		expect.Equal(t, "end", fmt.Sprint(result.ExitCode, " ", result.Stderr), "1 pamnetctl: check: gus through ending: the process in the session: it has ended unexpectedly\n"+
			"pamnetctl: check: 1 login could not be tried\n")
		expect.Equal(t, "users", strings.Join(regexp.MustCompile(`(?m)^g\w+|^olga`).FindAllString(result.Stdout, -1), " "), "gina olga")
		h.Bash(t, "grep 'The check is not complete: 1 login could not be tried' /var/ending.html; grep 'gus through ending' /var/ending.html; rm /etc/pam.d/ending")
	})
	t.Run("interrupted, it tells what it knows", func(t *testing.T) {
		expect.Check(t, h.PAM("slow", "session required pam_permit.so", "session required pam_newnet.so", "session required pam_exec.so /usr/local/sbin/hang"))
		expect.Check(t, h.WriteFile("/usr/local/sbin/hang", "#!/bin/sh\n[ $PAM_USER != nina ] || { touch /var/hangs; sleep 1000; }", 0o755))
		result := h.Try(t, `pamnetctl check --user olga --user nina --user ulf --service su --service slow --json & until [ -e /var/hangs ]; do sleep 0.01; done; kill $!; wait $!`)
		tried := parse[[]report](t, result.Stdout)
		last := tried[len(tried)-1]
		expect.Equal(t, "the last login", fmt.Sprint(len(tried), last.User, last.Service, result.ExitCode), "3ninasu1")
		if !strings.Contains(result.Stderr, "interrupted") {
			t.Errorf("%+v", result)
		}
	})
	t.Run("a service that nobody logs in through", func(t *testing.T) {
		r := h.check(t, 1, "olga --service vsftpd")
		expect.Equal(t, "problems", fmt.Sprint(r.Problems), "[nobody logs in through vsftpd: its program vsftpd is not installed]")
	})
	t.Run("a group that is not the one", func(t *testing.T) {
		h.Bash(t, "sed -i 's/pam_newnet.so/& group=newnett/' /etc/pam.d/sshd")
		result := h.Try(t, "pamnetctl check --all-members")
		if result.ExitCode != 1 || !strings.Contains(masked(result.Stdout), "nina  host  -  ") {
			t.Errorf("%+v", result)
		}
	})
}
