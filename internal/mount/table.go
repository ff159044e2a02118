// SPDX-License-Identifier: GPL-2.0-or-later

package mount

import (
	"fmt"

	"github.com/moby/sys/mountinfo"
)

// Table reads the mount table of the calling thread's mount namespace, as its
// root directory shows it. A filter, if not nil, says what to skip.
func Table(filter mountinfo.FilterFunc) ([]*mountinfo.Info, error) {
	table, err := mountinfo.GetMounts(filter)
	if err != nil {
		return nil, fmt.Errorf("read mount table: %w", err)
	}
	return table, nil
}
