// SPDX-License-Identifier: GPL-2.0-or-later

package hosts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
)

// look prints what a process sees of its network and of what a session covers,
// a line "KEY VALUE" for each thing, and the mounts as "mount POINT THE-REST".
const look = `
echo netns $(readlink /proc/self/ns/net)
echo root $(stat -c %d:%i /)
echo cwd $(pwd -P)
echo interfaces $(ip -oneline link | cut -d: -f2 | cut -d@ -f1)
echo addresses $(ip -oneline address | grep -v 'scope link' | awk '{print $2, $4}')
echo class $(ls /sys/class/net)
echo devices $(ls -d /sys/devices/virtual/net/* | sed s,.*/,,)
echo cgroup $(ls /sys/fs/cgroup)
echo handles $(ls /run/netns 2>/dev/null)
echo resolver $(cat /etc/resolv.conf)
sed -E 's/^[0-9]+ [0-9]+ ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) .*- (.*)$/mount \3 \1 \2 \4 \5/' /proc/self/mountinfo
`

// view is what a process has seen: of each key the value.
type view struct {
	of     map[string]string
	mounts map[string][]string // by mount point, the topmost last
}

func parseView(t *testing.T, output string) view {
	t.Helper()
	v := view{map[string]string{}, map[string][]string{}}
	for line := range strings.Lines(output) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "mount" {
			point, mount, _ := strings.Cut(value, " ")
			v.mounts[point] = append(v.mounts[point], mount)
		} else {
			v.of[key] = value
		}
	}
	if len(v.mounts) == 0 {
		t.Errorf("the session's view is incomplete: %q", output)
	}
	return v
}

// own is what root sees who has not logged in, in a chroot if there is one.
func (b *box) own(t *testing.T, root string) view {
	t.Helper()
	if root == "" {
		root = "/"
	}
	return parseView(t, b.run(t, "chroot", root, "sh", "-c", look))
}

// carriesSys reports a mount at or below /sys that is not as the machine's. What
// has been covered instead of replaced is left out.
func carriesSys(t *testing.T, session, machine view, covered bool) {
	t.Helper()
	got, want := session.sys(covered), machine.sys(covered)
	points := maps.Clone(got)
	maps.Copy(points, want)
	for _, point := range slices.Sorted(maps.Keys(points)) {
		expect.Equal(t, "mounts on "+point, got[point], want[point])
	}
}

// sys describes the mounts at and below /sys, or only the topmost on each point.
func (v view) sys(topmost bool) map[string]string {
	found := map[string]string{}
	for point, mounts := range v.mounts {
		if topmost {
			mounts = mounts[len(mounts)-1:]
		}
		if point == "/sys" { // it is another one
			_, sys, _ := strings.Cut(mounts[0], " ")
			found[point] = fmt.Sprint(len(mounts), sys)
		} else if strings.HasPrefix(point, "/sys/") {
			found[point] = strings.Join(mounts, "\n")
		}
	}
	return found
}

// inode returns that of a namespace by the name that ip-netns(8) knows.
func (b *box) inode(t *testing.T, netns string) uint64 {
	t.Helper()
	var st unix.Stat_t
	expect.Check(t, unix.Stat(b.Root()+"/run/netns/"+netns, &st))
	return st.Ino
}

// mountBelowSys mounts below /sys what some machines have there.
func (b *box) mountBelowSys(t *testing.T) {
	t.Helper()
	b.sh(t, `
for point in $(awk '$5 ~ "^/sys/kernel/" { print $5 }' /proc/self/mountinfo | sort -r); do umount $point; done
mount -t tmpfs -o ro,nosuid,noatime,mode=700 firmware /sys/firmware
mount -t tmpfs -o size=64k below /sys/kernel
mkdir -p /sys/kernel/debug/tracing /sys/kernel/security
mount -t tmpfs -o nodev,noexec debug /sys/kernel/debug
mkdir /sys/kernel/debug/tracing
mount -t tmpfs one /sys/kernel/debug/tracing
mount -t tmpfs two /sys/kernel/debug/tracing
mount --bind /etc/hostname /sys/devices/system/clocksource/clocksource0/current_clocksource
mount -o remount,bind,ro /sys/devices/system/clocksource/clocksource0/current_clocksource
`)
}
