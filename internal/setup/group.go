// SPDX-License-Identifier: GPL-2.0-or-later

package setup

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/internal/state"
)

const (
	// stopTime is how long the processes of a group have to end after SIGTERM.
	stopTime = 2 * time.Second
	nap      = 10 * time.Millisecond
)

// Group is the control group of what the setup program of a network leaves running, by the name of the
// network. It lives until the network is taken down, whichever login has created the network. The
// caller must be in process 1's mount namespace (mount.InHost).
//
// Where process 1 is systemd, the group is a scope, pamnet-setup-NAME.scope. Elsewhere it is a directory
// of that name beside process 1.
type Group string

// unitMax is how long the name of a unit may be.
const unitMax = 255

// Unit returns the name of the scope: the name of the network, escaped, or its hash if that is too long.
func (g Group) Unit() string {
	unit := "pamnet-setup-" + escape(string(g)) + ".scope"
	if len(unit) > unitMax {
		hash := fnv.New128a()
		hash.Write([]byte(g))
		unit = fmt.Sprintf("pamnet-setup-%x.scope", hash.Sum(nil))
	}
	return unit
}

// escape escapes a name for the name of a unit, as systemd-escape(1) does.
func escape(name string) string {
	var text strings.Builder
	for i, c := range []byte(name) {
		switch {
		case c == '/':
			text.WriteByte('-')
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == ':', c == '_', c == '.' && i > 0:
			text.WriteByte(c)
		default:
			fmt.Fprintf(&text, `\x%02x`, c)
		}
	}
	return text.String()
}

// hasSystemd tells whether process 1 is systemd (sd_booted(3)) and takes requests.
func hasSystemd() bool {
	var st unix.Stat_t
	return unix.Lstat("/run/systemd/system", &st) == nil && unix.Access("/run/systemd/private", unix.W_OK) == nil
}

// dir returns the directory of the group, whether or not it exists, and "" if no hierarchy can have one.
func (g Group) dir() string {
	groups, err := state.Cgroups(nsfs.Host)
	if err != nil {
		return ""
	}
	hierarchies := []string{"", "freezer"}
	if hasSystemd() {
		hierarchies[1] = "name=systemd"
	}
	for _, hierarchy := range hierarchies {
		for _, c := range groups {
			dir := c.Dir()
			var st unix.Stat_t
			if c.Hierarchy != hierarchy || dir == "" || unix.Stat(dir, &st) != nil {
				continue
			}
			if hasSystemd() {
				return filepath.Join(strings.TrimSuffix(dir, "/init.scope"), "system.slice", g.Unit())
			}
			// Containers may share the hierarchy.
			machine, err := nsfs.Of(nsfs.Host, nsfs.PID)
			if err != nil {
				return ""
			}
			return fmt.Sprintf("%s/%s.%d", dir, g.Unit(), machine.Ino)
		}
	}
	return ""
}

// start starts a command in the group, in the namespaces of the calling thread. If no group can be made,
// the command starts in the group of the caller.
func (g Group) start(cmd *exec.Cmd) error {
	if hasSystemd() {
		front := []string{
			program("systemd-run"), "--scope", "--quiet", "--collect", "--slice=system.slice", "--unit=" + g.Unit(),
			"--description=What the setup program of the network " + strconv.Quote(string(g)) + " runs",
			"--property=TimeoutStopSec=" + stopTime.String(), "--",
		}
		cmd.Path, cmd.Args = front[0], append(front, append([]string{cmd.Path}, cmd.Args[1:]...)...)
		return cmd.Start()
	}
	dir := g.dir()
	if dir == "" {
		return cmd.Start()
	}
	if err := unix.Mkdir(dir, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return cmd.Start()
	}
	// The command inherits the group of this process. To move the command after its start would be too late.
	self := os.Getpid()
	if err := state.EnterCgroup(dir, self); err != nil {
		return cmd.Start()
	}
	err := cmd.Start()
	return errors.Join(err, state.EnterCgroup(path.Dir(dir), self))
}

// program returns the path of one of systemd's programs.
func program(name string) string {
	for _, dir := range []string{"/usr/bin/", "/bin/"} {
		if unix.Access(dir+name, unix.X_OK) == nil {
			return dir + name
		}
	}
	return "/usr/bin/" + name
}

// Processes returns the PIDs of the processes in the group.
func (g Group) Processes() (pids []int, err error) {
	dir := g.dir()
	if dir == "" {
		return nil, nil
	}
	err = filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(file + "/cgroup.procs")
		for word := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(word); err == nil && pid > 0 { // 0: in another PID namespace
				pids = append(pids, pid)
			}
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) { // the group is gone, or going
		err = nil
	}
	return pids, err
}

// IsRunning tells whether a process is in the group.
func (g Group) IsRunning() (bool, error) {
	pids, err := g.Processes()
	return len(pids) > 0, err
}

// Settle waits until no process is in the group, but no longer than patience. It tells whether one is.
func (g Group) Settle(patience time.Duration) (running bool, err error) {
	for start := time.Now(); ; time.Sleep(nap) {
		if running, err = g.IsRunning(); err != nil || !running || time.Since(start) >= patience {
			return running, err
		}
	}
}

// End ends all processes of the group and removes the group. The processes get SIGTERM, and SIGKILL two
// seconds later. If there is no group, End does nothing.
func (g Group) End() error {
	dir := g.dir()
	var st unix.Stat_t
	if dir == "" || unix.Lstat(dir, &st) != nil {
		return nil
	}
	if hasSystemd() {
		// systemctl fails if the unit has ended by itself.
		out, err := exec.Command(program("systemctl"), "stop", "--quiet", g.Unit()).CombinedOutput()
		if running, runningErr := g.IsRunning(); running || runningErr != nil {
			return errors.Join(fmt.Errorf("stop %s: %w: %s", g.Unit(), err, strings.TrimSpace(string(out))), runningErr)
		}
		return nil
	}
	if err := g.signal(unix.SIGTERM); err != nil {
		return err
	}
	running, err := g.Settle(stopTime)
	for start := time.Now(); running && err == nil && time.Since(start) < stopTime; {
		if err = g.signal(unix.SIGKILL); err == nil {
			running, err = g.Settle(nap)
		}
	}
	if err != nil {
		return err
	}
	if err := remove(dir); err != nil {
		return fmt.Errorf("end what the setup of %q has left running: %w", string(g), err)
	}
	return nil
}

// signal sends a signal to each process of the group.
func (g Group) signal(sig unix.Signal) error {
	pids, err := g.Processes()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has ended
		}
		if still, err := g.Processes(); err == nil && slices.Contains(still, pid) {
			_ = unix.PidfdSendSignal(fd, sig, nil, 0)
		}
		unix.Close(fd)
	}
	return err
}

// remove removes a directory of control groups, with the groups below it.
func remove(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, remove(dir+"/"+entry.Name()))
		}
	}
	return errors.Join(err, unix.Rmdir(dir))
}
