// SPDX-License-Identifier: GPL-2.0-or-later

package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/machine"
	"libpam-net/test/pamhost"
)

// buildInject compiles c/inject.c.
func buildInject(program string) error {
	args := []string{"-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wshadow", "-Wformat=2", "-Werror", "-o", program}
	args = append(args, "c/inject.c", "c/host.c", "../pamhost/c/json.c", "../pamhost/c/snapshot.c", "-lpam", "-ldl")
	if output, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("compile inject: %w\n%s", err, output)
	}
	return nil
}

// systemCalls returns the names of the system calls of this machine, by number.
func systemCalls() (map[int]string, error) {
	cmd := exec.Command("gcc", "-E", "-dM", "-x", "c", "-")
	cmd.Stdin = strings.NewReader("#include <asm/unistd.h>\n")
	macros, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the system calls: %w", err)
	}
	names := make(map[int]string)
	for _, m := range regexp.MustCompile(`(?m)^#define __NR_(\w+) (\d+)$`).FindAllStringSubmatch(string(macros), -1) {
		number, err := strconv.Atoi(m[2])
		if err != nil {
			return nil, err
		}
		names[number] = m[1]
	}
	return names, nil
}

// request is what inject is to do, see c/inject.c.
type request struct {
	reset string // what it removes first
	job
	arguments []string // of the module
}

// reply is what inject says of a login.
type reply struct {
	Host, Child int  // how the login process and the child have ended, as wait(2) tells; -1: there was none
	Stray       bool // something has outlived the login process, and was killed
	MS          int  // how long it took
	Hit         bool // the system call was made
	Target      struct {
		Arguments []uint64
		Texts     []pamhost.Text // those of the arguments that seem to be texts
	}
	Points []call
	waited bool // in vain, for the end of a child: there may still be one
	heldUp bool // the process that had the locks has not been ended

	Networks map[string]map[string]bool // those with a name, afterwards: like Report.Interfaces

	Report *report // nil if the login process has not lived to make it
}

// call is a system call.
type call struct {
	Role   string
	Number int
}

// report is what the login process says of itself.
type report struct {
	Before, After pamhost.Snapshot
	Code          int // the module's answer

	// Of a session.
	Interfaces map[string]bool // and whether they are up
	Owner      int             // of the user namespace that the network belongs to: a user ID
	Sysfs      []string        // those that /sys knows
	Handles    []string        // what is in /run/netns
	Mounts     pamhost.Text    // /proc/self/mountinfo
}

// injector is a running inject.
type injector struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	stdout  *os.File
	replies *bufio.Reader
	stderr  strings.Builder
}

const injectPath = "/run/sandbox/inject"

// startInject starts inject on the machine. It and all that it starts stay on one
// processor: a login takes twice as long where its threads are on several, as it
// does nothing but change address spaces. Stop it.
func startInject(m *machine.Machine, cpu int, module, user string) (*injector, error) {
	if err := m.Install(program, injectPath, 0o755); err != nil {
		return nil, err
	}
	i := &injector{cmd: m.Command("taskset", "--cpu-list", strconv.Itoa(cpu), injectPath, module, user)}
	i.cmd.Stderr = &i.stderr
	stdin, err := i.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	i.cmd.Stdout = w
	if err := i.cmd.Start(); err != nil {
		r.Close()
		return nil, err
	}
	i.stdin, i.stdout, i.replies = stdin, r, bufio.NewReader(r)
	return i, nil
}

// stop lets inject end.
func (i *injector) stop() {
	i.stdin.Close()
	i.cmd.Wait()
	i.stdout.Close()
}

// do makes a login. After an error there is no further one.
func (i *injector) do(r request) (*reply, error) {
	answer, err := i.ask(r)
	if err != nil {
		i.cmd.Cancel()
		i.stop()
		return nil, fmt.Errorf("ask inject: %w: %s", err, &i.stderr)
	}
	return answer, nil
}

func (i *injector) ask(r request) (*reply, error) {
	if err := i.stdout.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	_, err := fmt.Fprintln(i.stdin, r.reset, r.action, r.role, r.number, r.nth, r.value, r.times, strings.Join(r.arguments, " "))
	if err != nil {
		return nil, err
	}
	line, err := i.replies.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var answer reply
	return &answer, json.Unmarshal(line, &answer)
}

// status says how a process has ended.
func status(s int) string {
	switch w := unix.WaitStatus(s); {
	case s == -1:
		return "never started"
	case w.Signaled():
		return unix.SignalName(w.Signal())
	default:
		return fmt.Sprintf("status %d", w.ExitStatus())
	}
}

// target is the system call that was hit, with its arguments.
func (r *reply) target(j job) string {
	var arguments []string
	for _, a := range r.Target.Arguments {
		arguments = append(arguments, fmt.Sprintf("%#x", a))
	}
	call := fmt.Sprintf("%s(%s)", callName(j.number), strings.Join(arguments, ", "))
	if len(r.Target.Texts) > 0 {
		call += fmt.Sprintf(" %q", r.Target.Texts)
	}
	return call
}
