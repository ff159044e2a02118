// SPDX-License-Identifier: GPL-2.0-or-later

package hosts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/pamhost"
)

// A cause keeps members out until it is mended.
type cause struct {
	is     string
	breaks string // a script of root's
	mends  string // a script of root's
	host   string // until then; "pamhost" if empty
	args   string // of the module
	joins  bool   // the namespaces are there already
	reason string // what the log says among other things
}

// member is somebody whom one module alone concerns.
type member struct{ user, module, netns string }

var (
	members = []member{{"nina", "pam_newnet", ""}, {"ulf", "pam_usernet", "ulf"}, {"gina", "pam_groupnet", "lab"}}
	named   = members[1:]
)

// lacks is the end of a refusal by a login service without these capabilities.
func lacks(capabilities string) string {
	return "; the login service lacks " + capabilities + ": add that to CapabilityBoundingSet= of its unit"
}

// Each cause keeps members of all modules out.
var causes = []cause{
	{is: "no CAP_SYS_ADMIN", host: "pamhost --drop-cap sys_admin", reason: lacks("CAP_SYS_ADMIN")},
	{
		is: "no CAP_SYS_CHROOT", host: "pamhost --drop-cap sys_chroot", joins: true,
		reason: "refused: setns mount namespace: operation not permitted" + lacks("CAP_SYS_CHROOT"),
	},
	{is: "no CAP_NET_ADMIN", host: "pamhost --drop-cap net_admin", reason: lacks("CAP_NET_ADMIN")},
	{is: "no CAP_SYS_PTRACE", host: "pamhost --drop-cap sys_ptrace", reason: "refused: stat /proc/1/ns/net: Permission denied" + lacks("CAP_SYS_PTRACE")},
	{
		is: "none of these capabilities", host: "pamhost --drop-cap sys_ptrace --drop-cap sys_admin --drop-cap sys_chroot",
		reason: lacks("CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_CHROOT"),
	},
	{is: "a thread that is not the main one", host: "pamhost --threads 3", reason: "refused: the login service opens the session in a thread"},
	{
		is: "no right to look at process 1", reason: "stat /proc/1/ns/net: Permission denied",
		host: "pamhost --drop-cap sys_ptrace --drop-cap dac_override --drop-cap dac_read_search",
	},
	{
		is: "no namespaces in /proc", reason: "stat /proc/1/ns/net: No such file or directory",
		breaks: "mount -t tmpfs empty /proc/1/ns", mends: "umount /proc/1/ns",
	},
	{
		is: "a chroot without /proc", host: "pamhost --chroot " + jail, reason: `the child ended without a verdict; source "files" of nsswitch.conf does not answer: No such file or directory`,
		breaks: "mkdir " + jail + "; mount --rbind /etc " + jail, mends: "umount " + jail,
	},
	{
		is: "no memory for Go, for good", reason: "without a verdict",
		host: "pamhost --drop-cap sys_resource --rlimit AS=64000000:64000000",
	},
	{
		is: "no process to spare, for good", reason: "fork: Resource temporarily unavailable",
		host: "pamhost --seteuid-caller 5000 --drop-cap sys_resource --drop-cap sys_admin --rlimit NPROC=0:0",
	},
	{is: "no descriptor to spare", host: "pamhost --rlimit NOFILE=6", reason: "Too many open files"},
	{is: "no descriptor to spare for the verdict", host: "pamhost --rlimit NOFILE=12", joins: true, reason: "too few free descriptors"},
	{
		is: "a null device that is none", args: "mask=/etc/hostname", joins: true, reason: "/dev/null is not the null device",
		breaks: "mv /dev/null /dev/away; : >/dev/null", mends: "mv /dev/away /dev/null",
	},
	{
		is: "what is to be covered in a directory that becomes a user's", args: "mask=/var/d/socket", joins: true,
		reason: "mask=/var/d/socket: a user could change where it leads (/var/d: belongs to uid ",
		breaks: "mkdir -p /var/d; chown ulf /var/d; touch /var/d/socket", mends: "chown root /var/d",
	},
	{is: "no null device", reason: "without a verdict", breaks: "mv /dev/null /dev/away", mends: "mv /dev/away /dev/null"},
	{
		is: "no list of groups", reason: `source "files" of nsswitch.conf does not answer`,
		breaks: "mv /etc/group /etc/away", mends: "mv /etc/away /etc/group",
	},
	{
		is: "a list of groups that cannot be read", reason: `source "files" of nsswitch.conf does not answer`,
		breaks: "mv /etc/group /etc/away; mkdir /etc/group", mends: "rmdir /etc/group; mv /etc/away /etc/group",
	},
	{
		is: "sources of names that cannot be read", reason: "/etc/nsswitch.conf: Is a directory",
		breaks: "mv /etc/nsswitch.conf /etc/away; mkdir /etc/nsswitch.conf",
		mends:  "rmdir /etc/nsswitch.conf; mv /etc/away /etc/nsswitch.conf",
	},
}

// Each keeps those out who have a namespace NAME.
var namedCauses = []cause{
	handle("a directory", "mkdir NAME", "not a network namespace"),
	handle("a FIFO", "mkfifo NAME", "not a network namespace"),
	handle("a character device", "mknod NAME c 1 3", "not a network namespace"),
	handle("a file with something in it", "echo x >NAME", "not a network namespace"),
	handle("a link to a namespace", "ln -s /proc/self/ns/net NAME", "not a network namespace"),
	handle("a link to nowhere", "ln -s nowhere NAME", "not a network namespace"),
	handle("a namespace of another kind", ": >NAME; mount --bind /proc/1/ns/uts NAME", "another kind of namespace"),
	handle("a namespace of processes", ": >NAME; mount --bind /proc/1/ns/pid NAME", "another kind of namespace"),
	handle("the machine's own namespace", ": >NAME; mount --bind /proc/1/ns/net NAME", "the host's own network namespace"),

	etcNetns("a directory of all names that a group may write", "chmod g+w /etc/netns", "chmod go-w /etc/netns", "/etc/netns can be written by others"),
	etcNetns("a directory that is a user's", "chown ulf NAME", "chown root NAME", "NAME belongs to uid"),
	etcNetns("a directory that all may write", "chmod 777 NAME", "chmod 755 NAME", "NAME can be written by others"),
	etcNetns("a directory that a group may write", "chmod 775 NAME", "chmod 755 NAME", "NAME can be written by others"),
	etcNetns("a link to a user's directory", "rm -r NAME; mkdir /tmp/NAME; chown ulf /tmp/NAME; ln -s /tmp/NAME NAME", "rm NAME; mkdir NAME", "NAME belongs to uid"),
	etcNetns("a directory that is a file", "rm -r NAME; echo >NAME", "rm NAME; mkdir NAME", "not a directory"),
	etcNetns("a file that is a user's", "echo >NAME/hosts; chown ulf NAME/hosts", "rm NAME/hosts", `"hosts" belongs to uid`),
	etcNetns("a file that all may write", "echo >NAME/hosts; chmod 666 NAME/hosts", "rm NAME/hosts", `"hosts" can be written by others`),
	etcNetns("a FIFO", "mkfifo NAME/hosts", "rm NAME/hosts", `"hosts" is neither a file nor a directory`),
	etcNetns("a device", "mknod NAME/hosts c 1 3", "rm NAME/hosts", `"hosts" is neither a file nor a directory`),
	etcNetns("a link to a socket", "ln -s /dev/log NAME/hosts", "rm NAME/hosts", `"hosts" is neither a file nor a directory`),
	etcNetns("a link to itself", "ln -s hosts NAME/hosts", "rm NAME/hosts", "too many levels of symbolic links"),
	etcNetns("a link to a user's file", "echo >/tmp/hosts; chown ulf /tmp/hosts; ln -sf /tmp/hosts NAME/hosts", "rm NAME/hosts", `"hosts" belongs to uid`),
	etcNetns("a link to nowhere", "ln -s nowhere NAME/hosts", "rm NAME/hosts", `"hosts" open: no such file`),
	etcNetns("a directory for a file", "mkdir NAME/hosts", "rmdir NAME/hosts", "not alike"),
	etcNetns("a file for a directory", "echo >NAME/pam.d", "rm NAME/pam.d", "not alike"),

	{
		is: "a lock directory that is a file", reason: "open /run/libpam-net: not a directory",
		breaks: "rm -r /run/libpam-net; : >/run/libpam-net", mends: "rm /run/libpam-net",
	},
	{
		is: "a lock directory that is a link", reason: "open /run/libpam-net: not a directory",
		breaks: "rm -r /run/libpam-net; ln -s /tmp /run/libpam-net", mends: "rm /run/libpam-net",
	},
	{
		is: "a directory of namespaces that is a user's", reason: "/run/netns: belongs to uid",
		breaks: "chown ulf /run/netns", mends: "chown root /run/netns",
	},
	{
		is: "a directory of namespaces that all may write", reason: "/run/netns: can be written by others than root",
		breaks: "chmod 777 /run/netns", mends: "chmod 755 /run/netns",
	},
}

// handle is the cause that something else has a namespace's place.
func handle(is, makes, reason string) cause {
	return cause{
		is: is + " in the place of a namespace", reason: reason,
		breaks: forNames("/run/netns", makes),
		mends:  forNames("/run/netns", "umount NAME 2>&1 || true; rm -r NAME"),
	}
}

// etcNetns is the cause that something in /etc/netns must not be mounted.
func etcNetns(is, makes, mends, reason string) cause {
	const dir = "/etc/netns"
	return cause{is: dir + ": " + is, breaks: forNames(dir, "mkdir NAME\n"+makes), mends: forNames(dir, mends), joins: true, reason: reason}
}

// forNames repeats a script in a directory with the names of the members' namespaces.
func forNames(dir, script string) string {
	all := "mkdir -p " + dir + "; cd " + dir + "\n"
	for _, member := range named {
		all += strings.ReplaceAll(script, "NAME", member.netns) + "\n"
	}
	return all
}

func TestWhatFailsIsARefusalThatChangesNothing(t *testing.T) {
	for _, cause := range causes {
		t.Run(cause.is, func(t *testing.T) { cause.refuses(t, members) })
	}
	for _, cause := range namedCauses {
		t.Run(cause.is, func(t *testing.T) { cause.refuses(t, named) })
	}
}

func (c cause) refuses(t *testing.T, members []member) {
	t.Parallel()
	b := newBox(t)
	for _, member := range named { // what is there after the very first login is there from now on
		b.open(t, login{host: "pamhost", stack: everything, user: member.user})
	}
	if !c.joins {
		b.sh(t, "ip netns del ulf; ip netns del lab")
	}
	b.sh(t, c.breaks)
	if c.host == "" {
		c.host = "pamhost"
	}
	const state = "ls -liA /run/netns/ /etc/netns/ 2>&1 || true"
	mounts, files := b.mountTable(t), b.sh(t, state)
	for _, member := range members {
		stack := []string{"required " + member.module + ".so " + c.args, "required pam_permit.so"}
		for _, option := range []string{"", " --silent"} {
			t.Run(member.module+option, func(t *testing.T) {
				o := b.open(t, login{host: c.host + option, stack: stack, user: member.user, command: "true"})
				o.refused(t, member, strings.ReplaceAll(c.reason, "NAME", member.netns), option == "")
			})
		}
	}
	expect.Equal(t, "mounts that have come", fmt.Sprint(b.newMounts(t, mounts)), "[]")
	expect.Equal(t, "files", b.sh(t, state), files)

	b.sh(t, c.mends)
	for _, member := range members {
		stack := []string{"required " + member.module + ".so " + c.args}
		o := b.open(t, login{host: "pamhost", stack: stack, user: member.user, command: "ls -m /sys/class/net"})
		expect.Equal(t, "interfaces of "+member.user+" after that", o.output, "lo\n")
	}
}

// refused reports what is wrong with a refusal.
func (o outcome) refused(t *testing.T, m member, reason string, told bool) {
	t.Helper()
	expect.Equal(t, "pam_open_session", o.Result("pam_open_session"), "PAM_ABORT")
	unchanged(t, "pam_open_session", o.Before, o.After)
	unchanged(t, "pam_end", o.After, o.End, pamhost.MappedFiles)
	if o.Command != nil {
		t.Error("the command was run")
	}
	prefix := fmt.Sprintf("err %s: %q refused: ", m.module, m.user)
	if len(o.log) != 1 || !strings.HasPrefix(o.log[0], prefix) || !strings.Contains(o.log[0], reason) {
		t.Errorf("log: got %q, want one line %q with %q", o.log, prefix, reason)
	}
	var messages []pamhost.Message
	if told {
		text := "Login refused: your network could not be set up (" + m.module + "). Ask your administrator to check the system log."
		messages = append(messages, pamhost.Message{Style: "PAM_ERROR_MSG", Text: pamhost.Text(text)})
	}
	if !slices.Equal(o.Messages, messages) {
		t.Errorf("the user was told %q, want %q", o.Messages, messages)
	}
}

func TestWithFewDescriptorsToSpareItIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	isolated := 0
	for limit := 4; limit < 24; limit++ {
		for _, member := range members[:2] {
			host := fmt.Sprintf("pamhost --rlimit NOFILE=%d", limit)
			o := b.open(t, login{host: host, stack: everything, user: member.user})
			if o.Result("pam_open_session") == "PAM_SUCCESS" {
				isolated++
				unchanged(t, host, o.Before, o.After, pamhost.NetNamespace, pamhost.MountNamespace)
				expect.Equal(t, "another network with "+host, o.After.Namespaces["net"] != o.Before.Namespaces["net"], true)
			} else {
				o.refused(t, member, "", true)
			}
		}
	}
	if isolated == 0 || isolated == 40 {
		t.Errorf("%d of 40 logins were isolated", isolated)
	}
}

func TestALoginIsRefusedInTime(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	lock, err := b.LockNames()
	expect.Check(t, err)
	mounts := b.mountTable(t)

	var late []*host
	for _, options := range []string{"", " --threads 3 --fork-between", " --fork-between", " --block-all-signals", " --sigchld-ignore", " --sigchld-reap"} {
		for _, member := range named {
			stack := []string{"required " + member.module + ".so timeout=1"}
			late = append(late, b.start(t, login{host: "pamhost" + options, stack: stack, user: member.user}))
		}
	}
	for i, h := range late {
		h.wait(t).refused(t, named[i%2], "no verdict within 1 s", true)
	}
	expect.Equal(t, "mounts that have come", fmt.Sprint(b.newMounts(t, mounts)), "[]")

	expect.Check(t, lock.Close())
	for _, member := range named {
		o := b.open(t, login{host: "pamhost", stack: everything, user: member.user})
		expect.Equal(t, "pam_open_session after that", o.Result("pam_open_session"), "PAM_SUCCESS")
	}
}

func TestRootIsLetInWhereNobodyKnowsWhoIsAMember(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	expect.Check(t, b.AddToGroup("newnet", "root"))
	b.sh(t, "rm /etc/group")
	o := b.open(t, login{host: "pamhost", stack: everything, user: "root"})
	expect.Equal(t, "pam_open_session", o.Result("pam_open_session"), "PAM_SUCCESS")
	unchanged(t, "pam_open_session", o.Before, o.After)
	expect.Equal(t, "messages", len(o.Messages), 0)
	expect.Equal(t, "lines in the log", len(o.log), 3)
	for i, line := range o.log {
		want := "err " + machine.Modules[i] + `: "root" let in as root, not isolated: cannot tell whether the user is a member: `
		if !strings.HasPrefix(line, want) {
			t.Errorf("log: got %q, want %q", line, want)
		}
	}
}
