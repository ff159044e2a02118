// SPDX-License-Identifier: GPL-2.0-or-later

package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/nsfs"
)

// Owner is the user to whom a network namespace belongs.
type Owner struct{ UID, GID uint32 }

// newOwned moves the calling thread into a new network namespace, which belongs to a user namespace of the owner's.
// A process with the owner's user ID may administer it, from the initial user namespace and without any
// capability, and has no right outside (user_namespaces(7), "the effective user ID of the creator"). The maps
// let the owner's processes of other logins enter it as its root.
func newOwned(o Owner) (int, error) {
	holder, end, err := hold(o)
	if err != nil {
		return -1, fmt.Errorf("make network namespace for uid %d: %w", o.UID, err)
	}
	defer end()
	for _, f := range []struct{ name, content string }{
		{"uid_map", fmt.Sprintf("0 %d 1\n", o.UID)},
		{"setgroups", "deny"}, // no process gets rid of a group that denies it access to a file
		{"gid_map", fmt.Sprintf("0 %d 1\n", o.GID)},
	} {
		if err := os.WriteFile(nsfs.Path(holder, f.name), []byte(f.content), 0); err != nil {
			return -1, fmt.Errorf("map the owner of the network namespace: %w", err)
		}
	}
	fd, err := nsfs.Open(holder, nsfs.Net)
	if err != nil {
		return -1, err
	}
	if err := Join(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// OwnerOf returns the user ID of the owner of the user namespace that the network namespace fd belongs to. It is 0
// for the initial user namespace (Linux 4.11).
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

// UserNamespace returns a descriptor of the user namespace that the network namespace fd belongs to. The error is
// EPERM if that is neither the caller's nor below it.
func UserNamespace(fd int) (int, error) {
	user, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil {
		return -1, fmt.Errorf("get user namespace of network namespace: %w", err)
	}
	return user, nil
}

// hold starts a process that only waits, in a new network namespace in a new user namespace of the owner's. end
// ends it. unshare(2) would not do: it makes no user namespace for a threaded process.
//
// The kernel makes the creator's effective user ID the owner of a user namespace. So a spare thread takes on the
// owner's, with the system call itself, as libc would change all threads. The thread keeps its capabilities:
// for kernel.unprivileged_userns_clone and AppArmor, root creates the namespace. The thread is never reused.
func hold(o Owner) (pid int, end func(), err error) {
	type started struct {
		pid int
		err error
	}
	result, done := make(chan started), make(chan struct{})
	go func() {
		runtime.LockOSThread() // never unlocked
		// The kernel makes no user namespace for a process in a chroot (EPERM).
		err := mount.InHost(func() error {
			pid, err := cloneAs(o.UID)
			result <- started{pid, err}
			<-done // the holder dies with this thread
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
	// setresuid has taken the capabilities out of effect. Where fs.suid_dumpable is set, it has made this process
	// dumpable as well: the owner could look into the holder, which is a copy of it.
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

// clone starts the holder, a child of the process parent, this one. Only this thread exists in the holder. Go's
// runtime cannot grow a stack or switch goroutines there, so no code here may need that.
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
