// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"strings"
	"testing"

	"libpam-net/test/expect"
)

func TestCron(t *testing.T) {
	t.Parallel()
	h := prepared(t)
	checkUnchanged := h.remember(t)
	t.Run("a job sees its user's network", func(t *testing.T) {
		h.checkViews(t, func(t *testing.T, user string) string {
			h.startJob(t, user, "/usr/local/bin/view >view.new && mv view.new view")
			defer h.stopJobs(t, user)
			view := "/home/" + user + "/view"
			expect.Eventually(t, "the job has run", func() bool {
				_, err := h.Stat(view)
				return err == nil
			})
			return h.Bash(t, "cat $1; rm $1", view)
		})
	})
	t.Run("a job that is refused does not run", func(t *testing.T) {
		h.Bash(t, "chmod 777 /etc/netns/ulf")
		h.startJob(t, "ulf", "touch /tmp/ran")
		expect.Eventually(t, "the log says so", func() bool {
			return strings.Contains(h.log(t), `pam_usernet(cron:session): "ulf" refused: `)
		})
		h.stopJobs(t, "ulf")
		checkUnchanged(t)
		if _, err := h.Stat("/tmp/ran"); err == nil {
			t.Error("the job ran")
		}
	})
	t.Run("nothing is left but the networks with a name", checkUnchanged)
}

// startJob starts cron with a job that runs at once. Any but @reboot would wait
// for a full minute.
func (h *host) startJob(t *testing.T, user, command string) {
	t.Helper()
	h.Bash(t, `echo "@reboot $2" | crontab -u $1 -`, user, command)
	expect.Equal(t, "crontab", h.Bash(t, "stat -c '%U %G %a' /var/spool/cron/crontabs/$1", user), user+" crontab 600")
	expect.Check(t, h.StartCron())
}

func (h *host) stopJobs(t *testing.T, user string) {
	t.Helper()
	h.Bash(t, "crontab -u $1 -r; kill $(cat /run/crond.pid); rm /run/crond.reboot", user)
}
