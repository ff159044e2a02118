// SPDX-License-Identifier: GPL-2.0-or-later

package pam

/*
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lookup.h"
#include "options.h"

struct complaint {
	const char *argument, *problem;
};

struct complaints {
	struct complaint *list;
	size_t count;
};

static void note(void *context, const char *argument, const char *problem)
{
	struct complaints *c = context;

	c->list[c->count++] = (struct complaint){ argument, problem };
}

static void parse(struct options *o, const struct module *module, int argc, const char *const *argv,
		  struct complaints *c)
{
	options_parse(o, module, argc, argv, note, c);
}

static void ask(struct lookup *l, enum kind kind, const char *user, const char *group, struct answer *a)
{
	struct sources sources;

	if (sources_read(&sources)) {
		lookup_begin(l, &sources, user);
		lookup_ask(l, kind, group, a);
	} else {
		snprintf(a->problem, sizeof(a->problem), "/etc/nsswitch.conf: %s", strerror(errno));
		a->membership = UNKNOWN;
	}
}
*/
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"libpam-net/internal/session"
)

// What follows is for programs that tell what the modules would do.

// Complaint is about an argument that a module skips.
type Complaint struct {
	Argument, Problem string // the problem is a predicate: "is unknown"
}

// String is what the module logs.
func (c Complaint) String() string {
	return fmt.Sprintf("argument %q %s; skipped", c.Argument, c.Problem)
}

// Parse reads the arguments of a module of this kind, whose default of group= is group.
func Parse(kind session.Kind, group string, args []string) (r session.Request, complaints []Complaint) {
	var pin runtime.Pinner
	defer pin.Unpin()
	argv := make([]*C.char, len(args)+1)
	for i, arg := range args {
		argv[i] = cString(&pin, arg)
	}
	found := make([]C.struct_complaint, len(args)+1)
	pin.Pin(&found[0])
	c := C.struct_complaints{list: &found[0]}
	module := C.struct_module{group: cString(&pin, group), kind: uint32(kind)}
	var o C.struct_options
	C.parse(&o, &module, C.int(len(args)), &argv[0], &c)
	for _, c := range found[:c.count] {
		complaints = append(complaints, Complaint{C.GoString(c.argument), C.GoString(c.problem)})
	}
	r = options(&o)
	r.Kind = kind
	return r, complaints
}

// Lookup finds out whether a module of this kind and with this group= concerns the user.
func Lookup(kind session.Kind, user, group string) session.Answer {
	var pin runtime.Pinner
	defer pin.Unpin()
	var l C.struct_lookup
	var a C.struct_answer
	C.ask(&l, uint32(kind), cString(&pin, user), cString(&pin, group), &a)
	defer C.lookup_end(&l)
	result := answer(&l, &a)
	result.Root = bool(C.lookup_is_local_root(cString(&pin, user)))
	return result
}

// cString is one that is pinned and not copied.
func cString(pin *runtime.Pinner, s string) *C.char {
	b := append([]byte(s), 0)
	pin.Pin(&b[0])
	return (*C.char)(unsafe.Pointer(&b[0]))
}
