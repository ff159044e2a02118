// SPDX-License-Identifier: GPL-2.0-or-later

// Package membership decides from what libc's name service says whom a module
// concerns. It tells "is no member" from "cannot be known".
package membership

import (
	"errors"
	"fmt"
)

// State is how much is proven.
type State int

// The states of pam/lookup.h.
const (
	Unproven State = iota
	Member
	None
)

// Answer is what a lookup came to.
type Answer struct {
	State
	User    string // the account's name, and its IDs
	UID     uint32
	GID     uint32 // the primary group's
	Group   string // the group that makes the user a member
	Several bool   // more than one group does; Group is the first
	Problem string
}

// ErrUnknowable says that the name service does not answer, so that a member
// could be taken for somebody else.
var ErrUnknowable = errors.New("cannot tell whether the user is a member")

// Decide returns the first answer if it proves something, else the one that
// again gives, for a failure may pass; ErrUnknowable if that does not either.
func Decide(first Answer, again func() Answer) (Answer, error) {
	if first.State != Unproven {
		return first, nil
	}
	answer := again()
	if answer.State == Unproven {
		return answer, fmt.Errorf("%w: %s", ErrUnknowable, answer.Problem)
	}
	return answer, nil
}
