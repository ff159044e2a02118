// SPDX-License-Identifier: GPL-2.0-or-later

package nsfs

import (
	"fmt"
	"runtime"
)

// OnSpareThread calls f on an OS thread of its own, which ends afterwards: f may change the thread's
// namespaces and IDs. A panic is an error.
func OnSpareThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, which ends the thread
		done <- func() (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fmt.Errorf("panic: %v", p)
				}
			}()
			return f()
		}()
	}()
	return <-done
}
