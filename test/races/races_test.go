// SPDX-License-Identifier: GPL-2.0-or-later

// Package races lets logins of the same network namespace race with each other,
// with `ip netns`, and with whoever kills them.
package races

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"libpam-net/test/machine"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

var rounds = flag.Int("races.rounds", 5, "how often each race is run (20 in `make test-races`)")

// host is the program that opens the sessions, built once.
var host string

func TestMain(m *testing.M) {
	sandbox.Main()
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "races")
	if err == nil {
		defer os.RemoveAll(dir)
		var paths pamhost.Paths
		paths, err = pamhost.Build(dir)
		host = paths.Pamhost
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// racetrack is a machine on which scripts open sessions.
type racetrack struct {
	*machine.Machine
	t        *testing.T
	patience time.Duration // with a script
}

// functions are what the scripts are written with. A login prints "ok" and the
// network namespace it is in, or "refused".
const functions = `
login() { # USER
	pamhost --report /dev/null race "$1" -- readlink /proc/self/ns/net >/tmp/out.$2 &&
		echo ok $(cat /tmp/out.$2) || echo refused
}
logins() { # COUNT USER...: at once
	count=$1 pids=; shift
	for user; do
		for n in $(seq $count); do login $user $user.$n & pids="$pids $!"; done
	done
	wait $pids
}
`

func newRacetrack(t *testing.T) *racetrack {
	t.Helper()
	m := machine.Start(t)
	r := &racetrack{m, t, time.Minute}
	service := []string{"session required pam_permit.so"}
	for _, module := range machine.Modules {
		service = append(service, "session required "+module+".so")
	}
	if err := errors.Join(m.Install(host, "/usr/local/bin/pamhost", 0o755), m.PAM("race", service...)); err != nil {
		t.Fatal(err)
	}
	return r
}

// script runs a script with the functions and returns its lines.
func (r *racetrack) script(format string, args ...any) []string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), r.patience)
	defer cancel()
	result, err := r.Sh(ctx, functions+fmt.Sprintf(format, args...))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := result.Err(); err != nil {
		r.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(result.Stdout), "\n")
}

// allIn fails the test unless there are n logins, all in one namespace that is
// not the machine's; it returns that one.
func (r *racetrack) allIn(lines []string, n int) string {
	r.t.Helper()
	if len(lines) != n {
		r.t.Errorf("%d logins have ended, not %d", len(lines), n)
	}
	slices.Sort(lines)
	different := slices.Compact(lines)
	if len(different) != 1 || !strings.HasPrefix(different[0], "ok net:") || different[0] == "ok "+r.own() {
		r.t.Fatalf("the machine is in %s; logins: %v", r.own(), different)
	}
	return strings.TrimPrefix(different[0], "ok ")
}

// noneOutside fails the test if a login was refused or is in the machine's
// namespace.
func (r *racetrack) noneOutside(lines []string) {
	r.t.Helper()
	for _, line := range lines {
		if !strings.HasPrefix(line, "ok net:") || line == "ok "+r.own() {
			r.t.Errorf("the machine is in %s; a login: %q", r.own(), line)
		}
	}
}

// own is the machine's network namespace.
func (r *racetrack) own() string {
	r.t.Helper()
	own, err := sandbox.Namespace(r.PID(), "net")
	if err != nil {
		r.t.Fatal(err)
	}
	return own
}

// handle is the namespace published under a name.
func (r *racetrack) handle(name string) string {
	r.t.Helper()
	return "net:[" + r.script("stat -c %%i /run/netns/%s", name)[0] + "]"
}

func TestFirstLoginsOfOneUserEndInOneNamespace(t *testing.T) {
	t.Parallel()
	r := newRacetrack(t)
	for range *rounds {
		net := r.allIn(r.script("logins 40 ulf"), 40)
		if handle := r.handle("ulf"); handle != net {
			t.Errorf("the logins are in %s, /run/netns/ulf is %s", net, handle)
		}
		r.script("ip netns del ulf; ls -A /run/netns")
	}
}

func TestUsersOfOneGroupShareOneNamespaceFromTheFirstLoginOn(t *testing.T) {
	t.Parallel()
	r := newRacetrack(t)
	for range *rounds {
		net := r.allIn(r.script("logins 20 gina gus"), 40)
		if handle := r.handle("lab"); handle != net {
			t.Errorf("the logins are in %s, /run/netns/lab is %s", net, handle)
		}
		r.script("ip netns del lab")
	}
}

func TestIPNetnsAddAndALoginMakeOneNamespace(t *testing.T) {
	t.Parallel()
	r := newRacetrack(t)
	for range 8 * *rounds {
		net := r.allIn(r.script("ip netns add ulf 2>/dev/null & logins 4 ulf; wait"), 4)
		if handle := r.handle("ulf"); handle != net {
			t.Errorf("the logins are in %s, /run/netns/ulf is %s", net, handle)
		}
		r.script("ip netns del ulf")
	}
}

func TestNobodyIsOutsideWhileTheNamespaceComesAndGoes(t *testing.T) {
	t.Parallel()
	r := newRacetrack(t)
	r.noneOutside(r.script(`
		while [ ! -e /tmp/stop ]; do ip netns add ulf; ip netns del ulf; done 2>/dev/null &
		for n in $(seq %d); do logins 10 ulf; done
		touch /tmp/stop; wait`, 2**rounds))
	r.allIn(r.script("login ulf after"), 1)
}

func TestWhoeverIsKilledTheNextLoginWorks(t *testing.T) {
	t.Parallel()
	r := newRacetrack(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 10 * *rounds {
		victim := []string{"host", "child"}[round%2]
		// The child is the host's only one; it is there for some milliseconds.
		r.script(`
			pamhost --report /dev/null race ulf -- true & host=$!
			for n in $(seq %d); do :; done
			victim=$host
			[ %s = host ] || victim=$(cat /proc/$host/task/$host/children 2>/dev/null)
			[ -z "$victim" ] || kill -9 $victim 2>/dev/null
			wait 2>/dev/null; true`, random.IntN(20000), victim)
		net := r.allIn(r.script("login ulf after"), 1)
		if handle := r.handle("ulf"); handle != net {
			t.Fatalf("after the %s was killed: login in %s, /run/netns/ulf is %s", victim, net, handle)
		}
		r.script("ip netns del ulf")
	}
}

// At boot cron and systemd start the sessions of many users at once. Nothing has made /run/netns before.
func TestFirstLoginsAfterBootMakeEachNetworkOnce(t *testing.T) {
	t.Parallel()
	r := newRacetrack(t)
	for range 2 * *rounds {
		r.script("umount -qR /run/netns; umount -qR /run/netns; rm -rf /run/netns /run/libpam-net; echo")
		lines := r.script("logins 3 ulf gina gus nina")
		r.noneOutside(lines)
		slices.Sort(lines)
		if n := len(slices.Compact(lines)); n != 5 { // ulf's, lab, and one for each of nina's logins
			t.Errorf("%d networks: %v", n, lines)
		}
	}
}
