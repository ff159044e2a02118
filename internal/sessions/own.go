// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
)

// OwnNetwork is a network namespace that processes of the caller's user are in.
type OwnNetwork struct {
	Inode      uint64   `json:"inode"`      // as in net:[4026532180]
	Tags       []string `json:"tags"`       // under which placeholders hold it
	Current    bool     `json:"current"`    // the caller is in it
	Managed    bool     `json:"managed"`    // the user owns it, and so is its root
	Processes  int      `json:"processes"`  // of the user's
	Leaders    []int    `json:"leaders"`    // PIDs of those whose parent is not one of them
	Interfaces []string `json:"interfaces"` // their names
}

// Own returns the networks of the caller's user by inode number. It needs no privilege. It leaves out processes that
// the user may not look into, such as sshd's, and networks with no other processes.
func Own() ([]OwnNetwork, error) {
	all, err := ownProcesses(procDir)
	if err != nil {
		return nil, err
	}
	current, err := nsfs.Of(nsfs.Thread, nsfs.Net)
	if err != nil {
		return nil, err
	}
	return ownNetworks(procDir, all, current.Ino, lookAsUser)
}

// ownProcesses returns the processes of the caller's user, oldest first.
func ownProcesses(dir string) ([]process, error) {
	user := uint32(unix.Geteuid())
	all, err := readProcesses(dir, func(uid uint32, _ uint64) bool { return uid == user }, outOfSight)
	slices.SortFunc(all, func(a, b process) int {
		return cmp.Or(cmp.Compare(a.Starttime, b.Starttime), cmp.Compare(a.PID, b.PID))
	})
	return all, err
}

// ownNetworks returns the networks that the processes are in. If look may not look into a network by one process, it
// is asked for the next one.
func ownNetworks(dir string, all []process, current uint64,
	look func(pid int) (managed bool, interfaces []string, err error),
) ([]OwnNetwork, error) {
	where := map[int]uint64{} // the network of each process
	for _, p := range all {
		where[p.PID] = p.net
	}
	networks := map[uint64]*OwnNetwork{}
	for _, p := range all {
		n := networks[p.net]
		if n == nil {
			// Empty lists are [] in JSON.
			n = &OwnNetwork{Inode: p.net, Current: p.net == current, Tags: []string{}, Leaders: []int{}}
			var err error
			if n.Managed, n.Interfaces, err = look(p.PID); outOfSight(err) {
				continue
			} else if err != nil {
				return nil, err
			}
			networks[p.net] = n
		}
		n.Processes++
		if where[p.PPID] != p.net {
			n.Leaders = append(n.Leaders, p.PID)
		}
		if tag, err := tagOf(dir, p.PID); err != nil {
			return nil, err
		} else if tag != "" {
			n.Tags = append(n.Tags, tag)
		}
	}
	var found []OwnNetwork
	for _, inode := range slices.Sorted(maps.Keys(networks)) {
		n := networks[inode]
		slices.Sort(n.Tags)
		found = append(found, *n)
	}
	return found, nil
}

// lookAsUser tells whether the caller's user owns the network of a process, and which interfaces are in it.
func lookAsUser(pid int) (managed bool, interfaces []string, err error) {
	fd, err := nsfs.Open(pid, nsfs.Net)
	if err != nil {
		return false, nil, err
	}
	defer unix.Close(fd)
	owner, err := netns.OwnerOf(fd)
	managed = err == nil && owner == uint32(unix.Geteuid())
	if err != nil && !errors.Is(err, unix.EPERM) { // EPERM: it belongs to a user namespace above
		return false, nil, err
	}
	p, err := procfs.NewProc(pid)
	if err != nil {
		return false, nil, err
	}
	devices, err := p.NetDev()
	return managed, slices.Sorted(maps.Keys(devices)), err
}

// A placeholder is a process that keeps a network and does nothing else: sleep(1), which is smaller than any program
// in Go. Its arguments tell that it is one. The name of the program is at the end, because a sleep that is many
// programs in one (busybox, uutils) goes by that.
const (
	placeholderBegin = "pamnet-hold "
	placeholderEnd   = "/sleep"
	forever          = "infinity"
)

// PlaceholderArgs returns the arguments of sleep(1) that make it a placeholder.
func PlaceholderArgs(tag string) []string {
	return []string{placeholderBegin + tag + placeholderEnd, forever}
}

var validTag = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// CheckTag returns an error that says what a tag may consist of.
func CheckTag(tag string) error {
	if !validTag.MatchString(tag) {
		return fmt.Errorf("tag %q: take 1 to 64 letters, digits, dots, underscores and dashes", tag)
	}
	return nil
}

// Placeholder holds a network.
type Placeholder struct {
	PID   int
	Inode uint64 // of the network
}

// Holders returns the placeholders of the caller's user that have a tag, oldest first. What is no tag has none.
func Holders(tag string) ([]Placeholder, error) {
	if CheckTag(tag) != nil {
		return nil, nil
	}
	all, err := ownProcesses(procDir)
	if err != nil {
		return nil, err
	}
	var found []Placeholder
	for _, p := range all {
		if its, err := tagOf(procDir, p.PID); err != nil {
			return nil, err
		} else if its == tag {
			found = append(found, Placeholder{p.PID, p.net})
		}
	}
	return found, nil
}

// IsHolder tells whether a process is, right now, a placeholder of the caller's user that has a tag.
func IsHolder(pid int, tag string) (bool, error) {
	var st unix.Stat_t
	err := unix.Stat(nsfs.Path(pid, ""), &st)
	if nsfs.Ended(err) {
		return false, nil
	}
	its, read := tagOf(procDir, pid)
	return st.Uid == uint32(unix.Geteuid()) && its == tag, errors.Join(err, read)
}

// tagOf returns the tag of a placeholder, or "" for any other process and for one that is out of sight.
func tagOf(dir string, pid int) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(pid), "cmdline"))
	if err != nil && !outOfSight(err) {
		return "", err
	}
	args := strings.Split(strings.TrimRight(string(text), "\x00"), "\x00")
	return tagIn(args), nil
}

// tagIn returns the tag in the arguments of a placeholder, or "" for other arguments.
func tagIn(args []string) string {
	if len(args) != 2 || args[1] != forever {
		return ""
	}
	tag, begins := strings.CutPrefix(args[0], placeholderBegin)
	tag, ends := strings.CutSuffix(tag, placeholderEnd)
	if !begins || !ends || CheckTag(tag) != nil {
		return ""
	}
	return tag
}
