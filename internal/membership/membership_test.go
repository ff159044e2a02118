// SPDX-License-Identifier: GPL-2.0-or-later

package membership_test

import (
	"errors"
	"strings"
	"testing"

	"libpam-net/internal/membership"
)

func TestDecide(t *testing.T) {
	answer := func(s membership.State, problem string) membership.Answer {
		return membership.Answer{State: s, Problem: problem}
	}
	var (
		member  = answer(membership.Member, "")
		none    = answer(membership.None, "")
		first   = answer(membership.Unproven, "first")
		again   = answer(membership.Unproven, "again")
		unasked = answer(-1, "")
	)
	for _, c := range []struct {
		what         string
		first, again membership.Answer
		want         membership.Answer
	}{
		{"a member is one", member, unasked, member},
		{"who is proven to be none is none", none, unasked, none},
		{"what is unproven is asked again: a member", first, member, member},
		{"what is unproven is asked again: none", first, none, none},
		{"what stays unproven is unknowable", first, again, again},
	} {
		t.Run(c.what, func(t *testing.T) {
			asked := 0
			got, err := membership.Decide(c.first, func() membership.Answer {
				asked++
				return c.again
			})
			if got != c.want {
				t.Errorf("%+v", got)
			}
			if c.again == unasked && asked != 0 || c.again != unasked && asked != 1 {
				t.Errorf("it has been asked again %d times", asked)
			}
			unknowable := c.want.State == membership.Unproven
			if errors.Is(err, membership.ErrUnknowable) != unknowable || unknowable && !strings.HasSuffix(err.Error(), ": again") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
