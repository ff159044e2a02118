// SPDX-License-Identifier: GPL-2.0-or-later

package view_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/netns"
	"libpam-net/internal/view"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// Each case arranges /sys in a mount namespace that counts as the host's, and has
// a look at it in a session with a new network namespace.
func TestSys(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh("ip link add host0 type veth peer name host1")
	expect.Check(t, err)
	const newNetwork = `test "$(ls /sys/class/net)" = lo; test -e /sys/class/net/lo/operstate; test -e /sys/devices/virtual/net/lo`
	for _, c := range []struct{ what, arrange, look string }{
		{"as the machine has it", ``, newNetwork + `; touch /sys/kernel/uevent_seqnum`},
		{
			"with much mounted below",
			`mount -t debugfs -o nosuid,noexec,mode=750 debug /sys/kernel/debug || true
			mount -t bpf -o mode=700,noatime my-bpf /sys/fs/bpf || true; mount -t pstore none /sys/fs/pstore || true
			mkdir "/run/a b"; echo old > "/run/a b/file"; mount --bind "/run/a b" /sys/bus; mount -o remount,bind,ro,nodev /sys/bus
			mount -t tmpfs -o size=64k,nosuid lower /sys/power; mount -t tmpfs -o ro upper /sys/power
			mount -t tmpfs -o mode=711 deep /sys/module; mkdir /sys/module/er; mount -t tmpfs -o noexec er /sys/module/er
			mount --bind "/run/a b/file" /sys/kernel/uevent_seqnum; mount --bind /dev/null /sys/kernel/rcu_normal`,
			newNetwork + `; grep -x old /sys/kernel/uevent_seqnum /sys/bus/file; mountpoint -q /sys/module/er`,
		},
		{
			"read-only",
			`mount -o remount,bind,ro,nosuid,nodev,noexec /sys`,
			newNetwork + `; ! touch /sys/kernel/uevent_seqnum 2>&1`,
		},
		{
			"stacked",
			`mount -t tmpfs none /sys; mount -t sysfs -o nodev top /sys; mount -t tmpfs none /sys/power`,
			newNetwork,
		},
		{
			"in parts, as systemd-nspawn makes it",
			`mkdir /run/sys; mount -t sysfs none /run/sys; umount -l /sys; mount -t tmpfs -o mode=555 tmpfs /sys
			for d in block bus class dev devices kernel; do
				mkdir /sys/$d; mount --bind /run/sys/$d /sys/$d; mount -o remount,bind,ro,nosuid,nodev,noexec /sys/$d
			done
			umount /run/sys; mkdir -p /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup; mount -o remount,bind,ro /sys`,
			`test "$(ls /sys/class/net)" = lo; test -d /sys/kernel/mm; test ! -d /sys/class/class; test ! -d /sys/firmware
			! touch /sys/class/new /sys/kernel/uevent_seqnum 2>&1`,
		},
		{
			"read-only but for the network's devices, as LXC makes it",
			`mount -o remount,bind,ro /sys; mkdir /run/lxc; mount -t sysfs none /run/lxc
			mount --bind /run/lxc/devices/virtual/net /sys/devices/virtual/net; umount /run/lxc`,
			newNetwork + `; ! touch /sys/kernel/uevent_seqnum 2>&1`,
		},
		{
			"nested",
			`mount -t tmpfs none /sys/firmware; mkdir /sys/firmware/sys; mount -t sysfs -o ro nested /sys/firmware/sys
			mount -t tmpfs -o size=64k within /sys/firmware/sys/power; mount -t sysfs further /sys/power`,
			newNetwork + `; test "$(ls /sys/firmware/sys/class/net /sys/power/class/net)" = "/sys/firmware/sys/class/net:
lo

/sys/power/class/net:
lo"`,
		},
		{
			"a mount hidden beneath another",
			`mount -t debugfs none /sys/kernel/debug; mount -t tmpfs -o ro none /sys/kernel`,
			newNetwork + `; test -z "$(ls -A /sys/kernel)"`,
		},
		{
			"a tmpfs",
			`umount -l /sys; mount -t tmpfs none /sys; echo old > /sys/file`,
			`grep -x old /sys/file`,
		},
		{
			"hidden by a tmpfs",
			`mount -t tmpfs none /sys; echo old > /sys/file`,
			`grep -x old /sys/file`,
		},
		{
			"no mount", `umount -l /sys`, `test -z "$(ls /sys)"`,
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			private.EachMountAPI(t, func(t *testing.T) {
				expect.Check(t, private.OnThread(func() error {
					if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
						return err
					}
					_, err := private.Sh("mount --make-rprivate /; mount --make-rshared /; mount -t tmpfs none /run; " + c.arrange)
					if err != nil {
						return err
					}
					return inSession(c.look)
				}))
			})
		})
	}
}

// inSession runs the script in a session with a new network namespace. All mounts
// at and below /sys must be what they were; of a sysfs that is where it is
// mounted, with which root and options. The "host's" mounts must not change.
func inSession(look string) error {
	host, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return err
	}
	defer host.Close()
	hostBefore, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return err
	}
	before, err := visible()
	if err != nil {
		return err
	}

	net, err := netns.New(nil)
	if err != nil {
		return err
	}
	unix.Close(net)
	if _, err := view.Build(view.Spec{ShowNetns: true, KeepResolver: true}); err != nil {
		return err
	}
	after, err := visible()
	if err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("the mounts were\n%s\nand are\n%s", before, after)
	}
	if _, err = private.Sh(look); err != nil {
		return err
	}

	return private.OnThread(func() error {
		if err := unix.Setns(int(host.Fd()), unix.CLONE_NEWNS); err != nil {
			return err
		}
		hostAfter, err := os.ReadFile("/proc/thread-self/mountinfo")
		if !bytes.Equal(hostBefore, hostAfter) {
			return fmt.Errorf("the host's mounts were\n%s\nand are\n%s: %w", hostBefore, hostAfter, err)
		}
		return nil
	})
}

// visible describes the mounts at and below /sys, those hidden by others excepted.
func visible() (string, error) {
	table, err := mount.Table(mountinfo.PrefixFilter("/sys"))
	if err != nil {
		return "", err
	}
	var lines []string
	for _, m := range table {
		var st unix.Statx_t
		err := unix.Statx(unix.AT_FDCWD, m.Mountpoint, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st)
		if err != nil || st.Mnt_id != uint64(m.ID) {
			continue
		}
		line := fmt.Sprintf("%q: %s %q %s", m.Mountpoint, m.FSType, m.Root, m.Options)
		if m.FSType != "sysfs" {
			line += fmt.Sprintf(" %s %s %d:%d", m.Source, m.VFSOptions, m.Major, m.Minor)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}
