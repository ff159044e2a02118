// SPDX-License-Identifier: GPL-2.0-or-later

// Package pam is the boundary between PAM's C and the Go core: the shim that
// libpam calls (session.c), and the one function of Go that the shim's child
// calls. ../docs/ARCHITECTURE.md follows a login through it.
package pam

/*
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -Wshadow -Wformat=2
#cgo LDFLAGS: -lpam -ldl -Wl,--wrap=pthread_getattr_np
#include <stdlib.h>

#include "child.h"
*/
import "C"

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"libpam-net/internal/session"
)

// pamnetCore serves one request and sends the verdict. A verdict that cannot be
// sent is none, and the login process refuses.
//
//export pamnetCore
func pamnetCore(r *C.struct_request) {
	socket := session.Socket(r.socket)
	socket.Logf(session.Debug, "Go has started (%s)", runtime.Version()) // internal/trial/module.c waits for it
	keepFileLimit()
	_ = socket.Send(session.Open(request(r), socket))
}

// keepFileLimit sets the limit of open files to what child.c has lifted it to, for good. Package
// syscall may have found the one under which the runtime starts, and would give that back to
// the programs that are run from here.
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
	all.Answer = answer(&r.lookup, &r.answer)
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

func answer(l *C.struct_lookup, a *C.struct_answer) session.Answer {
	var groups []uint32
	for _, gid := range unsafe.Slice(l.gids, l.count) {
		groups = append(groups, uint32(gid))
	}
	return session.Answer{
		State:   session.State(a.membership),
		Problem: C.GoString(&a.problem[0]),
		Known:   bool(l.user_known),
		User:    C.GoString(&l.user[0]),
		UID:     uint32(l.uid),
		GID:     uint32(l.gid),
		GIDs:    groups,
		Group:   C.GoString(&a.group[0]),
		GroupID: uint32(a.gid),
		Listed:  bool(a.listed),
		Several: bool(a.several),
	}
}
