// Command gohost is the smaller sibling of pamhost: a PAM host written in Go, whose session belongs to one locked thread while the
// runtime's other threads stay outside.
//
//	gohost [--report FILE] [--confdir DIR] [--as-root] SERVICE USER [-- COMMAND ARGS...]
//
// The report is pamhost's, with the result of the calls, the messages, the command, and of each thread its name, namespaces
// and directories. Exit status: 0 the session was opened, 1 it was refused, 2 usage.
package main

// #include "../c/results.h"
import "C"

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/msteinert/pam/v2"
	"golang.org/x/sys/unix"

	"libpam-net/test/pamhost"
)

const (
	opened = iota
	refused
	usage
)

// The main goroutine keeps the main thread, so that the session gets another one: /proc/self is not the session's.
func init() { runtime.LockOSThread() }

func main() {
	reportPath := flag.String("report", "/dev/stdout", "write the report to `FILE`")
	confdir := flag.String("confdir", "", "service files are in `DIR`, not in /etc/pam.d")
	asRoot := flag.Bool("as-root", false, "run COMMAND with the credentials of gohost")
	flag.Parse()
	args := flag.Args()
	if len(args) < 2 || len(args) == 3 || len(args) > 3 && args[2] != "--" {
		fmt.Fprintln(os.Stderr, "usage: gohost [--report FILE] [--confdir DIR] [--as-root] SERVICE USER [-- COMMAND ARGS...]")
		os.Exit(usage)
	}
	h := host{service: args[0], user: args[1], confdir: *confdir, asRoot: *asRoot}
	if len(args) > 3 {
		h.command = args[3:]
	}

	// Opened now: in the session, the path may lead elsewhere.
	file, err := os.Create(*reportPath)
	exitOn(err)
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // for good: nobody else may get a thread with these namespaces
		done <- h.session()
	}()
	ok := <-done
	exitOn(json.NewEncoder(file).Encode(h.report))
	if !ok {
		os.Exit(refused)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gohost:", err)
		os.Exit(usage)
	}
}

type host struct {
	service, user, confdir string
	command                []string
	asRoot                 bool
	report                 pamhost.Report
}

// session reports whether the session was opened. The caller holds the OS thread.
func (h *host) session() bool {
	h.report = pamhost.Report{Service: pamhost.Text(h.service), User: pamhost.Text(h.user), PID: os.Getpid()}
	h.report.Start = snapshot()
	tx, err := pam.StartConfDir(h.service, h.user, pam.ConversationFunc(h.converse), h.confdir)
	if !h.called("pam_start", err) {
		h.report.End = snapshot()
		return false
	}
	h.report.Before = snapshot()
	ok := h.called("pam_open_session", tx.OpenSession(0))
	h.report.After = snapshot()
	if ok {
		if h.command != nil {
			h.report.Command = h.run()
		}
		h.called("pam_close_session", tx.CloseSession(0))
	}
	h.called("pam_end", tx.End())
	h.report.End = snapshot()
	return ok
}

func (h *host) converse(style pam.Style, text string) (string, error) {
	names := map[pam.Style]string{pam.ErrorMsg: "PAM_ERROR_MSG", pam.TextInfo: "PAM_TEXT_INFO"}
	if names[style] == "" {
		return "", errors.New("nobody is there to answer a prompt")
	}
	h.report.Messages = append(h.report.Messages, pamhost.Message{Style: names[style], Text: pamhost.Text(text)})
	return "", nil
}

// called reports the result of a libpam call, and whether it was a success.
func (h *host) called(function string, err error) bool {
	var code pam.Error // zero is PAM_SUCCESS
	if err != nil && !errors.As(err, &code) {
		code = pam.ErrSystem
	}
	name := C.GoString(C.result_name(C.int(code)))
	h.report.Calls = append(h.report.Calls, pamhost.Call{Call: function, Result: name, Number: int(code)})
	return err == nil
}

// run runs the command. A child process has the namespaces of the thread that forks it: of this one.
func (h *host) run() *pamhost.Command {
	cmd := exec.Command(h.command[0], h.command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if !h.asRoot {
		credential, err := credentials(h.user)
		exitOn(err)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	}
	if err := cmd.Run(); cmd.ProcessState == nil {
		exitOn(err)
	}
	command := pamhost.Command{PID: cmd.ProcessState.Pid(), Exit: cmd.ProcessState.ExitCode()}
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		command.Signal = int(status.Signal())
	}
	return &command
}

func credentials(name string) (*syscall.Credential, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	groups, err := account.GroupIds()
	if err != nil {
		return nil, err
	}
	credential := syscall.Credential{Uid: id(account.Uid), Gid: id(account.Gid)}
	for _, group := range groups {
		credential.Groups = append(credential.Groups, id(group))
	}
	return &credential, nil
}

func id(text string) uint32 {
	n, err := strconv.ParseUint(text, 10, 32)
	exitOn(err)
	return uint32(n)
}

// snapshot looks at the calling thread and at the others. The caller holds the OS thread.
func snapshot() pamhost.Snapshot {
	own := thread("/proc/thread-self")
	s := pamhost.Snapshot{
		PID: os.Getpid(), TID: unix.Gettid(), Proc: len(own.Namespaces) > 0, Namespaces: own.Namespaces,
		Cwd: pamhost.Directory{FileID: own.Cwd}, Root: pamhost.Directory{Path: "/", FileID: own.Root},
	}
	tasks, _ := filepath.Glob("/proc/self/task/*")
	for _, task := range tasks {
		s.Threads = append(s.Threads, thread(task))
	}
	return s
}

func thread(task string) pamhost.Thread {
	tid, _ := strconv.Atoi(filepath.Base(task))
	name, _ := os.ReadFile(task + "/comm")
	t := pamhost.Thread{
		TID: tid, Name: pamhost.Text(strings.TrimSpace(string(name))), Namespaces: map[string]uint64{},
		Cwd: fileID(task + "/cwd"), Root: fileID(task + "/root"),
	}
	namespaces, _ := filepath.Glob(task + "/ns/*")
	for _, namespace := range namespaces {
		t.Namespaces[filepath.Base(namespace)] = fileID(namespace).Ino
	}
	return t
}

func fileID(path string) pamhost.FileID {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return pamhost.FileID{}
	}
	return pamhost.FileID{Dev: fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)), Ino: st.Ino}
}
