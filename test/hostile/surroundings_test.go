// SPDX-License-Identifier: GPL-2.0-or-later

package hostile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

// surroundings are what members log in under.
type surroundings struct {
	is      string
	want    outcome
	options string // of pamhost
	limits  string // a line of limits.conf(5): then pam_limits comes first
	front   string // a script that ends by running "$@", the host
	breaks  string // a script of root's, before
	reason  string // what the log says if somebody is refused
}

// outcome is what has come of the logins of all members.
type outcome string

const (
	allIsolated outcome = "all are isolated"
	allRefused  outcome = "all are refused"
	either      outcome = "" // each is isolated or refused
)

// members are somebody of each module, who creates a namespace where it is missing.
var members = []struct{ user, netns string }{{"nina", ""}, {"ulf", "ulf"}, {"gina", "lab"}}

func TestLimits(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.service(t, "limited", "", "session required pam_limits.so conf=/run/limits.conf")
	lifted := allIsolated
	if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_RESOURCE, 0, 0, 0); err != nil || has == 0 {
		t.Log("without CAP_SYS_RESOURCE, as in some containers, each limit is for good")
		lifted = either
	}
	var rows []surroundings
	// limit adds a limit that the child may lift, and the same without the right to.
	limit := func(is, line, options string, forGood outcome) {
		row := surroundings{is: is, want: cmp.Or(forGood, lifted), limits: line, options: options}
		rows = append(rows, row)
		if lifted == allIsolated {
			row.is, row.options, row.want = row.is+", for good", options+" --drop-cap sys_resource", forGood
			rows = append(rows, row)
		}
	}
	for _, mib := range []int{16, 24, 32, 64, 128, 256, 512, 1024, 2048, 4096} {
		limit(fmt.Sprintf("%d MiB of address space", mib), fmt.Sprintf("as %d", mib<<10), "", either)
	}
	limit("no process", "nproc 0", "", allIsolated) // which does not count for root
	limit("one process", "nproc 1", "", allIsolated)
	limit("no file to be written", "fsize 0", "", either) // there is a record of each namespace that is made
	rows[len(rows)-1].reason = `write record of "ulf": file too large`
	limit("small files to be written", "fsize 1", "", allIsolated)
	limit("a minute of the processor", "cpu 1", "", allIsolated)
	limit("little stack", "stack 64", "", either)
	limit("unlimited stack", "stack unlimited", "", allIsolated)
	limit("little data", "data 1024", "", either)
	limit("more data", "data 16384", "", either)
	limit("no locked memory", "memlock 0", "", allIsolated)
	limit("no core", "core 0", "", allIsolated)
	limit("no message queue", "msgqueue 0", "", allIsolated)
	limit("no pending signal", "sigpending 0", "", allIsolated)
	const open = 4 // of pamhost: 0, 1, 2, and the log
	for spare := range 6 {
		limit(fmt.Sprintf("%d descriptors to spare", spare), fmt.Sprintf("nofile %d", open+spare), "", either)
	}
	limit("descriptors enough", "nofile 64", "", allIsolated)
	rows = append(rows,
		surroundings{is: "a second of the processor", want: allIsolated, options: "--rlimit CPU=1:1"}, // pam_limits counts in minutes
		surroundings{is: "no process of the caller's", want: allIsolated, limits: "nproc 0", options: "--seteuid-caller 5000"},
		surroundings{
			is: "no process of the caller's, for good", want: allRefused,
			limits: "nproc 0", options: "--seteuid-caller 5000 --drop-cap sys_resource --drop-cap sys_admin",
		})
	for _, size := range []string{"65536", "1048576", "unlimited"} {
		rows = append(rows, surroundings{
			is: "from the start a stack of " + size, want: allIsolated, front: "exec prlimit --stack=" + size + ":" + size + ` -- "$@"`,
		})
	}
	b.loginUnder(t, rows)
}

func TestWhatAHostMayBeLike(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	private := func(script string) string {
		return `exec unshare --mount --propagation private -- sh -ec '` + script + `; exec "$@"' sh "$@"`
	}
	b.loginUnder(t, []surroundings{
		{is: "no standard descriptors", want: allIsolated, options: "--close-fds 0,1,2"},
		{is: "SIGCHLD ignored", want: allIsolated, options: "--sigchld-ignore"},
		{is: "all signals blocked", want: allIsolated, options: "--block-all-signals"},
		{is: "all of these", want: allIsolated, options: "--close-fds 0,1,2 --sigchld-ignore --block-all-signals --open 50"},
		{is: "a thread that is not the main one", want: allRefused, options: "--threads 3"},
		{is: "no CAP_SYS_ADMIN", want: allRefused, options: "--drop-cap sys_admin"},
		{is: "no CAP_SYS_PTRACE", options: "--drop-cap sys_ptrace"},
		{is: "no /proc", want: allRefused, front: private("umount --lazy /proc")},
		{is: "an empty /proc", want: allRefused, front: private("mount -t tmpfs none /proc")},
		{is: "a /proc that hides processes", want: allIsolated, front: private("mount -t proc -o hidepid=2 none /proc")},
		{is: "a /proc that hides process 1", options: "--drop-cap sys_ptrace", front: private("mount -t proc -o hidepid=2 none /proc")},
		{is: "a /proc of processes alone", front: private("mount -t proc -o subset=pid none /proc")},
		{is: "a read-only /proc", want: allIsolated, front: private("mount -o remount,bind,ro /proc")},
		{is: "a read-only /sys", want: allIsolated, front: private("mount -o remount,bind,ro /sys")},
		{is: "no /sys", want: allIsolated, front: private("umount --recursive --lazy /sys")},
		{is: "an empty /dev", want: allRefused, front: private("mount -t tmpfs none /dev")},
		{is: "mounts that must not be cloned", front: private("mount --make-runbindable /")},
		{is: "a working directory that is gone", want: allIsolated, front: `mkdir /tmp/gone; cd /tmp/gone; rmdir /tmp/gone; exec "$@"`},
	})
}

func TestARunThatTakesNoFiles(t *testing.T) {
	t.Parallel()
	const (
		readOnly = "mount --rbind /run /run; mount -o remount,bind,ro /run"
		// with the machine's log in it
		tiny = `
			mkdir /tmp/tiny; mount -t tmpfs -o mode=755,nr_inodes=16 tiny /tmp/tiny; mkdir /tmp/tiny/sandbox
			mount --bind /run/sandbox /tmp/tiny/sandbox; mount --rbind /tmp/tiny /run`
		full   = "n=0; while touch /run/full.$n; do n=$((n+1)); done 2>/dev/null"
		login  = "for user in ulf gina; do pamhost --bare hostile $user; done"
		forget = "ip netns del ulf; ip netns del lab"
	)
	for _, row := range []surroundings{
		{is: "a read-only /run without the directories", breaks: readOnly},
		{is: "a read-only /run with the directories", breaks: login + ";" + forget + ";" + readOnly},
		{is: "a read-only /run with the handles", want: allIsolated, breaks: login + ";" + readOnly},
		{is: "a read-only /run/netns", breaks: login + ";" + forget + "; mount -o remount,bind,ro /run/netns"},
		{is: "a read-only /run/netns with the handles", want: allIsolated, breaks: login + "; mount -o remount,bind,ro /run/netns"},
		{is: "a full /run without the directories", breaks: tiny + ";" + full},
		{is: "a full /run with the directories", breaks: tiny + ";" + login + ";" + forget + ";" + full},
		{is: "a full /run with the handles", want: allIsolated, breaks: tiny + ";" + login + ";" + full},
	} {
		t.Run(row.is, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			b.sh(t, row.breaks)
			handles := b.sh(t, "ls -liA /run /run/netns 2>&1 || true")
			got := b.logIn(t, row)
			if after := b.sh(t, "ls -liA /run /run/netns 2>&1 || true"); got == allRefused && after != handles {
				t.Errorf("refusals have made of\n%s\nthis:\n%s", handles, after)
			}
			b.sh(t, `
				mount -o remount,bind,rw /run/netns 2>/dev/null || true
				case $(findmnt -no SOURCE /run | tail -n 1) in
				tiny) rm -f /run/full.*; mount -o remount,nr_inodes=0 /run;;
				*) mount -o remount,bind,rw /run;;
				esac`)
			b.logInAsEver(t)
		})
	}
}

func TestSystemCallsThatAreDenied(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	var rows []surroundings
	deny := func(errno syscall.Errno, want outcome, calls ...string) {
		for _, call := range calls {
			rows = append(rows, surroundings{
				is: call + " gives " + unix.ErrnoName(errno), want: want,
				front: fmt.Sprintf(`exec deny %d %s "$@"`, errno, call),
			})
		}
	}
	deny(unix.EPERM, allRefused,
		"unshare", "setns", "mount", "fsopen", "fsmount", "open_tree", "move_mount", "socketpair", "fork", "prctl",
		"setresuid", "close_range", "sendmsg", "recvmsg", "poll", "chroot", "fchdir")
	deny(unix.EPERM, either,
		"mount_setattr", "umount2", "thread", "clone3", "flock", "futex", "epoll_create1", "rt_sigaction", "prlimit64")
	deny(unix.ENOSYS, allRefused, "unshare", "setns", "mount")
	// A kernel that lacks one of these lacks all of them: see old_kernel in test/hosts.
	deny(unix.ENOSYS, either, "fsopen", "fsmount", "open_tree", "move_mount", "mount_setattr")
	deny(unix.ENOSYS, allIsolated, "clone3", "close_range")
	b.loginUnder(t, rows)
}

func TestACgroupWithoutRoomForProcesses(t *testing.T) {
	t.Parallel()
	group := controlGroup(t, "/sys/fs/cgroup/pids", "/sys/fs/cgroup")
	b := newBox(t)
	if _, err := b.Stat(group + "/pids.max"); err != nil {
		t.Skipf("no control group for the number of processes: %v", err)
	}
	var rows []surroundings
	for most := 1; most <= 9; most++ {
		row := surroundings{
			is:    fmt.Sprintf("%d processes and threads at most", most),
			front: fmt.Sprintf(`echo $$ >%s/cgroup.procs; echo %d >%[1]s/pids.max; exec "$@"`, group, most),
		}
		switch most {
		case 1:
			row.want = allRefused
		case 9:
			row.want = allIsolated
		}
		rows = append(rows, row)
	}
	b.loginUnder(t, rows)
}

// loginUnder logs all members in under each of the surroundings, and whenever
// somebody has been refused, afterwards as ever. ulf's namespace goes each time.
func (b *box) loginUnder(t *testing.T, rows []surroundings) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.is, func(t *testing.T) {
			got := b.logIn(t, row)
			if got == allIsolated {
				b.sh(t, "ip netns del ulf")
				awaitNoStrays(t, b)
			} else {
				b.logInAsEver(t)
			}
			if row.want == either {
				t.Log(got)
			}
		})
	}
}

// logIn logs all members in, checks that each is isolated completely or refused
// and the host untouched, and compares the outcome. olga is no member: she is let
// in as ever, or refused.
func (b *box) logIn(t *testing.T, row surroundings) outcome {
	t.Helper()
	reports := b.reports(t, row)
	olga := reports["olga"]
	checkHost(t, row, olga, false)
	isolated := 0
	for _, member := range members {
		r := reports[member.user]
		is := r.Result("pam_open_session") == "PAM_SUCCESS"
		if is {
			isolated++
			b.checkIsolated(t, r, member.user, member.netns)
		}
		checkHost(t, row, r, is)
		if !maps.Equal(r.After.Rlimits, olga.After.Rlimits) {
			t.Errorf("%s has the limits %v, olga has %v", member.user, r.After.Rlimits, olga.After.Rlimits)
		}
	}
	got := outcome(fmt.Sprintf("%d of %d are isolated", isolated, len(members)))
	switch isolated {
	case 0:
		got = allRefused
	case len(members):
		got = allIsolated
	}
	if log := b.tail(t, 12); got != allIsolated && !strings.Contains(log, row.reason) {
		t.Errorf("the log does not say %q:\n%s", row.reason, log)
	}
	if row.want != either && got != row.want {
		t.Errorf("%s, should be: %s; the log:\n%s", got, row.want, b.tail(t, 6))
	}
	return got
}

// reports logs olga and the members in, one after the other, and returns what the
// hosts say, by user.
func (b *box) reports(t *testing.T, row surroundings) map[string]pamhost.Report {
	t.Helper()
	service, front := "hostile", row.front
	if front == "" {
		front = `exec "$@"`
	}
	if row.limits != "" {
		service = "limited"
		expect.Check(t, b.WriteFile("/run/limits.conf", "* - "+row.limits+"\n", 0o644))
	}
	command := append([]string{front, "pamhost"}, strings.Fields(row.options)...)
	output := b.sh(t, `
		front=$1; shift
		for user in olga nina ulf gina; do
			status=0
			sh -ec "$front" sh "$@" $user || status=$?
			echo " $status"
		done`, append(command, service)...)
	reports := make(map[string]pamhost.Report)
	for line := range strings.Lines(output) {
		end := strings.LastIndexByte(line, ' ')
		status := strings.TrimSpace(line[end:])
		r, err := pamhost.Parse([]byte(line[:end]))
		if err != nil || status != "0" && status != "1" {
			t.Fatalf("the host has died: %v: %s", err, output)
		}
		reports[string(r.User)] = r
	}
	return reports
}

// checkHost checks that nothing else has changed in the host.
func checkHost(t *testing.T, row surroundings, r pamhost.Report, isolated bool) {
	t.Helper()
	result := r.Result("pam_open_session")
	if result != "PAM_SUCCESS" && result != "PAM_ABORT" {
		t.Errorf("%s: pam_open_session: %s", r.User, result)
	}
	var expected []pamhost.Field
	if isolated {
		expected = append(expected, pamhost.NetNamespace, pamhost.MountNamespace)
	}
	if isolated && r.After.Cwd.Path == "/" { // as what is gone becomes
		expected = append(expected, pamhost.Cwd)
	}
	if row.front != "" { // whose mounts may decide how the paths of the mapped files look
		expected = append(expected, pamhost.MappedFiles)
	}
	if row.limits != "" {
		expected = append(expected, pamhost.Rlimits)
	}
	if slices.ContainsFunc(r.After.Threads, func(thread pamhost.Thread) bool { return thread.Name == "" }) {
		expected = append(expected, pamhost.Threads) // too few descriptors to look
	}
	for _, sentence := range r.Before.Diff(r.After, expected...) {
		t.Errorf("%s: %s: changed: %s", r.User, result, sentence)
	}
}

// checkIsolated checks that the session is in the network namespace it should be in.
func (b *box) checkIsolated(t *testing.T, r pamhost.Report, user, netns string) {
	t.Helper()
	net := fmt.Sprintf("net:[%d]", r.After.Namespaces["net"])
	if !r.After.Proc {
		t.Errorf("%s: let in, but the host's namespaces are not known", user)
	} else if net == b.own(t) {
		t.Errorf("%s: let in, in the machine's own network namespace", user)
	}
	if r.After.Namespaces["mnt"] == r.Before.Namespaces["mnt"] {
		t.Errorf("%s: let in, without a mount namespace", user)
	}
	if netns != "" {
		handle, err := b.Stat("/run/netns/" + netns)
		expect.Check(t, err)
		if want := fmt.Sprintf("net:[%d]", handle.Sys().(*syscall.Stat_t).Ino); net != want {
			t.Errorf("%s: in %s, /run/netns/%s is %s", user, net, netns, want)
		}
	}
}

// logInAsEver logs all members in under ordinary surroundings, and has ulf create
// his namespace the next time.
func (b *box) logInAsEver(t *testing.T) {
	t.Helper()
	networks := b.sh(t, `
		for user in nina ulf gina; do pamhost --bare hostile $user -- readlink /proc/self/ns/net; done
		ip netns del ulf`)
	if strings.Count(networks, "net:") != len(members) || strings.Contains(networks, b.own(t)) {
		t.Fatalf("the next logins are in %q; the machine is in %s", networks, b.own(t))
	}
	awaitNoStrays(t, b)
}

// awaitNoStrays waits until no process is left but the machine's first.
func awaitNoStrays(t *testing.T, b *box) {
	t.Helper()
	var left []sandbox.Process
	defer func() {
		if t.Failed() {
			t.Logf("processes: %+v", left)
		}
	}()
	expect.Eventually(t, "no process is left", func() bool {
		processes, err := b.Processes()
		expect.Check(t, err)
		left = processes
		return len(left) == 1
	})
}
