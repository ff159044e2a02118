package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is a process in a sandbox.
type Process struct {
	PID    int // on the machine
	Parent int // on the machine
	Inside int // its PID inside
	Name   string
	Args   []string
}

// Processes lists what runs in the sandbox, process 1 included; not what has ended and was not waited for yet.
func (s *Sandbox) Processes() ([]Process, error) {
	namespace, err := Namespace(s.PID(), "pid")
	if err != nil {
		return nil, err
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var processes []Process
	for _, dir := range dirs {
		// Everything may fail here: processes end while we look.
		if ns, err := os.Readlink(dir + "/ns/pid"); err != nil || ns != namespace {
			continue
		}
		if p, err := readProcess(dir); err == nil {
			processes = append(processes, p)
		}
	}
	return processes, nil
}

// readProcess reads a process from its directory in /proc.
func readProcess(dir string) (Process, error) {
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Process{}, err
	}
	cmdline, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return Process{}, err
	}
	p := Process{Args: strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
		switch key {
		case "Name":
			p.Name = value
		case "State":
			if strings.HasPrefix(value, "Z") || strings.HasPrefix(value, "X") {
				return Process{}, os.ErrProcessDone
			}
		case "Pid":
			p.PID, err = strconv.Atoi(value)
		case "PPid":
			p.Parent, err = strconv.Atoi(value)
		case "NSpid": // one number for each PID namespace, the innermost last
			p.Inside, err = strconv.Atoi(value[strings.LastIndex(value, "\t")+1:])
		}
		if err != nil {
			return Process{}, fmt.Errorf("read %s/status: %w", dir, err)
		}
	}
	return p, nil
}

// HostPID returns the PID on the machine of the process that has this PID inside.
func (s *Sandbox) HostPID(inside int) (int, error) {
	processes, err := s.Processes()
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(processes, func(p Process) bool { return p.Inside == inside })
	if i < 0 {
		return 0, fmt.Errorf("no process %d in the sandbox", inside)
	}
	return processes[i].PID, nil
}

// Namespace names a namespace of a process, like "net:[4026531840]". Equal names are the same namespace. kind is a
// file name in /proc/PID/ns.
func Namespace(pid int, kind string) (string, error) {
	return os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
}

// Mount is what a process has mounted, without what only numbers it: two tables of Mounts can be compared. Strings
// are escaped as the kernel escapes them (proc_pid_mountinfo(5)).
type Mount struct {
	Device       string // "major:minor" of the file system; equal for mounts of the same one
	Root         string // what of it is mounted
	Point        string
	Options      string
	Propagation  string // "shared", "master", both with a comma between, "unbindable", or "" for private
	Type         string
	Source       string
	SuperOptions string
}

// MountTable lists the mounts of a process, in the kernel's order.
func MountTable(pid int) ([]Mount, error) {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return nil, err
	}
	var mounts []Mount
	for line := range strings.Lines(string(table)) {
		// 36 35 98:0 /root /point rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue
		fields := strings.Fields(line)
		dash := slices.Index(fields, "-")
		if dash < 6 || len(fields) != dash+4 {
			return nil, fmt.Errorf("read the mounts of process %d: strange line %q", pid, line)
		}
		var propagation []string
		for _, tag := range fields[6:dash] {
			kind, _, _ := strings.Cut(tag, ":")
			propagation = append(propagation, kind)
		}
		mounts = append(mounts, Mount{
			Device: fields[2], Root: fields[3], Point: fields[4], Options: fields[5],
			Propagation: strings.Join(propagation, ","),
			Type:        fields[dash+1], Source: fields[dash+2], SuperOptions: fields[dash+3],
		})
	}
	return mounts, nil
}
