// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"libpam-net/internal/uplink/config"
)

// membersGroup is the group of pam_usernet, unless its argument group= names another.
const membersGroup = "usernet"

// CheckMembers returns an error for each user of the group usernet, and each group whose name
// begins as those of pam_groupnet, that would be refused. It finds those that the name service
// lists.
func CheckMembers(c *config.Config) error {
	names, err := members(c.Group)
	if err != nil {
		return fmt.Errorf("list members: %w", err)
	}
	var failed []error
	for _, name := range names {
		if _, err := planFor(name, c); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(failed...)
}

// members returns the names of the networks that members of the groups have, sorted.
func members(group string) (names []string, err error) {
	groups, err := database("group")
	if err != nil {
		return nil, err
	}
	more, err := database("group", membersGroup) // a directory may not list it
	if err != nil {
		return nil, err
	}
	primary := ""
	for _, entry := range append(groups, more...) {
		if entry[0] == membersGroup {
			primary = entry[2]
			names = append(names, strings.FieldsFunc(entry[3], func(r rune) bool { return r == ',' })...)
		} else if name, ok := strings.CutPrefix(entry[0], group+"-"); ok {
			names = append(names, name)
		}
	}
	users, err := database("passwd")
	for _, entry := range users {
		if entry[3] == primary {
			names = append(names, entry[0])
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// database returns entries of a database of the name service, with four fields at least.
func database(args ...string) (entries [][]string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	text, err := exec.CommandContext(ctx, "getent", args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 2 { // there is no such entry
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("getent %s: %w", strings.Join(args, " "), err)
	}
	for line := range bytes.Lines(text) {
		if entry := strings.Split(strings.TrimSuffix(string(line), "\n"), ":"); len(entry) >= 4 {
			entries = append(entries, entry)
		}
	}
	return entries, nil
}
