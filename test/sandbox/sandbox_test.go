package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
)

// helperVariable asks for one of the processes that the tests need besides themselves.
const helperVariable = "SANDBOX_TEST_HELPER"

func TestMain(m *testing.M) {
	Main()
	switch os.Getenv(helperVariable) {
	case "":
		os.Exit(m.Run())
	case "hold": // says the PID of a new sandbox and holds it
		s, err := New()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.PID())
		io.Copy(io.Discard, os.Stdin)
	case "new": // says whether New wants root
		_, err := New()
		fmt.Print(errors.Is(err, ErrNeedRoot))
	}
}

// helper returns the command to run one of them, in front of it another program with its arguments.
func helper(name string, front ...string) *exec.Cmd {
	args := append(front, os.Args[0])
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), helperVariable+"="+name)
	return cmd
}

func start(t *testing.T) *Sandbox {
	t.Helper()
	s, err := New()
	if errors.Is(err, ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	t.Cleanup(func() { expect.Check(t, s.Close()) })
	return s
}

// sh returns what a script that has to succeed printed.
func sh(t *testing.T, s *Sandbox, script string) string {
	t.Helper()
	result, err := s.Sh(t.Context(), script)
	expect.Check(t, err)
	expect.Check(t, result.Err())
	return strings.TrimSpace(result.Stdout)
}

// running counts the processes in the sandbox that have this name.
func running(t *testing.T, s *Sandbox, name string) int {
	t.Helper()
	processes, err := s.Processes()
	expect.Check(t, err)
	n := 0
	for _, p := range processes {
		if p.Name == name {
			n++
		}
	}
	return n
}

// machine describes what a sandbox must not change.
func machine(t *testing.T) string {
	t.Helper()
	mounts, err := MountTable(os.Getpid())
	expect.Check(t, err)
	state := fmt.Sprintf("%+v\n", mounts)
	for _, file := range []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/hostname", "/etc/hosts"} {
		content, err := os.ReadFile(file)
		expect.Check(t, err)
		state += string(content)
	}
	for _, pattern := range []string{"/*", "/run/*", "/run/netns/*", "/home/*", "/dev/*", "/etc/pam.d/*", "/usr/*", "/var/spool/*/*"} {
		names, err := filepath.Glob(pattern)
		expect.Check(t, err)
		state += strings.Join(names, " ")
	}
	name, err := os.Hostname()
	expect.Check(t, err)
	return state + name
}

func TestTheMachineIsNotChanged(t *testing.T) {
	before := machine(t)
	s, err := New()
	if errors.Is(err, ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	defer s.Close()
	user, err := s.AddUser("alice")
	expect.Check(t, err)
	expect.Check(t, s.AllowSudo(user))
	expect.Check(t, s.PAM("new", "session required pam_permit.so"))
	expect.Check(t, s.StartSSHD())
	sh(t, s, `ip netns add x
		touch /usr/new /var/spool/new /run/new /home/new /dev/new /tmp/new
		mkdir /mnt/new 2>/dev/null && exit 1
		mount -t tmpfs none /srv
		hostname new`)
	if machine(t) != before {
		t.Error("the machine has changed while the sandbox ran")
	}
	expect.Check(t, s.Close())
	if machine(t) != before {
		t.Error("the machine has changed after Close")
	}
	expect.Check(t, s.Close()) // does nothing
}

// With "/" shared, as systemd leaves it, a mount made too early would reach the machine.
func TestTheMachineIsNotChangedWhateverItsPropagation(t *testing.T) {
	start(t)
	for _, propagation := range []string{"shared", "private", "slave"} {
		t.Run(propagation, func(t *testing.T) {
			cmd := exec.Command("unshare", "--mount", "--propagation", propagation,
				os.Args[0], "-test.run=^TestTheMachineIsNotChanged$", "-test.v")
			output, err := cmd.CombinedOutput()
			if err != nil || !bytes.Contains(output, []byte("--- PASS")) {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}

func TestSandboxesDoNotSeeEachOther(t *testing.T) {
	a, b := start(t), start(t)
	for _, s := range []*Sandbox{a, b} {
		_, err := s.AddUser("alice")
		expect.Check(t, err)
		expect.Check(t, s.StartSSHD()) // on the same port
	}
	expect.Check(t, a.WriteFile("/etc/motd", "a\n", 0o644))
	sh(t, a, "ip netns add x; touch /run/a; logger only in a")
	expect.Equal(t, "namespaces in b", sh(t, b, "ip netns list; ls /run/netns 2>/dev/null || true"), "")
	expect.Equal(t, "files in b", sh(t, b, "cat /run/a 2>/dev/null || echo none"), "none")
	_, err := a.WaitLog(t.Context(), "only in a")
	expect.Check(t, err)
	log, err := b.Log()
	expect.Check(t, err)
	if strings.Contains(log, "only in a") {
		t.Errorf("b has the log of a: %s", log)
	}
	for _, kind := range []string{"mnt", "pid", "net", "ipc", "uts"} {
		inA, err := Namespace(a.PID(), kind)
		expect.Check(t, err)
		inB, err := Namespace(b.PID(), kind)
		expect.Check(t, err)
		own, err := Namespace(os.Getpid(), kind)
		expect.Check(t, err)
		if inA == inB || inA == own || inB == own {
			t.Errorf("%s namespaces are shared: %s in a, %s in b, %s on the machine", kind, inA, inB, own)
		}
	}
}

func TestANamedNamespaceStaysInside(t *testing.T) {
	s := start(t)
	sh(t, s, "ip netns add sandbox-test-x && ip netns exec sandbox-test-x true")
	expect.Equal(t, "namespaces inside", sh(t, s, "ip netns list"), "sandbox-test-x")
	if _, err := os.Stat("/run/netns/sandbox-test-x"); err == nil {
		t.Error("the namespace is visible on the machine")
	}
}

func TestUsersLogInWithSSH(t *testing.T) {
	s := start(t)
	expect.Check(t, s.StartSSHD("PermitUserEnvironment no", "Match User nobody", "  X11Forwarding no"))
	names := []string{"alice", "alice.b", "alice@example.org", `EXAMPLE\alice`, "älice", "root"}
	expect.Check(t, s.AddGroup("team"))
	for _, name := range names {
		if name == "root" {
			continue
		}
		user, err := s.AddUser(name, Groups("team"))
		expect.Check(t, err)
		expect.Check(t, s.AllowSudo(user))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			result, err := s.SSH(t.Context(), name, "id -un; pwd -P; sudo -n id -u; exit 3")
			expect.Check(t, err)
			home := "/home/" + name
			if name == "root" {
				home = "/root"
			}
			expect.Equal(t, "exit code", result.ExitCode, 3)
			expect.Equal(t, "output", result.Stdout, name+"\n"+home+"\n0\n")
			expect.Equal(t, "errors", result.Stderr, "")
		})
	}
	expect.Equal(t, "team", strings.Split(sh(t, s, "getent group team"), ":")[3], "alice,alice.b,alice@example.org,EXAMPLE\\alice,älice")

	output, err := s.SSHCommand("alice", "-tt", "-o", "HostName=192.0.2.1", "tty; echo $SSH_CONNECTION").Output()
	expect.Check(t, err)
	if !strings.HasPrefix(string(output), "/dev/pts/") || !strings.Contains(string(output), "192.0.2.1 22") {
		t.Errorf("login with a terminal over the other address: %s", output)
	}
	result, err := s.SSH(t.Context(), "stranger", "true")
	expect.Check(t, err)
	expect.Equal(t, "exit code of a refused login", result.ExitCode, 255)
	_, err = s.WaitLog(t.Context(), "Invalid user stranger")
	expect.Check(t, err)
	result, err = s.Run(t.Context(), strings.NewReader("ls .ssh\n"), "sftp", "-b", "-", "alice@127.0.0.1")
	expect.Check(t, err)
	expect.Check(t, result.Err())
}

func TestSSHDIsAProcessOfTheSandbox(t *testing.T) {
	s := start(t)
	expect.Check(t, s.StartSSHD())
	pid, err := s.SSHDPID()
	expect.Check(t, err)
	processes, err := s.Processes()
	expect.Check(t, err)
	i := slices.IndexFunc(processes, func(p Process) bool { return p.PID == pid })
	if i < 0 {
		t.Fatalf("no process %d among %+v", pid, processes)
	}
	expect.Equal(t, "name", processes[i].Name, "sshd")
	expect.Equal(t, "parent", processes[i].Parent, s.PID())
	expect.Equal(t, "PID inside", fmt.Sprintln(processes[i].Inside), readFile(t, s, "/run/sshd.pid"))
	if err := s.StartSSHD(); err == nil {
		t.Error("sshd was started twice")
	}
	expect.Check(t, unix.Kill(pid, unix.SIGTERM))
	expect.Eventually(t, "sshd has ended", func() bool { return running(t, s, "sshd") == 0 })
	expect.Check(t, s.StartSSHD())
}

func TestAWrongSSHDConfigurationIsAnError(t *testing.T) {
	s := start(t)
	if err := s.StartSSHD("NoSuchOption yes"); err == nil || !strings.Contains(err.Error(), "NoSuchOption") {
		t.Errorf("got %v", err)
	}
}

func readFile(t *testing.T, s *Sandbox, name string) string {
	t.Helper()
	content, err := s.ReadFile(name)
	expect.Check(t, err)
	return content
}

func TestAccounts(t *testing.T) {
	s := start(t)
	a, err := s.AddUser("a", Shell("/bin/sh"))
	expect.Check(t, err)
	b, err := s.AddUser("b", UID(7000))
	expect.Check(t, err)
	expect.Equal(t, "first uid", a.UID, 5000)
	expect.Equal(t, "account a", sh(t, s, "getent passwd a"), "a:x:5000:5000::/home/a:/bin/sh")
	expect.Equal(t, "account b", sh(t, s, "getent passwd b"), "b:x:7000:7000::/home/b:/bin/bash")
	expect.Equal(t, "home of b", sh(t, s, "stat -c '%U:%G %a' /home/b"), "b:b 700")
	expect.Equal(t, "uid of b", b.UID, 7000)

	expect.Check(t, s.AddGroup("g", "a"))
	expect.Check(t, s.AddToGroup("g", "b"))
	expect.Check(t, s.AddGroup("empty"))
	expect.Check(t, s.AddToGroup("empty", "a", "b"))
	expect.Equal(t, "groups of a", sh(t, s, "id -Gn a"), "a g empty")
	expect.Equal(t, "groups of b", sh(t, s, "id -Gn b"), "b g empty")
	shadow, err := os.Stat("/etc/shadow")
	expect.Check(t, err)
	inside, err := s.Stat("/etc/shadow")
	expect.Check(t, err)
	expect.Equal(t, "mode of shadow", inside.Mode(), shadow.Mode())
	expect.Equal(t, "leftovers", sh(t, s, "ls /etc/*.new 2>/dev/null || true"), "")

	for what, err := range map[string]error{
		"a group twice":           s.AddGroup("g"),
		"members of a lost group": s.AddToGroup("lost", "a"),
		"a user without a name":   second(s.AddUser("")),
		"a user with a colon":     second(s.AddUser("a:b")),
		"a user twice":            second(s.AddUser("a")),
		"a member of a lost one":  second(s.AddUser("c", Groups("lost"))),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestTheLogHasWhatProgramsSend(t *testing.T) {
	s := start(t)
	sh(t, s, "logger -p auth.warning -t program 'a message'; logger -p user.err other")
	line, err := s.WaitLog(t.Context(), "a message")
	expect.Check(t, err)
	expect.Equal(t, "line", line, "warning program: a message")
	line, err = s.WaitLog(t.Context(), "other")
	expect.Check(t, err)
	expect.Equal(t, "line", line, "err root: other")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.WaitLog(ctx, "never said"); !errors.Is(err, context.Canceled) {
		t.Errorf("wait for what is never logged: %v", err)
	}
}

func TestLogLine(t *testing.T) {
	for _, c := range []struct{ name, record, want string }{
		{"a record of syslog(3)", "<38>Jan  2 15:04:05 sshd[7]: hello", "info sshd[7]: hello"},
		{"an error with a newline at its end", "<3>Nov 23 18:00:00 p: bad\n\x00", "err p: bad"},
		{"without a time", "<15>p: x", "debug p: x"},
		{"without a priority", "p: a > b", "notice p: a > b"},
		{"with a strange priority", "<x>p", "notice <x>p"},
		{"of two lines", "<0>a\nb", `emerg a\nb`},
		{"empty", "", "notice "},
	} {
		t.Run(c.name, func(t *testing.T) { expect.Equal(t, "line", logLine(c.record), c.want) })
	}
}

func TestCronRunsTheJobsOfTheSandboxOnly(t *testing.T) {
	s := start(t)
	expect.Equal(t, "jobs", sh(t, s, "find /etc/crontab /etc/cron.d /var/spool/cron -type f ! -path /var/spool/cron/atjobs/.SEQ 2>/dev/null || true"), "")
	_, err := s.AddUser("alice")
	expect.Check(t, err)
	expect.Check(t, s.WriteFile("/etc/cron.d/job", "@reboot alice id -un | logger -t job\n", 0o644))
	expect.Check(t, s.StartCron())
	line, err := s.WaitLog(t.Context(), "job: ")
	expect.Check(t, err)
	expect.Equal(t, "line", line, "notice job: alice")
}

func TestRun(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		name, stdin, script string
		want                Result
	}{
		{"input and output", "in", "cat; echo err >&2", Result{Stdout: "in", Stderr: "err\n"}},
		{"an exit code", "", "exit 7", Result{ExitCode: 7}},
		{"a signal", "", "kill -TERM $$", Result{ExitCode: 143}},
		{"who and where", "", "id -u; pwd; hostname; ps -o sid= -p $$ | grep -cx \" *$$\"", Result{Stdout: "0\n/\nsandbox\n1\n"}},
		{"the environment", "", "env | grep -v ^PWD= | sort", Result{Stdout: "HOME=/root\nLANG=C.UTF-8\n" + environment[0] + "\nTERM=xterm\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := s.Run(t.Context(), strings.NewReader(c.stdin), "sh", "-c", c.script)
			expect.Check(t, err)
			expect.Equal(t, "result", result, c.want)
		})
	}
	result, err := s.Run(t.Context(), nil, "no-such-program")
	expect.Check(t, err)
	expect.Equal(t, "exit code", result.ExitCode, 127)
	if err := result.Err(); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("result of a program that does not exist: %v", err)
	}
	for _, kind := range []string{"mnt", "pid", "net", "ipc", "uts"} {
		want, err := Namespace(s.PID(), kind)
		expect.Check(t, err)
		expect.Equal(t, kind+" namespace", sh(t, s, "readlink /proc/self/ns/"+kind), want)
	}
}

func TestKillingACommandKillsWhatItRuns(t *testing.T) {
	s := start(t)
	for name, kill := range map[string]func(*exec.Cmd) error{
		"cancelled": func(cmd *exec.Cmd) error { return cmd.Cancel() },
		"killed":    func(cmd *exec.Cmd) error { return cmd.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			cmd := s.Command("sleep", "1000")
			expect.Check(t, cmd.Start())
			expect.Eventually(t, "the program runs", func() bool { return running(t, s, "sleep") == 1 })
			expect.Check(t, kill(cmd))
			if err := cmd.Wait(); err == nil {
				t.Error("the command succeeded")
			}
			expect.Eventually(t, "the program is gone", func() bool { return running(t, s, "sleep") == 0 })
		})
	}
}

func TestTheEndOfItsContextKillsACommandWithItsGroup(t *testing.T) {
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := s.Sh(ctx, "sleep 1000 | sleep 1000; true")
		failed <- err
	}()
	expect.Eventually(t, "the programs run", func() bool { return running(t, s, "sleep") == 2 })
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	expect.Eventually(t, "the programs are gone", func() bool { return running(t, s, "sleep")+running(t, s, "sh") == 0 })
}

func TestACommandCancelledAtAnyMomentLeavesNothing(t *testing.T) {
	s := start(t)
	for i := range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*100*time.Microsecond)
		if _, err := s.Run(ctx, nil, "sleep", "1000"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		cancel()
	}
	expect.Eventually(t, "only process 1 is left", func() bool {
		processes, err := s.Processes()
		expect.Check(t, err)
		return len(processes) == 1
	})
}

func TestCloseEndsRunningCommands(t *testing.T) {
	s := start(t)
	cmd := s.Command("sleep", "1000")
	expect.Check(t, cmd.Start())
	expect.Eventually(t, "the program runs", func() bool { return running(t, s, "sleep") == 1 })
	expect.Check(t, s.Close())
	if err := cmd.Wait(); err == nil {
		t.Error("the command succeeded")
	}
	if _, err := s.Sh(t.Context(), "true"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a command after Close: %v", err)
	}
	if _, err := s.ReadFile("/etc/passwd"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a file after Close: %v", err)
	}
}

func TestCloseSaysThatProcess1HadEnded(t *testing.T) {
	s := start(t)
	expect.Check(t, s.life.Close())
	expect.Eventually(t, "process 1 has ended", func() bool {
		processes, err := s.Processes()
		return err != nil || len(processes) == 0
	})
	if err := s.Close(); err == nil {
		t.Error("no error")
	}
}

func TestASandboxDiesWithItsCreator(t *testing.T) {
	start(t)
	cmd := helper("hold")
	_, err := cmd.StdinPipe()
	expect.Check(t, err)
	output, err := cmd.StdoutPipe()
	expect.Check(t, err)
	expect.Check(t, cmd.Start())
	var pid int
	_, err = fmt.Fscan(output, &pid)
	expect.Check(t, err)
	if _, err := Namespace(pid, "pid"); err != nil {
		t.Errorf("the sandbox of the helper: %v", err)
	}
	expect.Check(t, cmd.Process.Kill())
	cmd.Wait()
	expect.Eventually(t, "the sandbox is gone", func() bool { return second(Namespace(pid, "net")) != nil })
}

func TestWithoutRightsTheErrorSaysWhatToDo(t *testing.T) {
	start(t)
	for name, front := range map[string][]string{
		"another user":              {"setpriv", "--reuid", "65534", "--clear-groups"},
		"root without capabilities": {"setpriv", "--inh-caps", "-all", "--bounding-set", "-all"},
		"root in a container":       {"setpriv", "--bounding-set", "-mknod"},
	} {
		t.Run(name, func(t *testing.T) {
			output, err := helper("new", front...).CombinedOutput()
			expect.Check(t, err)
			expect.Equal(t, "ErrNeedRoot", string(output), "true")
		})
	}
}

func TestOrphansAreReaped(t *testing.T) {
	s := start(t)
	sh(t, s, "for i in 1 2 3 4 5 6 7 8; do (setsid true &) done")
	expect.Eventually(t, "no process waits to be reaped", func() bool { return sh(t, s, "ps -e -o stat= | grep Z || true") == "" })
}

func TestTheTree(t *testing.T) {
	s := start(t)
	mounts, err := MountTable(s.PID())
	expect.Check(t, err)
	found := make(map[string]Mount)
	for _, m := range mounts {
		found[m.Point] = m
		expect.Equal(t, "propagation of "+m.Point, m.Propagation, "shared")
	}
	for point, fstype := range map[string]string{
		"/etc": "overlay", "/usr": "overlay", "/var": "overlay", "/proc": "proc", "/sys": "sysfs", "/dev": "tmpfs",
		"/dev/pts": "devpts", "/dev/shm": "tmpfs", "/run": "tmpfs", "/tmp": "tmpfs", "/home": "tmpfs", "/root": "tmpfs",
	} {
		expect.Equal(t, "file system on "+point, found[point].Type, fstype)
	}
	own, err := MountTable(os.Getpid())
	expect.Check(t, err)
	for _, m := range own {
		if strings.HasPrefix(m.Point, "/sys/") {
			m.Propagation = "shared"
			expect.Equal(t, "mount on "+m.Point, found[m.Point], m)
		}
	}
	expect.Equal(t, "network devices in /sys", sh(t, s, "echo /sys/class/net/*"), "/sys/class/net/eth0 /sys/class/net/eth0peer /sys/class/net/lo")
	expect.Equal(t, "addresses", sh(t, s, `ip -brief address show dev eth0 | grep -o "192.0.2.1/24\|2001:db8::1/64"`), "192.0.2.1/24\n2001:db8::1/64")
	expect.Equal(t, "modes", sh(t, s, "stat -c %a /run /tmp /home /root /run/lock /dev/null /dev/shm"), "755\n1777\n755\n700\n1777\n666\n1777")
	sh(t, s, "echo >/dev/null && head -c 1 /dev/urandom && script -qc true /tmp/typescript && echo x >/dev/stderr")
}

func TestFiles(t *testing.T) {
	s := start(t)
	dir, err := ModuleDir()
	expect.Check(t, err)
	module := filepath.Join(dir, "pam_sandbox_test.so")
	host := filepath.Join(t.TempDir(), "file")
	expect.Check(t, os.WriteFile(host, []byte("content"), 0o600))
	expect.Check(t, s.Install(host, module, os.ModeSetuid|0o755))
	expect.Check(t, s.Install(host, "/opt/../usr/local/new/dir/file", 0o644))
	expect.Equal(t, "installed", sh(t, s, "stat -c '%U %a %s' "+module+" /usr/local/new/dir/file"), "root 4755 7\nroot 644 7")
	if _, err := os.Stat(module); err == nil {
		t.Error("the module is on the machine")
	}
	tree := t.TempDir()
	expect.Check(t, os.MkdirAll(tree+"/lib/tree", 0o755))
	expect.Check(t, os.WriteFile(tree+"/lib/tree/file", []byte("content"), 0o600))
	expect.Check(t, os.Chown(tree+"/lib/tree/file", 65534, 65534))
	lib := sh(t, s, "stat -c %F /lib")
	expect.Check(t, s.InstallTree(tree))
	expect.Equal(t, "installed tree", sh(t, s, "stat -c %F /lib; stat -c '%U %a %s' /lib/tree/file"), lib+"\nroot 600 7")
	if err := s.InstallTree(tree + "/nosuch"); err == nil {
		t.Error("a tree that does not exist: no error")
	}

	expect.Check(t, s.WriteFile("/etc/netns/x/hosts", "one\n", 0o666))
	expect.Check(t, s.AppendFile("/etc/netns/x/hosts", "two\n"))
	expect.Equal(t, "file", sh(t, s, "cat /etc/netns/x/hosts; stat -c %a /etc/netns/x/hosts"), "one\ntwo\n666")
	expect.Check(t, s.Remove("/etc/netns"))
	if _, err := s.Stat("/etc/netns/x/hosts"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a removed file: %v", err)
	}

	expect.Check(t, s.PAM("x", "auth required pam_deny.so", "account required pam_permit.so"))
	expect.Check(t, s.AppendPAM("x", "session required pam_permit.so"))
	expect.Equal(t, "service", readFile(t, s, "/etc/pam.d/x"),
		"auth required pam_deny.so\naccount required pam_permit.so\nsession required pam_permit.so\n")
}

func TestALinkInsideDoesNotLeadOut(t *testing.T) {
	s := start(t)
	target := filepath.Join(t.TempDir(), "target")
	sh(t, s, "ln -s "+target+" /etc/link")
	if err := s.WriteFile("/etc/link", "x", 0o644); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("the file was written on the machine")
	}
}

func TestManySandboxesAtOnce(t *testing.T) {
	for i := range 16 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			s := start(t)
			expect.Equal(t, "PID 1", sh(t, s, "cat /proc/1/cmdline | tr -d '\\0'"), initName)
		})
	}
}

func BenchmarkNewAndClose(b *testing.B) {
	for b.Loop() {
		s, err := New()
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStartSSHD(b *testing.B) {
	for b.Loop() {
		s, err := New()
		if err != nil {
			b.Fatal(err)
		}
		if err := s.StartSSHD(); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
