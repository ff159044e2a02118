// SPDX-License-Identifier: GPL-2.0-or-later

//go:build pending

package hostile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

// surroundings are what members log in under.
type surroundings struct {
	is      string
	want    outcome
	options string // of pamhost
	front   string // a script that ends by running "$@", the host
	breaks  string // a script of root's, before
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

// forGood takes away what lifts a hard limit.
const forGood = " --drop-cap sys_resource"

func TestLimits(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	lifted := allIsolated
	if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_SYS_RESOURCE, 0, 0, 0); err != nil || has == 0 {
		t.Log("without CAP_SYS_RESOURCE, as in some containers, each limit is for good")
		lifted = either
	}
	limits := func(is string, want outcome, options string) surroundings {
		return surroundings{is: is, want: want, options: options}
	}
	var rows []surroundings
	for _, mib := range []int{16, 24, 32, 64, 128, 256, 512, 1024, 2048, 4096} {
		is, option := fmt.Sprintf("%d MiB of address space", mib), fmt.Sprintf("--rlimit AS=%d:%[1]d", mib<<20)
		rows = append(rows, limits(is, lifted, option))
		if lifted == allIsolated {
			rows = append(rows, limits(is+" for good", either, option+forGood))
		}
	}
	for _, limit := range []struct {
		is, name, value string
		forGood         outcome
	}{
		{"no process", "NPROC", "0", allIsolated}, // which does not count for root
		{"one process", "NPROC", "1", allIsolated},
		{"no file to be written", "FSIZE", "0", allIsolated},
		{"one second of processor", "CPU", "1", allIsolated},
		{"little stack", "STACK", "65536", either},
		{"unlimited stack", "STACK", "unlimited", allIsolated},
		{"little data", "DATA", "1048576", either},
		{"more data", "DATA", "16777216", either},
		{"no locked memory", "MEMLOCK", "0", allIsolated},
		{"no core", "CORE", "0", allIsolated},
		{"no message queue", "MSGQUEUE", "0", allIsolated},
		{"no pending signal", "SIGPENDING", "0", allIsolated},
	} {
		option := "--rlimit " + limit.name + "=" + limit.value + ":" + limit.value
		rows = append(rows, limits(limit.is, cmp.Or(limit.forGood, lifted), option))
		if lifted == allIsolated {
			rows = append(rows, limits(limit.is+" for good", limit.forGood, option+forGood))
		}
	}
	for _, size := range []string{"65536", "1048576", "unlimited"} {
		rows = append(rows, surroundings{
			is: "from the start a stack of " + size, want: allIsolated, front: "exec prlimit --stack=" + size + ":" + size + ` -- "$@"`,
		})
	}
	const caller = "--seteuid-caller 5000 --rlimit NPROC=0:0"
	rows = append(rows,
		limits("no process of the caller's", allIsolated, caller),
		limits("no process of the caller's for good", allRefused, caller+forGood+" --drop-cap sys_admin"))
	const open = 4 // of pamhost: 0, 1, 2, and the log
	for spare := range 6 {
		rows = append(rows, limits(
			fmt.Sprintf("%d descriptors to spare", spare), either, fmt.Sprintf("--rlimit NOFILE=%d:%[1]d", open+spare)))
	}
	rows = append(rows, limits("descriptors enough", allIsolated, "--rlimit NOFILE=64:64"))
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
		{is: "all of these", want: allIsolated, options: "--close-fds 0,1,2 --sigchld-ignore --block-all-signals --open 50 --threads 3"},
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
			mkdir /tmp/tiny; mount -t tmpfs -o mode=755,nr_inodes=8 tiny /tmp/tiny; mkdir /tmp/tiny/sandbox
			mount --bind /run/sandbox /tmp/tiny/sandbox; mount --rbind /tmp/tiny /run`
		full   = "n=0; while touch /run/full.$n; do n=$((n+1)); done 2>/dev/null"
		login  = "for user in ulf gina; do pamhost --report /dev/null hostile $user; done"
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
	for _, call := range []struct {
		name          string
		eperm, enosys outcome
	}{
		{"unshare", allRefused, allRefused},
		{"setns", allRefused, allRefused},
		{"mount", allRefused, allRefused},
		{"fsopen", allRefused, either},
		{"open_tree", allRefused, either},
		{"move_mount", allRefused, either},
		{"fsmount", allRefused, either},
		{"mount_setattr", either, either},
		{"umount2", either, either},
		{"socketpair", allRefused, allRefused},
		{"fork", allRefused, allRefused},
		{"thread", either, either},
		{"clone3", either, allIsolated},
		{"prctl", allRefused, allRefused},
		{"setresuid", allRefused, allRefused},
		{"close_range", allRefused, allIsolated},
		{"sendmsg", allRefused, allRefused},
		{"recvmsg", allRefused, allRefused},
		{"poll", allRefused, allRefused},
		{"chroot", allRefused, allRefused},
		{"fchdir", allRefused, allRefused},
		{"flock", either, either},
		{"futex", either, either},
		{"epoll_create1", either, either},
		{"rt_sigaction", either, either},
		{"prlimit64", either, either},
	} {
		for _, errno := range []struct {
			syscall.Errno
			name string
			want outcome
		}{{syscall.EPERM, "EPERM", call.eperm}, {syscall.ENOSYS, "ENOSYS", call.enosys}} {
			rows = append(rows, surroundings{
				is: call.name + " gives " + errno.name, want: errno.want,
				front: fmt.Sprintf(`exec deny %d %s "$@"`, errno.Errno, call.name),
			})
		}
	}
	b.loginUnder(t, rows)
}

func TestACgroupWithoutRoomForProcesses(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	group := fmt.Sprintf("/sys/fs/cgroup/pids/hostile.%d", os.Getpid())
	if err := os.Mkdir(b.Root()+group, 0o755); errors.Is(err, fs.ErrNotExist) {
		group = strings.Replace(group, "/pids/", "/", 1)
		err = os.Mkdir(b.Root()+group, 0o755)
		if err != nil {
			t.Skipf("no control group can be made: %v", err)
		}
	} else if err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	defer func() {
		eventually(t, "the control group is empty", func() bool { return syscall.Rmdir(b.Root()+group) == nil })
	}()
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

// loginUnder logs all members in under each of the surroundings, and afterwards
// as ever.
func (b *box) loginUnder(t *testing.T, rows []surroundings) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.is, func(t *testing.T) {
			got := b.logIn(t, row)
			b.logInAsEver(t)
			if row.want == either {
				t.Log(got)
			}
		})
	}
}

// logIn logs all members in, checks that each is isolated completely or refused
// and the host untouched, and compares the outcome.
func (b *box) logIn(t *testing.T, row surroundings) outcome {
	t.Helper()
	isolated := 0
	for _, member := range members {
		if b.isolates(t, row, member.user, member.netns) {
			isolated++
		}
	}
	got := outcome(fmt.Sprintf("%d of %d are isolated", isolated, len(members)))
	switch isolated {
	case 0:
		got = allRefused
	case len(members):
		got = allIsolated
	}
	if row.want != either && got != row.want {
		t.Errorf("%s, should be: %s; the log:\n%s", got, row.want, b.tail(t, 6))
	}
	return got
}

func (b *box) isolates(t *testing.T, row surroundings, user, netns string) bool {
	t.Helper()
	front := row.front
	if front == "" {
		front = `exec "$@"`
	}
	args := append([]string{"pamhost"}, strings.Fields(row.options)...)
	result := b.try(t, front, append(args, "hostile", user)...)
	if result.ExitCode > 1 {
		t.Fatalf("%s: the host has died: %v", user, result.Err())
	}
	r, err := pamhost.Parse([]byte(result.Stdout))
	if err != nil {
		t.Fatalf("%s: %v; stderr %q", user, err, result.Stderr)
	}
	var expected []pamhost.Field
	switch got := r.Result("pam_open_session"); got {
	case "PAM_ABORT":
	case "PAM_SUCCESS":
		expected = []pamhost.Field{pamhost.NetNamespace, pamhost.MountNamespace}
		b.checkIsolated(t, r, user, netns)
	default:
		t.Errorf("%s: pam_open_session: %s", user, got)
	}
	isolated := expected != nil
	if row.front != "" { // whose mounts may decide how the paths of the mapped files look
		expected = append(expected, pamhost.MappedFiles)
	}
	for _, sentence := range r.Before.Diff(r.After, expected...) {
		t.Errorf("%s: %s: changed: %s", user, r.Result("pam_open_session"), sentence)
	}
	return isolated
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
		if handle := b.sh(t, "stat -c %i /run/netns/"+netns); net != "net:["+handle+"]" {
			t.Errorf("%s: in %s, /run/netns/%s is %s", user, net, netns, handle)
		}
	}
}

// logInAsEver logs all members in under ordinary surroundings, and has ulf create
// his namespace the next time.
func (b *box) logInAsEver(t *testing.T) {
	t.Helper()
	networks := b.sh(t, `
		for user in nina ulf gina; do pamhost --report /dev/null hostile $user -- readlink /proc/self/ns/net; done
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
	eventually(t, "no process is left", func() bool {
		processes, err := b.Processes()
		check(t, err)
		left = processes
		return len(left) == 1
	})
}
