// SPDX-License-Identifier: GPL-2.0-or-later

package systemd

import (
	"strings"
	"testing"

	"libpam-net/test/expect"
)

func TestWhateverOpensASessionIsInside(t *testing.T) {
	h := start(t)
	for what, script := range map[string]string{
		"su":                        "su $1 -c '" + net + "'",
		"su -l":                     "su -l $1 -c '" + net + "'",
		"sudo":                      "sudo -u $1 " + net,
		"sudo -i":                   "sudo -i -u $1 " + net,
		"machinectl shell":          "machinectl --quiet shell $1@.host /bin/" + net + " | tr -d '\\r'",
		"pkexec":                    "pkexec --user $1 /bin/" + net + "; :",
		"a manager's job":           "systemd-run --user --machine=$1@.host --quiet --pipe --wait " + net,
		"a unit with a PAM service": "systemd-run --quiet --pipe --wait --uid=$1 --property=PAMName=login " + net,
		"cron": `rm -f /tmp/job.$1 /run/crond.reboot; echo "@reboot $1 ` + net + ` >/tmp/job.$1.new; mv /tmp/job.$1.new /tmp/job.$1" >/etc/cron.d/job
			systemctl reset-failed cron; systemctl restart cron
			until [ -e /tmp/job.$1 ]; do sleep 0.01; done
			rm /etc/cron.d/job; cat /tmp/job.$1`,
		"at": `rm -f /tmp/job.$1; setpriv --reuid=$1 --regid=$1 --init-groups sh -c "echo '` + net + ` >/tmp/job.$1.new; mv /tmp/job.$1.new /tmp/job.$1' | at now 2>/dev/null"
			until [ -e /tmp/job.$1 ]; do sleep 0.01; done
			cat /tmp/job.$1`,
	} {
		t.Run(what, func(t *testing.T) {
			h := host{h.Debian, t}
			for user := range users {
				h.belongs(what, user, h.run("set -o pipefail; cd /; "+script, user))
			}
		})
	}
}

// What systemd starts without a PAM service is no session: docs/SECURITY.md says so.
func TestWhatIsNoSessionIsOutside(t *testing.T) {
	h := start(t)
	for what, script := range map[string]string{
		"a system service with User=": `
			printf '[Service]\nType=oneshot\nUser=%s\nStandardOutput=truncate:/run/job\nExecStart=` + net + `\n' $1 >/run/systemd/system/job.service
			systemctl daemon-reload; systemctl start job; cat /run/job`,
		"systemd-run --uid= by root": "systemd-run --quiet --pipe --wait --uid=$1 " + net,
		"runuser by root":            "runuser -u $1 " + net,
	} {
		for user := range users {
			expect.Equal(t, what+": the network of "+user, h.run(script, user), h.own())
		}
	}
	t.Run("and a user starts none", func(t *testing.T) {
		h := host{h.Debian, t}
		for user := range users {
			got := h.ssh(user, "! systemd-run --no-ask-password --quiet --pipe --wait "+net+" 2>&1")
			if !strings.Contains(got, "authentication required") {
				t.Errorf("systemd-run by %s: %q", user, got)
			}
			if user == "olga" {
				continue
			}
			got = h.ssh(user, "! systemd-run --user --pipe --wait --collect --property=NetworkNamespacePath=/proc/1/ns/net "+net+" 2>&1")
			if !strings.Contains(got, "status=225") || strings.Contains(got, "net:[") { // EXIT_NETWORK
				t.Errorf("a job of %s that asks for the machine's network: %q", user, got)
			}
		}
	})
}

// What process 1 starts for root is where process 1 is: docs/SECURITY.md says so.
func TestRootOfASessionLeavesItByAskingSystemd(t *testing.T) {
	h := start(t)
	h.run("echo 'ulf ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/ulf")
	expect.Equal(t, "network of sudo", h.ssh("ulf", "sudo "+net), h.named("ulf"))
	expect.Equal(t, "network of sudo systemd-run", h.ssh("ulf", "sudo systemd-run --quiet --pipe --wait "+net), h.own())
	h.run("rm /etc/sudoers.d/ulf")
}

func TestAServiceSharesTheNetworkOfAUser(t *testing.T) {
	h := start(t)
	h.end("ulf")
	// Nobody has logged in: the user's systemd makes the network, where users may linger.
	got := h.run(`
		loginctl enable-linger ulf
		unit=user@$(id -u ulf).service
		systemd-run --quiet --pipe --wait --property=NetworkNamespacePath=/run/netns/ulf \
			--property=Requires=$unit --property=After=$unit ` + net + `
		loginctl disable-linger ulf`)
	expect.Equal(t, "network of a service", got, h.named("ulf"))
	expect.Equal(t, "network of a login", h.ssh("ulf", net), got)
	const connect = "head -c 7 </dev/tcp/127.0.0.1/7777"
	h.run("systemd-run --quiet --collect --unit=server --property=Type=notify --property=NetworkNamespacePath=/run/netns/ulf /usr/sbin/sshd -D -p 7777")
	expect.Equal(t, "what the user's session gets from it", h.ssh("ulf", connect), "SSH-2.0")
	if result := h.try(connect); result.ExitCode == 0 {
		t.Errorf("the machine gets %q from it", result.Stdout)
	}
	h.run("systemctl stop server")
}

func TestALoginToASocketIsInside(t *testing.T) {
	h := start(t)
	h.run("systemctl stop ssh; systemctl start ssh.socket")
	for user := range users {
		h.belongs("ssh.socket", user, h.ssh(user, net))
	}
	h.run("systemctl stop ssh.socket ssh; systemctl start ssh")
}

func TestALoginServiceWithMountsOfItsOwnPublishesNetworks(t *testing.T) {
	h := start(t)
	h.run(`mkdir -p /run/systemd/system/ssh.service.d
		printf '[Service]\nPrivateTmp=yes\n' >/run/systemd/system/ssh.service.d/test.conf
		systemctl daemon-reload; systemctl restart ssh
		[ "$(readlink /proc/1/ns/mnt)" != "$(readlink "/proc/$(systemctl show --value --property MainPID ssh)/ns/mnt")" ]`)
	h.end("uta")
	inside := h.ssh("uta", net)
	expect.Equal(t, "network that process 1 sees", h.named("uta"), inside)
	expect.Equal(t, "network that a service sees", h.run("systemd-run --quiet --pipe --wait --property=NetworkNamespacePath=/run/netns/uta "+net), inside)
	expect.Equal(t, "network of the next session", h.ssh("uta", net), inside)
	h.run("rm -r /run/systemd/system/ssh.service.d; systemctl daemon-reload; systemctl restart ssh")
	expect.Equal(t, "network of a session after a restart of sshd", h.ssh("uta", net), inside)
}
