// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// patience ends what hangs. Everything here should take milliseconds.
const patience = 30 * time.Second

// program is where the machine has pamnet-uplink.
const program = "/usr/libexec/libpam-net/pamnet-uplink"

const configuration = "/etc/security/pamnet-uplink.toml"

// network is what the machine has before anything is connected: a server outside,
// which knows no way back to the namespaces, and a second network, with a machine
// that takes this one for its router. Reverse path filters are strict, and what is
// refused is always told.
const network = `set -e
echo nameserver 203.0.113.53 >/etc/resolv.conf
echo 0 >/proc/sys/net/ipv4/icmp_ratelimit
echo 0 >/proc/sys/net/ipv6/icmp/ratelimit
echo 1 | tee /proc/sys/net/ipv4/conf/{all,default}/rp_filter
ip -batch - <<END
netns add anna
netns add bert
netns add outside
netns add second
link add outside type veth peer name eth0 netns outside
address add 198.51.100.1/30 dev outside
address add 2001:db8:1::1/64 dev outside nodad
link set outside up
link add second type veth peer name eth0 netns second
address add 198.51.100.5/30 dev second
address add 2001:db8:5::1/64 dev second nodad
link set second up
END
ip -n anna link set lo up
ip -n bert link set lo up
ip -n outside -batch - <<END
link set lo up
address add 198.51.100.2/30 dev eth0
address add 2001:db8:1::2/64 dev eth0 nodad
link set eth0 up
route add 198.51.100.4/30 via 198.51.100.1
route add 2001:db8:5::/64 via 2001:db8:1::1
END
ip -n second -batch - <<END
link set lo up
address add 198.51.100.6/30 dev eth0
address add 2001:db8:5::2/64 dev eth0 nodad
link set eth0 up
route add default via 198.51.100.5
route add default via 2001:db8:5::1
END
`

// Addresses of the lab.
const (
	outside4, outside6 = "198.51.100.2", "2001:db8:1::2"
	gateway4, gateway6 = "198.51.100.1", "2001:db8:1::1" // the machine, seen from outside
	second4, second6   = "198.51.100.6", "2001:db8:5::2"

	// Of the first two users.
	anna4, anna6 = "100.64.39.17", "fd5f:72fa:75ba::2711"
	bert4, bert6 = "100.64.39.19", "fd5f:72fa:75ba::2713"
)

// lab is a machine with pamnet-uplink, the users anna (uid 5000) and bert (5001)
// and their namespaces, not connected yet.
type lab struct {
	*sandbox.Sandbox
	t        *testing.T
	patience time.Duration // with a script
}

func newLab(t *testing.T) *lab {
	t.Helper()
	expect.Check(t, machine.Build())
	s, err := sandbox.New()
	if errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	expect.Check(t, s.Install(filepath.Join(machine.Out(), "pamnet-uplink"), program, 0o755))
	expect.Check(t, s.AppendFile("/etc/passwd", "anna:x:5000:100::/:/bin/sh\nbert:x:5001:100::/:/bin/sh\n"))
	l := &lab{s, t, patience}
	l.sh(network)
	return l
}

// with is the lab for a subtest.
func (l *lab) with(t *testing.T) *lab { return &lab{l.Sandbox, t, l.patience} }

// run runs pamnet-uplink.
func (l *lab) run(args ...string) sandbox.Result {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	result, err := l.Run(ctx, nil, program, args...)
	expect.Check(l.t, err)
	return result
}

// ok runs pamnet-uplink, which has to succeed, and returns what it prints.
func (l *lab) ok(args ...string) string {
	l.t.Helper()
	result := l.run(args...)
	if err := result.Err(); err != nil {
		l.t.Fatalf("pamnet-uplink %q: %v", args, err)
	}
	return result.Stdout + result.Stderr
}

// fails runs pamnet-uplink, which has to fail and to say these things.
func (l *lab) fails(says []string, args ...string) {
	l.t.Helper()
	result := l.run(args...)
	if result.ExitCode != 1 {
		l.t.Errorf("pamnet-uplink %q: exit status %d", args, result.ExitCode)
	}
	for _, text := range says {
		if !strings.Contains(result.Stderr, text) {
			l.t.Errorf("pamnet-uplink %q does not say %q but %q", args, text, result.Stderr)
		}
	}
}

// configure writes the configuration.
func (l *lab) configure(text string) {
	l.t.Helper()
	expect.Check(l.t, l.WriteFile(configuration, text, 0o644))
}

// sh runs a script that has to succeed, and returns what it prints.
func (l *lab) sh(script string, args ...string) string {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), l.patience)
	defer cancel()
	result, err := l.Run(ctx, nil, "bash", append([]string{"-c", script, "bash"}, args...)...)
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		l.t.Fatalf("%s %q: %v", script, args, err)
	}
	return strings.TrimSpace(result.Stdout)
}

// forwards tells whether the machine forwards, in both IP versions.
func (l *lab) forwards() string {
	l.t.Helper()
	return l.sh("cat /proc/sys/net/ipv4/conf/all/forwarding /proc/sys/net/ipv6/conf/all/forwarding | tr -d '\n'")
}

// state is a function of bash that describes all that pamnet-uplink changes:
// interfaces, addresses and routes on the host and in the namespaces, the firewall, the
// gate, and all parameters of interfaces. It has a line for each, sorted.
const state = `state() { {
	for n in anna bert; do
		[ -e /run/netns/$n ] || continue
		ip -n $n -o -batch - <<<$'link show type veth\naddress\nroute'
		ip -n $n -6 route
		echo netns $n
	done
	ip -o -batch - <<<$'link show type veth\naddress'
	for d in /sys/class/net/pn*; do
		[ ! -e $d ] || echo "$d: $(tc filter show dev ${d##*/} ingress | grep -o 'pamnet direct-action')"
	done
	ip rule
	ip -6 rule
	ip -6 neigh show proxy
	grep -rs . /proc/sys/net/ipv[46]/conf | grep -v stable_secret
	nft list ruleset || echo nft has failed
	cat /run/libpam-net/uplink.forwarding 2>&1
} | sed -E 's/[0-9]+: //; s/@if[0-9]+//; s/link.ether [^ ]* brd [^ ]*//; s/link-netns[^ ]* [^ ]*//; /fe80::1\/64/!{/fe80::/d}
	s/ state (UP|DOWN|LOWERLAYERDOWN|UNKNOWN)//; s/,LOWER_UP|NO-CARRIER,//g
	s/elements = .//; s/^[[:space:]]*//; s/[,[:space:]}]*$//' | LC_ALL=C sort; }
`

// state describes all that pamnet-uplink changes.
func (l *lab) state() []string {
	l.t.Helper()
	return strings.Split(l.sh(state+"state"), "\n")
}

// same compares two states.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	minus := func(a, b []string) (rest []string) {
		for _, line := range a {
			if !slices.Contains(b, line) {
				rest = append(rest, line)
			}
		}
		return rest
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got, but not wanted:\n%s\nwanted, but not got:\n%s", what,
			strings.Join(minus(got, want), "\n"), strings.Join(minus(want, got), "\n"))
	}
}

// devices are the host's ends of all uplinks.
func (l *lab) devices() string {
	l.t.Helper()
	return l.sh("ls /sys/class/net | grep '^pn' | tr '\n' ' ' || true")
}

func contains(text, part string) bool { return strings.Contains(text, part) }

func address(host string, port int) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(port)
}
