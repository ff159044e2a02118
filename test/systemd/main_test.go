// SPDX-License-Identifier: GPL-2.0-or-later

// Package systemd runs the modules on a whole Debian: systemd is process 1, with
// logind, dbus, sshd, cron and atd, and the package is installed by dpkg and
// enabled by pam-auth-update.
//
// It is a container of systemd-nspawn in a sandbox, which is all that it needs of
// this machine, and in control groups of its own. All tests share it: they make no
// assumption on what others have left, and one of them boots it anew.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// patience ends what hangs: booting takes some ten seconds, all else less.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	sandbox.Main()
	code := m.Run()
	if running != nil {
		if err := running.close(); err != nil {
			fmt.Println("end the machine:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// debian is the machine.
type debian struct {
	*sandbox.Sandbox
	janitor io.Closer
	swept   func() error // waits for the janitor
}

// host is the machine in a test.
type host struct {
	*debian
	t *testing.T
}

// start returns the machine, once it has booted.
func start(t *testing.T) host {
	t.Helper()
	d, err := boot()
	if errors.Is(err, machine.ErrMissing) || errors.Is(err, sandbox.ErrNeedRoot) {
		t.Skip(err)
	}
	expect.Check(t, err)
	t.Cleanup(func() {
		amiss, err := d.enter(context.Background(), `
			journalctl --quiet --no-pager --priority=warning | grep -E 'pam_(new|user|group)net\(' || :
			systemctl --failed --no-legend --plain`)
		if err := errors.Join(err, amiss.Err()); err != nil || amiss.Stdout != "" {
			t.Errorf("warnings of the modules, and units that failed (%v):\n%s", err, amiss.Stdout)
		}
		if t.Failed() {
			journal, err := d.enter(context.Background(), "journalctl --no-pager --quiet --lines=40")
			t.Logf("the end of the journal (%v):\n%s", err, journal.Stdout)
		}
	})
	return host{d, t}
}

// running is what boot has started.
var running *debian

var boot = sync.OnceValues(func() (*debian, error) {
	tree, err := machine.DebianTree()
	if err != nil {
		return nil, err
	}
	deb, err := machine.Deb()
	if err != nil {
		return nil, err
	}
	s, err := sandbox.NewOn(tree)
	if err != nil {
		return nil, err
	}
	d := &debian{Sandbox: s}
	if err := d.install(deb); err != nil {
		console, _ := s.ReadFile("/tmp/console")
		return nil, errors.Join(fmt.Errorf("%w\nthe console:\n%s", err, console), d.close())
	}
	running = d
	return d, nil
})

func (d *debian) install(deb string) error {
	if err := d.Install(deb, "/opt/libpam-net.deb", 0o644); err != nil {
		return err
	}
	if err := d.start(); err != nil {
		return err
	}
	if err := d.booted(); err != nil {
		return err
	}
	result, err := d.enter(context.Background(), machine.SetUpDebian)
	return errors.Join(err, result.Err())
}

// groups are where systemd-nspawn makes control groups: of version 2, or with
// version 1 beside it.
const groups = "/sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified"

// start boots the sandbox's tree, the sandbox's own changes included, with control
// groups of version 2 alone, as Debian has them, whatever this machine has.
func (d *debian) start() error {
	name := fmt.Sprintf("libpam-net-test.%d", d.PID())
	if err := d.hireJanitor(name); err != nil {
		return err
	}
	return d.Command("bash", "-c", `
		machine() {
			for dir in `+groups+`; do
				[ ! -e $dir/cgroup.procs ] || { mkdir -p $dir/$1; echo $BASHPID >$dir/$1/cgroup.procs; } || exit
			done
			export UNIFIED_CGROUP_HIERARCHY=yes
			exec systemd-nspawn --quiet --directory=/mnt --boot --register=no --keep-unit --private-network \
				--system-call-filter=bpf --machine=machine --console=pipe </dev/null
		}
		exec >/tmp/console 2>&1
		mount --bind / /mnt
		while (machine $1); [ $? = 133 ]; do :; done # as long as it wants a reboot
		`, "bash", name).Start()
}

// hireJanitor starts who removes the control groups when this process has ended,
// however that was, and the sandbox with it.
func (d *debian) hireJanitor(name string) error {
	janitor := exec.Command("sh", "-c", `
		cat
		for dir in `+groups+`; do
			while [ -e $dir/$1 ] && ! find $dir/$1 -depth -type d -exec rmdir {} + 2>/dev/null; do sleep 0.01; done
		done`, "sh", name)
	janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	life, err := janitor.StdinPipe()
	if err != nil {
		return err
	}
	d.janitor, d.swept = life, janitor.Wait
	return janitor.Start()
}

// close ends the machine, and leaves nothing of it.
func (d *debian) close() error {
	err := d.Close()
	if d.janitor != nil {
		err = errors.Join(err, d.janitor.Close(), d.swept())
	}
	return err
}

// leader tells, in the sandbox, which process is the container's first.
const leader = `pgrep --parent "$(pgrep --exact systemd-nspawn)"`

// enter runs a script of bash in the container, as root and beside systemd: it
// belongs to no unit.
func (d *debian) enter(ctx context.Context, script string, args ...string) (sandbox.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return d.Run(ctx, nil, "bash", append([]string{"-ec", `
		leader=$(` + leader + `)
		exec nsenter --target "$leader" --mount --uts --ipc --net --pid --root --wd -- bash -ec "$@"`, "bash", script, "bash"}, args...)...)
}

// booted waits for all that is started at boot.
func (d *debian) booted() error {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		result, err := d.enter(context.Background(), `
			state=$(systemctl is-system-running --wait) || true
			echo $state
			systemctl --failed --no-legend --plain`)
		state, failed, _ := strings.Cut(result.Stdout, "\n")
		switch {
		case err == nil && state == "running":
			return nil
		case err == nil && state == "degraded" || time.Now().After(deadline):
			return errors.Join(fmt.Errorf("boot: the machine is %q, failed units %q", state, failed), err, result.Err())
		}
	}
}

// try lets root run a script in a unit of its own, which is no session.
func (h host) try(script string, args ...string) sandbox.Result {
	h.t.Helper()
	result, err := h.enter(h.t.Context(), `exec systemd-run --quiet --pipe --wait --collect bash -c "$@"`,
		append([]string{script, "bash"}, args...)...)
	expect.Check(h.t, err)
	return result
}

// run is try for a script that has to succeed.
func (h host) run(script string, args ...string) string {
	h.t.Helper()
	result := h.try("set -e; "+script, args...)
	if err := result.Err(); err != nil {
		h.t.Fatalf("%s %q: %v", script, args, err)
	}
	return strings.TrimSpace(result.Stdout)
}

// ssh runs a script in a login.
func (h host) ssh(user, script string) string {
	h.t.Helper()
	return h.run(`ssh "$1@127.0.0.1" "$2"`, user, script)
}
