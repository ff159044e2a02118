// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	_, err = private.Sh(`for f in /proc/sys/net/ipv[46]/conf/*/accept_redirects; do echo 0 >$f; done`) // a hardened host
	expect.Check(t, err)
	before := parameters(t)
	notes := filepath.Join(t.TempDir(), "notes")

	f := open(t, notes)
	for _, v := range []version{ipv4, ipv6} {
		expect.Check(t, f.prepare(v, []string{"lo"}))
	}
	if !slices.Equal(parameters(t), before) {
		t.Error("prepare has changed something")
	}
	expect.Check(t, f.switchOn())
	for key, want := range map[string]string{
		"net/ipv4/conf/all/forwarding":    "1",
		"net/ipv6/conf/all/forwarding":    "1",
		"net/ipv6/conf/host/accept_ra":    "2",
		"net/ipv6/conf/default/accept_ra": "2",
		"net/ipv6/conf/router/accept_ra":  "1", // it was a router before
		"net/ipv6/conf/lo/accept_ra":      "1", // not the host's own, it was said
	} {
		if got, err := getParameter(key); err != nil || got != want {
			t.Errorf("%s = %s, not %s: %v", key, got, want, err)
		}
	}

	f = open(t, notes) // as the next process finds it
	if closed := f.closed(ipv4); !f.switched(ipv4) || !slices.Contains(closed, "host") || slices.Contains(closed, "router") {
		t.Errorf("IPv4: %v, %v", f.before, closed)
	}
	if closed := f.closed(ipv6); !f.switched(ipv6) || !slices.Contains(closed, "host") || !slices.Contains(closed, "router") {
		t.Errorf("IPv6: %v, %v", f.before, closed)
	}
	// Somebody switches it off; again on, what is noted is still what was first.
	expect.Check(t, setParameter("net/ipv4/conf/all/forwarding", "0"))
	expect.Check(t, f.prepare(ipv4, nil))
	expect.Check(t, f.switchOn())
	_, err = private.Sh("ip link add late type veth peer name later")
	expect.Check(t, err)
	_, err = private.Sh("ip link del late")
	expect.Check(t, err)

	expect.Check(t, open(t, notes).undo())
	for _, line := range parameters(t) {
		if !slices.Contains(before, line) {
			t.Errorf("not as before: %s", line)
		}
	}
	if _, err := os.Stat(notes); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the notes are still there: %v", err)
	}
	if open(t, notes).switched(ipv4) {
		t.Error("is said to be switched on")
	}
}

func TestForgottenForwardingStays(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	notes := filepath.Join(t.TempDir(), "notes")
	f := open(t, notes)
	expect.Check(t, errors.Join(f.prepare(ipv4, nil), f.switchOn(), f.forget(), f.forget()))
	if open(t, notes).switched(ipv4) {
		t.Error("is said to be switched on")
	}
	if now, err := getParameter("net/ipv4/conf/all/forwarding"); err != nil || now != "1" {
		t.Errorf("is %s: %v", now, err)
	}
}

func TestWhereForwardingIsOnNothingIsNoted(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	expect.Check(t, setParameter("net/ipv4/conf/all/forwarding", "1"))
	notes := filepath.Join(t.TempDir(), "notes")
	f := open(t, notes)
	expect.Check(t, errors.Join(f.prepare(ipv4, nil), f.switchOn()))
	if f.switched(ipv4) {
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
		if _, err := openForwarding(notes); err == nil {
			t.Errorf("%q is taken for notes", text)
		}
	}
	if _, err := openForwarding(t.TempDir()); err == nil {
		t.Error("a directory is taken for notes")
	}
}

func TestParametersThatAreNotThere(t *testing.T) {
	if _, err := getParameter("net/ipv4/conf/nosuch/forwarding"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get: %v", err)
	}
	if err := setParameter("net/ipv4/conf/nosuch/forwarding", "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("set: %v", err)
	}
	if err := setLinkParameters(plan{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of the link: %v", err)
	}
}

func open(t *testing.T, notes string) *forwarding {
	t.Helper()
	f, err := openForwarding(notes)
	expect.Check(t, err)
	return f
}

// parameters returns the parameters of all interfaces.
func parameters(t *testing.T) []string {
	t.Helper()
	out, err := private.Sh("grep -rs . /proc/sys/net/ipv[46]/conf | grep -v stable_secret")
	expect.Check(t, err)
	return strings.Split(out, "\n")
}
