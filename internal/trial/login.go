// SPDX-License-Identifier: GPL-2.0-or-later

// Package trial tries logins. A Series opens real PAM sessions, one after the other, each in a child process that ends
// with it, and tells what each session gets. It takes back what the sessions have left. Module logs in through a single
// module.
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
	"libpam-net/internal/setup"
)

// grace is the time that modules have to close the session, and processes to end.
const grace = 10 * time.Second

// Wanted is what else to find out in a session.
type Wanted struct {
	Ways    bool     // which ways remain open
	Daemons []string // for that: the sockets of daemons that start programs in the host's network
	Net     bool     // what the session reaches
	Targets []string // for that: further ones, HOST:PORT
}

// Series is a number of logins, one after the other.
type Series struct {
	Wanted
	before   netns.Before
	managers []string // the runtime directories of users whose service manager a login of the series has started
}

// Login is an open session, or a refused login. The caller must close it.
type Login struct {
	View
	Name    string // of the network namespace, "" for none
	Created bool   // the namespace, by a login of the series

	child  *exec.Cmd
	socket *net.UnixConn
	in     *json.Decoder
	out    *json.Encoder
	forget func() bool // ends the wait for the end of the context
	typed  chan os.Signal
}

// Begin begins a series of logins. The caller must be root, must hold the OS thread, and must have no other children:
// until End, orphans of the sessions become its children.
func Begin(w Wanted) (*Series, error) {
	if moved, err := isMoved(); err != nil {
		return nil, err
	} else if moved {
		return nil, errors.New("logins start in the host's network, and this is another one: " +
			"use `nsenter --net=/proc/1/ns/net pamnetctl check ...`")
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("prctl PR_SET_CHILD_SUBREAPER: %w", err)
	}
	before, err := netns.Remember()
	if err != nil {
		return nil, err
	}
	return &Series{Wanted: w, before: before}, nil
}

// Open opens a session of a user's through the stack of a service, and looks at it. With terminal, commands that Run runs
// have this program's stdin and stdout, unless these are a terminal. The login before it must be closed.
//
// When ctx ends, the session ends at once. It ends with the caller's thread, too.
func (s *Series) Open(ctx context.Context, user, service string, terminal bool) (*Login, error) {
	l := &Login{}
	if err := l.start(terminal); err != nil {
		return nil, err
	}
	l.forget = context.AfterFunc(ctx, l.kill)
	if err := l.open(request{service, user, s.Wanted}, s.before); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	if l.RuntimeDir != "" {
		s.managers = append(s.managers, l.RuntimeDir)
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
	// The child and what modules start have no terminal. So Ctrl-C does not reach them, and is passed on.
	l.typed = make(chan os.Signal, 1)
	signal.Notify(l.typed, unix.SIGINT, unix.SIGQUIT)
	l.child = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{ChildName}, Dir: "/", ExtraFiles: []*os.File{theirs},
		Env:         []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=" + os.Getenv("TERM")},
		Stderr:      os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
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

// open lets the child open the session.
func (l *Login) open(r request, before netns.Before) (err error) {
	if l.View, err = ask[View](l, r); err != nil || l.Refused != "" || !l.Moved {
		return err
	}
	names, err := netns.Names()
	if err != nil {
		return err
	}
	if l.Name = names[l.Inode]; l.Name != "" {
		l.Created, err = before.Made(l.Name)
	}
	return err
}

// ask sends a request to the child, and returns the answer.
func ask[T any](l *Login, request any) (value T, err error) {
	var got answer[T]
	if err = l.out.Encode(request); err == nil {
		err = l.in.Decode(&got)
	}
	if err == io.EOF || errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		err = errors.New("it has ended unexpectedly")
	}
	if err != nil {
		return value, fmt.Errorf("the process in the session: %w", err)
	}
	if got.Error != "" {
		return value, errors.New(got.Error)
	}
	return got.Value, nil
}

// Ran is the end of a command.
type Ran struct {
	ExitCode int    `json:"exit_code"`
	Output   string `json:"output"`
}

// Run runs a command in the session, as the user, by the user's shell. It returns the output if Open was called without
// terminal.
func (l *Login) Run(command string) (Ran, error) {
	return ask[Ran](l, runRequest{command, l.child.Stdout == nil})
}

func (l *Login) forgetTyped() {
	signal.Stop(l.typed)
	close(l.typed)
}

func (l *Login) kill() { _ = l.child.Process.Kill() }

// Close closes the session.
func (l *Login) Close() error {
	l.socket.Close()
	defer l.forget()
	defer l.forgetTyped()
	impatient := time.AfterFunc(grace, l.kill)
	defer impatient.Stop()
	err := l.child.Wait()
	if errors.As(err, new(*exec.ExitError)) {
		return nil // what the child has not closed ends with the child
	}
	return err
}

// TakeBack ends the processes of the sessions, which must be closed, and takes down the networks that they have created.
// It returns the networks that stay, because somebody uses them.
func (s *Series) TakeBack() (stays []netns.Pruned, err error) {
	left, found := descendants()
	pruned, undone := s.before.Undo(func(pid int) bool { return left[pid] }, func(program, name string) error {
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
	err = errors.Join(found, undone)
	if len(stays) == 0 { // else a setup program may have left them, for the network
		err = errors.Join(err, endDescendants())
	}
	return stays, err
}

// managerGrace is how long a user's service manager may live on: UserStopDelaySec= of logind.conf(5), and its own end.
const managerGrace = 15 * time.Second

// End takes back what all logins of the series have left. A user's service manager, which a login has started, lives on
// for some seconds: while one keeps a network, End waits for it until ctx ends, and calls waiting first. It returns the
// networks that stay.
func (s *Series) End(ctx context.Context, waiting func()) (stays []netns.Pruned, err error) {
	stays, err = s.TakeBack()
	if err != nil || len(stays) == 0 || !s.hasManagers() {
		return stays, err
	}
	waiting()
	ctx, cancel := context.WithTimeout(ctx, managerGrace)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil && s.hasManagers() {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return s.TakeBack()
}

// hasManagers returns whether a service manager that a login has started is still there. systemd removes the runtime
// directory behind it.
func (s *Series) hasManagers() bool {
	return slices.ContainsFunc(s.managers, exists)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// descendants returns the PIDs of the processes that this one has started, directly or not.
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

// endDescendants kills and reaps what the session has left running.
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
			return fmt.Errorf("%d processes of the session do not end", len(left))
		}
	}
}
