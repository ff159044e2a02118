// SPDX-License-Identifier: GPL-2.0-or-later

package policy

/*
#include <pwd.h>
#include <stdlib.h>
*/
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"os/user"
	"unsafe"
)

// Account is what a program needs to run something as a user.
type Account struct {
	Name, Home, Shell string
	UID, GID          uint32
	Groups            []uint32
}

// FindAccount asks the name service of this machine for the account of a user.
func FindAccount(name string) (*Account, error) {
	u, err := user.Lookup(name)
	if errors.As(err, new(user.UnknownUserError)) {
		return nil, fmt.Errorf("there is no user %q", name)
	}
	if err != nil {
		return nil, fmt.Errorf("look up %q: %w", name, err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("look up the groups of %q: %w", name, err)
	}
	a := &Account{Name: u.Username, Home: u.HomeDir, Shell: cmp.Or(shellOf(u.Username), "/bin/sh")}
	for _, g := range groups {
		id, err := parseID(g)
		if err != nil {
			return nil, err
		}
		a.Groups = append(a.Groups, id)
	}
	if a.UID, err = parseID(u.Uid); err != nil {
		return nil, err
	}
	a.GID, err = parseID(u.Gid)
	return a, err
}

// Env returns the environment variables that name the user.
func (a Account) Env() map[string]string {
	return map[string]string{"HOME": a.Home, "USER": a.Name, "LOGNAME": a.Name, "SHELL": a.Shell}
}

// shellOf returns the login shell of a user, which os/user leaves out; "" if there is none.
func shellOf(name string) string {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	entry := C.getpwnam(n)
	if entry == nil {
		return ""
	}
	return C.GoString(entry.pw_shell)
}
