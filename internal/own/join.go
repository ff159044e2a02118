// SPDX-License-Identifier: GPL-2.0-or-later

package own

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
)

// Join replaces this program by a command in a network of the user's, the one held
// under the tag target, or else that of the process with this PID. It returns only
// if it cannot.
//
// A network that the user owns takes no privilege: the command enters its user
// namespace first, and is root there: the user ID that it keeps is mapped to 0.
// nsenter(1) does it, for no threaded process enters a user namespace. Where the
// caller is in the network already, the command is run as it is.
func Join(target string, command, env []string) error {
	pid, err := find(target)
	if err != nil {
		return err
	}
	network, err := nsfs.Open(pid, nsfs.Net)
	switch {
	case nsfs.Ended(err):
		return fmt.Errorf("there is no process %d, nor a network held as %q: see `pamnetctl mine`", pid, target)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("process %d is somebody else's, or out of sight: only your own networks can be joined, "+
			"and none from inside of one that you have joined, see `pamnetctl mine`", pid)
	case err != nil:
		return fmt.Errorf("open network of process %d: %w", pid, err)
	}
	defer unix.Close(network)
	if current, err := isSelf(network, nsfs.Net); err != nil {
		return err
	} else if current {
		return run(command, env)
	}
	user, err := ownersNamespace(network, pid)
	if err != nil {
		return err
	}
	defer unix.Close(user)
	enter := []string{"nsenter", "--preserve-credentials"}
	for option, fd := range map[string]int{"--user": user, "--net": network} {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil { // nsenter opens it again
			return fmt.Errorf("fcntl F_SETFD: %w", err)
		}
		enter = append(enter, option+"=/dev/fd/"+strconv.Itoa(fd))
	}
	return run(append(append(enter, "--"), command...), env)
}

// run replaces this program by a command. It returns only if it cannot.
func run(command, env []string) error {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("run %w", err)
	}
	return fmt.Errorf("run %s: %w", program, unix.Exec(program, command, env))
}

// ownersNamespace returns a descriptor of the user namespace that makes the user
// root of a network of the process pid.
func ownersNamespace(network, pid int) (int, error) {
	user, err := netns.UserNamespace(network)
	if err != nil {
		return -1, err
	}
	if initial, err := isSelf(user, nsfs.User); err != nil || initial {
		unix.Close(user)
		if err == nil {
			err = fmt.Errorf("%s was made without selfmanaged, so joining it takes CAP_SYS_ADMIN: "+
				"netnsjoin(1), run with cado(1), has it (see pamnetctl(8)), and root does `nsenter --net=%s COMMAND`",
				netns.ID(network), nsfs.Path(pid, "ns/net"))
		}
		return -1, err
	}
	owner, err := netns.OwnerOf(network)
	if err == nil && owner != uint32(unix.Geteuid()) {
		err = fmt.Errorf("%s belongs to uid %d: only your own networks can be joined, see `pamnetctl mine`", netns.ID(network), owner)
	}
	if err != nil {
		unix.Close(user)
		return -1, err
	}
	return user, nil
}

// isSelf tells whether fd is the caller's namespace of that kind.
func isSelf(fd int, kind nsfs.Kind) (bool, error) {
	this, err := nsfs.OfFile(fd)
	if err != nil {
		return false, err
	}
	own, err := nsfs.Of(nsfs.Thread, kind)
	return this == own, err
}
