// Package sandbox makes throwaway Linux machines out of namespaces, for the end-to-end tests and the demo.
//
// Inside, /etc, /usr and /var are the machine's with a layer of their own for what is changed; /run, /tmp, /home and
// /root start empty; /dev, /proc, /sys, the network and process 1 are the sandbox's own. The rest of the machine is
// there to be read (needs Linux 5.12). Nothing done inside is seen on the machine or in another sandbox, and nothing outlives Close or
// the death of the process that called New.
//
// PIDs are those of the machine wherever the name does not say otherwise.
package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNeedRoot says that the caller lacks the rights to make a sandbox, and what to do about it.
var ErrNeedRoot = errors.New(`a sandbox needs root with its capabilities (try: sudo env "PATH=$PATH" go test ./test/...)`)

// initName is argv[0] of a sandbox's process 1, by which Main recognises it.
const initName = "sandbox-init"

// environment is what process 1 and every command run in a sandbox start with.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root",
	"TERM=xterm",
	"LANG=C.UTF-8",
}

var mainCalled bool

// Main must be the first thing that main or TestMain calls: New runs the program once more as process 1 of the
// sandbox, and that one does not return from here.
func Main() {
	mainCalled = true
	if os.Args[0] == initName {
		runInit(os.Args[1])
	}
}

// Sandbox is a running sandbox. Its methods may be used by several goroutines at once, except Close.
type Sandbox struct {
	init *exec.Cmd
	life *os.File // process 1 ends when this end of the socket closes
	root *os.Root // keeps what is written through it inside, whatever symbolic links lie there

	mu        sync.Mutex // guards the account files and what follows
	lastID    int        // the last uid or gid given away
	publicKey string     // of root's ssh key, which opens every account; empty until it is needed
}

// New starts a sandbox. The caller must Close it. The error wraps ErrNeedRoot where rights are missing.
func New() (*Sandbox, error) { return NewOn("") }

// NewOn starts a sandbox whose "/" is not the machine's, but a directory with a whole system in it. That one is not
// changed: it lies below a layer of the sandbox's own.
func NewOn(tree string) (*Sandbox, error) {
	if !mainCalled {
		return nil, errors.New("sandbox.Main was not called first thing in this program")
	}
	if os.Geteuid() != 0 {
		return nil, ErrNeedRoot
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket pair for the sandbox: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(ends[0]), "sandbox"), os.NewFile(uintptr(ends[1]), "sandbox init")
	cmd := &exec.Cmd{
		Path:       "/proc/self/exe",
		Args:       []string{initName, tree},
		Env:        environment,
		Dir:        "/",
		Stderr:     os.Stderr, // only the Go runtime writes there, when process 1 crashes
		ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
			Setsid:     true, // a terminal's ^C is for the creator
		},
	}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		ours.Close()
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("%w: start process 1 in new namespaces: %w", ErrNeedRoot, err)
		}
		return nil, fmt.Errorf("start process 1 of the sandbox in new namespaces: %w", err)
	}
	s := &Sandbox{init: cmd, life: ours, lastID: 4999}
	if err := s.awaitInit(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// awaitInit waits for process 1 to have set up the sandbox, and opens its root.
func (s *Sandbox) awaitInit() error {
	var outcome report
	if err := s.life.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return fmt.Errorf("limit the wait for the sandbox: %w", err)
	}
	if err := json.NewDecoder(s.life).Decode(&outcome); err != nil {
		return fmt.Errorf("wait for process 1 to set up the sandbox: %w", err)
	}
	if outcome.Denied {
		return fmt.Errorf("%w: set up the sandbox: %s", ErrNeedRoot, outcome.Error)
	}
	if outcome.Error != "" {
		return fmt.Errorf("set up the sandbox: %s", outcome.Error)
	}
	root, err := os.OpenRoot(s.Root())
	if err != nil {
		return fmt.Errorf("open the root of the sandbox: %w", err)
	}
	s.root = root
	return nil
}

// Close ends the sandbox with everything in it, and returns when all of it is gone. An error says that process 1 had
// ended before. A second Close does nothing.
func (s *Sandbox) Close() error {
	if s.closed() {
		return nil
	}
	if s.root != nil {
		s.root.Close()
	}
	s.init.Process.Kill()
	err := s.init.Wait() // the kernel lets process 1 go last
	s.life.Close()
	if s.init.ProcessState.Sys().(syscall.WaitStatus).Signal() == unix.SIGKILL {
		return nil
	}
	return fmt.Errorf("process 1 of the sandbox had ended before it was closed: %w", err)
}

func (s *Sandbox) closed() bool { return s.init.ProcessState != nil }

// PID is that of the sandbox's process 1.
func (s *Sandbox) PID() int { return s.init.Process.Pid }

// Root is the path under which the machine sees the sandbox's "/". An absolute symbolic link inside leads, from
// there, out to the machine: use the methods below to read and write.
func (s *Sandbox) Root() string { return fmt.Sprintf("/proc/%d/root", s.PID()) }
