// SPDX-License-Identifier: GPL-2.0-or-later

package hosts

import (
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
)

// Without /run/netns at the login there is nothing yet that could be covered.
func TestNamespacesThatAreMadeLaterStayOutOfSight(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	h := b.start(t, login{host: "pamhost --hold", stack: everything, user: "nina"})
	pid := h.ready(t)
	b.sh(t, "ip netns add later")
	expect.Equal(t, "handles", b.in(t, pid, "ls /run/netns 2>/dev/null || true"), "")
	h.wait(t)
}

// Nothing of the session covers the working directory, but the path leads
// elsewhere meanwhile.
func TestTheWorkingDirectoryStaysThoughItsPathLeadsElsewhere(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	expect.Check(t, b.WriteFile("/usr/local/bin/covered", "#!/bin/sh\nmkdir /tmp/cwd && cd /tmp/cwd && mount -t tmpfs over /tmp/cwd && exec pamhost \"$@\"\n", 0o755))
	o := b.open(t, login{host: "covered", stack: everything, user: "nina"})
	unchanged(t, "pam_open_session", o.Before, o.After, pamhost.NetNamespace, pamhost.MountNamespace)

	// The same by the user, who exchanges the directory for a link into one below
	// /root all the time, which nobody else may enter.
	b.sh(t, `mkdir -p -m 755 /root/private/public; chmod 700 /root /root/private; echo secret >/root/private/public/file`)
	expect.Check(t, b.WriteFile("/usr/local/bin/exchanged", `#!/bin/sh
cd /home/nina/d || exit
setpriv --reuid nina --regid nina --clear-groups perl -e '
	$d = "/home/nina/d"; $l = "/home/nina/l"; while (1) { syscall(316, -100, $d, -100, $l, 2); }' & # renameat2 RENAME_EXCHANGE
pamhost "$@"; status=$?
kill $!; wait $! 2>/dev/null
exit $status
`, 0o755))
	read := 0
	for range 60 {
		b.sh(t, "cd /home/nina; rm -rf d l; mkdir d; ln -s /root/private/public l; chown -h nina d l")
		o := b.open(t, login{host: "exchanged", stack: everything, user: "nina", command: "id -un; cat file"})
		if strings.Contains(o.output, "nina\nsecret\n") {
			read++
		}
	}
	expect.Equal(t, "times that nina has read /root/private/public/file, of 60", read, 0)
}

func TestTwoSessionsInANamedNetworkOnAnOldKernel(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.addUte(t)
	for _, host := range []string{"old_kernel pamhost --twice", "ip netns exec ute old_kernel pamhost"} {
		o := b.open(t, login{host: host, stack: everything, user: "ute"})
		expect.Equal(t, host+" "+strings.Join(o.log, "\n"), o.Result("pam_open_session"), "PAM_SUCCESS")
	}
}

// A user's FUSE mount (sshfs, gvfs) lets nobody else in, root included.
func TestRootsharedBesideAFUSEMountOfAUser(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	expect.Check(t, b.WriteFile("/usr/local/bin/fuse", `
use Fcntl;
$^F = 100;
sysopen(F, "/dev/fuse", O_RDWR) or die "open: $!";
$source = "fuse"; $target = "/tmp/mnt"; $type = "fuse";
$options = sprintf("fd=%d,rootmode=40000,user_id=5006,group_id=5006", fileno(F));
syscall(165, $source, $target, $type, 0, $options) == 0 or die "mount: $!";
open(R, ">/run/mounted"); close R;
sleep 1000;
`, 0o755))
	b.sh(t, `mkdir /tmp/mnt
perl /usr/local/bin/fuse </dev/null >/tmp/fuse.log 2>&1 &
echo $! >/run/fuse.pid
until [ -e /run/mounted ] || [ -s /tmp/fuse.log ]; do :; done`)
	o := b.open(t, login{host: "pamhost", stack: allWith("rootshared"), user: "nina"})
	expect.Equal(t, strings.Join(o.log, "\n"), o.Result("pam_open_session"), "PAM_SUCCESS")
	b.sh(t, "kill $(cat /run/fuse.pid); while [ -e /proc/$(cat /run/fuse.pid) ]; do :; done")
}
