// SPDX-License-Identifier: GPL-2.0-or-later

// Package account asks the name service for what it takes to run something as a user.
package account

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
	"strconv"
	"unsafe"
)

// Account is a user's.
type Account struct {
	Name, Home, Shell string
	UID, GID          uint32
	Groups            []uint32
}

// Lookup finds the account of a user.
func Lookup(name string) (*Account, error) {
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

// Env are the variables that say who it is.
func (a Account) Env() map[string]string {
	return map[string]string{"HOME": a.Home, "USER": a.Name, "LOGNAME": a.Name, "SHELL": a.Shell}
}

// shellOf is what os/user does not tell.
func shellOf(name string) string {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	entry := C.getpwnam(n)
	if entry == nil {
		return ""
	}
	return C.GoString(entry.pw_shell)
}

func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	return uint32(id), err
}
