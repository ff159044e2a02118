// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

// Names returns the names of the network namespaces that have one, by their inode
// number. Of several names it is the first.
func Names() (names map[uint64]string, err error) {
	names = map[uint64]string{}
	err = mount.InHost(func() error {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		for _, e := range entries {
			fd, err := open(e.Name())
			if err != nil {
				continue // it is none
			}
			var st unix.Stat_t
			err = unix.Fstat(fd, &st)
			unix.Close(fd)
			if _, taken := names[st.Ino]; err == nil && !taken {
				names[st.Ino] = e.Name()
			}
		}
		return err
	})
	return names, err
}
