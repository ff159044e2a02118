// SPDX-License-Identifier: GPL-2.0-or-later

// Package boot boots a whole Debian: systemd is process 1, with logind, dbus, sshd, cron and atd.
//
// It is a container of systemd-nspawn in a sandbox, which is all that it needs of this machine, and in control groups
// of its own.
package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

// patience ends what hangs: booting takes some ten seconds, all else less.
const patience = 2 * time.Minute

// Package is where a machine has this tree's package.
const Package = "/opt/libpam-net.deb"

// Debian is a machine that has booted.
type Debian struct {
	*sandbox.Sandbox
	janitor io.Closer
	swept   func() error // waits for the janitor
}

// New boots the fresh Debian of `make deps`, with the package in a file, not
// installed. The caller must Close it. The error wraps machine.ErrMissing or
// sandbox.ErrNeedRoot where there is none.
func New() (*Debian, error) {
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
	d := &Debian{Sandbox: s}
	err = s.Install(deb, Package, 0o644)
	if err == nil {
		err = d.start()
	}
	if err == nil {
		err = d.Booted()
	}
	if err != nil {
		console, _ := s.ReadFile("/tmp/console")
		return nil, errors.Join(fmt.Errorf("%w\nthe console:\n%s", err, console), d.Close())
	}
	return d, nil
}

// groups are where systemd-nspawn makes control groups: of version 2, or with
// version 1 beside it.
const groups = "/sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified"

// start boots the sandbox's tree, the sandbox's own changes included, with control
// groups of version 2 alone, as Debian has them, whatever this machine has.
func (d *Debian) start() error {
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
func (d *Debian) hireJanitor(name string) error {
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

// Close ends the machine, and leaves nothing of it.
func (d *Debian) Close() error {
	err := d.Sandbox.Close()
	if d.janitor != nil {
		err = errors.Join(err, d.janitor.Close(), d.swept())
	}
	return err
}

// Leader tells, in the sandbox, which process is the container's first.
const Leader = `pgrep --parent "$(pgrep --exact systemd-nspawn)"`

// Enter runs a script of bash in the container, as root and beside systemd: it
// belongs to no unit.
func (d *Debian) Enter(ctx context.Context, script string, args ...string) (sandbox.Result, error) {
	return d.EnterWith(ctx, nil, script, args...)
}

// EnterWith is Enter for a script that reads.
func (d *Debian) EnterWith(ctx context.Context, stdin io.Reader, script string, args ...string) (sandbox.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return d.Run(ctx, stdin, "bash", append([]string{"-ec", `
		leader=$(` + Leader + `)
		exec nsenter --target "$leader" --mount --uts --ipc --net --pid --root --wd -- bash -ec "$@"`, "bash", script, "bash"}, args...)...)
}

// Booted waits for all that is started at boot.
func (d *Debian) Booted() error {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		result, err := d.Enter(context.Background(), `
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
