// SPDX-License-Identifier: GPL-2.0-or-later

package session

import (
	"errors"
	"slices"
	"strings"
)

// State is whether a user is a member, by enum membership in pam/member.h.
type State byte

// The states.
const (
	Unknown   State = '-'
	Member    State = 'm'
	NonMember State = 'n'
	NoGroup   State = 'g' // a non-member, since no source has the group
)

// Answer is the answer of the name service about a user and a group.
type Answer struct {
	State
	Problem string // why it is unknown

	Root  bool     // the uid is 0 by this machine's own files; only pam.Lookup sets it
	Known bool     // the user has an account
	User  string   // its name
	UID   uint32   // its ID
	GID   uint32   // its primary group
	GIDs  []uint32 // the others

	// Of a member: the group, and whether its entry lists the user.
	Group   string
	GroupID uint32
	Listed  bool
	Several bool // more groups match; Group is the first
}

// IsNonMember tells whether the user is proven to be a non-member.
func (a Answer) IsNonMember() bool { return a.State == NonMember || a.State == NoGroup }

// check returns an error unless the answer makes the user a member for a module of this kind with this group. The
// login process, or the child's C, has found the answer. The core verifies it, since the core acts on it.
func (a Answer) check(kind Kind, group string) error {
	right := a.Group == group
	if kind == GroupNet {
		right = strings.HasPrefix(a.Group, group+"-")
	}
	switch {
	case a.State != Member || a.User == "":
		return errors.New("the answer about the user's membership is not \"member\"")
	case !right:
		return errors.New("the answer about the user's membership is about another group")
	case !a.Listed && !(a.Known && a.GroupID == a.GID) && !slices.Contains(a.GIDs, a.GroupID):
		return errors.New("the group is not one of the user's")
	}
	return nil
}
