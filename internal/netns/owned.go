// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/nsfs"
)

// Owner is the user to whom a network namespace belongs.
type Owner struct{ UID, GID uint32 }

// newOwned moves the calling thread into a new network namespace, which belongs to a user namespace of the
// owner's. A process with the owner's user ID may administer it, from the initial user namespace and without
// any capability, and has no right outside (user_namespaces(7), "the effective user ID of the creator"). The
// maps let the owner's processes of other logins enter the user namespace as its root.
func newOwned(o Owner) (fd int, err error) {
	// A thread of its own, since it has the owner's user ID for a moment. The kernel makes no user namespace
	// for a process in a chroot (EPERM), hence InHost.
	err = nsfs.OnSpareThread(func() error {
		return mount.InHost(func() error {
			fd, err = o.makeNamespace()
			return err
		})
	})
	if err != nil {
		return -1, fmt.Errorf("make network namespace for uid %d: %w", o.UID, err)
	}
	if err := Join(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// makeNamespace returns a network namespace in a new user namespace of the owner's. It clones a holder, a
// process that only waits, into both, and ends it afterwards. unshare(2) would not do: it makes no user
// namespace for a threaded process.
func (o Owner) makeNamespace() (fd int, err error) {
	holder, err := cloneAs(o.UID)
	if err != nil {
		return -1, err
	}
	defer end(holder)
	for _, f := range []struct{ name, content string }{
		{"uid_map", fmt.Sprintf("0 %d 1\n", o.UID)},
		{"setgroups", "deny"}, // no process gets rid of a group that denies it access to a file
		{"gid_map", fmt.Sprintf("0 %d 1\n", o.GID)},
	} {
		if err := os.WriteFile(nsfs.Path(holder, f.name), []byte(f.content), 0); err != nil {
			return -1, fmt.Errorf("map the owner of the network namespace: %w", err)
		}
	}
	return nsfs.Open(holder, nsfs.Net)
}

// end kills a child and waits for it.
func end(pid int) {
	_ = unix.Kill(pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// OwnerOf returns the user ID of the owner of the user namespace that the network namespace fd belongs to. It
// is 0 for the initial user namespace (Linux 4.11).
func OwnerOf(fd int) (uint32, error) {
	user, err := UserNamespace(fd)
	if err != nil {
		return 0, err
	}
	defer unix.Close(user)
	uid, err := unix.IoctlGetUint32(user, unix.NS_GET_OWNER_UID)
	if err != nil {
		return 0, fmt.Errorf("get owner of user namespace: %w", err)
	}
	return uid, nil
}

// UserNamespace returns a descriptor of the user namespace that the network namespace fd belongs to. The
// error is EPERM if that is neither the caller's nor below it.
func UserNamespace(fd int) (int, error) {
	user, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil {
		return -1, fmt.Errorf("get user namespace of network namespace: %w", err)
	}
	return user, nil
}

// cloneAs clones the holder as a child of the calling thread. The kernel makes the creator's effective user
// ID the owner of a user namespace, so the thread takes on uid meanwhile. It keeps its capabilities: for
// kernel.unprivileged_userns_clone and AppArmor, root is the creator.
func cloneAs(uid uint32) (pid int, err error) {
	if err := setEffectiveUID(uid); err != nil {
		return 0, err
	}
	if err := restoreCapabilities(); err != nil {
		return 0, err
	}
	holder, errno := clone(unix.CLONE_NEWUSER|unix.CLONE_NEWNET, uintptr(unix.Getpid()))
	if errno != 0 {
		return 0, fmt.Errorf("clone: %w%s", errno, remedy(errno))
	}
	if err := setEffectiveUID(0); err != nil {
		end(int(holder))
		return 0, err
	}
	return int(holder), nil
}

// setEffectiveUID uses the system call itself, as libc would change all threads. The call takes capabilities
// out of effect, or, for uid 0, brings them back.
func setEffectiveUID(uid uint32) error {
	const keep = ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
		return fmt.Errorf("setresuid: %w", errno)
	}
	// Where fs.suid_dumpable is set, the call makes this process dumpable: the owner could look into the
	// holder, which is a copy of it.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_DUMPABLE: %w", err)
	}
	return nil
}

// restoreCapabilities brings the permitted capabilities of the thread into effect.
func restoreCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for i := range caps {
		caps[i].Effective = caps[i].Permitted
	}
	if err := unix.Capset(&header, &caps[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}

// clone starts the holder, a child of the process parent, this one. Only this thread exists in the holder.
// Go's runtime cannot grow a stack or switch goroutines there, so no code here may need that.
//
//go:nosplit
//go:norace
func clone(flags, parent uintptr) (uintptr, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if pid != 0 || errno != 0 {
		return pid, errno
	}
	// The holder dies with the thread that has made it. If that thread has ended already, getppid tells.
	_, _, errno = unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	alive, _, _ := unix.RawSyscall6(unix.SYS_GETPPID, 0, 0, 0, 0, 0, 0)
	for errno == 0 && alive == parent {
		unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
	unix.RawSyscall6(unix.SYS_EXIT_GROUP, 1, 0, 0, 0, 0, 0)
	return 0, 0
}

// remedy returns what an administrator can do about an error of clone.
func remedy(errno unix.Errno) string {
	switch errno {
	case unix.ENOSPC:
		return ": there are as many namespaces as allowed, see sysctl user.max_user_namespaces and user.max_net_namespaces"
	case unix.EPERM:
		return ": a security module forbids it, see sysctl kernel.apparmor_restrict_unprivileged_userns"
	case unix.EINVAL:
		return ": the kernel has no user namespaces (CONFIG_USER_NS)"
	default:
		return ""
	}
}
