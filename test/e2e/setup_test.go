// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

const setupProgram = "/usr/local/libexec/uplink"

// withSetup is a machine on which ulf and gina get a setup program for their
// networks. The directories of the program are root's alone.
func withSetup(t *testing.T, program string) *host {
	t.Helper()
	h := newMachine(t)
	h.Bash(t, "mkdir -p /usr/local/libexec; chmod 755 /usr/local /usr/local/libexec; chown root:root /usr/local /usr/local/libexec")
	expect.Check(t, h.WriteFile(setupProgram, "#!/bin/sh\n"+program+"\n", 0o755))
	expect.Check(t, h.PAM("sshd", "account required pam_permit.so", "session required pam_permit.so",
		"session required pam_groupnet.so setup="+setupProgram+" timeout=20",
		"session required pam_usernet.so setup="+setupProgram+" timeout=20"))
	expect.Check(t, h.StartSSHD())
	return h
}

func TestASetupProgramGivesANetworkItsUplinkBeforeTheFirstLogin(t *testing.T) {
	t.Parallel()
	h := withSetup(t, `
		exec 2>&1
		echo "$# $1 $2; $PAM_USER of $PAM_SERVICE from $PAM_RHOST; $NETNS at $NETNS_PATH"
		env | cut -d= -f1 | sort | tr '\n' ' '; echo
		echo "descriptors $(ls -l /proc/$$/fd | grep -cE 'socket|libpam-net')"
		echo "in $(readlink /proc/self/ns/net) and $(readlink /proc/self/ns/mnt)"
		ip link add "up-$2" type veth peer name eth0 netns "$2" || exit
		ip -n "$2" address add 10.1.1.1/24 dev eth0 && ip -n "$2" link set eth0 up && ip link set "up-$2" up`)
	var log []string
	log = h.logOf(t, func() {
		for range 2 {
			expect.Equal(t, "ulf's interfaces", h.Bash(t, "ssh ulf@127.0.0.1 'echo $(ls /sys/class/net)'"), "eth0 lo")
		}
		expect.Equal(t, "gina's interfaces", h.Bash(t, "ssh gina@127.0.0.1 'echo $(ls /sys/class/net)'"), "eth0 lo")
		expect.Equal(t, "gus's interfaces", h.Bash(t, "ssh gus@127.0.0.1 'echo $(ls /sys/class/net)'"), "eth0 lo")
	})
	log = slices.DeleteFunc(log, func(l string) bool { return !strings.Contains(l, "setup of") })
	machine := h.Bash(t, "echo in $(readlink /proc/self/ns/net) and $(readlink /proc/self/ns/mnt)")
	const environment = "NETNS NETNS_PATH PAM_RHOST PAM_SERVICE PAM_USER PATH PWD "
	var want []string
	for _, c := range []struct{ module, name, user string }{{"pam_usernet", "ulf", "ulf"}, {"pam_groupnet", "lab", "gina"}} {
		for _, line := range []string{
			fmt.Sprintf("2 up %s; %s of sshd from 127.0.0.1; %s at /run/netns/%s", c.name, c.user, c.name, c.name),
			environment, "descriptors 0", machine,
		} {
			want = append(want, fmt.Sprintf("%s(sshd:session): setup of %q: %s", c.module, c.name, line))
		}
	}
	if len(log) != len(want) {
		t.Fatalf("the log says %q, not %q", log, want)
	}
	for i := range want {
		if !strings.HasSuffix(strings.TrimRight(log[i], " "), strings.TrimRight(want[i], " ")) {
			t.Errorf("the log says %q, not %q", log[i], want[i])
		}
	}
}

func TestFirstLoginsWaitForTheSetupOfTheirNetworkAlone(t *testing.T) {
	t.Parallel()
	h := withSetup(t, `[ "$2" = lab ] && exit; echo started >/run/started; while [ ! -e /run/go-on ]; do sleep 0.05; done; touch /run/has-run-$$`)
	logins := make([]*dialogue, 5)
	for i := range logins {
		logins[i] = h.start(t, "ssh", "ulf@127.0.0.1", "readlink /proc/self/ns/net")
	}
	expect.Eventually(t, "the program runs, and the others wait", func() bool {
		waiting := strings.Count(h.Try(t, "cat /proc/locks").Stdout, "-> POSIX")
		return h.Try(t, "[ -e /run/started ]").ExitCode == 0 && waiting >= len(logins)-1
	})
	expect.Equal(t, "a login to another network meanwhile", h.Bash(t, "ssh gina@127.0.0.1 echo in"), "in")
	h.Bash(t, "touch /run/go-on")
	nets := map[string]bool{}
	for _, l := range logins {
		output, code := l.end()
		expect.Equal(t, "exit code", code, 0)
		nets[output] = true
	}
	expect.Equal(t, "networks", len(nets), 1)
	expect.Equal(t, "runs", h.Bash(t, "ls /run | grep -c has-run"), "1")
}

func TestNobodyIsLetInWhereTheSetupFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ program, reason string }{
		"it exits with an error": {"echo no cable; exit 4", "exit status 4"},
		"it is killed":           {"kill -9 $$", "signal: killed"},
		"it does not end":        {"sleep 1000", "did not end in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := withSetup(t, c.program)
			h.Bash(t, "sed -i s/timeout=20/timeout=4/ /etc/pam.d/sshd")
			before := h.processes(t)
			log := h.logOf(t, func() {
				if result := h.Try(t, "ssh ulf@127.0.0.1 echo let in"); strings.Contains(result.Stdout, "let in") {
					t.Errorf("%q", result.Stdout)
				}
			})
			if !strings.Contains(strings.Join(log, "\n"), "setup program "+setupProgram+": "+c.reason) {
				t.Errorf("the log does not say %q: %q", c.reason, log)
			}
			expect.Equal(t, "handles", h.Bash(t, "ls /run/netns"), "")
			h.awaitProcesses(t, before)

			expect.Check(t, h.WriteFile(setupProgram, "#!/bin/sh\n", 0o755))
			expect.Equal(t, "the next login", h.Bash(t, "ssh ulf@127.0.0.1 ls /sys/class/net"), "lo")
		})
	}
	t.Run("others may write the program", func(t *testing.T) {
		t.Parallel()
		h := withSetup(t, "touch /run/has-run")
		h.Bash(t, "chmod g+w "+setupProgram)
		log := h.logOf(t, func() {
			if result := h.Try(t, "ssh ulf@127.0.0.1 echo let in"); strings.Contains(result.Stdout, "let in") {
				t.Errorf("%q", result.Stdout)
			}
		})
		if !strings.Contains(strings.Join(log, "\n"), "can be written by others than root") {
			t.Errorf("%q", log)
		}
		expect.Equal(t, "runs and handles", h.Bash(t, "ls /run/netns; ls /run | grep has-run || true"), "")
	})
}
