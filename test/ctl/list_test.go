// SPDX-License-Identifier: GPL-2.0-or-later

package ctl

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// listed is what `pamnetctl list --json` prints of a session.
type listed struct {
	User       string
	UID        int
	Service    string
	From       string
	Leader     int
	Since      time.Time
	Inode      uint64
	Name       string
	Owner      string
	Processes  int
	Interfaces []struct {
		Name      string
		Up        bool
		Addresses []string
		In        uint64 `json:"bytes_in"`
		Out       uint64 `json:"bytes_out"`
	}
	In  uint64 `json:"bytes_in"`
	Out uint64 `json:"bytes_out"`
}

func (h *host) list(t *testing.T) []listed {
	t.Helper()
	return parse[[]listed](t, h.Bash(t, "pamnetctl list --json"))
}

// session starts a login that lasts until the test ends.
func (h *host) session(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	expect.Check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Cancel()
		_ = cmd.Wait()
	})
}

func TestSessionsAreListed(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	expect.Check(t, h.StartSSHD())
	expect.Check(t, h.PAM("cron", "account required pam_permit.so", "session required pam_permit.so", "session required pam_newnet.so selfmanaged"))
	h.Bash(t, `ip netns add ulf; ip -n ulf link set lo up; ip link add to-ulf type veth peer name eth0 netns ulf
		ip address add 198.51.100.1/24 dev to-ulf; ip link set to-ulf up
		ip -n ulf address add 198.51.100.2/24 dev eth0; ip -n ulf link set eth0 up
		mkdir -p /etc/netns/ulf; echo nameserver 198.51.100.53 >/etc/netns/ulf/resolv.conf`)
	if output := h.Bash(t, "pamnetctl list"); output != strings.Join(strings.Fields("USER SERVICE FROM LEADER SINCE NETWORK OWNER PROCESSES IN OUT INTERFACES"), "  ") {
		t.Errorf("the list of nothing: %q", output)
	}

	// What is no session: other PIDs, and a service that is shut off from the network.
	h.session(t, h.Command("unshare", "--net", "--pid", "--fork", "sleep", "1000"))
	h.session(t, h.Command("unshare", "--net", "sleep", "1000"))

	start := time.Now()
	h.session(t, h.SSHCommand("ulf", "sleep 1000 & touch /tmp/ulf; wait"))
	h.session(t, h.SSHCommand("olga", "sleep 1000"))
	h.session(t, h.Command("su", "gina", "-c", "touch /tmp/gina; sleep 1000; true"))
	h.session(t, h.SSHCommand("gus", "touch /tmp/gus; sleep 1000; true"))
	h.session(t, h.SSHCommand("nina", "touch /tmp/one; sleep 1000; true"))
	h.Bash(t, "until [ -e /tmp/one ]; do sleep 0.01; done")
	expect.Check(t, h.PAM("su", "auth required pam_permit.so", "account required pam_permit.so",
		"session required pam_permit.so", "session required pam_newnet.so selfmanaged"))
	h.session(t, h.Command("su", "nina", "-c", "/sbin/ip link add $'evil\\e' type bridge; touch /tmp/two; sleep 1000; true"))
	h.Bash(t, "until [ -e /tmp/ulf ] && [ -e /tmp/gina ] && [ -e /tmp/gus ] && [ -e /tmp/two ]; do sleep 0.01; done; ping -qc1 198.51.100.2")

	all := h.list(t)
	t.Run("who is isolated", func(t *testing.T) {
		var got []string
		for _, s := range all {
			got = append(got, fmt.Sprintf("%s %s %q %q %q %d", s.User, s.Service, s.From, s.Name, s.Owner, s.Processes))
			if s.Since.Before(start.Add(-2*time.Second)) || s.Since.After(time.Now().Add(2*time.Second)) {
				t.Errorf("%s: since %s", s.User, s.Since)
			}
		}
		expect.Equal(t, "sessions", strings.Join(got, "\n"),
			`gina su "" "lab" "" 3`+"\n"+`gus sshd "127.0.0.1" "lab" "" 4`+"\n"+`nina sshd "127.0.0.1" "" "" 4`+"\n"+`nina su "" "" "nina" 3`+"\n"+`ulf sshd "127.0.0.1" "ulf" "" 4`)
	})
	ulf, nina := all[4], all[2]
	t.Run("and in what", func(t *testing.T) {
		expect.Equal(t, "interface", fmt.Sprintf("%s %v %s", ulf.Interfaces[1].Name, ulf.Interfaces[1].Up, ulf.Interfaces[1].Addresses[0]), "eth0 true 198.51.100.2/24")
		expect.Equal(t, "inode", fmt.Sprint(ulf.Inode), h.Bash(t, "stat -c %i /run/netns/ulf"))
		if ulf.In < 84 || ulf.Out < 84 || ulf.In != ulf.Interfaces[1].In || nina.In+nina.Out != 0 {
			t.Errorf("bytes: %d and %d, nina's %d", ulf.In, ulf.Out, nina.In+nina.Out)
		}
		expect.Equal(t, "the leader", h.Bash(t, "cat /proc/$1/comm", fmt.Sprint(ulf.Leader)), "sshd")
	})
	t.Run("in a table", func(t *testing.T) {
		table := h.Bash(t, "pamnetctl list")
		for _, part := range []string{"eth0=198.51.100.2/24", "evil?", fmt.Sprintf("ulf   sshd     127.0.0.1  %d ", ulf.Leader)} {
			if !strings.Contains(table, part) {
				t.Errorf("%q is not in\n%s", part, table)
			}
		}
	})
	t.Run("again and again on a terminal", func(t *testing.T) {
		for _, end := range []string{"echo q", `printf '\003'`} {
			result := h.Try(t, `(until grep -q "sessions: 5" /tmp/seen; do sleep 0.01; done; `+end+`; sleep 0.5) |
				timeout 20 script -qefc "trap : INT; stty rows 5 cols 40; pamnetctl list --watch; stty -a" /tmp/seen >/dev/null; echo $?; cat /tmp/seen; rm /tmp/seen`)
			if !strings.HasPrefix(result.Stdout, "0\n") || !strings.Contains(result.Stdout, "... and 4 more") || !strings.Contains(result.Stdout, " icanon ") ||
				strings.Contains(result.Stdout, "198.51") {
				t.Errorf("%s: %+v", end, result)
			}
		}
		result := h.Try(t, "pamnetctl list --watch </dev/null")
		expect.Equal(t, "without one", fmt.Sprint(result.ExitCode, result.Stderr), "1pamnetctl: list: --watch needs a terminal\n")
	})
}

func (h *host) asUlf(t *testing.T, command string) sandbox.Result {
	t.Helper()
	return h.Try(t, fmt.Sprintf("setpriv --reuid %d --clear-groups pamnetctl %s", h.Ulf.UID, command))
}
