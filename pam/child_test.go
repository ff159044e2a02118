// SPDX-License-Identifier: GPL-2.0-or-later

package pam_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// With Go in it the child is looked at in test/shim.
func TestTheChildUpToTheCoreOrTheLookup(t *testing.T) {
	const want = " 0 1 2 3 0 1 0 022 GOMAXPROCS=1 GOGC=off GODEBUG=asyncpreemptoff=1"
	underEachTool(t, func(t *testing.T, flags, front []string) {
		dir := t.TempDir()
		expect.Check(t, os.WriteFile(dir+"/_cgo_export.h", []byte("void pamnetCore(struct request *r);\n"), 0o600))
		compile(t, dir+"/child", append(flags, "-I"+dir, "testdata/child.c", "child.c", "child_detach.c", "child_go.c", "wire.c", "reason.c", "-Wl,--wrap=pthread_getattr_np")...)
		for user, want := range map[string]string{"member": "core" + want, "unknown": "lookup" + want} {
			for _, closed := range []string{"", "0", "0 1 2", "3", "2 3 4 5"} {
				command := append(append(front, dir+"/child", user), strings.Fields(closed)...)
				if got := output(t, exec.Command(command[0], command[1:]...)); got != want {
					t.Errorf("%s, with %q closed: %q", user, closed, got)
				}
			}
		}
	})
}
