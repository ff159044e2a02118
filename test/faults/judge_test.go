// SPDX-License-Identifier: GPL-2.0-or-later

//go:build pending

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
	died   // by itself
	killed // by us
	outcomes
)

func (o outcome) String() string {
	return [outcomes]string{"isolated", "refused", "ignored", "died", "killed"}[o]
}

// limitMS is within how many milliseconds every login has ended: a second after
// its deadline, and the time that a busy machine takes.
const limitMS = timeoutS*1000 + 3000

// graceMS is when a module has waited its second for the end of a child that stood
// still. On a machine under load the kernel may take longer: the module is not to.
const graceMS = stallTimeoutS*1000 + 1000

// promptMS is within how many milliseconds an undisturbed login succeeds: it may
// have to wait for half a second until a file that a crash has left is old enough.
const promptMS = 2500

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
		return refused, append(wrong, r.changes()...)
	default:
		return refused, append(wrong, fmt.Sprintf("the module answered %d", r.Report.Code))
	}
}

// changes lists what is not as before in the login process.
func (r *reply) changes(ignore ...pamhost.Field) []string {
	ignore = append(ignore, ownDoing...)
	if r.MS > graceMS {
		ignore = append(ignore, pamhost.Children)
	}
	return r.Report.Before.Diff(r.Report.After, ignore...)
}

// notIsolated lists what is wrong with a session.
func (b *bench) notIsolated(r *reply) []string {
	if !b.member {
		return []string{"no member, but isolated"}
	}
	wrong, report := r.changes(pamhost.NetNamespace, pamhost.MountNamespace), r.Report
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
	if got, want := slices.Sorted(slices.Values(report.Sysfs)), slices.Sorted(maps.Keys(report.Interfaces)); !slices.Equal(got, want) {
		complain("/sys knows the interfaces %q, not %q", got, want)
	}
	if got := strings.Join(report.Handles, " "); got != b.netns {
		complain("/run/netns shows %q", got)
	}
	mounted, err := view(string(report.Mounts))
	if err != nil {
		complain("%v", err)
	}
	for point, want := range b.mounted {
		if got := mounted[point]; got != want {
			complain("mounted on %s: %q, not %q", point, got, want)
		}
	}
	for point, got := range mounted {
		if b.mounted[point] == "" {
			complain("mounted on %s: %q", point, got)
		}
	}
	return wrong
}

// judgeUndisturbed lists what is wrong with a login that should have succeeded.
func (b *bench) judgeUndisturbed(r *reply) []string {
	outcome, wrong := b.judge(r)
	switch {
	case r.Stray:
		wrong = append(wrong, "a process has outlived the login process")
	case b.member && outcome != isolated, !b.member && outcome != ignored:
		wrong = append(wrong, fmt.Sprintf("is %v", outcome))
	case r.MS > promptMS:
		wrong = append(wrong, fmt.Sprintf("took %d ms", r.MS))
	}
	return wrong
}

// checkReference takes over what the undisturbed login r, with which all others
// are compared, sees mounted, and looks whether that is itself as it should be.
func (b *bench) checkReference(r *reply) error {
	if b.member && r.Report != nil {
		mounted, err := view(string(r.Report.Mounts))
		if err != nil {
			return err
		}
		b.mounted = mounted
	}
	wrong := b.judgeUndisturbed(r)
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for _, o := range overlay {
		want := "/netns/" + b.netns + "/" + o.entry + " of overlay"
		if got := b.mounted["/etc/"+o.entry]; b.netns != "" && o.entry != alone && !strings.HasPrefix(got, want) {
			complain("mounted on /etc/%s: %q, not %q", o.entry, got, want)
		}
	}
	for point, mount := range b.mounted {
		if strings.HasSuffix(mount, ", shared") {
			complain("mounted on %s: %q, so that what the session mounts there reaches the host", point, mount)
		}
	}
	for _, socket := range resolvers {
		if b.member && b.mounted[socket] == "" && b.mounted[path.Dir(socket)] == "" {
			complain("%s is not covered", socket)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("an undisturbed login: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// leftovers lists what a disturbed login has left on the machine that an
// undisturbed one does not, or has taken away.
func (b *bench) leftovers(r result, after state) []string {
	allowed := b.bare.merge(b.used, func(bare, used int) int { return max(bare, used) })
	needed := b.bare.merge(b.used, func(bare, used int) int { return min(bare, used) })
	if r.outcome == isolated {
		needed = b.used
	}
	if r.childWasEnded() {
		// Between making the file of a handle and mounting the namespace on it. The next login takes it over.
		allowed["---------- /run/netns/"+b.netns] = 1
	}
	var left []string
	for _, item := range after.beyond(allowed) {
		left = append(left, "there is "+item)
	}
	for _, item := range needed.beyond(after) {
		left = append(left, "there is no "+item)
	}
	return left
}

// childWasEnded tells whether the child had no chance to clean up: it was killed,
// by us or for taking too long, or has crashed.
func (r result) childWasEnded() bool {
	child := unix.WaitStatus(r.child)
	crashed := r.child > 0 && child.Signal() != unix.SIGKILL // with that it is also ended after its verdict
	return r.action == "kill" || crashed || r.ms >= 1000*r.timeout()
}
