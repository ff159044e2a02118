// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"libpam-net/internal/state"
)

const forwardingFile = state.Dir + "/uplink.forwarding"

// forwarding switches IP forwarding on for the whole host where it is off, because replies
// may arrive on any interface, and on one that does not exist yet. The firewall must drop
// what is forwarded from one closed interface to another, see closed.
//
// The values before are written to a file before anything is changed, so undo works after a
// crash. The caller must hold uplinksLock.
type forwarding struct {
	path    string
	before  []setting // of the file
	pending []setting // what switchOn sets
}

// setting is a value of a kernel parameter.
type setting struct{ key, value string }

// openForwarding reads the file, in a directory that only root can write. Without a file
// nothing has been changed.
func openForwarding(path string) (*forwarding, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the parameters before: %w", err)
	}
	f := &forwarding{path: path}
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || !strings.HasPrefix(key, "net/") || filepath.Clean(key) != key {
			return nil, fmt.Errorf("read the parameters before: %s: not a parameter and its value: %q", path, line)
		}
		f.before = append(f.before, setting{key, value})
	}
	return f, nil
}

// prepare writes to the file what switchOn will change for an IP version, and what the kernel
// changes with it. devices are the uplinks' own.
func (f *forwarding) prepare(v version, devices []string) error {
	all := v.key("all", "forwarding")
	on, err := getParameter(all)
	if err != nil || on != "0" && !f.switched(v) {
		return err
	}
	entries, err := os.ReadDir("/proc/sys/" + filepath.Dir(filepath.Dir(all)))
	if err != nil {
		return err
	}
	var before []setting
	remember := func(keys ...string) {
		for _, key := range keys {
			if value, err := getParameter(key); err == nil {
				before = append(before, setting{key, value})
			}
		}
	}
	for _, entry := range entries {
		device := entry.Name()
		if device == "all" || slices.Contains(devices, device) {
			continue
		}
		// The switch for all sets these, too. Once it is on, a new interface has the kernel's
		// value, not the host's.
		if on == "0" {
			remember(v.key(device, "forwarding"), v.key(device, "force_forwarding"))
		}
		// With accept_ra at 1, an interface that forwards ignores router advertisements.
		key := v.key(device, "accept_ra")
		wasRouter := slices.Contains(slices.Concat(f.before, before), setting{v.key(device, "forwarding"), "1"})
		if value, err := getParameter(key); err == nil && value == "1" && !wasRouter {
			before = append(before, setting{key, value})
			f.pending = append(f.pending, setting{key, "2"})
		}
	}
	if on == "0" {
		remember(all)
		if v == ipv4 {
			remember(v.key("all", "accept_redirects")) // the kernel sets it to the opposite of the switch
		}
		f.pending = append(f.pending, setting{all, "1"})
	}
	if len(before) == 0 {
		return nil
	}
	return f.note(before)
}

// note adds settings to the file. A key that is there keeps its value, the host's own.
func (f *forwarding) note(settings []setting) error {
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
		return fmt.Errorf("write the parameters before: %w", err)
	}
	return nil
}

// switchOn changes what prepare has noted.
func (f *forwarding) switchOn() error {
	err := setParameters(f.pending)
	f.pending = nil
	return err
}

// switched tells whether the host forwards an IP version only because of switchOn.
func (f *forwarding) switched(v version) bool {
	return slices.ContainsFunc(f.before, func(s setting) bool { return s.key == v.key("all", "forwarding") })
}

// closed returns the interfaces that did not forward an IP version before switchOn. Interfaces
// that have come since are others': who has made them may rely on forwarding.
func (f *forwarding) closed(v version) (devices []string) {
	for _, s := range f.before {
		// For IPv6 an interface by itself forwards with force_forwarding (Linux 6.17) only.
		device := filepath.Base(filepath.Dir(s.key))
		if s.key == v.key(device, "forwarding") && device != "all" && device != "default" && (v == ipv6 || s.value == "0") &&
			!slices.Contains(f.before, setting{v.key(device, "force_forwarding"), "1"}) {
			devices = append(devices, device)
		}
	}
	return devices
}

// knows tells whether an interface was there at the time of switchOn, or nothing was switched.
func (f *forwarding) knows(device string) bool {
	return !f.switched(ipv4) && !f.switched(ipv6) || slices.ContainsFunc(f.before, func(s setting) bool { return filepath.Base(filepath.Dir(s.key)) == device })
}

// changed returns the parameters that differ from before, but for the switches of single
// interfaces, which follow the one for all.
func (f *forwarding) changed() []string {
	changed := []string{}
	for _, s := range f.before {
		now, err := getParameter(s.key)
		if err == nil && now != s.value && (strings.Contains(s.key, "/all/") || !strings.HasSuffix(s.key, "forwarding")) {
			changed = append(changed, fmt.Sprintf("%s = %s, was %s", s.key, now, s.value))
		}
	}
	return changed
}

// deaf returns the interfaces that ignore router advertisements, because accept_ra was set back
// to 1 after switchOn.
func (f *forwarding) deaf() (devices []string) {
	for _, s := range f.before {
		device := filepath.Base(filepath.Dir(s.key))
		if now, err := getParameter(s.key); err == nil && now == s.value && s.key == ipv6.key(device, "accept_ra") && device != "default" {
			devices = append(devices, device)
		}
	}
	return devices
}

// undo restores the values of the file and removes it. The switches for all come first,
// because they set those of the interfaces.
func (f *forwarding) undo() error {
	for _, all := range []bool{true, false} {
		rest := slices.DeleteFunc(slices.Clone(f.before), func(s setting) bool { return strings.Contains(s.key, "/all/") != all })
		if err := setParameters(rest); err != nil {
			return err
		}
	}
	return f.forget()
}

// forget removes the file: the values of now are the administrator's.
func (f *forwarding) forget() error {
	f.before = nil
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the parameters before: %w", err)
	}
	return nil
}
