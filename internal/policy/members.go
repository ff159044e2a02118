// SPDX-License-Identifier: GPL-2.0-or-later

package policy

/*
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

static char *member(const struct group *g, size_t i)
{
	return g->gr_mem[i];
}
*/
import "C"

import (
	"maps"
	"slices"
	"strings"
	"unsafe"

	"libpam-net/internal/session"
)

// Members lists whom the policy concerns, sorted: as far as the name service tells
// who is in a group, and for primary groups, and all that begin alike, which ones
// there are. Who is no user is left out.
func (p Policy) Members() []string {
	users, primary := map[string]bool{}, map[C.gid_t]bool{}
	add := func(g *C.struct_group) {
		primary[g.gr_gid] = true
		for i := C.size_t(0); C.member(g, i) != nil; i++ {
			users[C.GoString(C.member(g, i))] = true
		}
	}
	for _, r := range p.Rules {
		if r.Kind != session.GroupNet { // a directory may know it and not list it
			name := C.CString(r.Request.Group)
			if g := C.getgrnam(name); g != nil {
				add(g)
			}
			C.free(unsafe.Pointer(name))
		}
	}
	C.setgrent()
	for g := C.getgrent(); g != nil; g = C.getgrent() {
		if slices.ContainsFunc(p.Rules, func(r Rule) bool {
			return r.Kind == session.GroupNet && strings.HasPrefix(C.GoString(g.gr_name), r.Request.Group+"-")
		}) {
			add(g)
		}
	}
	C.endgrent()
	maps.DeleteFunc(users, func(user string, _ bool) bool {
		name := C.CString(user)
		defer C.free(unsafe.Pointer(name))
		return C.getpwnam(name) == nil
	})
	C.setpwent()
	for p := C.getpwent(); p != nil; p = C.getpwent() {
		if primary[p.pw_gid] {
			users[C.GoString(p.pw_name)] = true
		}
	}
	C.endpwent()
	return slices.Sorted(maps.Keys(users))
}
