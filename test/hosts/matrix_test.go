// SPDX-License-Identifier: GPL-2.0-or-later

package hosts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

// user is somebody with what a login comes to.
type user struct {
	is         string
	name       string
	log        string // what a module says, up to the namespace; "" if the user is nobody's member
	netns      string // the name of the namespace, if it has one
	interfaces string // sorted
	addresses  string
}

const loopback = "lo 127.0.0.1/8 lo ::1/128"

// users are one for each thing that a login can come to. The order matters.
var users = []user{
	{"nobody's member", "olga", "", "", "", ""},
	{"a member of newnet", "nina", `info pam_newnet: "nina": new network namespace`, "", "lo", loopback},
	{
		"a member of usernet, for the first time", "ulf",
		`info pam_usernet: "ulf": created network namespace "ulf"`, "ulf", "lo", loopback,
	},
	{
		"a member of usernet, with a namespace that ip has made", "ute",
		`info pam_usernet: "ute": joined network namespace "ute"`, "ute", "lo uplink", loopback + " uplink 198.51.100.2/24",
	},
	{
		"the first member of groupnet", "gina",
		`info pam_groupnet: "gina": created network namespace "lab"`, "lab", "lo", loopback,
	},
	{
		"the second member of groupnet", "gus",
		`info pam_groupnet: "gus": joined network namespace "lab"`, "lab", "lo", loopback,
	},
}

// addUte adds a user of usernet whose network the administrator has made.
func (b *box) addUte(t *testing.T) {
	t.Helper()
	_, err := b.AddUser("ute", sandbox.Groups("usernet"))
	expect.Check(t, err)
	b.sh(t, `
ip netns add ute
ip link add to-ute type veth peer name uplink netns ute
ip -n ute address add 198.51.100.2/24 dev uplink
ip -n ute link set uplink up
ip link set to-ute up
`)
}

// jail is where the chroot is. It is no mount point.
const jail = "/var/jail"

// addJail makes a chroot of the machine's own directories. All but "/" is mounted.
func (b *box) addJail(t *testing.T, without string) {
	t.Helper()
	b.sh(t, `
mkdir `+jail+`
for path in /bin /sbin /lib* /dev /etc /home /proc /run /sys /tmp /usr; do
	if [ -L $path ]; then
		cp -P $path `+jail+`
	elif [ $path != "`+without+`" ]; then
		mkdir `+jail+`$path
		mount --rbind $path `+jail+`$path
	fi
done
`)
}

// A row of the matrix.
type row struct {
	host string
	is   string

	before  []pamhost.Field // what the host changes about itself between pam_start and pam_open_session
	also    []pamhost.Field // what changes by itself
	root    string          // "/" if empty
	cwd     string          // "/" if empty
	reaps   bool            // no child's end may reach the host's handler but the command's
	unknown bool            // nobody can tell how the command ended
	covers  bool            // what is replaced stays in the mount table, beneath
	thread  bool            // the session is opened in another thread than the main one: members are refused
}

const hostile = "pamhost --setenv GODEBUG=inittrace=1,schedtrace=1,asyncpreemptoff=0 --setenv GOTRACEBACK=crash " +
	"--setenv GOCOVERDIR=/tmp/x --setenv GOMAXPROCS=1000000000 --setenv GOMEMLIMIT=1 --setenv GOGC=1 " +
	"--setenv GORACE=log_path=/tmp/x --setenv LD_PRELOAD=libpam.so.0 --setenv LD_DEBUG_OUTPUT=/tmp/x " +
	"--setenv GCONV_PATH=/tmp/x --setenv RES_OPTIONS=debug --setenv LOCALDOMAIN=x --setenv HOSTALIASES=/tmp/x " +
	"--setenv LOCPATH=/tmp/x --setenv NLSPATH=/tmp/x --setenv MALLOC_TRACE=/tmp/x --setenv TMPDIR=/tmp/x"

var rows = []row{
	{is: "a plain host", host: "pamhost"},
	{is: "a Go host", host: "gohost", also: []pamhost.Field{pamhost.Threads}, thread: true},
	{is: "a thread among others", host: "pamhost --threads 3", thread: true},
	{is: "a host that forks after pam_start", host: "pamhost --fork-between", before: forked},
	{is: "a host that forks in a thread after pam_start", host: "pamhost --threads 3 --fork-between", before: forked},
	{is: "a chrooted host", host: "pamhost --chroot " + jail, before: chrooted, root: jail},
	{is: "a chrooted thread", host: "pamhost --threads 3 --chroot " + jail, before: slices.Concat(chrooted, []pamhost.Field{pamhost.OtherThreads}), root: jail, thread: true},
	{is: "a host that ignores SIGCHLD", host: "pamhost --sigchld-ignore", before: handling, unknown: true},
	{is: "a host that reaps every child", host: "pamhost --sigchld-reap", before: handling, reaps: true},
	{is: "a host that reaps every child in any thread", host: "pamhost --threads 3 --sigchld-reap", before: handling, thread: true},
	{is: "a host that blocks all signals", host: "pamhost --block-all-signals"},
	{is: "a thread that blocks all signals", host: "pamhost --threads 3 --block-all-signals", thread: true},
	{is: "a host that blocks SIGCHLD and would reap", host: "pamhost --block-all-signals --sigchld-reap", before: handling},
	{is: "a host without standard descriptors", host: "pamhost --close-fds 0,1,2"},
	{is: "a host with fifty more descriptors", host: "pamhost --open 50"},
	{is: "a host of two sessions", host: "pamhost --twice"},
	{is: "a chrooted host of two sessions", host: "pamhost --twice --chroot " + jail, before: chrooted, root: jail},
	{is: "a set-uid host", host: "pamhost --seteuid-caller 5000"},
	{is: "a set-uid host with a hostile environment", host: hostile + " --seteuid-caller 5000"},
	{is: "a host in a directory", host: "pamhost --chdir /usr/share", before: []pamhost.Field{pamhost.Cwd}, cwd: "/usr/share"},
	{
		is: "a host under tight limits", before: []pamhost.Field{pamhost.Rlimits},
		host: "pamhost --rlimit AS=64000000 --rlimit DATA=64000000 --rlimit NOFILE=32 --rlimit STACK=1000000 " +
			"--rlimit MEMLOCK=0 --rlimit CPU=5 --rlimit RTPRIO=0 --rlimit SIGPENDING=0",
	},
	{is: "a service with mounts of its own", host: "unshare --fork --mount --propagation private pamhost"},
	{is: "a service with mounts of its own, as systemd makes them", host: "unshare --fork --mount --propagation slave unshare --fork --mount --propagation shared pamhost"},

	{is: "an old kernel", host: "old_kernel pamhost", covers: true},
	{is: "a Go host on an old kernel", host: "old_kernel gohost", also: []pamhost.Field{pamhost.Threads}, covers: true, thread: true},
	{is: "a thread on an old kernel", host: "old_kernel pamhost --threads 3", covers: true, thread: true},
	{is: "a chrooted host on an old kernel", host: "old_kernel pamhost --chroot " + jail, before: chrooted, root: jail, covers: true},
	{is: "a host without standard descriptors on an old kernel", host: "old_kernel pamhost --open 50 --close-fds 0,1,2", covers: true},
	{is: "a service with mounts of its own on an old kernel", host: "old_kernel unshare --fork --mount --propagation private pamhost", covers: true},
}

var (
	// setpriv(1), which starts the host, has its parent's death signalled: not to a child.
	forked   = []pamhost.Field{pamhost.ProcessID, pamhost.Threads, "pdeathsig"}
	chrooted = []pamhost.Field{pamhost.Root, pamhost.Cwd}
	handling = []pamhost.Field{pamhost.Signals}
)

func TestEveryHostWithEveryUser(t *testing.T) {
	for _, row := range rows {
		t.Run(row.is, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			b.addUte(t)
			b.mountBelowSys(t)
			if row.root != "" {
				b.addJail(t, "")
			}
			machine := b.own(t, row.root)
			mounts := b.mountTable(t)
			for _, user := range users {
				t.Run(user.is, func(t *testing.T) {
					o := b.open(t, login{host: row.host, stack: everything, user: user.name, command: look})
					if row.thread && user.log != "" {
						row.checkRefusal(t, o, user)
						return
					}
					if o.Command == nil {
						t.Fatalf("no session: %q, %q", o.Calls, o.log)
					}
					row.checkHost(t, o, user)
					if user.log != "" {
						row.checkSession(t, b, o, user, machine)
					} else {
						row.checkView(t, parseView(t, o.output), machine.of)
					}
					carriesSys(t, parseView(t, o.output), machine, row.covers)
				})
			}
			published := []string{"/run/netns/lab", "/run/netns/lab", "/run/netns/ulf", "/run/netns/ulf"}
			if row.root != "" { // which has the machine's /run
				published = append(published, jail+"/run/netns/lab", jail+"/run/netns/lab", jail+"/run/netns/ulf", jail+"/run/netns/ulf")
			}
			if row.thread {
				published = nil
			}
			slices.Sort(published)
			expect.Equal(t, "mounts that have come", fmt.Sprint(b.newMounts(t, mounts)), fmt.Sprint(published))
			expect.Equal(t, "traces in /tmp", b.sh(t, "ls -d /tmp/x* 2>/dev/null || true"), "")
		})
	}
}

// checkRefusal reports what is not as it was after the refusal of a member in a thread.
func (r row) checkRefusal(t *testing.T, o outcome, u user) {
	t.Helper()
	expect.Equal(t, "result", o.Result("pam_open_session"), "PAM_ABORT")
	unchanged(t, "pam_open_session", o.Before, o.After, r.also...)
	module := strings.Fields(u.log)[1]
	o.logs(t, fmt.Sprintf("err %s %q refused: the login service opens the session in a thread that is not its main one", module, u.name))
}

// checkHost reports what a session has left changed in the host.
func (r row) checkHost(t *testing.T, o outcome, u user) {
	t.Helper()
	// Modules and libc's socket to the log have come.
	unchanged(t, "pam_start", o.Start, o.Before, slices.Concat(r.before, r.also, []pamhost.Field{pamhost.MappedFiles, pamhost.Descriptors})...)
	isolated := slices.Clone(r.also)
	if u.log != "" {
		isolated = append(isolated, pamhost.NetNamespace, pamhost.MountNamespace)
	}
	unchanged(t, "pam_open_session", o.Before, o.After, isolated...)
	if o.Again.PID != 0 {
		unchanged(t, "the second pam_open_session", o.After, o.Again, isolated...)
	}
	unchanged(t, "pam_end", o.last(), o.End, slices.Concat(r.also, []pamhost.Field{pamhost.MappedFiles})...)
	if len(o.Messages) > 0 {
		t.Errorf("the user was told %q", o.Messages)
	}
	// What the Diffs say nothing of: threads that come and go by themselves.
	for _, thread := range o.After.Threads {
		if thread.TID != o.After.TID {
			expect.Equal(t, "network namespace of another thread", thread.Namespaces["net"], o.Before.Namespaces["net"])
			expect.Equal(t, "mount namespace of another thread", thread.Namespaces["mnt"], o.Before.Namespaces["mnt"])
		}
	}
	for _, call := range o.Calls {
		expect.Equal(t, call.Call, call.Result, "PAM_SUCCESS")
	}
	exit := 0
	if r.unknown {
		exit = -1
	}
	expect.Equal(t, "exit status of the command", o.Command.Exit, exit)
	if r.reaps {
		expect.Equal(t, "children that the host's handler has seen end", fmt.Sprint(o.Reaped), fmt.Sprint([]int{o.Command.PID}))
	}
}

// checkSession reports what is wrong with the session of a member.
func (r row) checkSession(t *testing.T, b *box, o outcome, u user, machine view) {
	t.Helper()
	before, after := o.Before.Namespaces, o.last().Namespaces
	if after["net"] == before["net"] || after["mnt"] == before["mnt"] || fmt.Sprintf("net:[%d]", after["net"]) == machine.of["netns"] {
		t.Errorf("namespaces %v became %v", before, after)
	}
	if u.netns != "" {
		expect.Equal(t, "network namespace", after["net"], b.inode(t, u.netns))
	}
	log := []string{fmt.Sprintf("%s (net:[%d])", u.log, o.After.Namespaces["net"])}
	if o.Again.PID != 0 {
		second := strings.Replace(u.log, "created", "joined", 1)
		log = append(log, fmt.Sprintf("%s (net:[%d])", second, after["net"]))
		expect.Equal(t, "another namespace at the second time", o.Again.Namespaces["net"] != o.After.Namespaces["net"], u.netns == "")
	}
	expect.Equal(t, "log", strings.Join(o.log, "\n"), strings.Join(log, "\n"))

	want := maps.Clone(machine.of)
	want["netns"] = fmt.Sprintf("net:[%d]", after["net"])
	want["interfaces"], want["class"], want["devices"] = u.interfaces, u.interfaces, u.interfaces
	want["addresses"] = u.addresses
	want["handles"] = u.netns
	r.checkView(t, parseView(t, o.output), want)
}

// checkView reports every key of a session's view that is not as it should be.
func (r row) checkView(t *testing.T, got view, want map[string]string) {
	t.Helper()
	want = maps.Clone(want)
	if r.cwd != "" {
		want["cwd"] = r.cwd
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		expect.Equal(t, key, got.of[key], want[key])
	}
}

// last is the snapshot of the session that the command ran in.
func (o outcome) last() pamhost.Snapshot {
	if o.Again.PID != 0 {
		return o.Again
	}
	return o.After
}

// unchanged reports every difference between two snapshots but those expected.
func unchanged(t *testing.T, by string, before, after pamhost.Snapshot, expected ...pamhost.Field) {
	t.Helper()
	for _, sentence := range before.Diff(after, expected...) {
		t.Errorf("changed by %s: %s", by, sentence)
	}
}

func (b *box) mountTable(t *testing.T) []sandbox.Mount {
	t.Helper()
	mounts, err := sandbox.MountTable(b.PID())
	expect.Check(t, err)
	return mounts
}

// newMounts returns the sorted points of the mounts that have come since, and
// reports what has gone.
func (b *box) newMounts(t *testing.T, before []sandbox.Mount) []string {
	t.Helper()
	var points []string
	left := slices.Clone(before)
	for _, m := range b.mountTable(t) {
		if i := slices.Index(left, m); i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			points = append(points, m.Point)
		}
	}
	for _, m := range left {
		t.Errorf("the machine has lost the mount %+v", m)
	}
	slices.Sort(points)
	return points
}

func TestNothingOfGoStaysInAHost(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.addUte(t)
	nobody := b.open(t, login{host: "pamhost", stack: everything, user: "olga"})
	for _, user := range users {
		t.Run(user.is, func(t *testing.T) {
			o := b.open(t, login{host: "pamhost", stack: everything, user: user.name})
			for _, s := range []pamhost.Snapshot{o.Start, o.Before, o.After, o.End} {
				expect.Equal(t, "threads", len(s.Threads), 1)
			}
			// Of the clean pages the others on the machine decide how many are private.
			grown := o.After.Memory.PrivateDirtyKB - nobody.After.Memory.PrivateDirtyKB
			more := o.After.Memory.VirtualKB - nobody.After.Memory.VirtualKB
			if grown > 512 || more > 512 {
				t.Errorf("%d kB of memory more than nobody's member, %d kB of address space", grown, more)
			}
		})
	}
}

func TestAChrootWithoutSysIsIsolatedAllTheSame(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.addJail(t, "/sys")
	o := b.open(t, login{host: "pamhost --chroot " + jail, stack: everything, user: "nina", command: "ip -oneline link"})
	expect.Equal(t, "interfaces", strings.Count(o.output, "\n"), 1)
	unchanged(t, "pam_open_session", o.Before, o.After, pamhost.NetNamespace, pamhost.MountNamespace)
}
