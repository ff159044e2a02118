// SPDX-License-Identifier: GPL-2.0-or-later

// Package session is the core. Open verifies that the user is a member, creates or joins the namespaces of the
// session, and returns the verdict for the login process. Each of its steps is a package.
package session

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"libpam-net/internal/netns"
	"libpam-net/internal/setup"
	"libpam-net/internal/view"
)

// Kind is the kind of network namespace that members get.
type Kind int

// The kinds, in the order of enum kind in pam/module.h.
const (
	NewNet Kind = iota
	UserNet
	GroupNet
)

// Request is the request of a login.
type Request struct {
	Kind  Kind
	Group string // group=; for GroupNet the part before "-NAME"
	User  string // as the login service names the user

	// For a setup program, "" if unknown.
	Service, RemoteHost string

	Answer Answer // of the name service

	Timeout      time.Duration // how long the login process waits for the verdict
	SelfManaged  bool          // a new network belongs to the user
	Setup        *string       // the path of the setup program; nil: none
	LoDown       bool
	RootShared   bool
	ShowNetns    bool
	KeepResolver bool
	Masks        []string
}

// Open creates or joins the namespaces of the session and returns the verdict. Any failure is a refusal. It
// runs in the child of the login process, and holds the calling thread for good. The process must end soon
// after: what it has not published ends with it.
func Open(r Request, log Socket) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = refusal(fmt.Errorf("panic: %v", p))
		}
	}()
	runtime.LockOSThread()
	start := time.Now()

	if err := r.Answer.check(r.Kind, r.Group); err != nil {
		return refusal(err)
	}
	if r.Answer.Several {
		log.Logf(Warning, "%q is in several groups %s-*; %q counts", r.User, r.Group, r.Answer.Group)
	}
	log.Logf(Debug, "%q is a member by the group %q", r.User, r.Answer.Group)

	name := r.NetnsName(r.Answer)
	net, err := netns.Acquire(r.netnsSpec(name, start, log))
	if err != nil {
		return refusal(err)
	}
	if r.SelfManaged && !net.Created {
		if uid, err := netns.OwnerOf(net.FD); err != nil || uid != r.Answer.UID {
			log.Logf(Warning, "network namespace %q already exists and is not the user's: joined, but %q cannot administer it",
				name, r.User)
		}
	}
	did := describe(name, net.Created)
	log.Logf(Debug, "%q: %s; now its mounts", r.User, did)

	sees, err := view.Build(view.Spec{
		Network: name, RootShared: r.RootShared, ShowNetns: r.ShowNetns, KeepResolver: r.KeepResolver, Masks: r.Masks,
	})
	for _, entry := range sees.Skipped {
		log.Logf(Warning, "/etc/netns/%s/%q skipped: there is no such file in /etc", name, entry)
	}
	if err != nil {
		return refusal(err)
	}
	return Verdict{
		Outcome:  Isolated,
		Text:     fmt.Sprintf("%q: %s (%s)", r.User, did, netns.ID(net.FD)),
		CwdMoved: sees.CwdMoved,
		Net:      net.FD,
		Mnt:      sees.FD,
		Root:     sees.Root,
		Cwd:      sees.Cwd,
	}
}

func refusal(err error) Verdict {
	return Verdict{Outcome: Refused, Text: err.Error()}
}

// NetnsName returns the name of the network namespace, "" if it has none.
func (r Request) NetnsName(a Answer) string {
	switch r.Kind {
	case UserNet:
		return a.User
	case GroupNet:
		return strings.TrimPrefix(a.Group, r.Group+"-")
	default:
		return ""
	}
}

// netnsSpec describes the network namespace. A setup program gets three quarters of the time. The rest is for
// clearing up after it.
func (r Request) netnsSpec(name string, start time.Time, log Socket) netns.Spec {
	s := netns.Spec{Unnamed: r.Kind == NewNet, Name: name, LoDown: r.LoDown, Deadline: start.Add(r.Timeout * 3 / 4)}
	if r.SelfManaged {
		s.Owner = &netns.Owner{UID: r.Answer.UID, GID: r.Answer.GID}
	}
	if r.Setup != nil {
		s.Setup = &setup.Program{Path: *r.Setup, Name: name, Env: []string{"PAM_USER=" + r.User}, Output: func(line string) {
			log.Logf(Info, "setup of %q: %s", name, line)
		}}
		if r.Service != "" {
			s.Setup.Env = append(s.Setup.Env, "PAM_SERVICE="+r.Service)
		}
		if r.RemoteHost != "" {
			s.Setup.Env = append(s.Setup.Env, "PAM_RHOST="+r.RemoteHost)
		}
	}
	return s
}

// describe returns what the session has got, for the log.
func describe(name string, created bool) string {
	switch {
	case name == "":
		return "new network namespace"
	case created:
		return fmt.Sprintf("created network namespace %q", name)
	default:
		return fmt.Sprintf("joined network namespace %q", name)
	}
}
