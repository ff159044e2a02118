// SPDX-License-Identifier: GPL-2.0-or-later

package pam

// #include "child.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"libpam-net/internal/session"
)

// What follows runs in pamnetctl, which tells what the modules would do.

// Complaint is about an argument that a module ignores.
type Complaint struct {
	Argument, Problem string // "no such argument"
}

// String returns what the module logs.
func (c Complaint) String() string {
	return fmt.Sprintf("argument %q ignored: %s", c.Argument, c.Problem)
}

// Parse parses the arguments of a module of this kind, whose default of group= is group.
func Parse(kind session.Kind, group string, args []string) (r session.Request, complaints []Complaint) {
	var pin runtime.Pinner
	defer pin.Unpin()
	module := C.struct_module{group: cString(&pin, group), kind: uint32(kind)}
	var o C.struct_options
	C.options_init(&o, &module)
	for _, arg := range args {
		if problem := C.options_apply(&o, &module, cString(&pin, arg)); problem != nil {
			complaints = append(complaints, Complaint{arg, C.GoString(problem)})
		}
	}
	r = options(&o)
	r.Kind = kind
	return r, complaints
}

// Lookup asks all sources whether the user is a member by the question of a module of this kind
// with this group=.
func Lookup(kind session.Kind, user, group string) session.Answer {
	var pin runtime.Pinner
	defer pin.Unpin()
	name := cString(&pin, user)
	var account C.struct_account
	var a C.struct_answer
	defer C.account_free(&account)
	C.child_read(&account, name)
	C.child_ask(&account, uint32(kind), cString(&pin, group), &a)
	result := answer(&account, &a)
	result.Root = bool(C.account_is_local_root(name))
	return result
}

// cString returns a copy of s in memory of Go's, pinned for C.
func cString(pin *runtime.Pinner, s string) *C.char {
	b := append([]byte(s), 0)
	pin.Pin(&b[0])
	return (*C.char)(unsafe.Pointer(&b[0]))
}
