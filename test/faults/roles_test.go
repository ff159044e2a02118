// SPDX-License-Identifier: GPL-2.0-or-later

package faults

import (
	"maps"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/machine"
)

// startFamily starts inject on a machine, with the module testdata/family.c.
func startFamily(t *testing.T) *injector {
	t.Helper()
	module := filepath.Join(t.TempDir(), "family.so")
	gcc := exec.Command("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread",
		"-o", module, "testdata/family.c")
	if output, err := gcc.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", gcc, err, output)
	}
	m := machine.Start(t)
	const inside = "/run/sandbox/family.so"
	if err := m.Install(module, inside, 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := processors()
	if err != nil {
		t.Fatal(err)
	}
	i, err := startInject(m, list[0].number, inside, m.Olga.Name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.stop)
	return i
}

func TestACallIsThatOfTheProcessThatMakesIt(t *testing.T) {
	r, err := startFamily(t).do(request{reset: "-", job: recorded})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	for _, call := range r.Points {
		if name := callName(call.Number); name == "getpriority" || name == "execve" {
			got[call.Role+" "+name]++
		}
	}
	want := map[string]int{
		"parent getpriority": 1,
		"child getpriority":  2, // with its thread's
		"holder getpriority": 1, // without the program's
		"holder execve":      1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestCallsAreDisturbedUntilAProgramIsExecuted(t *testing.T) {
	i := startFamily(t)
	for _, c := range []struct {
		role   string
		number int
		nth    int
		hit    bool
		code   int
	}{
		{"holder", unix.SYS_GETPRIORITY, 1, true, pamAbort},
		{"holder", unix.SYS_GETPRIORITY, 2, false, pamIgnore}, // that is the program's
		{"holder", unix.SYS_EXECVE, 1, true, pamAbort},
		{"child", unix.SYS_GETPRIORITY, 2, true, pamAbort},
		{"child", unix.SYS_GETPRIORITY, 3, false, pamIgnore},
		{"child", unix.SYS_EXECVE, 1, false, pamIgnore},
	} {
		j := job{point: point{c.role, c.number, c.nth}, mode: mode{action: "kill", times: 1}}
		r, err := i.do(request{reset: "-", job: j})
		if err != nil {
			t.Fatal(err)
		}
		if r.Hit != c.hit || r.Report == nil || r.Report.Code != c.code {
			t.Errorf("kill at %v: hit %v, %+v", j.point, r.Hit, r.Report)
		}
	}
}
