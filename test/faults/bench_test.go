// SPDX-License-Identifier: GPL-2.0-or-later

package faults

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// How many seconds a module is told to wait for its child: enough for one that the
// load of the machine holds up; for one that stands still, as few as there are.
const (
	timeoutS      = 10
	stallTimeoutS = 1
)

// processor is one that we may use. Whoever makes a login on it sends to busy before
// and receives afterwards: more logins at once than keep it busy would only hold
// each other up.
type processor struct {
	number int
	busy   chan struct{}
}

var processors = sync.OnceValues(func() (list []*processor, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("list the processors: %w", err)
	}
	for number := 0; len(list) < set.Count(); number++ {
		if set.IsSet(number) {
			list = append(list, &processor{number, make(chan struct{}, 2)})
		}
	}
	return list, nil
})

// bench is a machine on which logins of one scenario are disturbed.
type bench struct {
	*scenario
	m      *machine.Machine
	on     *processor
	inject *injector

	net, mnt uint64 // the machine's namespaces
	fixed    uint64 // the user's one, if it is there before the first login
	bare     things // before the first login
	used     things // after an undisturbed login
	session  session
	good     map[string]bool // the states, by their keys, that a login as it should be has followed
}

var benches atomic.Uint32

// newBench starts a machine, and looks what an undisturbed login is like. Close it.
func newBench(s *scenario) (*bench, error) {
	list, err := processors()
	if err != nil {
		return nil, err
	}
	m, err := s.newMachine()
	if err != nil {
		return nil, err
	}
	b := &bench{scenario: s, m: m, on: list[int(benches.Add(1))%len(list)], good: make(map[string]bool)}
	if err := b.setUp(); err != nil {
		b.close()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return b, nil
}

func (b *bench) close() {
	if b.inject != nil {
		b.inject.stop()
	}
	b.m.Close()
}

func (b *bench) setUp() error {
	dir, err := sandbox.ModuleDir()
	if err != nil {
		return err
	}
	if b.inject, err = startInject(b.m, b.on.number, path.Join(dir, b.module+".so"), b.user); err != nil {
		return err
	}
	if b.net, err = namespace(b.m.PID(), "net"); err != nil {
		return err
	}
	if b.mnt, err = namespace(b.m.PID(), "mnt"); err != nil {
		return err
	}
	if b.held {
		if err := b.m.Command(injectPath, "hold", locks).Start(); err != nil {
			return err
		}
	}
	b.fixed = b.published()
	bare, err := inspect(b.m, nil)
	if err != nil {
		return err
	}
	r, err := b.login(b.reset, undisturbed)
	if err != nil {
		return err
	}
	used, err := inspect(b.m, r.Networks)
	if err != nil {
		return err
	}
	b.bare, b.used = bare.things, used.things
	return b.checkReference(r)
}

// Logins with no fault.
var (
	nowhere     = point{"parent", -1, 0}
	undisturbed = job{point: nowhere, mode: mode{action: "none"}}
	recorded    = job{point: nowhere, mode: mode{action: "record"}}
)

// login makes a login after removing what reset says.
func (b *bench) login(reset string, j job) (*reply, error) {
	return b.run(request{reset, j, append(slices.Clone(b.arguments), fmt.Sprintf("timeout=%d", j.timeout()))})
}

// pruneAs runs `pamnetctl prune`.
func (b *bench) pruneAs(j job) (*reply, error) {
	return b.run(request{"-", j, []string{"/usr/bin/pamnetctl", "prune"}})
}

// disturb makes the login, or the prune after a login, that the job is about.
func (b *bench) disturb(j job) (*reply, error) {
	if !b.prune {
		return b.login(b.reset, j)
	}
	r, err := b.login(b.reset, undisturbed)
	if err != nil {
		return nil, err
	}
	if wrong := b.judgeUndisturbed(r); len(wrong) > 0 {
		return nil, fmt.Errorf("the login before: %s", strings.Join(wrong, "; "))
	}
	return b.pruneAs(j)
}

func (b *bench) run(r request) (*reply, error) {
	if !r.idles() && !b.held {
		b.on.busy <- struct{}{}
		defer func() { <-b.on.busy }()
	}
	holder, err := b.awaitHolder()
	if err != nil {
		return nil, err
	}
	answer, err := b.inject.do(r)
	if err != nil {
		return nil, err
	}
	answer.waited = answer.MS > b.graceMS(r.job)
	if b.held {
		now, err := b.holder()
		if err != nil {
			return nil, err
		}
		answer.heldUp = now == holder && r.reset != "-" // a join needs no lock
	}
	return answer, nil
}

// holder returns the process that has the locks, 0 if there is none.
func (b *bench) holder() (int, error) {
	file, err := os.OpenFile(b.m.Root()+locks, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(file.Fd(), unix.F_GETLK, &lock)
	if lock.Type == unix.F_UNLCK {
		return 0, err
	}
	return int(lock.Pid), err
}

// awaitHolder waits until a process has the locks, in a scenario where they are held.
func (b *bench) awaitHolder() (pid int, err error) {
	for deadline := time.Now().Add(time.Minute); b.held && pid == 0 && err == nil; time.Sleep(time.Millisecond) {
		if pid, err = b.holder(); time.Now().After(deadline) {
			err = errors.New("nobody holds the locks")
		}
	}
	return pid, err
}

// timeout is how many seconds the module is told to wait for its child.
func (j job) timeout() int {
	if j.action == "stall" {
		return stallTimeoutS
	}
	return timeoutS
}

// edge is how many calls of a number are disturbed at the beginning and at the end of a prune.
const edge = 20

// points returns the system calls of what is disturbed. Go's threads do not make the same
// number of calls each time: those count that at least two of five logins make.
func (b *bench) points() ([]point, error) {
	logins := make(map[point]int)
	for range 5 {
		r, err := b.disturb(recorded)
		if err != nil {
			return nil, err
		}
		calls := make(map[point]int)
		first, last := b.wait(r.Points)
		for i, call := range r.Points {
			p := point{role: call.Role, number: call.Number}
			calls[p]++
			p.nth = calls[p]
			if first <= i && i <= last {
				logins[p]++
			}
		}
	}
	last := make(map[point]int) // of a role and a number
	for p := range logins {
		all := point{role: p.role, number: p.number}
		last[all] = max(last[all], p.nth)
	}
	maps.DeleteFunc(logins, func(p point, n int) bool {
		// prune walks through /proc, and does the same for each process.
		walks := b.prune && p.nth > edge && p.nth <= last[point{role: p.role, number: p.number}]-edge
		return n < 2 || walks
	})
	return slices.Collect(maps.Keys(logins)), nil
}

// wait returns the first and the last of the calls that count. Where the locks are held, those
// are the wait, in which the child looks at the process that has them, and some around it.
func (b *bench) wait(calls []call) (first, last int) {
	looks := func(c call) bool { return callName(c.Number) == "pidfd_open" && c.Role == "child" }
	first = slices.IndexFunc(calls, looks)
	if !b.held || first < 0 {
		return 0, len(calls) - 1
	}
	for i, c := range calls {
		if looks(c) {
			last = i
		}
	}
	return first - edge, last + edge
}

// result is what a job came to.
type result struct {
	job
	hit bool // the system call was made
	outcome
	wrong    []string // where answer and facts disagree
	left     []string // what is left of it
	followed bool     // an undisturbed login was made after it
	ms       int      // how long the login took
	target   string   // the system call with its arguments
	child    int      // how the child has ended
}

func (r result) bad() bool { return len(r.wrong)+len(r.left) > 0 }

// String tells all about a result, in the form that repeats it.
func (r result) String() string {
	text := fmt.Sprintf("-faults.point=%v: %s: %v in %d ms, child: %s", r.job, r.target, r.outcome, r.ms, status(r.child))
	for _, complaint := range slices.Concat(r.wrong, r.left) {
		text += "\n\t" + complaint
	}
	return text
}

// tries is how often a login is repeated in which the system call was not made at
// all. Go's threads wait for each other, or do not.
const tries = 3

// try makes a disturbed login, and then an undisturbed one. It can do without the
// latter if there was one, and that as it should be, when the machine was exactly
// as it is now: in nothing that outlives a process do the two differ. The last job
// on a machine is not to do without it.
func (b *bench) try(j job, last bool) (result, error) {
	reply := &reply{}
	var err error
	for n := 0; n < tries && !reply.Hit; n++ {
		if reply, err = b.disturb(j); err != nil {
			return result{}, err
		}
	}
	r := result{job: j, hit: reply.Hit, ms: reply.MS, target: reply.target(j), child: reply.Child}
	switch {
	case !b.prune:
		r.outcome, r.wrong = b.judge(reply)
	case reply.Host == 0:
		r.outcome = pruned
	default:
		r.outcome = complained
	}
	if (r.outcome == died || r.outcome == complained) && r.hit && j.role == "parent" && j.action == "kill" {
		r.outcome, r.wrong = killed, nil
	}
	if reply.Stray {
		r.left = append(r.left, "a process has outlived the login process")
	}
	after, err := inspect(b.m, reply.Networks)
	if err != nil {
		return result{}, err
	}
	r.left = append(r.left, b.leftovers(r, after.things)...)
	if b.good[after.key()] && !last {
		return r, nil
	}
	r.followed = true
	complaints, err := b.follow()
	r.left = append(r.left, complaints...)
	b.good[after.key()] = !r.bad()
	return r, err
}

// follow makes an undisturbed login after a disturbed one, and lists what is wrong
// with it and with what is there afterwards.
func (b *bench) follow() ([]string, error) {
	var complaints []string
	next, err := b.login("-", undisturbed)
	if err != nil {
		return nil, err
	}
	for _, complaint := range b.judgeUndisturbed(next) {
		complaints = append(complaints, "the next login: "+complaint)
	}
	after, err := inspect(b.m, next.Networks)
	if err != nil {
		return nil, err
	}
	for _, thing := range after.things.beyond(b.used) {
		complaints = append(complaints, "after the next login there is "+thing)
	}
	for _, thing := range b.used.beyond(after.things) {
		complaints = append(complaints, "after the next login there is no "+thing)
	}
	if !b.prune {
		return complaints, nil
	}
	last, err := b.pruneAs(undisturbed)
	if err != nil {
		return nil, err
	}
	if last.Host != 0 {
		complaints = append(complaints, "the next prune: "+status(last.Host))
	}
	after, err = inspect(b.m, last.Networks)
	if err != nil {
		return nil, err
	}
	for _, thing := range slices.Concat(after.things.beyond(b.bare), b.bare.beyond(after.things)) {
		complaints = append(complaints, "after the next prune it differs in "+thing)
	}
	return complaints, nil
}

// published returns the inode of the network namespace that has the user's name, or
// 0 if there is none.
func (b *bench) published() uint64 {
	handle := b.m.Root() + "/run/netns/" + b.netns
	var fs unix.Statfs_t
	var st unix.Stat_t
	if b.netns == "" || unix.Statfs(handle, &fs) != nil || fs.Type != unix.NSFS_MAGIC || unix.Stat(handle, &st) != nil {
		return 0
	}
	return st.Ino
}

func namespace(pid int, kind string) (inode uint64, err error) {
	var st unix.Stat_t
	err = unix.Stat(fmt.Sprintf("/proc/%d/ns/%s", pid, kind), &st)
	return st.Ino, err
}
