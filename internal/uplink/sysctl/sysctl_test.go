// SPDX-License-Identifier: GPL-2.0-or-later

package sysctl_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"libpam-net/internal/uplink/sysctl"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestForwardingIsUndone(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh(`
		ip link add router type veth peer name host
		echo 1 >/proc/sys/net/ipv4/conf/router/forwarding
		echo 1 >/proc/sys/net/ipv6/conf/router/forwarding`)
	expect.Check(t, err)
	before := parameters(t)
	notes := filepath.Join(t.TempDir(), "notes")

	f := open(t, notes)
	for _, v := range []sysctl.Version{sysctl.IPv4, sysctl.IPv6} {
		expect.Check(t, f.Prepare(v, []string{"lo"}))
	}
	if !slices.Equal(parameters(t), before) {
		t.Error("Prepare has changed something")
	}
	expect.Check(t, f.SwitchOn())
	for key, want := range map[string]string{
		"net/ipv4/conf/all/forwarding":    "1",
		"net/ipv6/conf/all/forwarding":    "1",
		"net/ipv6/conf/host/accept_ra":    "2",
		"net/ipv6/conf/default/accept_ra": "2",
		"net/ipv6/conf/router/accept_ra":  "1", // it was a router before
		"net/ipv6/conf/lo/accept_ra":      "1", // not the host's own, it was said
	} {
		if got, err := sysctl.Get(key); err != nil || got != want {
			t.Errorf("%s = %s, not %s: %v", key, got, want, err)
		}
	}

	f = open(t, notes) // as the next process finds it
	on, routers := f.Switched(sysctl.IPv4)
	if !on || !slices.Equal(routers, []string{"router"}) {
		t.Errorf("IPv4: %v, %v", on, routers)
	}
	if on, routers = f.Switched(sysctl.IPv6); !on || len(routers) > 0 {
		t.Errorf("IPv6: %v, %v", on, routers)
	}
	// Somebody switches it off; again on, what is noted is still what was first.
	expect.Check(t, sysctl.Set("net/ipv4/conf/all/forwarding", "0"))
	expect.Check(t, f.Prepare(sysctl.IPv4, nil))
	expect.Check(t, f.SwitchOn())
	_, err = private.Sh("ip link add late type veth peer name later")
	expect.Check(t, err)
	_, err = private.Sh("ip link del late")
	expect.Check(t, err)

	expect.Check(t, open(t, notes).Undo())
	if now := parameters(t); !slices.Equal(now, before) {
		t.Errorf("undone, there is\n%s\nand before there was\n%s", strings.Join(now, "\n"), strings.Join(before, "\n"))
	}
	if _, err := os.Stat(notes); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the notes are still there: %v", err)
	}
	if on, _ := open(t, notes).Switched(sysctl.IPv4); on {
		t.Error("is said to be switched on")
	}
}

func TestForgottenForwardingStays(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	notes := filepath.Join(t.TempDir(), "notes")
	f := open(t, notes)
	expect.Check(t, errors.Join(f.Prepare(sysctl.IPv4, nil), f.SwitchOn(), f.Forget(), f.Forget()))
	if on, _ := open(t, notes).Switched(sysctl.IPv4); on {
		t.Error("is said to be switched on")
	}
	if now, err := sysctl.Get("net/ipv4/conf/all/forwarding"); err != nil || now != "1" {
		t.Errorf("is %s: %v", now, err)
	}
}

func TestWhereForwardingIsOnNothingIsNoted(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	expect.Check(t, sysctl.Set("net/ipv4/conf/all/forwarding", "1"))
	notes := filepath.Join(t.TempDir(), "notes")
	f := open(t, notes)
	expect.Check(t, errors.Join(f.Prepare(sysctl.IPv4, nil), f.SwitchOn()))
	if on, _ := f.Switched(sysctl.IPv4); on {
		t.Error("is said to be switched on")
	}
	if _, err := os.Stat(notes); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there are notes: %v", err)
	}
}

func TestNotesThatAreNone(t *testing.T) {
	for _, text := range []string{"x\n", "net/ipv4/conf/all/forwarding\n", "kernel/core_pattern x\n", "net/../kernel/core_pattern x\n", "/net/x 1\n"} {
		notes := filepath.Join(t.TempDir(), "notes")
		expect.Check(t, os.WriteFile(notes, []byte(text), 0o600))
		if _, err := sysctl.OpenForwarding(notes); err == nil {
			t.Errorf("%q is taken for notes", text)
		}
	}
	if _, err := sysctl.OpenForwarding(t.TempDir()); err == nil {
		t.Error("a directory is taken for notes")
	}
}

func TestParametersThatAreNotThere(t *testing.T) {
	if _, err := sysctl.Get("net/ipv4/conf/nosuch/forwarding"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get: %v", err)
	}
	if err := sysctl.Set("net/ipv4/conf/nosuch/forwarding", "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Set: %v", err)
	}
	if err := sysctl.Link("nosuch", true, true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Link: %v", err)
	}
}

func open(t *testing.T, notes string) *sysctl.Forwarding {
	t.Helper()
	f, err := sysctl.OpenForwarding(notes)
	expect.Check(t, err)
	return f
}

// parameters are all that forwarding may change.
func parameters(t *testing.T) []string {
	t.Helper()
	out, err := private.Sh("grep -H . /proc/sys/net/ipv[46]/conf/*/*forwarding /proc/sys/net/ipv6/conf/*/accept_ra")
	expect.Check(t, err)
	return slices.DeleteFunc(strings.Split(out, "\n"), func(line string) bool { return strings.Contains(line, "mc_forwarding") })
}
