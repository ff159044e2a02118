// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netns"

	"libpam-net/internal/mount"
)

// ErrAbsent says that there is no network namespace of a name.
var ErrAbsent = errors.New("no such network namespace")

// Handle is how netlink sockets in a namespace are asked for, by its descriptor.
type Handle = netns.NsHandle

// Open returns a descriptor of the network namespace name, which CheckName has
// passed, as OpenOrCreate finds it; ErrAbsent if there is none.
func Open(name string) (fd int, err error) {
	err = mount.InHost(func() error {
		fd, err = open(name)
		return err
	})
	if errors.Is(err, errAbsent) || errors.Is(err, errUnmounted) {
		err = ErrAbsent
	}
	if err != nil {
		return -1, fmt.Errorf("open network namespace %q: %w", name, err)
	}
	return fd, nil
}
