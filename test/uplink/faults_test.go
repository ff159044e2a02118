// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"libpam-net/test/private"
)

var full = flag.Bool("uplink.full", false, "make every fault, and not a sample, with everything that may follow")

// Calls with which the program changes something, and those with which it asks.
const (
	changes = "sendto sendmsg write renameat unlinkat bpf"
	asks    = changes + " recvfrom socket mkdirat flock setsockopt"
)

// faults is a function of bash that runs pamnet-uplink again and again, with one of
// its calls going wrong: every EACHth of all. The states that there are, "none"
// (nothing is connected) and "one" (anna is), are in files.
// After each run one of the recoveries, or all in turn, has to lead to a state. It
// prints what does not hold, and the number of runs.
//
// Only the program's main thread is traced: it does everything but open sockets.
//
// Where the fault is an error, a program that says it has failed has undone what
// it did, or else done what it should.
const faults = state + `
put() { # STATE
	case $1 in
	none) $P down anna ;;
	one) $P up anna >/dev/null ;;
	esac
}
is() { # STATE WHAT...
	want=$1; shift
	state >/tmp/now
	cmp -s /tmp/$want /tmp/now || {
		echo "$*: is not $want:"
		diff /tmp/$want /tmp/now | grep '^[<>]'
	}
}
faults() { # CALLS FAULT COMMAND BEFORE AFTER RECOVERY...
	calls=$1 fault=$2 command=$3 before=$4 after=$5 runs=0 passed=0 chosen=$((RANDOM % EACH)); shift 5
	put $before
	strace -o /tmp/calls -e trace=${calls// /,} $P $command anna >/tmp/said
	for call in $calls; do
		count=$(grep ^$call /tmp/calls | grep -vc ERESTART) # the kernel begins a sysctl again while it is busy
		for ((n = 1; n <= count; n++)); do
			[ $((passed++ % EACH)) = $chosen ] || continue
			put $before
			fails
			runs=$((runs + 1))
			[ $EACH = 1 ] || set -- "$2" "$1" # the other one
			$P $1 anna >/dev/null || echo "$1 after $what has failed"
			is $(after $1) "$1 after $what"
			[ $EACH = 1 ] || continue
			$P $2 anna >/dev/null || echo "$2 after $1 after $what has failed"
			is $(after $2) "$2 after $1 after $what"
			put $before
			fails
			$P $2 anna >/dev/null || echo "$2 after $what has failed"
			is $(after $2) "$2 after $what"
		done
	done
	echo runs $runs
}
after() { # COMMAND
	case $1 in
	up) echo one ;;
	down) echo none ;;
	esac
}
fails() {
	what="$command with $fault at $call $n"
	strace -o /tmp/trace -e trace=$call -e inject=$call:$fault:when=$n $P $command anna >/tmp/said 2>&1
	code=$?
	if [ $code = 0 ]; then # also where the runtime's own calls were fewer this time
		is $after "$what: success, but"
		return
	fi
	case $fault in
	signal=*) [ $code = 137 ] || echo "$what: was not killed, but has failed" ;;
	*)
		grep -q INJECTED /tmp/trace || echo "$what: has not happened, but it has failed"
		if [ $command = up ] && [ $before = none ]; then
			is none "$what: $(cat /tmp/said)"
		fi
		;;
	esac
}
P=` + program + `
state >/tmp/none
put one
state >/tmp/one
put none
is none "down after up"
`

// everything has all that an uplink can have.
const everything = `
	addresses = "remembered"
	forward = [
		{ name = "anna", protocol = "tcp", host_port = 8080, port = 80, local = true },
		{ each = 10, protocol = "udp", host_port = "20000-29999" },
	]
	snat = [{ name = "anna", address = "203.0.113.7" }]
	[ipv6]
	users = "2001:db8:1:0:a::/80"
	groups = "2001:db8:1:0:b::/80"
	nat = false
	proxy_ndp = true
`

func TestAfterAnyFaultTheNextRunMakesItGood(t *testing.T) {
	private.Needs(t, "strace")
	for _, c := range []struct {
		what, calls, fault, command, before, after string
		atLeast                                    int
	}{
		{"killed while it connects", changes, "signal=KILL", "up", "none", "one", 40},
		{"killed while it repairs", changes, "signal=KILL", "up", "one", "one", 18},
		{"killed while it disconnects", changes, "signal=KILL", "down", "one", "none", 10},
		{"without memory while it connects", asks, "error=ENOMEM", "up", "none", "one", 60},
		{"without the right while it connects", asks, "error=EPERM", "up", "none", "one", 60},
		{"without memory while it disconnects", asks, "error=ENOMEM", "down", "one", "none", 15},
		{"without the right while it disconnects", asks, "error=EPERM", "down", "one", "none", 15},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.configure(everything)
			l.patience = time.Hour
			seed, each := rand.IntN(1<<15), 8
			if *full {
				each = 1
			}
			mode := fmt.Sprintf("RANDOM=%d EACH=%d\n", seed, each)
			said := l.sh(faults + mode + "faults '" + c.calls + "' " + strings.Join([]string{c.fault, c.command, c.before, c.after, "up down"}, " "))
			problems, runs, _ := strings.Cut("\n"+said, "\nruns ")
			if problems != "" {
				t.Error(problems)
			}
			n, err := strconv.Atoi(runs)
			if err != nil || n < c.atLeast/each {
				t.Errorf("%s runs, too few: %v", runs, err)
			}
			t.Logf("%d runs, seed %d", n, seed)
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	l := newLab(t)
	l.ok("up", "anna")
	l.ok("up", "bert")
	both := l.state()
	l.ok("down", "anna")
	l.ok("down", "bert")
	none := l.state()
	l.sh(`set -e
		for n in 1 2 3 4 5 6; do
			for name in anna bert; do ` + program + ` up $name & pids="$pids $!"; done
		done
		for pid in $pids; do wait $pid; done`)
	same(t, "state after many up", l.state(), both)
	l.sh(`set -e
		for n in 1 2 3 4 5 6; do
			` + program + ` down anna & pids="$pids $!"
			` + program + ` up bert & pids="$pids $!"
			` + program + ` up anna & pids="$pids $!"
			` + program + ` show anna & pids="$pids $!"
		done
		for pid in $pids; do wait $pid; done
		` + program + ` up anna`)
	same(t, "state after up and down", l.state(), both)
	l.sh(`set -e
		for name in anna bert anna bert; do ` + program + ` down $name & pids="$pids $!"; done
		for pid in $pids; do wait $pid; done`)
	same(t, "state after many down", l.state(), none)
}
