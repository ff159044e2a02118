// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"time"

	"github.com/msteinert/pam/v2"
	"golang.org/x/sys/unix"

	"libpam-net/internal/join"
	"libpam-net/internal/mount"
	"libpam-net/internal/policy"
	"libpam-net/internal/view"
)

// ChildName is argv[0] of the child. A program that has this name must call Child first of all.
const ChildName = "pamnetctl-check"

// The children open sessions, which the modules refuse outside of the main thread. Only here is the main goroutine
// sure to be in it: it stays.
func init() {
	if os.Args[0] == ChildName || os.Args[0] == ModuleChildName {
		runtime.LockOSThread()
	}
}

// socketFD is where the child finds its parent.
const socketFD = 3

// The messages. Parent and child take turns:
//   - request, and the answer: what the session looks like
//   - runRequest, if the parent wants to run a command, and the answer: how it has ended
//
// The parent closes the socket when it has seen enough.
type (
	request struct {
		Service, User string
		Wanted
	}
	runRequest struct {
		Command string
		Capture bool // the output
	}
	answer[T any] struct {
		Value T
		Error string // why there is no value
	}
)

// records has the files in which modules record logins. They are covered, so that nothing records this one.
var records = []string{"/run/utmp", "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/tallylog", "/var/lib/lastlog", "/var/lib/wtmpdb"}

// Child opens the session, as a login service does, in the child process. It never returns. Everything happens on one
// thread, which has a mount namespace of its own, and is in the session afterwards. The runtime's other threads stay
// outside.
func Child() {
	unix.CloseOnExec(socketFD)
	conn, err := net.FileConn(os.NewFile(socketFD, "parent"))
	if err != nil {
		os.Exit(1)
	}
	if serve(json.NewDecoder(conn), json.NewEncoder(conn)) != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// serve answers the parent's requests. It returns an error if the parent has ended.
func serve(in *json.Decoder, out *json.Encoder) error {
	var asked request
	if err := in.Decode(&asked); err != nil {
		return err
	}
	s, view, err := open(asked)
	if err := out.Encode(answerOf(view, err)); err != nil || s == nil {
		return err
	}
	var todo runRequest
	if in.Decode(&todo) == nil {
		_ = out.Encode(answerOf(s.run(todo)))
		_ = in.Decode(&todo) // returns when the parent has closed the socket
	}
	_ = s.CloseSession(0)
	return s.End()
}

func answerOf[T any](value T, err error) answer[T] {
	if err != nil {
		return answer[T]{Error: err.Error()}
	}
	return answer[T]{Value: value}
}

// openSession is a session that the child has opened.
type openSession struct {
	*pam.Transaction
	account *policy.Account
	limits  limits // as the modules have set them
}

// open opens a session and looks around in it. For a refused login it returns a view, and no session.
func open(r request) (*openSession, View, error) {
	a, err := policy.FindAccount(r.User) // before the session, which may have another /etc
	if err != nil {
		return nil, View{}, err
	}
	// Mounts of the session, and of other modules, stay in this namespace. Mounts of the host arrive here, as in any
	// login: that of a runtime directory, which systemd mounts while pam_systemd waits.
	if _, err := mount.Unshare(false); err != nil {
		return nil, View{}, err
	}
	runtimeDir := fmt.Sprintf("/run/user/%d", a.UID)
	managed := exists(runtimeDir)
	for _, path := range records {
		if err := view.Mask(path); err != nil {
			return nil, View{}, err
		}
	}
	before, err := remember(a, r.Wanted)
	if err != nil {
		return nil, View{}, err
	}
	seen := newView()
	tx, err := pam.StartFunc(r.Service, r.User, func(style pam.Style, text string) (string, error) {
		switch style {
		case pam.ErrorMsg:
			seen.Messages = append(seen.Messages, text)
			return "", nil
		case pam.TextInfo:
			return "", nil
		default:
			return "", errors.New("nobody is here to answer")
		}
	})
	if err != nil {
		return nil, seen, fmt.Errorf("start PAM for service %q: %w", r.Service, err)
	}
	start := time.Now()
	refused := tx.OpenSession(0)
	seen.Milliseconds = float64(time.Since(start).Microseconds()) / 1000
	s := &openSession{tx, a, getLimits()}
	before.limits.set() // Go's runtime could not live with the limits of some users
	seen.Log = logged()
	if !managed && exists(runtimeDir) {
		seen.RuntimeDir = runtimeDir
	}
	if refused != nil {
		seen.Refused = refused.Error()
		_ = tx.End()
		return nil, seen, nil
	}
	err = seen.lookAround(before, a, r.Wanted)
	return s, seen, err
}

// run runs a command as sshd does: as the user, by the user's shell, in the home directory.
func (s *openSession) run(r runRequest) (Ran, error) {
	env, err := s.GetEnvList()
	if err != nil {
		return Ran{}, err
	}
	maps.Copy(env, map[string]string{"PATH": cmp.Or(env["PATH"], join.Path), "TERM": os.Getenv("TERM")})
	cmd := join.AsUser(s.account, env, s.account.Shell, "-c", r.Command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	var output strings.Builder
	if r.Capture {
		cmd.Stdout = &output
	}
	// Ctrl-C is for the command. It is caught here, because the command would inherit an ignored signal.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGQUIT)
	code, err := join.Run(cmd, false, func() error {
		defer getLimits().set()
		s.limits.set()
		return cmd.Start()
	})
	return Ran{code, output.String()}, err
}

// limits has the resource limits of a process, by their number.
type limits [unix.RLIMIT_RTTIME + 1]unix.Rlimit

func getLimits() (now limits) {
	for i := range now {
		_ = unix.Prlimit(0, i, nil, &now[i])
	}
	return now
}

// set sets the limits that differ now. A limit that cannot be set stays.
func (l limits) set() {
	for i, now := range getLimits() {
		if l[i] != now {
			_ = unix.Prlimit(0, i, &l[i], nil)
		}
	}
}
