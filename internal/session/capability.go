// SPDX-License-Identifier: GPL-2.0-or-later

package session

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// capabilities are the capabilities that every session needs. pam/adopt.c has the same for C.
var capabilities = []struct {
	number int
	name   string
}{
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"}, // to see PID 1's namespaces
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	{unix.CAP_SYS_CHROOT, "CAP_SYS_CHROOT"},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, // to bring up lo
}

// explain returns err. If the kernel has denied an operation, it adds the names of the capabilities that the
// calling thread lacks.
func explain(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return err
	}
	var missing []string
	for _, c := range capabilities {
		if data[c.number/32].Effective&(1<<(c.number%32)) == 0 {
			missing = append(missing, c.name)
		}
	}
	if missing == nil {
		return err
	}
	return fmt.Errorf("%s missing: %w (CapabilityBoundingSet= of the service's unit must have it)",
		strings.Join(missing, ", "), err)
}
