// SPDX-License-Identifier: GPL-2.0-or-later

package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Version is an IP version, as /proc/sys/net names it.
type Version string

// The IP versions.
const (
	IPv4 Version = "ipv4"
	IPv6 Version = "ipv6"
)

// Forwarding switches IP forwarding on for the whole host, where it is off: an
// answer may come in on any interface, also one that is not there yet. That it is
// not to forward for others, then, is for a firewall to see to.
//
// What it changes, it notes first in a file, with the values before: a crash
// leaves nothing out.
type Forwarding struct {
	path    string
	before  []setting
	pending []setting
}

type setting struct{ key, value string }

// OpenForwarding reads the notes in a file, in a directory that is root's alone; no
// file means that nothing has been changed. The caller keeps others away from it.
func OpenForwarding(path string) (*Forwarding, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what was forwarded before: %w", err)
	}
	f := &Forwarding{path: path}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(key, "net/") || filepath.Clean(key) != key {
			return nil, fmt.Errorf("read what was forwarded before: %s has a line %q", path, line)
		}
		f.before = append(f.before, setting{key, value})
	}
	return f, nil
}

// Prepare notes what SwitchOn is going to change for an IP version. devices are
// those that do not count as the host's own.
func (f *Forwarding) Prepare(v Version, devices []string) error {
	all := v.key("all", "forwarding")
	on, err := Get(all)
	if err != nil || on != "0" {
		return err
	}
	entries, err := os.ReadDir("/proc/sys/" + filepath.Dir(filepath.Dir(all)))
	if err != nil {
		return err
	}
	var before []setting
	for _, entry := range entries {
		device := entry.Name()
		if device == "all" || slices.Contains(devices, device) {
			continue
		}
		// To be set again when the switch for all, which sets these, too, is undone.
		for _, key := range []string{v.key(device, "forwarding"), v.key(device, "force_forwarding")} {
			if value, err := Get(key); err == nil && value == "1" {
				before = append(before, setting{key, value})
			}
		}
		// A router believes no other router, unless it is told to.
		key := v.key(device, "accept_ra")
		if value, err := Get(key); err == nil && value == "1" && !slices.Contains(before, setting{v.key(device, "forwarding"), "1"}) {
			before = append(before, setting{key, value})
			f.pending = append(f.pending, setting{key, "2"})
		}
	}
	f.pending = append(f.pending, setting{all, "1"})
	return f.note(append(before, setting{all, "0"}))
}

// note adds to the file what is not there yet: the first value is the host's own.
func (f *Forwarding) note(settings []setting) error {
	for _, s := range settings {
		if !slices.ContainsFunc(f.before, func(b setting) bool { return b.key == s.key }) {
			f.before = append(f.before, s)
		}
	}
	var text strings.Builder
	for _, s := range f.before {
		fmt.Fprintf(&text, "%s %s\n", s.key, s.value)
	}
	err := os.WriteFile(f.path+".new", []byte(text.String()), 0o600)
	if err == nil {
		err = os.Rename(f.path+".new", f.path)
	}
	if err != nil {
		return fmt.Errorf("note what was forwarded before: %w", err)
	}
	return nil
}

// SwitchOn makes the changes.
func (f *Forwarding) SwitchOn() error {
	err := setAll(f.pending)
	f.pending = nil
	return err
}

// Switched tells whether the host does not forward this IP version but for
// SwitchOn, and which interfaces it forwards from all the same.
func (f *Forwarding) Switched(v Version) (switched bool, routers []string) {
	own := "forwarding"
	if v == IPv6 {
		own = "force_forwarding" // Linux 6.17; before that, interfaces alone did not forward IPv6
	}
	for _, s := range f.before {
		device := filepath.Base(filepath.Dir(s.key))
		switch s.key {
		case v.key("all", "forwarding"):
			switched = true
		case v.key(device, own):
			routers = append(routers, device)
		}
	}
	return switched, routers
}

// Changed describes what is not as it was before the first change.
func (f *Forwarding) Changed() []string {
	changed := []string{}
	for _, s := range f.before {
		if now, err := Get(s.key); err == nil && now != s.value {
			changed = append(changed, fmt.Sprintf("%s = %s, was %s", s.key, now, s.value))
		}
	}
	return changed
}

// Undo restores what there was before the first change.
func (f *Forwarding) Undo() error {
	before := slices.Clone(f.before)
	slices.SortStableFunc(before, func(a, b setting) int {
		return rank(a) - rank(b)
	})
	if err := setAll(before); err != nil {
		return err
	}
	return f.Forget()
}

// rank puts the switch for all interfaces first, since it sets theirs.
func rank(s setting) int {
	if strings.Contains(s.key, "/all/") {
		return 0
	}
	return 1
}

// Forget leaves everything as it is: it is the administrator's from now on.
func (f *Forwarding) Forget() error {
	f.before = nil
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget what was forwarded before: %w", err)
	}
	return nil
}

// setAll sets what is there, for interfaces come and go, and is not so already.
func setAll(settings []setting) error {
	for _, s := range settings {
		if value, err := Get(s.key); err == nil && value == s.value {
			continue
		}
		if err := Set(s.key, s.value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (v Version) key(device, name string) string {
	return fmt.Sprintf("net/%s/conf/%s/%s", v, device, name)
}
