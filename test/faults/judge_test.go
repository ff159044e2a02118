// SPDX-License-Identifier: GPL-2.0-or-later

package faults

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"libpam-net/test/pamhost"
)

// The answers of a module, from security/_pam_types.h.
const (
	pamSuccess = 0
	pamIgnore  = 25
	pamAbort   = 26
)

// outcome is what a login came to.
type outcome int

const (
	isolated outcome = iota
	refused
	ignored
	pruned     // what is empty is taken down
	complained // prune has failed, and says so
	died       // by itself
	killed     // by us
	outcomes
)

func (o outcome) String() string {
	return [outcomes]string{"isolated", "refused", "ignored", "pruned", "complained", "died", "killed"}[o]
}

// limitMS is within how many milliseconds every login has ended: a second after
// its deadline, and the time that a busy machine takes.
const limitMS = timeoutS*1000 + 3000

// graceMS is when a module has waited its second for the end of a child that it has
// killed. On a machine under load the kernel may take longer: the module is not to.
func (s *scenario) graceMS(j job) int {
	switch {
	case j.action == "stall":
		return 1000*j.timeout() + 1000
	case s.held:
		return 2000 // as it has waited for the locks as well
	default:
		return 1000
	}
}

// promptMS is within how many milliseconds an undisturbed login succeeds: it may
// have to wait for half a second until a file that a crash has left is old enough.
const promptMS = 5000

// Two snapshots differ in these without the module's doing: libc has loaded sources
// of the name service, and inject has put its filter up.
var ownDoing = []pamhost.Field{pamhost.MappedFiles, "seccomp"}

// judge tells what a login came to, and lists what is wrong with it.
func (b *bench) judge(r *reply) (outcome, []string) {
	var wrong []string
	if r.MS > limitMS {
		wrong = append(wrong, fmt.Sprintf("the login took %d ms", r.MS))
	}
	if r.Host != 0 || r.Report == nil {
		return died, append(wrong, "the login process ended: "+status(r.Host))
	}
	switch r.Report.Code {
	case pamSuccess:
		return isolated, append(wrong, b.notIsolated(r)...)
	case pamIgnore:
		if b.member {
			wrong = append(wrong, "a member was ignored, and is in the host's network")
		}
		return ignored, append(wrong, r.changes()...)
	case pamAbort:
		return refused, append(wrong, b.notRefused(r)...)
	default:
		return refused, append(wrong, fmt.Sprintf("the module answered %d", r.Report.Code))
	}
}

// notRefused lists what is wrong after a refusal. A login service may ignore it.
func (b *bench) notRefused(r *reply) []string {
	if !b.empty {
		return r.changes()
	}
	wrong := r.changes(pamhost.NetNamespace)
	switch net := r.Report.After.Namespaces["net"]; net {
	case 0, b.net, r.Report.Before.Namespaces["net"]:
		wrong = append(wrong, "the login process is refused, and still in the host's network")
	case b.published():
		wrong = append(wrong, "the login process is refused, and in the user's network")
	}
	return wrong
}

// changes lists what is not as before in the login process.
func (r *reply) changes(ignore ...pamhost.Field) []string {
	ignore = append(ignore, ownDoing...)
	if r.waited {
		ignore = append(ignore, pamhost.Children)
	}
	return r.Report.Before.Diff(r.Report.After, ignore...)
}

// notIsolated lists what is wrong with a session.
func (b *bench) notIsolated(r *reply) []string {
	if !b.member {
		return []string{"no member, but isolated"}
	}
	report := r.Report
	moved := []pamhost.Field{pamhost.NetNamespace, pamhost.MountNamespace}
	if report.After.Cwd.Path == "/" { // where a directory that cannot be entered becomes it
		moved = append(moved, pamhost.Cwd)
	}
	wrong := r.changes(moved...)
	if r.heldUp {
		wrong = append(wrong, "the process that had the lock still has it")
	}
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }

	net, mnt := report.After.Namespaces["net"], report.After.Namespaces["mnt"]
	if net == 0 || net == b.net || net == report.Before.Namespaces["net"] {
		complain("the network namespace is the host's")
	}
	if mnt == 0 || mnt == b.mnt || mnt == report.Before.Namespaces["mnt"] {
		complain("the mount namespace is the host's")
	}
	if named := b.published(); b.netns != "" && net != named {
		complain("the network namespace is %d, but %q is %d", net, b.netns, named)
	}
	if b.fixed != 0 && net != b.fixed {
		complain("the network namespace is %d, not %d as it always was", net, b.fixed)
	}
	if !report.Interfaces["lo"] {
		complain("lo is not up: %v", report.Interfaces)
	}
	if got := strings.Join(report.Handles, " "); got != b.netns {
		complain("/run/netns shows %q", got)
	}
	s, err := report.session()
	if err != nil {
		complain("%v", err)
	}
	return append(wrong, b.session.differences(s)...)
}

// judgeUndisturbed lists what is wrong with a login that should have succeeded.
func (b *bench) judgeUndisturbed(r *reply) []string {
	outcome, wrong := b.judge(r)
	switch {
	case r.Stray:
		wrong = append(wrong, "a process has outlived the login process")
	case b.member && outcome != isolated, !b.member && outcome != ignored:
		wrong = append(wrong, fmt.Sprintf("is %v", outcome))
	case r.Report != nil && r.Report.After.Cwd != r.Report.Before.Cwd:
		wrong = append(wrong, fmt.Sprintf("is in %v", r.Report.After.Cwd))
	case r.MS > promptMS:
		wrong = append(wrong, fmt.Sprintf("took %d ms", r.MS))
	}
	return wrong
}

// session is what a session has.
type session struct {
	interfaces []string
	sysfs      []string // the interfaces that /sys knows
	owner      int      // the user ID of whoever owns the network
	mounted    map[string]string
}

func (r *report) session() (session, error) {
	mounted, err := view(string(r.Mounts))
	return session{
		slices.Sorted(maps.Keys(r.Interfaces)), slices.Sorted(slices.Values(r.Sysfs)), r.Owner, mounted,
	}, err
}

// differences lists in what t is not like s.
func (s session) differences(t session) []string {
	var list []string
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if !slices.Equal(t.interfaces, s.interfaces) {
		add("the interfaces are %q, not %q", t.interfaces, s.interfaces)
	}
	if !slices.Equal(t.sysfs, t.interfaces) {
		add("/sys knows the interfaces %q, not %q", t.sysfs, t.interfaces)
	}
	if t.owner != s.owner {
		add("the network belongs to uid %d, not %d", t.owner, s.owner)
	}
	for point, want := range s.mounted {
		if got := t.mounted[point]; got != want {
			add("mounted on %s: %q, not %q", point, got, want)
		}
	}
	for point, got := range t.mounted {
		if s.mounted[point] == "" {
			add("mounted on %s: %q", point, got)
		}
	}
	return list
}

// checkReference takes over what the undisturbed login r, with which all others
// are compared, has, and looks whether that is itself as it should be.
func (b *bench) checkReference(r *reply) error {
	if b.member && r.Report != nil {
		s, err := r.Report.session()
		if err != nil {
			return err
		}
		b.session = s
	}
	wrong := b.judgeUndisturbed(r)
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, name := range b.interfaces {
		if !slices.Contains(b.session.interfaces, name) {
			complain("no interface %s", name)
		}
	}
	if want := b.ownerID(b.m); b.session.owner != want {
		complain("the network belongs to uid %d, not %d", b.session.owner, want)
	}
	for _, o := range overlay {
		want := "/netns/" + b.netns + "/" + o.entry + " of overlay"
		if got := b.session.mounted["/etc/"+o.entry]; b.netns != "" && o.entry != alone && !strings.HasPrefix(got, want) {
			complain("mounted on /etc/%s: %q, not %q", o.entry, got, want)
		}
	}
	for point, mount := range b.session.mounted {
		if strings.HasSuffix(mount, ", shared") {
			complain("mounted on %s: %q, so that what the session mounts there reaches the host", point, mount)
		}
	}
	for _, socket := range resolvers {
		if b.member && b.session.mounted[socket] == "" && b.session.mounted[path.Dir(socket)] == "" {
			complain("%s is not covered", socket)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("an undisturbed login: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// leftovers lists what a disturbed login has left on the machine that an
// undisturbed one does not, or not of this kind, or has taken away. What is in a
// file shows in the next login.
func (b *bench) leftovers(r result, after things) []string {
	allowed := b.bare.merge(b.used, func(bare, used int) int { return max(bare, used) })
	needed := b.bare.merge(b.used, func(bare, used int) int { return min(bare, used) })
	switch r.outcome {
	case isolated:
		needed = b.used
	case pruned:
		allowed = maps.Clone(b.bare)
	}
	if r.childWasEnded() || r.outcome == complained {
		// Between making the file of a handle and mounting the namespace on it. The next login takes it over.
		allowed["---------- 0:0 /run/netns/"+b.netns] = 1
	}
	var left []string
	for _, thing := range after.beyond(allowed) {
		left = append(left, "there is "+thing)
	}
	for _, thing := range needed.beyond(after) {
		left = append(left, "there is no "+thing)
	}
	return left
}

// childWasEnded tells whether the child had no chance to clean up: it has crashed,
// or was killed, by us or by the login process, for taking too long or because of
// the login process's own fault. It is also killed after its verdict; then it had.
func (r result) childWasEnded() bool {
	child := unix.WaitStatus(r.child)
	crashed := r.child > 0 && child.Signal() != unix.SIGKILL
	abandoned := r.child > 0 && r.role == "parent" && r.outcome == refused
	return r.action == "kill" || crashed || abandoned || r.ms >= 1000*r.timeout()
}
