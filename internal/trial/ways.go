// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/internal/policy"
)

// Way is a way that a network namespace does not close: by it a session reaches the host's network, or what is outside
// reaches the session.
type Way struct {
	ID       string   `json:"id"`
	What     string   `json:"what"`
	Weight   int      `json:"weight"`
	Open     bool     `json:"open"`
	Evidence []string `json:"evidence"` // where to see that it is open
}

// Openness is what remains open to a session.
type Openness struct {
	Exposure float64 `json:"exposure"` // from 0 to 10
	Ways     []Way   `json:"ways"`
}

// wayKinds has the ways, the worst first. pamnetctl(8) has the same list. open returns where to see that the way is open.
var wayKinds = []struct {
	id     string
	weight int
	what   string
	open   func(*inside) []string
}{
	{"root", 10, "The user is root, who leaves any network namespace.", (*inside).root},
	{"capabilities", 10, "PAM has given the session capabilities that reach the host's network.", (*inside).capabilities},
	{"daemons", 10, "A socket leads to a daemon that starts programs in the host's network.", (*inside).daemons},
	{"user-manager", 8, "The user's service manager runs in the host's network, and starts programs there.", (*inside).manager},
	{"processes", 6, "Processes of the user run in the host's network, and do what a session asks for.", (*inside).processes},
	{"mail", 5, "A local mail server sends what the user writes, from the host's network.", (*inside).mail},
	{"ptrace", 4, "Processes of one user can trace each other, across networks.", (*inside).ptrace},
	{"system-bus", 4, "The system bus leads to daemons of the host.", (*inside).bus},
	{"sockets", 3, "Further sockets in the file system lead to daemons of the host.", (*inside).sockets},
	{"vsock", 3, "AF_VSOCK reaches virtual machines and the hypervisor.", (*inside).vsock},
	{"home", 2, "The home directory is shared with processes outside.", (*inside).home},
	{"tmp", 2, "Temporary directories are shared with processes outside.", (*inside).tmp},
	{"shm", 2, "Shared memory in /dev/shm is shared with processes outside.", (*inside).shm},
	{"ipc", 2, "IPC objects and message queues are shared with processes outside.", (*inside).ipc},
}

const systemBus = "/run/dbus/system_bus_socket"

// inside is what is known of a session when ways are looked for.
type inside struct {
	*memory
	account *policy.Account
	wanted  Wanted
	reached []string // the host's sockets that the user can connect to
	outside map[string][]string
	err     error
}

// lookForWays returns what remains open to the session that the calling thread is in.
func lookForWays(before *memory, a *policy.Account, w Wanted, moved bool, reached []string) (*Openness, error) {
	if !moved { // all of them, and each at once
		return &Openness{Exposure: 10, Ways: []Way{}}, nil
	}
	in := &inside{memory: before, account: a, wanted: w, reached: reached}
	if in.outside, in.err = processesOutside(a.UID); in.err != nil {
		return nil, in.err
	}
	o := &Openness{Ways: []Way{}}
	for _, k := range wayKinds {
		way := Way{ID: k.id, What: k.what, Weight: k.weight, Evidence: k.open(in)}
		if way.Open = len(way.Evidence) > 0; !way.Open {
			way.Evidence = []string{}
		}
		o.Ways = append(o.Ways, way)
	}
	o.Exposure = Exposure(o.Ways)
	return o, in.err
}

// Exposure returns the weights of the open ways as a part of all weights, from 0 to 10. A way of weight 10 suffices to
// leave the network: with one it is 10.
func Exposure(ways []Way) float64 {
	open, all := 0, 0
	for _, w := range ways {
		if w.Open && w.Weight == 10 {
			return 10
		}
		if w.Weight == 10 {
			continue
		}
		all += w.Weight
		if w.Open {
			open += w.Weight
		}
	}
	if all == 0 {
		return 0
	}
	return float64(open*100/all) / 10
}

func (in *inside) root() []string {
	if in.account.UID == 0 {
		return []string{"uid 0"}
	}
	return nil
}

// dangerous are the capabilities with which a process reaches another network than its own.
var dangerous = map[int]string{
	unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_SYS_ADMIN: "CAP_SYS_ADMIN", unix.CAP_SYS_PTRACE: "CAP_SYS_PTRACE",
	unix.CAP_SYS_MODULE: "CAP_SYS_MODULE", unix.CAP_DAC_OVERRIDE: "CAP_DAC_OVERRIDE", unix.CAP_SETUID: "CAP_SETUID",
}

func (in *inside) capabilities() (found []string) {
	now, err := inherited()
	in.err = errors.Join(in.err, err)
	for bit, name := range dangerous {
		if (now&^in.inherited)>>bit&1 == 1 {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// inherited returns the capabilities that the calling thread passes on to a user's programs.
func inherited() (set uint64, err error) {
	text, err := nsfs.Read(nsfs.Path(nsfs.Thread, "status"), 2048)
	for line := range strings.Lines(string(text)) {
		var key string
		var bits uint64
		if n, _ := fmt.Sscanf(line, "%s %x", &key, &bits); n == 2 && (key == "CapInh:" || key == "CapAmb:") {
			set |= bits
		}
	}
	return set, err
}

func (in *inside) daemons() (found []string) {
	for _, s := range in.reached {
		if slices.Contains(in.wanted.Daemons, s) {
			found = append(found, s)
		}
	}
	return found
}

func (in *inside) bus() []string {
	if slices.Contains(in.reached, systemBus) {
		return []string{systemBus}
	}
	return nil
}

func (in *inside) sockets() []string {
	return slices.DeleteFunc(slices.Clone(in.reached), func(s string) bool {
		return s == systemBus || slices.Contains(in.wanted.Daemons, s)
	})
}

func (in *inside) manager() []string { return in.outside["systemd"] }

func (in *inside) processes() (found []string) {
	for name, pids := range in.outside {
		if name != "systemd" {
			found = append(found, pids...)
		}
	}
	slices.Sort(found)
	return found
}

// processesOutside returns the processes of a user in the host's network, by their names.
func processesOutside(uid uint32) (map[string][]string, error) {
	host, err := nsfs.Of(nsfs.Host, nsfs.Net)
	if err != nil {
		return nil, err
	}
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	found := map[string][]string{}
	for _, p := range all {
		status, err := p.NewStatus()
		if err != nil || status.UIDs[0] != uint64(uid) || uid == 0 {
			continue // it has ended, or is another user's
		}
		if net, err := nsfs.Of(p.PID, nsfs.Net); err == nil && net == host {
			found[status.Name] = append(found[status.Name], fmt.Sprintf("/proc/%d (%s)", p.PID, status.Name))
		}
	}
	return found, nil
}

const sendmail = "/usr/sbin/sendmail"

func (in *inside) mail() []string { return in.may(unix.X_OK, sendmail) }

func (in *inside) ptrace() []string {
	const file = "/proc/sys/kernel/yama/ptrace_scope"
	scope, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(scope)) == "0" { // without Yama it is so, too
		return []string{file}
	}
	return nil
}

func (in *inside) vsock() []string {
	const device = "/dev/vsock"
	if exists(device) {
		return []string{device}
	}
	return nil
}

func (in *inside) home() []string { return in.shared(in.account.Home) }
func (in *inside) tmp() []string  { return in.shared("/tmp", "/var/tmp") }
func (in *inside) shm() []string  { return in.shared("/dev/shm") }

// directories are those that a session may share with processes outside.
func directories(a *policy.Account) []string { return []string{a.Home, "/tmp", "/var/tmp", "/dev/shm"} }

// shared returns those directories that are the ones from before the session, and that the user may write to.
func (in *inside) shared(paths ...string) (same []string) {
	for _, path := range in.may(unix.W_OK, paths...) {
		if now, err := nsfs.At(path); err == nil && now == in.places[path] {
			same = append(same, path)
		}
	}
	return same
}

// may returns those paths that the user may write to, or execute.
func (in *inside) may(mode uint32, paths ...string) (allowed []string) {
	err := withRightsTo(in.account, func() {
		for _, path := range paths {
			if unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS) == nil {
				allowed = append(allowed, path)
			}
		}
	})
	in.err = errors.Join(in.err, err)
	return allowed
}

func (in *inside) ipc() []string {
	now, err := nsfs.Of(nsfs.Thread, nsfs.IPC)
	host, hostErr := nsfs.Of(nsfs.Host, nsfs.IPC)
	in.err = errors.Join(in.err, err, hostErr)
	if now == host {
		return []string{"/proc/1/ns/ipc"}
	}
	return nil
}
