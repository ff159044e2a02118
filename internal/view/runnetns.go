// SPDX-License-Identifier: GPL-2.0-or-later

package view

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/nsfs"
)

const runNetns = "/run/netns"

// hideNetns makes /run/netns an empty directory, or, unless name is "", one with the thread's network
// namespace alone, as name. Every handle that a session kept would cost each later login and each mount
// of the host time and memory.
func (v *View) hideNetns(name string) error {
	err := unix.Mkdir(runNetns, 0o755) // so that later handles are hidden as well
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) {
		var st unix.Stat_t
		if errors.Is(unix.Lstat(runNetns, &st), unix.ENOENT) {
			return nil // there is none, and none can be made
		}
		err = nil
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("create %s: %w", runNetns, err)
	}
	for err = nil; err == nil; {
		err = detachNetns()
	}
	if !errors.Is(err, unix.EINVAL) { // EINVAL: not, or no longer, a mount
		return err
	}
	if err := v.coverNetns(name); err != nil {
		return fmt.Errorf("hide %s: %w", runNetns, err)
	}
	return nil
}

// detachNetns detaches the topmost mount at /run/netns, with the handles on it. If /run was shared when
// ip-netns(8) made that mount, the kernel has mounted each handle on /run as well, beneath. To detach
// those by propagation, both mounts become peers for a moment. Before Linux 5.15 they stay, unseen.
func detachNetns() error {
	run := path.Dir(runNetns)
	_ = mount.MakePeers(run, runNetns)
	err := mount.Detach(runNetns)
	// As before, /run must be shared with no other mount. EINVAL: it is a directory of another mount.
	if again := mount.MakeSlave(run); again != nil && !errors.Is(again, unix.EINVAL) {
		return again
	}
	return err
}

func (v *View) coverNetns(name string) error {
	target, err := mount.Pin(runNetns, unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if err := v.coverByNothing(target, 0); err != nil || name == "" {
		return err
	}
	parent, err := mount.Pin(runNetns, unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	file, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	unix.Close(file)
	handle, err := unix.Openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(handle)
	// A copy of the machine's handle, a shared mount, would be its peer.
	own, err := nsfs.Open(nsfs.Thread, nsfs.Net)
	if err != nil {
		return err
	}
	defer unix.Close(own)
	return v.coverBy(handle, own)
}
