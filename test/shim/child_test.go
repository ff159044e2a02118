// SPDX-License-Identifier: GPL-2.0-or-later

package shim

import (
	"encoding/json"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
	"libpam-net/test/sandbox"
)

const unknown = `cannot tell whether the user is a member: source "spy" of nsswitch.conf does not answer`

// The child is a copy of the login process. All that may not be in it is looked
// for from inside, by the first that runs there and is not ours: a directory's client.
func TestChildKeepsNothingOfTheLogin(t *testing.T) {
	m, h := newMachine(t), hosts[0]
	m.install(t, h)
	m.installCore(t, h, "pam_newnet.so")
	m.spy(t)

	for _, test := range []struct {
		name    string
		session session
	}{
		{"of an ordinary login", session{}},
		{"of one with many descriptors", session{options: []string{"--open", "20"}}},
		{"of one without standard descriptors", session{options: []string{"--close-fds", "0,1,2", "--open", "5"}}},
		{"on Linux before 5.9", session{
			options: []string{"--open", "20"},
			front:   append(tracing(t, "close_range:error=ENOSYS"), "-f"),
		}},
		{"of one whose environment is its caller's", session{options: []string{
			"--setenv", "GODEBUG=inittrace=1", "--setenv", "GOMAXPROCS=7", "--setenv", "LD_PRELOAD=/x.so", "--setenv", "GCONV_PATH=/tmp",
		}}},
		{"of a set-uid program", session{options: []string{"--seteuid-caller", "1000"}}},
		{"of one with limits", session{options: []string{"--rlimit", "NOFILE=64", "--rlimit", "AS=100000000", "--rlimit", "FSIZE=4096"}}},
		{"of one with signals blocked and handled", session{options: []string{"--block-all-signals", "--sigchld-reap"}}},
		{"of one that ignores all signals", session{options: []string{"--ignore-all-signals"}}},
		{"of one that ignores SIGCHLD", session{options: []string{"--sigchld-ignore"}}},
		{"of one with a strict umask", session{front: []string{"sh", "-c", `umask 0777; exec "$@"`, "sh"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.session.module = "pam_newnet.so"
			test.session.user = "nobody"
			test.session.args = []string{"group=members"}
			o := m.open(t, h, test.session)
			o.logged(t, unknown, 1)
			m.inspect(t, m.child(t, o), o.Before)
		})
	}
}

// In su and sudo the environment is the caller's, who may be a member.
func TestTheEnvironmentCannotHideAMember(t *testing.T) {
	m, h := newMachine(t), hosts[0]
	m.install(t, h)
	m.installCore(t, h, "pam_newnet.so")
	m.spy(t)
	o := m.open(t, h, session{
		module: "pam_newnet.so", user: "nobody", args: []string{"group=members"}, options: []string{"--setenv", "SPY=blind"},
	})
	o.refused(t, unknown)
}

// systemd's source is local, and obeys its variables in a set-uid program, too.
func TestTheEnvironmentCannotHideAMemberFromSystemdsSource(t *testing.T) {
	m, h := newMachine(t), hosts[0]
	m.install(t, h)
	m.installCore(t, h, "pam_newnet.so")
	m.source(t, "systemd", append(spyFiles, "-DSYSTEMD")...)
	expect.Check(t, m.MkdirAll("/run/spy", 0o700))
	for _, variable := range []string{"SYSTEMD_ONLY_USERDB=nothing", "SYSTEMD_EXEC_PID=1"} {
		o := m.open(t, h, session{
			module: "pam_newnet.so", user: "nobody", args: []string{"group=members"}, options: []string{"--setenv", variable},
		})
		o.refused(t, strings.Replace(unknown, "spy", "systemd", 1))
	}
}

// installCore brings a real module into the sandbox.
func (m machine) installCore(t *testing.T, h *host, module string) {
	t.Helper()
	run(t, "make", "-C", "../..", "OUT="+built, built+"/"+module)
	expect.Check(t, m.Install(built+"/"+module, m.path(h, module), 0o644))
}

var spyFiles = []string{"testdata/libnss_spy.c", "../pamhost/c/snapshot.c", "../pamhost/c/json.c"}

// spy installs the source that looks around and never answers.
func (m machine) spy(t *testing.T) {
	t.Helper()
	m.source(t, "spy", spyFiles...)
	expect.Check(t, m.MkdirAll("/run/spy", 0o700))
}

// fake installs the source that has what stands in /run/fake.
func (m machine) fake(t *testing.T) {
	t.Helper()
	m.source(t, "fake", "../../pam/testdata/libnss_fake.c")
	expect.Check(t, m.MkdirAll("/run/fake", 0o755))
}

// source compiles and installs a source of nsswitch.conf, to be asked after the files.
func (m machine) source(t *testing.T, name string, args ...string) {
	t.Helper()
	library := "libnss_" + name + ".so.2"
	expect.Check(t, hosts[0].compile(library, nil, append(args, "-shared", "-fPIC", "-Wl,-Bsymbolic")...))
	modules, err := sandbox.ModuleDir()
	expect.Check(t, err)
	expect.Check(t, m.Install(hosts[0].path(library), path.Join(path.Dir(modules), library), 0o644))
	m.sources(t, "files "+name)
}

// child returns what the source saw in the child of a session, which alone may ask it.
func (m machine) child(t *testing.T, o outcome) pamhost.Snapshot {
	t.Helper()
	result, err := m.Sh(t.Context(), "ls /run/spy")
	expect.Check(t, err)
	pids := strings.Fields(result.Stdout)
	if len(pids) != 1 || pids[0] == strconv.Itoa(o.PID) {
		t.Fatalf("asked by %v (the host is %d), want a single child; log: %s", pids, o.PID, o.log)
	}
	file := "/run/spy/" + pids[0]
	data, err := m.ReadFile(file)
	expect.Check(t, err)
	expect.Check(t, m.Remove(file))
	var s pamhost.Snapshot
	expect.Check(t, json.Unmarshal([]byte(data), &s))
	return s
}

// inspect fails the test for all that the child has of the login, which was as
// in before.
func (m machine) inspect(t *testing.T, child, before pamhost.Snapshot) {
	t.Helper()
	for name, want := range map[string]int64{
		"dumpable": 0, "pdeathsig": 9, "session": int64(child.PID), "process_group": int64(child.PID),
	} {
		if got := child.Attributes[name]; got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
	for _, d := range child.Descriptors {
		switch {
		case d.Number <= 2 && d.Target == "/dev/null":
		case d.Number == 3 && strings.HasPrefix(string(d.Target), "socket:"):
		default:
			t.Errorf("descriptor %d is %v", d.Number, d)
		}
	}
	if len(child.Descriptors) < 4 {
		t.Errorf("descriptors %v", child.Descriptors)
	}
	if want := []pamhost.Text{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1"}; !slices.Equal(child.Environment, want) {
		t.Errorf("environment %q", child.Environment)
	}
	if child.Blocked != 0 {
		t.Errorf("blocked signals %v", child.Blocked)
	}
	for i, signal := range child.Signals {
		was := before.Signals[i]
		if signal.Number == int(unix.SIGXFSZ) && signal.Disposition == "ignored" {
			continue // too large a file is an error, not the end
		}
		if was.Disposition != "default" && signal.Disposition == was.Disposition && signal.Address == was.Address {
			t.Errorf("signal %d is still: %v", signal.Number, signal)
		}
	}
	if child.Credentials.UID != (pamhost.IDs{}) {
		t.Errorf("user IDs %+v", child.Credentials.UID)
	}
	for _, name := range []string{"AS", "FSIZE", "NOFILE", "NPROC", "STACK"} {
		if limit := child.Rlimits[name]; limit.Soft != limit.Hard {
			t.Errorf("limit %s: %v", name, limit)
		}
	}
	if child.Umask != 0o022 {
		t.Errorf("umask %v", child.Umask)
	}
}

// Such a module has started Go by the time it is called, in the login process.
func TestAModuleLinkedWithoutTheScriptIsRefused(t *testing.T) {
	m := newMachine(t)
	h := hosts[0]
	m.install(t, h)
	run(t, "go", "build", "-buildmode=c-shared", "-o", built+"/plain.so", "../../cmd/pam_newnet")
	expect.Check(t, m.Install(built+"/plain.so", m.path(h, "plain.so"), 0o644))
	o := m.open(t, h, session{module: "plain.so", args: []string{"group=members"}})
	if o.Result("pam_open_session") != "PAM_ABORT" {
		t.Errorf("calls: %v", o.Calls)
	}
	o.logged(t, "this module starts Go when it is loaded", 1)
}

func run(t *testing.T, command ...string) {
	t.Helper()
	if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, output)
	}
}
