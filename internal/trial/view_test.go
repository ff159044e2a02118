// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/internal/policy"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

const nobody = 65534

func TestASocketIsReachableForWhoMayWriteToItAndComeToIt(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to take a user's rights")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	groupID := uint32(4242)
	a := &policy.Account{UID: nobody, GID: nobody, Groups: []uint32{groupID}}
	dir, err := os.MkdirTemp("/tmp", "") // all may enter the ones above
	expect.Check(t, err)
	defer os.RemoveAll(dir)
	expect.Check(t, os.Chmod(dir, 0o755))
	for name, c := range map[string]struct {
		mode, dir os.FileMode
		owner     int
		group     uint32
		want      bool
	}{
		"everybody's":                        {0o666, 0o755, 0, 0, true},
		"root's":                             {0o755, 0o755, 0, 0, false},
		"the user's":                         {0o600, 0o755, nobody, 0, true},
		"a group's":                          {0o660, 0o755, 0, groupID, true},
		"another group's":                    {0o660, 0o755, 0, groupID + 1, false},
		"everybody's in root's directory":    {0o666, 0o700, 0, 0, false},
		"root's, to whom another group goes": {0o660, 0o755, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, fmt.Sprint(len(name)), "socket")
			expect.Check(t, os.Mkdir(filepath.Dir(path), 0o755))
			listener, err := net.Listen("unix", path)
			expect.Check(t, err)
			defer listener.Close()
			expect.Check(t, os.Chmod(path, c.mode))
			expect.Check(t, os.Chown(path, c.owner, int(c.group)))
			expect.Check(t, os.Chmod(filepath.Dir(path), c.dir))
			was, err := nsfs.At(path)
			expect.Check(t, err)
			got, err := reachable(a, map[string]nsfs.ID{path: was, path + "no": was})
			expect.Check(t, err)
			expect.Equal(t, "reachable", len(got) == 1, c.want)
			got, err = reachable(a, map[string]nsfs.ID{path: {Dev: was.Dev, Ino: was.Ino + 1}})
			expect.Check(t, err)
			expect.Equal(t, "one in its place", len(got), 0)
		})
	}
	st := new(unix.Stat_t)
	expect.Check(t, unix.Stat("/etc/shadow", st))
	fd, err := unix.Open("/etc/shadow", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Errorf("afterwards this thread is not root any more: %v", err)
	}
	unix.Close(fd)
}

func TestNobodyMaySignalAThreadThatLooksWithAUsersRights(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "setpriv", "bash")
	runtime.LockOSThread()
	groups, err := unix.Getgroups()
	expect.Check(t, err)
	a := &policy.Account{UID: nobody, GID: nobody}
	kill := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-c", fmt.Sprintf("kill -0 %d", unix.Gettid()))
	expect.Check(t, withRightsTo(a, func() {
		if fd, err := unix.Open("/etc/shadow", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
			unix.Close(fd)
			t.Error("it reads /etc/shadow")
		}
		if output, err := kill.CombinedOutput(); err == nil {
			t.Errorf("the user may: %s", output)
		}
	}))
	now, err := unix.Getgroups()
	expect.Check(t, err)
	expect.Equal(t, "groups afterwards", fmt.Sprint(now), fmt.Sprint(groups))
}
