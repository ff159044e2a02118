// SPDX-License-Identifier: GPL-2.0-or-later

package systemd

import (
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
)

const net = machine.OwnNet

// users of all kinds, with the named network that each belongs in.
var users = map[string]string{"olga": "", "nina": "", "ulf": "ulf", "gina": "lab", "gus": "lab"}

// own is the network of the machine itself.
func (h host) own() string {
	h.t.Helper()
	return h.run("readlink /proc/1/ns/net")
}

// named is the network namespace of a name.
func (h host) named(name string) string {
	h.t.Helper()
	return h.run(`stat --dereference --format 'net:[%i]' "/run/netns/$1"`, name)
}

// belongs expects of a network that it is the one for a user: a named one, the
// machine's for olga, and neither for nina.
func (h host) belongs(what, user, network string) {
	h.t.Helper()
	switch name := users[user]; {
	case name != "":
		expect.Equal(h.t, what+": the network of "+user, network, h.named(name))
	case user == "olga":
		expect.Equal(h.t, what+": the network of "+user, network, h.own())
	case !strings.HasPrefix(network, "net:[") || network == h.own() || strings.Contains(h.run("stat -Lc 'net:[%i]' /run/netns/* || :"), network):
		h.t.Errorf("%s: the network of %s is %q, the machine's %q, or one with a name", what, user, network, h.own())
	}
}

func TestALoginOverSSHIsInItsNetworkAndASessionOfLogind(t *testing.T) {
	h := start(t)
	for user := range users {
		got := strings.Fields(h.ssh(user, net+`
			loginctl show-session "$XDG_SESSION_ID" --value --property Name
			grep -c '/session-.*scope$' /proc/self/cgroup
			ls -m /sys/class/net | tr -d ' '
			ip -oneline link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | paste -sd ,`))
		if len(got) != 5 || got[1] != user || got[2] == "0" || got[3] != got[4] {
			t.Fatalf("session of %s: %q", user, got)
		}
		h.belongs("ssh", user, got[0])
	}
}

// groupsSeen lists what is mounted for control groups.
const groupsSeen = `findmnt --raw --noheadings --output TARGET,FSTYPE,FS-OPTIONS --submounts /sys/fs/cgroup`

func TestTheSystemdOfAUserIsInside(t *testing.T) {
	h := start(t)
	for user := range users {
		t.Run(user, func(t *testing.T) {
			h := host{h.Debian, t}
			manager := h.run(`systemctl start "user@$(id -u "$1")"
				readlink "/proc/$(systemctl show --value --property MainPID "user@$(id -u "$1")")/ns/net"`, user)
			h.belongs("systemd --user", user, manager)

			// All by one login, which keeps the manager.
			got := strings.Split(h.ssh(user, `
				set -e
				systemd-run --user --quiet --pipe --wait `+net+`
				rm -f timer; systemd-run --user --quiet --on-active=0 sh -c '`+net+` >timer.new; mv timer.new timer'
				until [ -e timer ]; do sleep 0.01; done; cat timer
				systemctl --user daemon-reexec
				systemd-run --user --quiet --pipe --wait `+net+`
				systemd-run --user --quiet --scope `+net+`
				systemctl --user status >/dev/null
				systemctl --user is-system-running --wait
				busctl --user call org.freedesktop.DBus / org.freedesktop.DBus GetId >/dev/null
				busctl --system call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager ListSessions >/dev/null
				loginctl show-user "$USER" --value --property State
				`+net), "\n")
			if len(got) != 7 {
				t.Fatalf("got %q", got)
			}
			login := got[6]
			if same := login == manager; same == (user == "nina") {
				t.Errorf("the network of the login is %s, that of systemd --user %s", login, manager)
			}
			for i, want := range []string{
				"systemd-run --user: " + manager, "a timer: " + manager, "systemd-run --user, once it has executed itself anew: " + manager,
				"systemd-run --scope: " + login, "the manager is running", "the user is active",
			} {
				if !strings.HasSuffix(want, " "+got[i]) {
					t.Errorf("%s: got %s", want, got[i])
				}
			}

			want := h.run(groupsSeen)
			expect.Equal(t, "control groups in a login", h.ssh(user, groupsSeen), want)
			expect.Equal(t, "control groups in a unit of the user", h.ssh(user, "systemd-run --user --quiet --pipe --wait "+groupsSeen), want)
		})
	}
}

func TestAManagerThatLingersIsInside(t *testing.T) {
	h := start(t)
	for user := range users {
		got := h.run(`
			unit=user@$(id -u "$1")
			loginctl terminate-user "$1" || :
			while systemctl is-active --quiet "$unit"; do sleep 0.01; done
			loginctl enable-linger "$1"
			until systemctl is-active --quiet "$unit"; do sleep 0.01; done
			[ -z "$(loginctl show-user "$1" --value --property Sessions)" ]
			readlink "/proc/$(systemctl show --value --property MainPID "$unit")/ns/net"
			loginctl disable-linger "$1"`, user)
		h.belongs("a manager that lingers", user, got)
	}
}

func TestTheHelperOfPAMHasOneThreadAndClosesTheSession(t *testing.T) {
	h := start(t)
	for _, user := range []string{"nina", "ulf", "gina"} {
		got := h.run(`
			unit=user@$(id -u "$1")
			loginctl terminate-user "$1" 2>/dev/null || :
			while systemctl is-active --quiet "$unit" || [ -e "/run/user/$(id -u "$1")" ]; do sleep 0.01; done
			grep -v ' /run/user/' /proc/1/mountinfo >/tmp/before
			systemctl start "$unit"
			manager=$(systemctl show --value --property MainPID "$unit")
			helper=$(pgrep --parent "$manager" --full --exact '\(sd-pam\)')
			readlink "/proc/$manager/ns/net" "/proc/$helper/ns/net"
			sed -n 's/^Threads:\t//p' "/proc/$helper/status"
			! grep /pam_ "/proc/$manager/maps" >&2
			systemctl stop "$unit"
			while [ -e "/proc/$helper" ]; do sleep 0.01; done
			systemctl show --value --property Result "$unit"
			while [ -e "/run/user/$(id -u "$1")" ]; do sleep 0.01; done
			grep -v ' /run/user/' /proc/1/mountinfo | diff /tmp/before -`, user)
		lines := strings.Split(got, "\n")
		if len(lines) != 4 || lines[0] != lines[1] {
			t.Fatalf("%s: got %q", user, lines)
		}
		h.belongs("(sd-pam)", user, lines[1])
		expect.Equal(t, "threads of (sd-pam), and how "+user+"'s manager ended", strings.Join(lines[2:], " "), "1 success")
	}
}

// docs/SECURITY.md says so.
func TestAManagerFromBeforeTheUserBecameAMemberIsOutsideUntilItEnds(t *testing.T) {
	h := start(t)
	const job = "systemd-run --user --quiet --pipe --wait " + net
	h.run("useradd --create-home --shell /bin/bash otto; loginctl enable-linger otto")
	expect.Equal(t, "a job before", h.ssh("otto", job), h.own())
	h.run("gpasswd --add otto usernet")
	expect.Equal(t, "a login", h.ssh("otto", net), h.named("otto"))
	expect.Equal(t, "a job that the login starts", h.ssh("otto", job), h.own())
	h.run(`loginctl terminate-user otto; loginctl disable-linger otto
		while systemctl is-active --quiet "user@$(id -u otto)"; do sleep 0.01; done`)
	expect.Equal(t, "a job of the next login", h.ssh("otto", job), h.named("otto"))
	h.end("otto")
	h.run("userdel --force --remove otto")
}

func TestAUserMakesANetworkOfOnesOwnInASession(t *testing.T) {
	h := start(t)
	h.outside()
	differs := func(front string) {
		t.Helper()
		got := strings.Fields(h.ssh("ulf", net+"; "+front+net))
		if len(got) != 2 || got[0] != h.named("ulf") || got[1] == got[0] || got[1] == h.own() {
			t.Errorf("networks of a session, and by %s in it: %q", front, got)
		}
	}
	differs("unshare --user --map-root-user --net ")
	if h.try("command -v pasta").ExitCode != 0 {
		t.Skip("there is no passt in out/debian: remove that, make deps")
	}
	differs("pasta --config-net -- ")
	expect.Equal(t, "what is reached from there, through the user's network and its uplink",
		h.ssh("ulf", "pasta --config-net -- bash -c '"+fetch+"'"), "SSH-2.0")
}
