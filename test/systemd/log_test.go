// SPDX-License-Identifier: GPL-2.0-or-later

package systemd

import (
	"strings"
	"testing"
)

// The journal tells who has sent a line, also one in which a user names another program.
func TestPamnetctlLogTakesNoLineOfAUsersForOneOfTheModules(t *testing.T) {
	h := start(t)
	h.ssh("ulf", `cp /usr/bin/logger su
		logger -p authpriv.info -t sshd 'pam_usernet(sshd:session): "ulf" refused: forged by logger'
		./su -p authpriv.info -t sshd 'pam_usernet(sshd:session): "ulf" refused: forged by a file of this name'
		logger -p authpriv.info -t sshd 'the last line'`)
	h.run("until journalctl --sync && journalctl --quiet --since=-1h | grep -q 'the last line'; do sleep 0.05; done")
	log := h.run("pamnetctl log ulf --since=1h")
	var first, proven string
	for line := range strings.Lines(log) {
		if strings.Contains(line, " refused: ") {
			first += line
		} else if strings.Contains(line, " sshd ") && !strings.Contains(line, " ? ") {
			proven += line
		}
	}
	if strings.Contains(first, "forged by logger") || !strings.Contains(first, "  ?  ulf   sshd") || !strings.Contains(first, "forged by a file") ||
		!strings.Contains(proven, `pam_usernet  "ulf": `) {
		t.Errorf("the log is\n%s", log)
	}
}
