// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// identify asks libc's name service, so that directories count, whom a namespace is
// named after. A user comes before a group.
func identify(name, group string) (identity, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return number(identity{name: name}, u.Uid)
	}
	if !errors.As(err, new(user.UnknownUserError)) {
		return identity{}, fmt.Errorf("look up user %q: %w", name, err)
	}
	group += "-" + name
	g, err := user.LookupGroup(group)
	if errors.As(err, new(user.UnknownGroupError)) {
		return identity{}, fmt.Errorf("take addresses for %q: there is no user of that name, and no group %q", name, group)
	}
	if err != nil {
		return identity{}, fmt.Errorf("look up group %q: %w", group, err)
	}
	return number(identity{name: name, group: true}, g.Gid)
}

func number(i identity, id string) (identity, error) {
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return identity{}, fmt.Errorf("look up %q: id: %w", i.name, err)
	}
	i.id = uint32(n)
	return i, nil
}
