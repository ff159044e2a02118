// SPDX-License-Identifier: GPL-2.0-or-later

// Package pam is the boundary between PAM's C and the Go core. README.md says which file runs in
// which process. This file is the one way from C into Go.
package pam

/*
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -Wshadow -Wformat=2
#cgo LDFLAGS: -lpam -ldl -Wl,--wrap=pthread_getattr_np
#include <stdlib.h>

#include "child.h"
#include "wire.h"
*/
import "C"

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"libpam-net/internal/session"
)

// The twins: what C and Go both define has the same values. This does not compile otherwise, as
// the one index is 0.
var (
	_ = [1]struct{}{}[C.KIND_NEWNET-session.NewNet]
	_ = [1]struct{}{}[C.KIND_USERNET-session.UserNet]
	_ = [1]struct{}{}[C.KIND_GROUPNET-session.GroupNet]
	_ = [1]struct{}{}[C.UNKNOWN-session.Unknown]
	_ = [1]struct{}{}[C.MEMBER-session.Member]
	_ = [1]struct{}{}[C.NONMEMBER-session.NonMember]
	_ = [1]struct{}{}[C.NO_GROUP-session.NoGroup]
	_ = [1]struct{}{}[C.OUTCOME_ISOLATED-session.Isolated]
	_ = [1]struct{}{}[C.OUTCOME_REFUSED-session.Refused]
)

// pamnetCore runs in the child, for members only. It serves one request and sends the verdict. If
// the verdict cannot be sent, the login process refuses.
//
//export pamnetCore
func pamnetCore(r *C.struct_request) {
	socket := session.Socket(r.socket)
	socket.Logf(session.Debug, "Go has started (%s)", runtime.Version()) // internal/trial/module.c waits for it
	keepFileLimit()
	_ = socket.Send(session.Open(request(r), socket))
}

// keepFileLimit sets the limit of open files to the one of child.c, for good. Package syscall may
// have found the limit under which child_go.c starts the runtime, and would give that one to the
// programs that the core runs.
func keepFileLimit() {
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		files.Cur = files.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files)
	}
}

func request(r *C.struct_request) session.Request {
	all := options(r.options)
	all.Kind = session.Kind(r.module.kind)
	all.User = C.GoString(r.user)
	all.Service = C.GoString(r.service)
	all.RemoteHost = C.GoString(r.rhost)
	all.Answer = answer(&r.account, &r.answer)
	return all
}

func options(o *C.struct_options) session.Request {
	masks := make([]string, o.nmasks)
	for i := range masks {
		masks[i] = C.GoString(o.masks[i])
	}
	var setup *string
	if o.setup != nil {
		path := C.GoString(o.setup)
		setup = &path
	}
	return session.Request{
		Group:        C.GoString(o.group),
		Timeout:      time.Duration(o.timeout) * time.Second,
		SelfManaged:  bool(o.selfmanaged),
		Setup:        setup,
		LoDown:       bool(o.lodown),
		RootShared:   bool(o.rootshared),
		ShowNetns:    bool(o.shownetns),
		KeepResolver: bool(o.keepresolver),
		Masks:        masks,
	}
}

func answer(account *C.struct_account, a *C.struct_answer) session.Answer {
	var groups []uint32
	for _, gid := range unsafe.Slice(account.groups.gids, account.groups.count) {
		groups = append(groups, uint32(gid))
	}
	return session.Answer{
		State:   session.State(a.membership),
		Problem: C.GoString(&a.problem[0]),
		Known:   bool(account.known),
		User:    C.GoString(&account.name[0]),
		UID:     uint32(account.uid),
		GID:     uint32(account.gid),
		GIDs:    groups,
		Group:   C.GoString(&a.group[0]),
		GroupID: uint32(a.gid),
		Listed:  bool(a.listed),
		Several: bool(a.several),
	}
}
