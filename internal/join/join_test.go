// SPDX-License-Identifier: GPL-2.0-or-later

package join

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/internal/sessions"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// networkChild is argv[0] of this program as a child that calls Network with its first inherited descriptor.
const networkChild = "join-network"

func TestMain(m *testing.M) {
	if os.Args[0] == networkChild {
		fmt.Println(Network(3, os.Args[1:], os.Environ()))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// sessionOf starts a process of a user's in network and mount namespaces of its own, and returns its PID.
func sessionOf(t *testing.T, uid uint32) int {
	t.Helper()
	cmd := exec.Command("setpriv", "--reuid", fmt.Sprint(uid), "--clear-groups", "sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	expect.Check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	expect.Eventually(t, "it is the user's", func() bool {
		name, err := os.ReadFile(nsfs.Path(cmd.Process.Pid, "comm"))
		return err == nil && string(name) == "sleep\n"
	})
	return cmd.Process.Pid
}

// namespaces returns the namespaces of a process, "self" or a PID.
func namespaces(t *testing.T, process string, kinds ...string) (names string) {
	t.Helper()
	for _, kind := range kinds {
		name, err := os.Readlink("/proc/" + process + "/ns/" + kind)
		expect.Check(t, err)
		names += name + "\n"
	}
	return names
}

func TestNetworkKeepsTheMachinesFiles(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "setpriv")
	pid := strconv.Itoa(sessionOf(t, nobody.UID))
	network, err := os.Open("/proc/" + pid + "/ns/net")
	expect.Check(t, err)
	defer network.Close()
	enter := func(command ...string) (string, error) {
		output, err := (&exec.Cmd{
			Path: "/proc/self/exe", Args: append([]string{networkChild}, command...), Env: os.Environ(), ExtraFiles: []*os.File{network},
		}).Output()
		return string(output), err
	}
	output, err := enter("sh", "-c", "readlink /proc/self/ns/net /proc/self/ns/mnt; id -u")
	expect.Check(t, err)
	expect.Equal(t, "namespaces and user", output, namespaces(t, pid, "net")+namespaces(t, "self", "mnt")+"0\n")
	output, err = enter("/nosuch")
	if err == nil || !strings.Contains(output, `run exec: "/nosuch"`) {
		t.Errorf("%v: %s", err, output)
	}
}

func TestSessionRunsAsItsUser(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "setpriv")
	pid := strconv.Itoa(sessionOf(t, nobody.UID))
	output, err := os.CreateTemp(t.TempDir(), "")
	expect.Check(t, err)
	defer output.Close()
	stdout := os.Stdout
	os.Stdout = output
	defer func() { os.Stdout = stdout }()
	os.Clearenv()
	for key, value := range map[string]string{"SECRET": "root", "PATH": "/nosuch", "HOME": "/root", "LC_TIME": "C", "LANG": "C", "TERM": "dumb"} {
		t.Setenv(key, value)
	}
	code := make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked
		place, _, err := sessions.Find(pid)
		if err == nil {
			var got int
			got, err = Session(place, nobody, []string{"sh", "-c", "readlink /proc/self/ns/net /proc/self/ns/mnt; id -u; env | grep -v PWD= | sort; exit 7"})
			place.Close()
			if err == nil {
				code <- got
				return
			}
		}
		t.Error(err)
		code <- -1
	}()
	expect.Equal(t, "exit code", <-code, 7)
	_, err = output.Seek(0, io.SeekStart)
	expect.Check(t, err)
	text, err := io.ReadAll(output)
	expect.Check(t, err)
	expect.Equal(t, "what it sees", string(text), namespaces(t, pid, "net", "mnt")+
		"65534\nHOME=/nosuch\nLANG=C\nLC_TIME=C\nLOGNAME=nobody\nPATH=/usr/local/bin:/usr/bin:/bin\nSHELL=/bin/sh\nTERM=dumb\nUSER=nobody\n")
}
