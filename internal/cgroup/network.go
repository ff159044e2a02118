// SPDX-License-Identifier: GPL-2.0-or-later

package cgroup

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
)

const (
	// stopTime is what the processes of a group have to end after SIGTERM.
	stopTime = 2 * time.Second
	nap      = 10 * time.Millisecond
)

// Network is the group of a named network: of what its setup program has left running,
// which lives until the network is taken down, whichever login has made it. Where
// process 1 is systemd the group is a scope, pamnet-setup-NAME.scope, else a directory
// of that name beside process 1.
type Network string

// unitMax is how long the name of a unit may be.
const unitMax = 255

// Unit returns the name of the scope. The name of the network is escaped as
// systemd-escape(1) does; one that is too long then is replaced by its hash.
func (n Network) Unit() string {
	unit := "pamnet-setup-" + escape(string(n)) + ".scope"
	if len(unit) > unitMax {
		hash := fnv.New128a()
		hash.Write([]byte(n))
		unit = fmt.Sprintf("pamnet-setup-%x.scope", hash.Sum(nil))
	}
	return unit
}

// escape escapes what may not be in the name of a unit, as systemd-escape(1) does.
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

// hasSystemd tells whether process 1 is systemd (sd_booted(3)), and can be asked.
func hasSystemd() bool {
	var st unix.Stat_t
	return unix.Lstat("/run/systemd/system", &st) == nil && unix.Access("/run/systemd/private", unix.W_OK) == nil
}

// dir returns the directory of the group, whether or not it is there, and "" if there
// is no hierarchy for it.
func (n Network) dir() string {
	groups, err := of(1)
	if err != nil {
		return ""
	}
	hierarchies := []string{"", "freezer"}
	if hasSystemd() {
		hierarchies[1] = "name=systemd"
	}
	for _, hierarchy := range hierarchies {
		for _, m := range groups {
			dir := m.dir()
			var st unix.Stat_t
			if m.hierarchy != hierarchy || dir == "" || unix.Stat(dir, &st) != nil {
				continue
			}
			if hasSystemd() {
				return filepath.Join(strings.TrimSuffix(dir, "/init.scope"), "system.slice", n.Unit())
			}
			// Containers may share the hierarchy.
			machine, err := nsfs.Of(nsfs.Host, nsfs.PID)
			if err != nil {
				return ""
			}
			return fmt.Sprintf("%s/%s.%d", dir, n.Unit(), machine.Ino)
		}
	}
	return ""
}

// Start starts a command in the group, in the namespaces of the calling thread. Where no
// group can be made, it starts it where the caller is.
func (n Network) Start(cmd *exec.Cmd) error {
	if hasSystemd() {
		front := []string{
			program("systemd-run"), "--scope", "--quiet", "--collect", "--slice=system.slice", "--unit=" + n.Unit(),
			"--description=What the setup program of the network " + strconv.Quote(string(n)) + " runs",
			"--property=TimeoutStopSec=" + stopTime.String(), "--",
		}
		cmd.Path, cmd.Args = front[0], append(front, append([]string{cmd.Path}, cmd.Args[1:]...)...)
		return cmd.Start()
	}
	dir := n.dir()
	if dir == "" {
		return cmd.Start()
	}
	if err := unix.Mkdir(dir, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return cmd.Start()
	}
	// The command is born where this process is; to move it afterwards would be too late.
	self := os.Getpid()
	if err := enter(dir, self); err != nil {
		return cmd.Start()
	}
	err := cmd.Start()
	return errors.Join(err, enter(path.Dir(dir), self))
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

// Processes returns the processes that are in the group.
func (n Network) Processes() (pids []int, err error) {
	dir := n.dir()
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
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) { // it is gone, or going
		err = nil
	}
	return pids, err
}

// IsRunning tells whether there is a process in the group.
func (n Network) IsRunning() (bool, error) {
	pids, err := n.Processes()
	return len(pids) > 0, err
}

// Settle waits, for so long at most, until no process is in the group, and tells
// whether one is.
func (n Network) Settle(patience time.Duration) (running bool, err error) {
	for start := time.Now(); ; time.Sleep(nap) {
		if running, err = n.IsRunning(); err != nil || !running || time.Since(start) >= patience {
			return running, err
		}
	}
}

// End ends all processes of the group, and the group: SIGTERM, and SIGKILL for what is
// still there two seconds later. If there is no group, it does nothing.
func (n Network) End() error {
	dir := n.dir()
	var st unix.Stat_t
	if dir == "" || unix.Lstat(dir, &st) != nil {
		return nil
	}
	if hasSystemd() {
		// The unit may be gone by itself, which is an error then.
		out, err := exec.Command(program("systemctl"), "stop", "--quiet", n.Unit()).CombinedOutput()
		if running, runningErr := n.IsRunning(); running || runningErr != nil {
			return errors.Join(fmt.Errorf("stop %s: %w: %s", n.Unit(), err, strings.TrimSpace(string(out))), runningErr)
		}
		return nil
	}
	if err := n.signal(unix.SIGTERM); err != nil {
		return err
	}
	running, err := n.Settle(stopTime)
	for start := time.Now(); running && err == nil && time.Since(start) < stopTime; {
		if err = n.signal(unix.SIGKILL); err == nil {
			running, err = n.Settle(nap)
		}
	}
	if err != nil {
		return err
	}
	if err := remove(dir); err != nil {
		return fmt.Errorf("end what the setup of %q has left running: %w", string(n), err)
	}
	return nil
}

// signal sends a signal to each process of the group.
func (n Network) signal(sig unix.Signal) error {
	pids, err := n.Processes()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			continue // it has ended
		}
		if still, err := n.Processes(); err == nil && slices.Contains(still, pid) {
			_ = unix.PidfdSendSignal(fd, sig, nil, 0)
		}
		unix.Close(fd)
	}
	return err
}

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
