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
		quick   = answer(membership.Unproven, "quick")
		strict  = answer(membership.Unproven, "strict")
		unasked = answer(-1, "")
	)
	for _, c := range []struct {
		what          string
		quick, strict membership.Answer
		want          membership.Answer
	}{
		{"a quick member is one", member, unasked, member},
		{"who is quickly proven to be none is none", none, unasked, none},
		{"what is unproven is asked again: a member", quick, member, member},
		{"what is unproven is asked again: none", quick, none, none},
		{"what stays unproven is unknowable", quick, strict, strict},
	} {
		t.Run(c.what, func(t *testing.T) {
			asked := 0
			got, err := membership.Decide(c.quick, func() membership.Answer {
				asked++
				return c.strict
			})
			if got != c.want {
				t.Errorf("%+v", got)
			}
			if c.strict == unasked && asked != 0 || c.strict != unasked && asked != 1 {
				t.Errorf("strict has been asked %d times", asked)
			}
			unknowable := c.want.State == membership.Unproven
			if errors.Is(err, membership.ErrUnknowable) != unknowable || unknowable && !strings.HasSuffix(err.Error(), ": strict") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}
