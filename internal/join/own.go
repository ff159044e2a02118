// SPDX-License-Identifier: GPL-2.0-or-later

package join

import (
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/sessions"
)

// Own replaces this program by a command in a network of the caller's user: the one that is held under the tag target,
// else that of the process with this PID. It returns only if it fails.
//
// The command enters the user namespace that owns the network, and then the network. It is root there: the user ID,
// which it keeps, is mapped to 0. It has no more rights outside than the user. nsenter(1) does this, because a threaded
// process cannot enter a user namespace. If the caller is in the network already, the command runs as it is.
func Own(target string, command, env []string) error {
	pid, err := find(target)
	if err != nil {
		return err
	}
	network, err := nsfs.Open(pid, nsfs.Net)
	switch {
	case nsfs.Ended(err):
		return fmt.Errorf("no process %d exists, and no network is held as %q; see `pamnetctl mine`", pid, target)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("process %d is somebody else's, or out of sight: only your own networks can be joined, "+
			"and none from inside of one that you have joined; see `pamnetctl mine`", pid)
	case err != nil:
		return fmt.Errorf("open network of process %d: %w", pid, err)
	}
	defer unix.Close(network)
	if current, err := isSelf(network, nsfs.Net); err != nil {
		return err
	} else if current {
		return execute(command, env)
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
	return execute(append(append(enter, "--"), command...), env)
}

// find returns the PID of the placeholder with a tag. If there is none, target must be a PID, of any user's process.
func find(target string) (pid int, err error) {
	holders, err := sessions.Holders(target)
	if err != nil {
		return 0, err
	}
	if len(holders) > 0 {
		return holders[0].PID, nil
	}
	pid, err = strconv.Atoi(target)
	if err != nil || pid <= 0 {
		if err := sessions.CheckTag(target); err != nil {
			return 0, err
		}
		return 0, notHeld(target)
	}
	return pid, nil
}

// ownersNamespace returns a descriptor of the user namespace that owns a network of the process pid. The error says
// what to do if the caller's user does not own that user namespace.
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
		err = fmt.Errorf("%s belongs to uid %d: only your own networks can be joined; see `pamnetctl mine`", netns.ID(network), owner)
	}
	if err != nil {
		unix.Close(user)
		return -1, err
	}
	return user, nil
}

// isSelf tells whether fd is the caller's namespace of a kind.
func isSelf(fd int, kind nsfs.Kind) (bool, error) {
	this, err := nsfs.OfFile(fd)
	if err != nil {
		return false, err
	}
	own, err := nsfs.Of(nsfs.Thread, kind)
	return this == own, err
}
