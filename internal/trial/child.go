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

	"libpam-net/internal/account"
	"libpam-net/internal/join"
	"libpam-net/internal/mask"
)

// ChildName is argv[0] of the child, by which the program knows that it has to call
// Child, first of all.
const ChildName = "pamnetctl-check"

// socketFD is where the child finds its parent.
const socketFD = 3

// What goes over the socket: a request; the view of the session; then, if the
// parent wants a command to be run, that, and its exit code. The parent closes the
// socket when it has seen enough.
type (
	request struct{ Service, User string }
	reply   struct {
		View  View
		Error string // why there is no view
	}
	runRequest struct {
		Command string
		Capture bool // the output
	}
	runReply struct {
		Ran
		Error string
	}
)

// records are what modules write of logins. It goes nowhere.
var records = []string{"/run/utmp", "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/tallylog", "/var/lib/lastlog", "/var/lib/wtmpdb"}

// Child opens the session, as a login service does. It is in a mount namespace of
// its own, out of which no mount comes. All is done on one thread, which the session
// then belongs to; the runtime's others stay outside.
func Child() {
	runtime.LockOSThread()
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

func serve(in *json.Decoder, out *json.Encoder) error {
	var asked request
	if err := in.Decode(&asked); err != nil {
		return err
	}
	s, view, err := open(asked)
	answer := reply{View: view}
	if err != nil {
		answer.Error = err.Error()
	}
	if err := out.Encode(answer); err != nil || s == nil {
		return err
	}
	var todo runRequest
	if in.Decode(&todo) == nil {
		var answer runReply
		if answer.Ran, err = s.run(todo); err != nil {
			answer.Error = err.Error()
		}
		_ = out.Encode(answer)
		_ = in.Decode(&todo)
	}
	_ = s.CloseSession(0)
	return s.End()
}

// session is one that is open.
type session struct {
	*pam.Transaction
	account *account.Account
	limits  limits // that the modules have set
}

// open opens a session and looks around in it. A refused login is a view as well,
// and no session.
func open(r request) (*session, View, error) {
	a, err := account.Lookup(r.User) // before there is a session, which may have another /etc
	if err != nil {
		return nil, View{}, err
	}
	for _, path := range records {
		if err := view.Mask(path); err != nil {
			return nil, View{}, err
		}
	}
	before, err := remember()
	if err != nil {
		return nil, View{}, err
	}
	view := View{Messages: []string{}}
	tx, err := pam.StartFunc(r.Service, r.User, func(style pam.Style, text string) (string, error) {
		switch style {
		case pam.ErrorMsg:
			view.Messages = append(view.Messages, text)
			return "", nil
		case pam.TextInfo:
			return "", nil
		default:
			return "", errors.New("nobody is there to answer")
		}
	})
	if err != nil {
		return nil, view, fmt.Errorf("start PAM for service %q: %w", r.Service, err)
	}
	start := time.Now()
	refused := tx.OpenSession(0)
	view.Milliseconds = float64(time.Since(start).Microseconds()) / 1000
	s := &session{tx, a, getLimits()}
	before.limits.set() // for Go's runtime, which could not do with those of some users
	view.Log = logged()
	if refused != nil {
		view.Refused = refused.Error()
		_ = tx.End()
		return nil, view, nil
	}
	return s, view, view.lookAround(before, a)
}

// run runs a command like sshd: by the user's shell, in the home directory, as the user.
func (s *session) run(r runRequest) (Ran, error) {
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
	// Ctrl-C is for the command. To ignore it would be inherited.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGQUIT)
	code, err := join.Run(cmd, false, func() error {
		defer getLimits().set()
		s.limits.set()
		return cmd.Start()
	})
	return Ran{code, output.String()}, err
}

// limits are the resource limits of a process, by their number.
type limits [unix.RLIMIT_RTTIME + 1]unix.Rlimit

func getLimits() (now limits) {
	for i := range now {
		_ = unix.Prlimit(0, i, nil, &now[i])
	}
	return now
}

// set sets those that are others now. What cannot be set stays.
func (l limits) set() {
	for i, now := range getLimits() {
		if l[i] != now {
			_ = unix.Prlimit(0, i, &l[i], nil)
		}
	}
}
