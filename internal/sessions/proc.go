// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
)

// procDir is where proc(5) is mounted.
const procDir = "/proc"

// process is what /proc shows of a process.
type process struct {
	procfs.ProcStat
	uid                uint32 // of its directory: the effective user ID, or 0 for a process that is not dumpable
	net, pidNS, userNS uint64 // inode numbers of its namespaces
}

// readProcesses returns the processes in dir that are wanted, in the order of their PIDs. It leaves out a process if
// looking at it fails with an error that skip accepts.
func readProcesses(dir string, wanted func(uid uint32, net uint64) bool, skip func(error) bool) ([]process, error) {
	proc, err := procfs.NewFS(dir)
	if err != nil {
		return nil, err
	}
	all, err := proc.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var processes []process
	for _, p := range all {
		found, err := readProcess(dir, p, wanted)
		if err != nil && !skip(err) {
			return nil, fmt.Errorf("look at process %d: %w", p.PID, err)
		}
		if err == nil && found != nil {
			processes = append(processes, *found)
		}
	}
	return processes, nil
}

// readProcess returns nil for a process that is not wanted.
func readProcess(dir string, p procfs.Proc, wanted func(uid uint32, net uint64) bool) (*process, error) {
	pid := strconv.Itoa(p.PID)
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dir, pid), &st); err != nil {
		return nil, err
	}
	found := &process{uid: st.Uid}
	var err error
	if found.net, err = namespace(dir, pid, "net"); err != nil || !wanted(found.uid, found.net) {
		return nil, err
	}
	if found.pidNS, err = namespace(dir, pid, "pid"); err != nil {
		return nil, err
	}
	if found.userNS, err = namespace(dir, pid, "user"); err != nil {
		return nil, err
	}
	found.ProcStat, err = p.Stat()
	return found, err
}

// namespace returns the inode number of a namespace of a process: a PID, "self" or "thread-self".
func namespace(dir, process, kind string) (inode uint64, err error) {
	path := filepath.Join(dir, process, "ns", kind)
	link, err := os.Readlink(path)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(link, kind+":[%d]", &inode); err != nil {
		return 0, fmt.Errorf("%s leads to %q: %w", path, link, err)
	}
	return inode, nil
}

// outOfSight tells whether an error means that a process has ended, or that the caller may not look into it.
func outOfSight(err error) bool {
	return nsfs.Ended(err) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)
}

// loginUID returns the user ID that pam_loginuid(8) has set for a process, or false if it has set none.
func loginUID(dir string, pid int) (uint32, bool) {
	text, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(pid), "loginuid"))
	uid, parse := strconv.ParseUint(string(text), 10, 32)
	if err != nil || parse != nil || uid == math.MaxUint32 {
		return 0, false
	}
	return uint32(uid), true
}
