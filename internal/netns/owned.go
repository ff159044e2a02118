// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
)

// Owner is whom a network namespace belongs to.
type Owner struct{ UID, GID uint32 }

// newOwned makes a network namespace that belongs to a user namespace of the owner's.
// Whoever has the owner's user ID administers it, from the initial user namespace
// and without any capability, and has no right outside (user_namespaces(7), "the
// effective user ID of the creator"). That holds for the owner's processes of
// other logins, too: they may enter it as its root, uid_map and gid_map say.
func newOwned(o Owner) (int, error) {
	holder, end, err := hold(o)
	if err != nil {
		return -1, fmt.Errorf("make network namespace for uid %d: %w", o.UID, err)
	}
	defer end()
	proc := "/proc/" + strconv.Itoa(holder)
	for _, f := range []struct{ name, content string }{
		{"uid_map", fmt.Sprintf("0 %d 1\n", o.UID)},
		{"setgroups", "deny"}, // nobody gets rid of a group there that is kept from something
		{"gid_map", fmt.Sprintf("0 %d 1\n", o.GID)},
	} {
		if err := os.WriteFile(proc+"/"+f.name, []byte(f.content), 0); err != nil {
			return -1, fmt.Errorf("map the owner of the network namespace: %w", err)
		}
	}
	fd, err := unix.Open(proc+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open network namespace of the holder: %w", err)
	}
	if err := Join(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// OwnerOf returns the user ID of whoever owns the user namespace that the network
// namespace fd belongs to; 0 for the initial one (Linux 4.11).
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

// UserNamespace returns a descriptor of the user namespace that the network
// namespace fd belongs to. It is EPERM if that is neither the caller's nor below it.
func UserNamespace(fd int) (int, error) {
	user, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil {
		return -1, fmt.Errorf("get user namespace of network namespace: %w", err)
	}
	return user, nil
}

// hold starts a process that only waits, in a new network namespace in a new user
// namespace of the owner's; end ends it. unshare(2) would not do: it makes no user
// namespace for a threaded process.
//
// The owner of a user namespace is its maker by effective user ID, which a thread
// of its own takes on: with the system call itself, as libc would change all
// threads. It keeps its capabilities, so that it is root who makes the namespace
// in the eyes of kernel.unprivileged_userns_clone and AppArmor. The thread is not
// fit for anything else, and ends.
func hold(o Owner) (pid int, end func(), err error) {
	type started struct {
		pid int
		err error
	}
	result, done := make(chan started), make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked
		// The kernel makes no user namespace for who is in a chroot (EPERM).
		err := mount.InHost(func() error {
			pid, err := cloneAs(o.UID)
			result <- started{pid, err}
			<-done // the end of the thread is that of the holder
			return nil
		})
		if err != nil {
			result <- started{0, err}
		}
	}()
	r := <-result
	if r.err != nil {
		close(done)
		return 0, nil, r.err
	}
	return r.pid, func() {
		_ = unix.Kill(r.pid, unix.SIGKILL)
		for {
			if _, err := unix.Wait4(r.pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		close(done)
	}, nil
}

func cloneAs(uid uint32) (pid int, err error) {
	const keep = ^uintptr(0)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(uid), keep); errno != 0 {
		return 0, fmt.Errorf("setresuid: %w", errno)
	}
	// That has taken the capabilities out of effect, and undone this, where
	// fs.suid_dumpable is set: the owner could look into the holder, a copy of this.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("prctl PR_SET_DUMPABLE: %w", err)
	}
	if err := restoreCapabilities(); err != nil {
		return 0, err
	}
	holder, errno := clone(unix.CLONE_NEWUSER|unix.CLONE_NEWNET, uintptr(unix.Getpid()))
	if errno != 0 {
		return 0, fmt.Errorf("clone: %w%s", errno, remedy(errno))
	}
	return int(holder), nil
}

// restoreCapabilities brings those that the thread is permitted into effect.
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

// clone starts the holder, a child of the process parent, this one. In the holder
// only this thread exists, and what Go needs to grow a stack or to switch
// goroutines does not: nothing here may.
//
//go:nosplit
//go:norace
func clone(flags, parent uintptr) (uintptr, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if pid != 0 || errno != 0 {
		return pid, errno
	}
	// Dies with the thread that has made it; the other call tells if it was too late for that.
	_, _, errno = unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	alive, _, _ := unix.RawSyscall6(unix.SYS_GETPPID, 0, 0, 0, 0, 0, 0)
	for errno == 0 && alive == parent {
		unix.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
	unix.RawSyscall6(unix.SYS_EXIT_GROUP, 1, 0, 0, 0, 0, 0)
	return 0, 0
}

// remedy says what an administrator can do about it.
func remedy(errno unix.Errno) string {
	switch errno {
	case unix.ENOSPC:
		return ": as many namespaces as allowed, see sysctl user.max_user_namespaces and user.max_net_namespaces"
	case unix.EPERM:
		return ": a security module forbids it, see sysctl kernel.apparmor_restrict_unprivileged_userns"
	case unix.EINVAL:
		return ": the kernel has no user namespaces (CONFIG_USER_NS)"
	default:
		return ""
	}
}
