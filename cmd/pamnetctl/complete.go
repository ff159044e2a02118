// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"libpam-net/internal/netns"
	"libpam-net/internal/pamstack"
	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
)

// completion returns the completions of a command's first argument, or of the value of an option.
type completion = func(c *cobra.Command, args []string, begin string) ([]cobra.Completion, cobra.ShellCompDirective)

// completeFrom returns a completion that offers what list returns, and never files.
func completeFrom(list func() ([]cobra.Completion, error)) completion {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		found, err := list()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeTag offers the tags of the user's networks.
var completeTag = completeFrom(func() (tags []cobra.Completion, err error) {
	networks, err := sessions.Own()
	for _, n := range networks {
		tags = append(tags, n.Tags...)
	}
	return tags, err
})

// completeMember offers the members of the modules' groups.
func completeMember(service *string) completion {
	return completeMemberOf(func() []string { return []string{*service} })
}

// completeMemberOf offers the users who are members by the lines of some services.
func completeMemberOf(services func() []string) completion {
	return completeFrom(func() ([]cobra.Completion, error) {
		p, err := policy.Load("/", policy.Live())
		if err != nil {
			return nil, err
		}
		members, _, err := membersOf(p, services())
		return members, err
	})
}

// completeService offers the services.
func completeService(c *cobra.Command, _ []string, begin string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return completeFrom(func() ([]cobra.Completion, error) {
		conf, err := pamstack.Load("/")
		if err != nil {
			return nil, err
		}
		return conf.Services(), nil
	})(c, nil, begin)
}

// completeSince offers ages.
var completeSince = cobra.FixedCompletions([]cobra.Completion{"1h", "1d", "7d", "30d"}, cobra.ShellCompDirectiveNoFileComp)

// completeLogin offers the services that people log in through.
func completeLogin(c *cobra.Command, _ []string, begin string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return completeFrom(func() ([]cobra.Completion, error) {
		p, err := policy.Load("/", policy.Live())
		if err != nil {
			return nil, err
		}
		services, _ := logins(p)
		return services, nil
	})(c, nil, begin)
}

// completeUser offers the users of sessions.
var completeUser = completeFrom(func() (users []cobra.Completion, err error) {
	all, err := sessions.List()
	for _, s := range all {
		users = append(users, s.User)
	}
	return slices.Compact(users), err // List sorts by user
})

// completeNetwork offers the users of sessions and the names of their networks. Unless *session is set it also offers
// the names of networks without sessions.
func completeNetwork(session *bool) completion {
	return completeFrom(func() (found []cobra.Completion, err error) {
		all, err := sessions.List()
		for _, s := range all {
			found = append(found, s.User)
			if s.Name != "" {
				found = append(found, s.Name)
			}
		}
		if !*session && err == nil {
			var names map[uint64]string
			names, err = netns.Names()
			found = slices.AppendSeq(found, maps.Values(names))
		}
		slices.Sort(found)
		return slices.Compact(found), err
	})
}
