// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

// HideOthers makes /run/netns, in the calling thread's mount namespace, a
// directory of its own with nothing in it but the thread's network namespace as
// name, or nothing at all if name is "". Every handle that a session kept would cost each
// later login and each mount of the host time and memory.
//
// The mounts of the caller's mount namespace do not propagate.
func HideOthers(name string) error {
	err := unix.Mkdir(dir, 0o755) // so that those made later are hidden, too
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.ENOSPC) {
		var st unix.Stat_t
		if errors.Is(unix.Lstat(dir, &st), unix.ENOENT) {
			return nil // there is none, and none can be made
		}
		err = nil
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	for err = nil; err == nil; {
		err = detach()
	}
	if !errors.Is(err, unix.EINVAL) { // not, or no longer, a mount
		return err
	}
	if err := cover(name); err != nil {
		return fmt.Errorf("hide %s: %w", dir, err)
	}
	return nil
}

// detach takes the topmost mount at /run/netns off, with the handles on it. If /run was shared when
// ip-netns(8) made that mount, the kernel has mounted each handle on /run as well, beneath. These
// go by propagation: for this moment both mounts are peers. They stay before Linux 5.15, unseen.
func detach() error {
	run := path.Dir(dir)
	_ = mount.MakePeers(run, dir)
	err := mount.Detach(dir)
	// Not shared with anybody, as before; EINVAL: a directory of another mount.
	if again := mount.MakeSlave(run); again != nil && !errors.Is(again, unix.EINVAL) {
		return again
	}
	return err
}

func cover(name string) error {
	empty, err := mount.New("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC, "mode=755")
	if err != nil {
		return err
	}
	defer empty.Close()
	target, err := mount.Pin(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if err := empty.Attach(target); err != nil || name == "" {
		return err
	}
	parent, err := mount.Pin(dir, unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	file, err := unix.Openat(parent, name, unix.O_RDONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	unix.Close(file)
	// Not the machine's handle: a copy of that shared mount would be its peer.
	own, err := unix.Open(threadNet, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", threadNet, err)
	}
	defer unix.Close(own)
	return attach(parent, name, own)
}
