// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// newLogins is a lab on which ulf, and gina and gus of the group groupnet-lab, log
// in over ssh, with pamnet-uplink for a setup program.
func newLogins(t *testing.T) *lab {
	t.Helper()
	m := machine.Start(t)
	expect.Check(t, m.Install(filepath.Join(machine.Out(), "pamnet-uplink"), program, 0o755))
	expect.Check(t, m.PAM("sshd", "account required pam_permit.so", "session required pam_permit.so",
		"session required pam_groupnet.so setup="+program,
		"session required pam_usernet.so setup="+program))
	expect.Check(t, m.StartSSHD())
	l := &lab{m.Sandbox, t, patience}
	l.sh(network)
	return l
}

// login lets a user ask a server, in the shell's own way.
func (l *lab) login(user, address string) sandbox.Result {
	l.t.Helper()
	result, err := l.SSH(l.t.Context(), user, fmt.Sprintf("exec bash -c 'exec 3<>/dev/tcp/%s/80; cat <&3'", address))
	expect.Check(l.t, err)
	return result
}

func TestALoginComesWithAnUplinkThatPruneTakesBack(t *testing.T) {
	l := newLogins(t)
	l.serve("outside", ":80", "outside")
	before := l.state()

	l.configure("[ipv4]\nusers = '10.0.0.0'\n")
	if result := l.login("ulf", outside4); result.ExitCode == 0 || contains(result.Stdout, "outside") {
		t.Errorf("a login with a wrong configuration: %+v", result)
	}
	log, err := l.Log()
	expect.Check(t, err)
	if want := `setup of "ulf": pamnet-uplink: ` + configuration + ": ipv4.users: "; !contains(log, want) {
		t.Errorf("the log does not say %q", want)
	}
	same(t, "state after that", l.state(), before)

	l.configure("")
	for _, user := range []string{"ulf", "gina", "gus", "ulf"} {
		if user == "gus" { // who joins a network that another login has made
			l.sh("nft flush ruleset")
		}
		for address, want := range map[string]string{outside4: gateway4, outside6: gateway6} {
			result := l.login(user, address)
			expect.Equal(t, fmt.Sprintf("what %s hears, having logged in to ask %s", user, address), result.Stdout, "outside "+want)
		}
	}
	if devices := strings.Fields(l.devices()); len(devices) != 2 {
		t.Errorf("the uplinks of ulf and of the group are %q", devices)
	}

	expect.Eventually(t, "nobody is in a namespace any more", func() bool {
		l.sh("pamnetctl prune")
		return l.devices() == ""
	})
	same(t, "state in the end", l.state(), before)
}

func TestLoginsAtOnceRepairTheirUplinkOnce(t *testing.T) {
	l := newLogins(t)
	l.serve("outside", ":80", "outside")
	l.login("gina", outside4) // the network stays
	for range 3 {
		l.sh("nft flush ruleset")
		heard := make(chan string)
		const logins = 6
		for i := range logins {
			go func() {
				result, err := l.SSH(t.Context(), []string{"gina", "gus"}[i%2],
					fmt.Sprintf("exec bash -c 'exec 3<>/dev/tcp/%s/80; cat <&3'", outside4))
				heard <- fmt.Sprint(result.Stdout, result.Stderr, err)
			}()
		}
		for range logins {
			expect.Equal(t, "what is heard", <-heard, "outside "+gateway4+"<nil>")
		}
	}
}

func TestALoginRepairsTheUplinkOrIsRefused(t *testing.T) {
	l := newLogins(t)
	l.serve("outside", ":80", "outside")
	expect.Equal(t, "what ulf hears", l.login("ulf", outside4).Stdout, "outside "+gateway4)
	l.sh("nft flush ruleset")
	l.configure("mtu = 1\n")
	if result := l.login("ulf", outside4); result.ExitCode == 0 || contains(result.Stdout, "outside") {
		t.Errorf("a login to an uplink that cannot be repaired: %+v", result)
	}
	log, err := l.Log()
	expect.Check(t, err)
	if want := "repair uplink: setup program " + program; !contains(log, want) {
		t.Errorf("the log does not say %q", want)
	}
	l.configure("")
	expect.Equal(t, "what ulf hears at the next login", l.login("ulf", outside4).Stdout, "outside "+gateway4)
}
