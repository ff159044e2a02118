// SPDX-License-Identifier: GPL-2.0-or-later

package machine

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock is the file, on a machine, in which the modules lock names.
const Lock = "/run/libpam-net/lock"

// LockNames locks all names that there may be, so that whoever wants to open a
// named network waits. Close the file to unlock.
func (m *Machine) LockNames() (*os.File, error) {
	path := m.Root() + Lock
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !os.IsExist(err) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
