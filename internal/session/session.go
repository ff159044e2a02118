// SPDX-License-Identifier: GPL-2.0-or-later

// Package session is the core: it decides whom a module concerns and makes what
// the login is to move into, from top to bottom as Open reads.
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

// Kind is what sort of network namespace members get.
type Kind int

// The kinds, in the order of enum kind in pam/module.h.
const (
	NewNet Kind = iota
	UserNet
	GroupNet
)

// Request is what a login asks for.
type Request struct {
	Kind  Kind
	Group string // group=; for GroupNet what stands before "-NAME"
	User  string // as the login service names the user

	// What a setup program gets to know, "" for nothing.
	Service, RemoteHost string

	Answer Answer // of the name service

	Timeout      time.Duration // the login process waits no longer for the verdict
	SelfManaged  bool          // a network that is made belongs to the user
	Setup        *string       // the setup program, nil if there is none
	LoDown       bool
	RootShared   bool
	ShowNetns    bool
	KeepResolver bool
	Masks        []string
}

// Open makes the session's namespaces and returns the verdict on it, a refusal
// for any failure. It holds the calling thread for good: the process ends soon
// after, and what it has not published with it.
func Open(r Request, log Socket) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = refusal(fmt.Errorf("panic: %v", p))
		}
	}()
	runtime.LockOSThread()
	start := time.Now()

	answer := r.Answer
	if err := answer.check(r.Kind, r.Group); err != nil {
		return refusal(err)
	}
	if answer.Several {
		log.Logf(Warning, "%q is in several groups %s-*; %q counts", r.User, r.Group, answer.Group)
	}

	log.Logf(Debug, "%q is a member by the group %q", r.User, answer.Group)

	name := r.NetnsName(answer)
	net, did, err := enter(r, name, r.plan(name, answer, start, log), log)
	if err != nil {
		return refusal(err)
	}
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
		Text:     fmt.Sprintf("%q: %s (%s)", r.User, did, netns.ID(net)),
		CwdMoved: sees.CwdMoved,
		Net:      net,
		Mnt:      sees.FD,
		Root:     sees.Root,
		Cwd:      sees.Cwd,
	}
}

func refusal(err error) Verdict {
	return Verdict{Outcome: Refused, Text: explain(err).Error()}
}

// NetnsName is the name of the network namespace, "" for one without.
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

// plan says how the network namespace is made, if that is needed. A setup program
// has so much of the time that what is left is enough to clear up after it.
func (r Request) plan(name string, a Answer, start time.Time, log Socket) netns.Plan {
	p := netns.Plan{Prepare: netns.RaiseLoopback}
	if r.LoDown {
		p.Prepare = func() error { return nil }
	}
	if r.SelfManaged {
		p.Owner = &netns.Owner{UID: a.UID, GID: a.GID}
	}
	if r.Setup != nil {
		program := setup.Program{Path: *r.Setup, Name: name, Env: []string{"PAM_USER=" + r.User}, Output: func(line string) {
			log.Logf(Info, "setup of %q: %s", name, line)
		}}
		if r.Service != "" {
			program.Env = append(program.Env, "PAM_SERVICE="+r.Service)
		}
		if r.RemoteHost != "" {
			program.Env = append(program.Env, "PAM_RHOST="+r.RemoteHost)
		}
		p.Program = program.Path
		p.Setup = func() error {
			return program.Up(start.Add(r.Timeout * 3 / 4))
		}
	}
	return p
}

// enter moves the thread into the network namespace and says what that took.
func enter(r Request, name string, p netns.Plan, log Socket) (fd int, did string, err error) {
	if r.Kind == NewNet {
		if fd, err = netns.New(p.Owner); err != nil {
			return -1, "", err
		}
		return fd, "new network namespace", p.Prepare()
	}
	if err := netns.CheckName(name); err != nil {
		return -1, "", err
	}
	n, err := netns.OpenOrCreate(name, p) // open until the login has moved, and this process ends
	if err != nil {
		return -1, "", fmt.Errorf("open network namespace %q: %w", name, err)
	}
	if err := netns.Join(n.FD); err != nil {
		return -1, "", fmt.Errorf("join network namespace %q: %w", name, err)
	}
	if n.Created {
		return n.FD, fmt.Sprintf("created network namespace %q", name), nil
	}
	if p.Owner != nil {
		if uid, err := netns.OwnerOf(n.FD); err != nil || uid != p.Owner.UID {
			log.Logf(Warning, "network namespace %q was there before and is not the user's: joined, but not for %q to manage",
				name, r.User)
		}
	}
	return n.FD, fmt.Sprintf("joined network namespace %q", name), p.Prepare()
}
