// SPDX-License-Identifier: GPL-2.0-or-later

// Package trial logs a user in to see what a login would get. It opens a real PAM
// session, in a child that is thrown away, and leaves nothing of it.
package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/setup"
)

// grace is what the modules have to close the session.
const grace = 10 * time.Second

// Login is one that is checked. Close it.
type Login struct {
	View
	Name    string // of the network namespace, "" for none
	Created bool   // the namespace, by this login

	before netns.Before
	child  *exec.Cmd
	socket *net.UnixConn
	in     *json.Decoder
	out    *json.Encoder
	forget func() bool // the end of the context
	typed  chan os.Signal
}

// Open opens a session of the user's through the stack of a service, and looks at
// it. With terminal, commands that Run runs have this program's stdin and stdout,
// unless these are a terminal.
//
// The end of ctx ends the session at once. The caller holds its thread, with which
// the session ends, too, and is root. It has no other children, and adopts what the
// session leaves behind, until Close.
func Open(ctx context.Context, user, service string, terminal bool) (*Login, error) {
	here, err := nsfs.Of(nsfs.Thread, nsfs.Net)
	if err != nil {
		return nil, err
	}
	if host, err := nsfs.Of(nsfs.Host, nsfs.Net); err != nil || here != host {
		return nil, errors.New("logins start in the host's network, and this is another: " +
			"`nsenter --net=/proc/1/ns/net pamnetctl check ...`")
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("prctl PR_SET_CHILD_SUBREAPER: %w", err)
	}
	before, err := netns.Remember()
	if err != nil {
		return nil, err
	}
	l := &Login{before: before}
	if err := l.start(terminal); err != nil {
		return nil, err
	}
	l.forget = context.AfterFunc(ctx, l.kill)
	if err := l.open(request{service, user}); err != nil {
		_, undone := l.Close()
		return nil, errors.Join(err, undone)
	}
	return l, nil
}

// start starts the child.
func (l *Login) start(terminal bool) error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "child"), os.NewFile(uintptr(ends[1]), "parent")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return fmt.Errorf("talk to the child: %w", err)
	}
	l.socket = conn.(*net.UnixConn)
	l.in, l.out = json.NewDecoder(conn), json.NewEncoder(conn)
	// The child has no terminal, nor has what modules start: Ctrl-C does not get there.
	l.typed = make(chan os.Signal, 1)
	signal.Notify(l.typed, unix.SIGINT, unix.SIGQUIT)
	l.child = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{ChildName}, Dir: "/", ExtraFiles: []*os.File{theirs},
		Env:    []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=" + os.Getenv("TERM")},
		Stderr: os.Stderr,
		// No mount of the session's, nor of another module's, gets out.
		SysProcAttr: &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	if terminal {
		l.child.Stdin, l.child.Stdout = os.Stdin, os.Stdout
	}
	if err := l.child.Start(); err != nil {
		conn.Close()
		l.forgetTyped()
		return fmt.Errorf("start a child: %w", err)
	}
	go func() {
		for s := range l.typed {
			_ = l.child.Process.Signal(s)
		}
	}()
	return nil
}

func (l *Login) open(r request) error {
	var answer reply
	if err := l.exchange(r, &answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	l.View = answer.View
	if l.Refused != "" || !l.Moved {
		return nil
	}
	names, err := netns.Names()
	if err != nil {
		return err
	}
	if l.Name = names[l.Inode]; l.Name != "" {
		l.Created, err = l.before.Made(l.Name)
	}
	return err
}

func (l *Login) exchange(question, answer any) error {
	err := l.out.Encode(question)
	if err == nil {
		err = l.in.Decode(answer)
	}
	if err == io.EOF || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		err = errors.New("it has died")
	}
	if err != nil {
		return fmt.Errorf("the process in the session: %w", err)
	}
	return nil
}

// Ran is how a command has ended.
type Ran struct {
	ExitCode int    `json:"exit_code"`
	Output   string `json:"output"`
}

// Run runs a command in the session, as the user, by the user's shell. Its output is
// returned if Open was called without terminal.
func (l *Login) Run(command string) (Ran, error) {
	var answer runReply
	if err := l.exchange(runRequest{command, l.child.Stdout == nil}, &answer); err != nil {
		return Ran{}, err
	}
	if answer.Error != "" {
		return Ran{}, errors.New(answer.Error)
	}
	return answer.Ran, nil
}

func (l *Login) forgetTyped() {
	signal.Stop(l.typed)
	close(l.typed)
}

func (l *Login) kill() { _ = l.child.Process.Kill() }

// Close closes the session, and ends and takes down what it has left. What it could
// not take down, for somebody else is using it now, it returns.
func (l *Login) Close() (stays []netns.Pruned, err error) {
	l.socket.Close()
	defer l.forget()
	defer l.forgetTyped()
	impatient := time.AfterFunc(grace, l.kill)
	err = l.child.Wait()
	impatient.Stop()
	if errors.As(err, new(*exec.ExitError)) {
		err = nil // what it has not closed ends with it
	}
	left, found := descendants()
	pruned, undone := l.before.Undo(func(pid int) bool { return left[pid] }, func(program, name string) error {
		if err := endDescendants(); err != nil {
			return err
		}
		var said []string
		err := setup.Program{Path: program, Name: name, Output: func(line string) {
			said = append(said, line)
		}}.Down()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, strings.Join(said, "; "))
		}
		return err
	})
	stays = slices.DeleteFunc(pruned, func(p netns.Pruned) bool { return p.Gone })
	err = errors.Join(err, found, undone)
	if len(stays) == 0 { // else it may be a setup program that has left it
		err = errors.Join(err, endDescendants())
	}
	return stays, err
}

// descendants are the processes that come from this one.
func descendants() (map[int]bool, error) {
	stats, err := procfs.NewFS("/proc")
	if err != nil {
		return nil, err
	}
	processes, err := stats.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	children := map[int][]int{}
	for _, p := range processes {
		if s, err := p.Stat(); err == nil { // else it has ended
			children[s.PPID] = append(children[s.PPID], p.PID)
		}
	}
	found := map[int]bool{}
	for next := children[os.Getpid()]; len(next) > 0; {
		pid := next[0]
		next = append(next[1:], children[pid]...)
		found[pid] = true
	}
	return found, nil
}

// endDescendants kills what the session has left running.
func endDescendants() error {
	for deadline := time.Now().Add(grace); ; time.Sleep(time.Millisecond) {
		left, err := descendants()
		if err != nil || len(left) == 0 {
			return err
		}
		for pid := range left {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 && !errors.Is(err, unix.EINTR) {
				break
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes that the session has left do not end: %d", len(left))
		}
	}
}
