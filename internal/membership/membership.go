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
	User         string // the account's name
	Group        string // the group that makes the user a member
	GroupMissing bool
	Several      bool // more than one group does; Group is the first
	Problem      string
}

// ErrUnknowable says that the name service does not answer, so that a member
// could be taken for somebody else.
var ErrUnknowable = errors.New("cannot tell whether the user is a member")

// Decide returns the quick answer if it proves something, else the one that
// strict gives, and ErrUnknowable if that does not either.
func Decide(quick Answer, strict func() Answer) (Answer, error) {
	if quick.State != Unproven {
		return quick, nil
	}
	answer := strict()
	if answer.State != Unproven {
		return answer, nil
	}
	return answer, fmt.Errorf("%w: %s", ErrUnknowable, answer.Problem)
}
