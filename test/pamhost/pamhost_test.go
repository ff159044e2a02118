package pamhost

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var paths Paths

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "pamhost")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if paths, err = Build(dir); err != nil {
			log.Print(err)
			return 1
		}
		return m.Run()
	}())
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// userName is somebody for whom the test may open a session and run a command.
func userName(t *testing.T) string {
	t.Helper()
	if os.Geteuid() == 0 {
		return "nobody"
	}
	current, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return current.Username
}

// host returns the command that opens a session of a service with these lines, and the file that its report goes to. The arguments
// are options and, after a "--", a command.
func host(t *testing.T, program, service string, args ...string) (*exec.Cmd, string) {
	t.Helper()
	confdir := t.TempDir()
	if err := os.WriteFile(filepath.Join(confdir, "service"), []byte(service+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(confdir, "report")
	options := append([]string{"--confdir", confdir, "--report", report}, args...)
	end := len(options)
	if i := slices.Index(options, "--"); i >= 0 {
		end = i
	}
	cmd := exec.CommandContext(t.Context(), program, slices.Insert(options, end, "service", userName(t))...)
	cmd.Stderr = t.Output()
	return cmd, report
}

// run runs a host and returns its report. The status is 0 for a session opened, 1 for one refused.
func run(t *testing.T, status int, program, service string, args ...string) Report {
	t.Helper()
	cmd, report := host(t, program, service, args...)
	cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("%s: %v, want exit status %d", cmd, cmd.ProcessState, status)
	}
	return parseFile(t, report)
}

func parseFile(t *testing.T, path string) Report {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// same fails the test for everything that a session changed.
func same(t *testing.T, r Report) {
	t.Helper()
	for _, sentence := range r.Before.Diff(r.After) {
		t.Errorf("after: %s", sentence)
	}
	for _, sentence := range r.Before.Diff(r.End, MappedFiles) {
		t.Errorf("end: %s", sentence)
	}
}

func (s Snapshot) descriptor(number int) (Descriptor, bool) {
	i := slices.IndexFunc(s.Descriptors, func(d Descriptor) bool { return d.Number == number })
	if i < 0 {
		return Descriptor{}, false
	}
	return s.Descriptors[i], true
}

const permit = "session required pam_permit.so"

func TestPamhost(t *testing.T) {
	for _, test := range []struct {
		name     string
		needRoot bool
		args     string
		check    func(t *testing.T, r Report)
	}{
		{name: "an ordinary session", check: func(t *testing.T, r Report) {
			if got := r.Start.Diff(r.Before, MappedFiles); got != nil {
				t.Errorf("pam_start: %q", got)
			}
			if len(r.Before.Threads) != 1 || !r.Before.Proc || r.Before.PID != r.PID || r.Before.Memory.PrivateKB() == 0 {
				t.Errorf("before: %+v", r.Before)
			}
		}},
		{name: "PAM_SILENT", args: "--silent"},
		{name: "a remote host", args: "--rhost client.example.org", check: func(t *testing.T, r Report) {
			if r.Result("pam_set_item") != "PAM_SUCCESS" {
				t.Errorf("calls: %v", r.Calls)
			}
		}},
		{name: "two sessions in a row", args: "--twice", check: func(t *testing.T, r Report) {
			var calls []string
			for _, call := range r.Calls {
				calls = append(calls, call.Call)
			}
			got := strings.Join(calls, " ")
			if got != "pam_start pam_open_session pam_close_session pam_open_session pam_close_session pam_end" {
				t.Errorf("calls: %s", got)
			}
			if got := r.Before.Diff(r.Again); got != nil {
				t.Errorf("again: %q", got)
			}
		}},
		{name: "a session thread beside idle ones", args: "--threads 4", check: func(t *testing.T, r Report) {
			names := map[Text]int{}
			for _, thread := range r.Before.Threads {
				names[thread.Name]++
			}
			if r.Before.TID == r.Before.PID || names["idle"] != 4 || names["session"] != 1 || names["pamhost"] != 1 {
				t.Errorf("thread %d of %v", r.Before.TID, names)
			}
		}},
		{name: "a fork after pam_start", args: "--fork-between", check: func(t *testing.T, r Report) {
			if r.Start.PID == r.Before.PID || r.PID != r.Before.PID {
				t.Errorf("pam_start in process %d, pam_open_session in %d", r.Start.PID, r.Before.PID)
			}
		}},
		{name: "a fork from a thread", args: "--fork-between --threads 4", check: func(t *testing.T, r Report) {
			if len(r.Start.Threads) != 6 || len(r.Before.Threads) != 1 {
				t.Errorf("%d threads, then %d", len(r.Start.Threads), len(r.Before.Threads))
			}
		}},
		{name: "a working directory", args: "--chdir /usr", check: func(t *testing.T, r Report) {
			if r.Before.Cwd.Path != "/usr" {
				t.Errorf("working directory %v", r.Before.Cwd)
			}
		}},
		{name: "SIGCHLD ignored", args: "--sigchld-ignore -- true", check: func(t *testing.T, r Report) {
			if signal := r.Before.Signals[unix.SIGCHLD-1]; signal.Disposition != "ignored" {
				t.Errorf("SIGCHLD: %v", signal)
			}
			if r.Command.Exit != -1 {
				t.Errorf("somebody knew the exit status %d", r.Command.Exit)
			}
		}},
		{name: "SIGCHLD reaping", args: "--sigchld-reap -- sh -c 'exit 3'", check: reapedCommand},
		{name: "SIGCHLD reaping in any thread", args: "--sigchld-reap --threads 4 -- sh -c 'exit 3'", check: func(t *testing.T, r Report) {
			// Nobody knows which thread came first.
			if len(r.Reaped) > 0 {
				reapedCommand(t, r)
			} else if r.Command.Exit != 3 {
				t.Errorf("command: %+v", *r.Command)
			}
		}},
		{name: "all signals blocked", args: "--block-all-signals --threads 1 -- true", check: func(t *testing.T, r Report) {
			for _, signal := range r.Before.Signals {
				// SIGKILL and SIGSTOP cannot be blocked, and the C library keeps two for itself.
				switch unix.Signal(signal.Number) {
				case unix.SIGKILL, unix.SIGSTOP, 32, 33:
				default:
					if !r.Before.Blocked.Has(signal.Number) {
						t.Errorf("signal %d is not blocked", signal.Number)
					}
				}
			}
		}},
		{name: "standard descriptors closed", args: "--close-fds 0,1,2", check: func(t *testing.T, r Report) {
			for number := range 3 {
				if d, open := r.Before.descriptor(number); open {
					t.Errorf("descriptor %d is %v", number, d)
				}
			}
		}},
		{name: "resource limits", args: "--rlimit NOFILE=8 --rlimit core=1:unlimited", check: func(t *testing.T, r Report) {
			if got := r.Before.Rlimits; got["NOFILE"].Soft != 8 || got["CORE"] != (Rlimit{1, Unlimited}) || !r.Before.Proc {
				t.Errorf("limits %v, /proc read: %t", got, r.Before.Proc)
			}
		}},
		{name: "no address space to spare", args: "--rlimit AS=1"},
		{name: "no file may be written", args: "--rlimit FSIZE=0"},
		{name: "environment variables", args: "--setenv A=\xff\"\\\n --setenv EMPTY= -- sh -c '[ ${#A} = 4 ]'", check: func(t *testing.T, r Report) {
			if got := r.Before.Environment; !slices.Contains(got, "A=\xff\"\\\n") || !slices.Contains(got, "EMPTY=") {
				t.Errorf("environment %q", got)
			}
		}},
		{name: "extra descriptors", args: "--open 20", check: func(t *testing.T, r Report) {
			for number := 200; number < 220; number++ {
				if d, _ := r.Before.descriptor(number); d.Target != "/dev/null" {
					t.Errorf("descriptor %d is %v", number, d)
				}
			}
			read, _ := r.Before.descriptor(210)
			write, _ := r.Before.descriptor(213)
			if read.CloseOnExec || read.Status&unix.O_ACCMODE != unix.O_RDONLY {
				t.Errorf("descriptor 210: %+v", read)
			}
			if !write.CloseOnExec || write.Status&unix.O_NONBLOCK == 0 || write.Status&unix.O_ACCMODE != unix.O_RDWR {
				t.Errorf("descriptor 213: %+v", write)
			}
		}},
		{name: "a command as the user", needRoot: true, args: "-- sh -c '[ $(id -un) = nobody ]'", check: succeeded},
		{name: "a command as root", needRoot: true, args: "--as-root -- sh -c '[ $(id -u) = 0 ]'", check: succeeded},
		{name: "a command from a thread", needRoot: true, args: "--threads 2 -- sh -c '[ $(id -un) = nobody ]'", check: succeeded},
		{name: "a command that fails", args: "--as-root -- sh -c 'exit 3'", check: func(t *testing.T, r Report) {
			if r.Command.Exit != 3 || r.Command.Signal != 0 {
				t.Errorf("command: %+v", *r.Command)
			}
		}},
		{name: "a command that is killed", args: "--as-root -- sh -c 'kill -9 $$'", check: func(t *testing.T, r Report) {
			if r.Command.Exit != -1 || r.Command.Signal != 9 {
				t.Errorf("command: %+v", *r.Command)
			}
		}},
		{name: "a chroot without /proc", needRoot: true, args: "--chroot testdata", check: func(t *testing.T, r Report) {
			if r.Before.Proc || r.Before.Root == r.Start.Root || r.Before.Root != r.Before.Cwd || len(r.Before.Descriptors) < 3 {
				t.Errorf("before: %+v", r.Before)
			}
		}},
		{name: "a chroot with /proc", needRoot: true, args: "--chroot / --chdir usr -- true", check: func(t *testing.T, r Report) {
			if !r.Before.Proc || r.Before.Cwd.Path != "/usr" {
				t.Errorf("before: %+v", r.Before)
			}
		}},
		{name: "dropped capabilities", needRoot: true, args: "--drop-cap sys_admin --drop-cap CAP_NET_ADMIN --drop-cap 8", check: func(t *testing.T, r Report) {
			for _, set := range []CapabilitySet{
				r.Before.Credentials.Capabilities.Effective,
				r.Before.Credentials.Capabilities.Permitted,
				r.Before.Credentials.Capabilities.Bounding,
			} {
				if set.Has(unix.CAP_SYS_ADMIN) || set.Has(unix.CAP_NET_ADMIN) || set.Has(unix.CAP_SETPCAP) || !set.Has(unix.CAP_CHOWN) {
					t.Errorf("capabilities %v", set)
				}
			}
		}},
		{name: "a set-uid-root program", needRoot: true, args: "--seteuid-caller 1000 -- true", check: func(t *testing.T, r Report) {
			if got := r.Before.Credentials.UID; got != (IDs{Real: 1000}) || r.Before.Attributes["dumpable"] != 0 {
				t.Errorf("user IDs %+v, dumpable %d", got, r.Before.Attributes["dumpable"])
			}
		}},
		{
			name: "everything at once", needRoot: true,
			args: "--silent --rhost h --twice --threads 3 --fork-between --chroot / --chdir /usr --sigchld-reap --block-all-signals " +
				"--close-fds 0 --rlimit NOFILE=16 --setenv A=B --drop-cap sys_admin --open 7 --seteuid-caller 1000 -- true",
			check: succeeded,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.needRoot {
				needRoot(t)
			}
			args := words(test.args)
			if os.Geteuid() != 0 {
				args = append([]string{"--as-root"}, args...)
			}
			r := run(t, 0, paths.Pamhost, permit, args...)
			if got := r.Result("pam_open_session"); got != "PAM_SUCCESS" {
				t.Errorf("pam_open_session: %s", got)
			}
			same(t, r)
			if test.check != nil {
				test.check(t, r)
			}
		})
	}
}

// words splits a command line at spaces, but for what stands in quotation marks.
func words(line string) []string {
	var words []string
	for _, word := range regexp.MustCompile(`'[^']*'|[^ ]+`).FindAllString(line, -1) {
		words = append(words, strings.Trim(word, "'"))
	}
	return words
}

func succeeded(t *testing.T, r Report) {
	if r.Command == nil || r.Command.Exit != 0 {
		t.Errorf("command: %+v", r.Command)
	}
}

func reapedCommand(t *testing.T, r Report) {
	if !slices.Equal(r.Reaped, []int{r.Command.PID}) || r.Command.Exit != 3 {
		t.Errorf("reaped %v, command %+v", r.Reaped, *r.Command)
	}
}

func TestGohost(t *testing.T) {
	args := []string{"--", "true"}
	if os.Geteuid() != 0 {
		args = append([]string{"--as-root"}, args...)
	}
	r := run(t, 0, paths.Gohost, permit, args...)
	if r.Result("pam_close_session") != "PAM_SUCCESS" {
		t.Errorf("calls: %v", r.Calls)
	}
	succeeded(t, r)
	if got := r.Before.Diff(r.End, Threads); got != nil {
		t.Errorf("changed: %q", got)
	}
	if r.Before.TID == r.PID || len(r.Before.Threads) < 2 || r.Before.Namespaces["net"] == 0 {
		t.Errorf("before: %+v", r.Before)
	}
}

func TestCommandIsInTheNamespacesOfTheSession(t *testing.T) {
	needRoot(t)
	service := "session required " + meddler(t) + " unshare_network"
	for _, test := range []struct {
		program string
		options []string
	}{
		{paths.Pamhost, nil},
		{paths.Pamhost, []string{"--threads", "2"}},
		{paths.Pamhost, []string{"--threads", "2", "--fork-between"}},
		{paths.Gohost, nil},
	} {
		cmd, report := host(t, test.program, service, append(test.options, "--", "readlink", "/proc/self/ns/net")...)
		output, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v", cmd, err)
			continue
		}
		r := parseFile(t, report)
		before, after := r.Before.Namespaces["net"], r.After.Namespaces["net"]
		if want := fmt.Sprintf("net:[%d]\n", after); string(output) != want || before == after {
			t.Errorf("%s: command in %q, session in %d, before in %d", cmd, output, after, before)
		}
		if got := r.Before.Diff(r.After, NetNamespace, Threads); got != nil {
			t.Errorf("%s: changed: %q", cmd, got)
		}
	}
}

func TestRefusedSession(t *testing.T) {
	for _, program := range []string{paths.Pamhost, paths.Gohost} {
		t.Run(filepath.Base(program), func(t *testing.T) {
			r := run(t, 1, program, "session required pam_deny.so", "--", "true")
			if got := r.Result("pam_open_session"); got != "PAM_SESSION_ERR" {
				t.Errorf("pam_open_session: %s", got)
			}
			if r.Command != nil || r.Result("pam_close_session") != "" {
				t.Errorf("the session went on: command %+v, calls %v", r.Command, r.Calls)
			}
			if got := r.Before.Diff(r.End, MappedFiles, Threads); got != nil {
				t.Errorf("changed: %q", got)
			}
		})
	}
}

func TestBrokenService(t *testing.T) {
	r := run(t, 1, paths.Pamhost, "no such type of module")
	if r.Result("pam_open_session") == "PAM_SUCCESS" || r.Result("pam_start") == "" {
		t.Errorf("calls: %v", r.Calls)
	}
}

func TestMessages(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("\xff caf\xc3\xa9 \"%s\"\n\x01"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := []Message{{"PAM_TEXT_INFO", "hello"}, {"PAM_TEXT_INFO", "\xff caf\xc3\xa9 \"service\"\n\x01"}}
	service := "session optional pam_echo.so hello\nsession optional pam_echo.so file=" + text + "\n" + permit
	for _, program := range []string{paths.Pamhost, paths.Gohost} {
		r := run(t, 0, program, service)
		if !slices.Equal(r.Messages, want) {
			t.Errorf("%s: messages %q, want %q", program, r.Messages, want)
		}
	}
	if r := run(t, 0, paths.Pamhost, service, "--silent"); len(r.Messages) > 0 {
		t.Errorf("--silent: messages %q", r.Messages)
	}
}

func TestHold(t *testing.T) {
	cmd, report := host(t, paths.Pamhost, permit, "--hold", "--fork-between")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(line, "ready %d\n", &pid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(name) != "pamhost\n" {
		t.Errorf("process %d is %q (%v)", pid, name, err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	r := parseFile(t, report)
	if r.PID != pid {
		t.Errorf("ready %d, report of %d", pid, r.PID)
	}
	same(t, r)
}

func TestReportWithoutPath(t *testing.T) {
	for _, test := range []struct {
		name string
		send func(cmd *exec.Cmd, w *os.File)
	}{
		{"to stdout", func(cmd *exec.Cmd, w *os.File) { cmd.Stdout = w }},
		{"to descriptor 3", func(cmd *exec.Cmd, w *os.File) { cmd.ExtraFiles = []*os.File{w} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd, _ := host(t, paths.Pamhost, permit)
			cmd.Args = slices.Delete(cmd.Args, 3, 5) // --report FILE
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			test.send(cmd, w)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.Close()
			var data bytes.Buffer
			if _, err := io.Copy(&data, r); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			report, err := Parse(data.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			same(t, report)
		})
	}
}

func TestWithoutReport(t *testing.T) {
	for service, status := range map[string]int{permit: 0, "session required pam_deny.so": 1} {
		cmd, report := host(t, paths.Pamhost, service, "--bare", "--as-root", "--", "echo", "in the session")
		output, _ := cmd.Output()
		want := []string{"in the session\n", ""}[status]
		if cmd.ProcessState.ExitCode() != status || string(output) != want {
			t.Errorf("%s: %v, printed %q", service, cmd.ProcessState, output)
		}
		if _, err := os.Stat(report); err == nil {
			t.Errorf("%s: there is a report", service)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, line := range []string{
		"", "service", "--nonsense service user", "service user true", "service user --", "--threads x service user",
		"--rlimit NOFILE service user", "--rlimit NONSENSE=1 service user", "--rlimit NOFILE=-1 service user",
		"--setenv A service user", "--drop-cap nonsense service user", "--report /nonsense/report service user",
	} {
		cmd := exec.Command(paths.Pamhost, strings.Fields(line)...)
		output, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 2 || len(output) == 0 {
			t.Errorf("pamhost %s: %v: %s", line, cmd.ProcessState, output)
		}
	}
}

// Undefined behaviour in the host must not be taken for a module's.
func TestSanitizers(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pamhost")
	if err := compile(program, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"); err != nil {
		t.Fatal(err)
	}
	service := "session optional pam_echo.so hello\n" + permit
	r := run(t, 0, program, service, "--twice", "--threads", "2", "--open", "3", "--close-fds", "0", "--rlimit", "CORE=0:0",
		"--setenv", "A=\xff", "--sigchld-reap", "--as-root", "--", "true")
	same(t, r)
	succeeded(t, r)
}

// meddler builds a module that changes what its argument says.
func meddler(t *testing.T) string {
	t.Helper()
	module := filepath.Join(t.TempDir(), "pam_meddle.so")
	// Its thread needs the code after pam_end, too.
	if _, err := output("gcc", "-std=gnu11", "-shared", "-fPIC", "-Wl,-z,nodelete", "-o", module, "testdata/pam_meddle.c"); err != nil {
		t.Fatal(err)
	}
	return module
}

func TestSnapshotsTellWhatAModuleChanged(t *testing.T) {
	module := meddler(t)
	for _, test := range []struct {
		meddling string
		needRoot bool
		args     string
		want     []string // a regular expression for each sentence
	}{
		{meddling: "leak_descriptor", want: []string{`descriptor \d was opened: /dev/zero \(inode \d+ of 0:\d+\)`}},
		{meddling: "close_descriptor", want: []string{`descriptor 0 was closed: /dev/null \(.*\)`}},
		{meddling: "replace_descriptor", want: []string{`descriptor 0: /dev/null \(.*\) became / \(.*\)`}},
		{meddling: "set_close_on_exec", want: []string{`descriptor 0: close-on-exec: false became true`}},
		{meddling: "set_nonblocking", want: []string{`descriptor 0: status flags: 0\d+ became 0\d+4000`}},
		{meddling: "ignore_signal", want: []string{`signal 17 \(SIGCHLD\): default became ignored.*`}},
		{meddling: "handle_signal", want: []string{`signal 10 \(SIGUSR1\): default became handler 0x[0-9a-f]+ \(flags 0x[0-9a-f]+, mask 0x0\)`}},
		{meddling: "leave_signal_pending", want: []string{
			`signal 12 \(SIGUSR2\) blocked: false became true`,
			`signal 12 \(SIGUSR2\) pending: false became true`,
		}},
		{meddling: "set_alternate_stack", want: []string{`alternate signal stack: {Address:0 Size:0 Flags:2} became {Address:\d+ Size:65536 Flags:0}`}},
		{meddling: "set_limit", want: []string{`limit MSGQUEUE: {Soft:\w+ Hard:\w+} became {Soft:77 Hard:88}`}},
		{meddling: "set_environment", want: []string{`environment variable "MEDDLED=yes" is new`}},
		{meddling: "reorder_environment", args: "--setenv A=B --setenv C=D", want: []string{`environment, reordered or repeating itself: \w{16} became \w{16}`}},
		{meddling: "change_directory", args: "--chdir /", want: []string{`working directory: / \(.*\) became /usr \(.*\)`}},
		{meddling: "change_root", needRoot: true, args: "--chdir /usr", want: []string{
			`/proc can be read: true became false`,
			`(cgroup|ipc|mnt|net|pid|pid_for_children|time|time_for_children|user|uts) namespace: \d+ became 0`,
			`thread \d+ \(pamhost\) has ended`,
			`working directory: /usr \(.*\) became / \(.*\)`,
			`root directory: / \(.*\) became / \(.*\)`,
			`mapped file .* is gone`,
		}},
		{meddling: "unshare_network", needRoot: true, args: "--threads 1", want: []string{`net namespace: \d+ became \d+`}},
		{meddling: "start_thread", want: []string{`thread \d+ \(pamhost\) was started`, `signal 33: default became handler.*`}},
		{meddling: "start_thread", args: "--threads 1", want: []string{`thread \d+ \(session\) was started`}},
		{meddling: "rename_thread", want: []string{`thread \d+ \(pamhost\): name: pamhost became meddler`}},
		{meddling: "move_other_threads", args: "--threads 1 --chdir /", want: []string{
			`thread \d+ \(pamhost\): working directory: {Dev:\d+:\d+ Ino:\d+} became {Dev:\d+:\d+ Ino:\d+}`,
			`thread \d+ \(idle\): working directory: {Dev:\d+:\d+ Ino:\d+} became {Dev:\d+:\d+ Ino:\d+}`,
		}},
		{meddling: "set_real_uid", needRoot: true, want: []string{
			`user IDs: {Real:0 Effective:0 Saved:0 Filesystem:0} became {Real:1000 Effective:0 Saved:0 Filesystem:0}`,
		}},
		{meddling: "set_saved_gid", needRoot: true, want: []string{`group IDs: {.*} became {Real:0 Effective:0 Saved:1000 Filesystem:0}`}},
		{meddling: "add_group", needRoot: true, want: []string{`supplementary group 1234 is new`}},
		{meddling: "drop_effective", needRoot: true, want: []string{`capabilities: {Effective:0x1[0-9a-f]+ .*} became {Effective:0x1[0-9a-f]{2}00000000 .*}`}},
		{meddling: "drop_bounding", needRoot: true, want: []string{`capabilities: {.* Bounding:0x1[0-9a-f]+ .*} became {.* Bounding:0x1[0-9a-f]+ .*}`}},
		{meddling: "set_umask", want: []string{`umask: 0\d+ became 0123`}},
		{meddling: "undumpable", want: []string{`dumpable: 1 became 0`}},
		{meddling: "set_death_signal", want: []string{`pdeathsig: 0 became 1`}},
		{meddling: "no_new_privileges", want: []string{`no_new_privs: 0 became 1`}},
		{meddling: "keep_capabilities", want: []string{`securebits: 0 became 16`}},
		{meddling: "become_subreaper", want: []string{`child_subreaper: 0 became 1`}},
		{meddling: "be_nice", want: []string{`nice: 0 became 5`}},
		{meddling: "change_personality", want: []string{`personality: 0 became 262144`}},
		{meddling: "change_session", want: []string{`process_group: \d+ became \d+`, `session: \d+ became \d+`}},
		{meddling: "set_alarm", want: []string{`real_timer_armed: 0 became 1`}},
		{meddling: "leave_child", want: []string{`child process \d+ is new`, `has child processes: false became true`}},
		{meddling: "leave_zombie", want: []string{`child process \d+ is new`, `has child processes: false became true`}},
		{meddling: "return_in_child", want: []string{`process ID: \d+ became \d+`, `thread .*`}},
		{meddling: "map_file", want: []string{`mapped file /usr/bin/true is new`}},
	} {
		t.Run(strings.TrimSpace(test.meddling+" "+test.args), func(t *testing.T) {
			if test.needRoot {
				needRoot(t)
			}
			r := run(t, 0, paths.Pamhost, "session required "+module+" "+test.meddling, words(test.args)...)
			got := r.Before.Diff(r.After)
			for _, want := range test.want {
				matches := regexp.MustCompile("^(" + want + ")$").MatchString
				if !slices.ContainsFunc(got, matches) {
					t.Errorf("no sentence %s", want)
				}
				got = slices.DeleteFunc(got, matches)
			}
			for _, sentence := range got {
				t.Errorf("unexpected: %s", sentence)
			}
		})
	}
}
