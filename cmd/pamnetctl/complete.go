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

// completion completes the first argument, or the value of an option.
type completion = func(c *cobra.Command, args []string, begin string) ([]cobra.Completion, cobra.ShellCompDirective)

// completeFrom completes to what list returns, and never to files.
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

// completeTag completes to the tags of the user's networks.
var completeTag = completeFrom(func() (tags []cobra.Completion, err error) {
	networks, err := sessions.Own()
	for _, n := range networks {
		tags = append(tags, n.Tags...)
	}
	return tags, err
})

// completeMember completes to whom the modules concern.
func completeMember(service *string) completion {
	return completeFrom(func() ([]cobra.Completion, error) {
		conf, err := pamstack.Load("/")
		if err != nil {
			return nil, err
		}
		return policy.PolicyOf(conf, *service).Members(), nil
	})
}

// completeService completes to services, whatever arguments there are.
func completeService(c *cobra.Command, _ []string, begin string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return completeFrom(func() ([]cobra.Completion, error) {
		conf, err := pamstack.Load("/")
		if err != nil {
			return nil, err
		}
		return conf.Services(), nil
	})(c, nil, begin)
}

// completeNetwork completes to the users of sessions, and to the names of their networks,
// or of all networks if a network without a session will do.
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
