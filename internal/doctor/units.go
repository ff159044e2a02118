// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"libpam-net/internal/session"
)

// unitDirs are the directories of systemd's units. A file in an earlier one overrides one in a later one.
var unitDirs = []string{
	"/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator", "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system", "/lib/systemd/system",
}

// unit has the settings of section Service of a unit and its drop-ins, in their order.
type unit struct {
	name     string // "ssh.service"
	file     string
	settings []setting
}

type setting struct{ name, value, file string }

// units returns the services of systemd by their files. It reads them once.
func (e *examination) units() map[string]*unit {
	if e.systemd == nil {
		e.systemd = e.readUnits()
	}
	return e.systemd
}

func (e *examination) readUnits() map[string]*unit {
	units := map[string]*unit{}
	extensions := map[string]map[string]string{} // files by unit and name: one of the same name overrides
	for _, dir := range unitDirs {
		for _, file := range e.glob(dir + "/*.service") {
			if name := path.Base(file); units[name] == nil {
				units[name] = &unit{name: name, file: file}
			}
		}
		for _, file := range append(e.glob(dir+"/service.d/*.conf"), e.glob(dir+"/*.service.d/*.conf")...) {
			name := strings.TrimSuffix(path.Base(path.Dir(file)), ".d")
			if extensions[name] == nil {
				extensions[name] = map[string]string{}
			}
			if extensions[name][path.Base(file)] == "" {
				extensions[name][path.Base(file)] = file
			}
		}
	}
	for name, u := range units {
		if target, err := os.Readlink(e.path(u.file)); err == nil && path.Base(target) != name {
			continue // another name of a unit, or /dev/null
		}
		files := []string{u.file}
		own := maps.Clone(extensions["service"]) // those of all services
		if own == nil {
			own = map[string]string{}
		}
		maps.Copy(own, extensions[name])
		for _, extension := range slices.Sorted(maps.Keys(own)) {
			files = append(files, own[extension])
		}
		for _, file := range files {
			u.settings = append(u.settings, settingsOf(file, e.read(file))...)
		}
	}
	return units
}

// settingsOf parses a unit's file.
func settingsOf(file, text string) (settings []setting) {
	section := ""
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		name, value, found := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "["):
			section = line
		case found && section == "[Service]" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";"):
			settings = append(settings, setting{strings.TrimSpace(name), strings.TrimSpace(value), file})
		}
	}
	return settings
}

// all returns the values of a setting since the last empty one, which resets it.
func (u *unit) all(name string) (values []setting) {
	for _, s := range u.settings {
		switch {
		case s.name != name:
		case s.value == "":
			values = nil
		default:
			values = append(values, s)
		}
	}
	return values
}

// written returns the values of a setting as they are written, with empty ones.
func (u *unit) written(name string) (values []string) {
	for _, s := range u.settings {
		if s.name == name {
			values = append(values, s.value)
		}
	}
	return values
}

// places returns the files that have a setting.
func (u *unit) places(name string) (files []string) {
	for _, s := range u.settings {
		if s.name == name && !slices.Contains(files, s.file) {
			files = append(files, s.file)
		}
	}
	return files
}

// unitServices returns the services that systemd asks for when it starts a unit.
func (e *examination) unitServices() (names []string) {
	for _, u := range e.units() {
		for _, s := range u.all("PAMName") {
			names = append(names, strings.ToLower(s.value))
		}
	}
	return names
}

// checkUnits finds units that are started at boot, and run as a member without a session or a network of their own.
func checkUnits(e *examination) {
	for _, link := range e.glob("/etc/systemd/system/*.wants/*.service") {
		name := path.Base(link)
		u, instance := e.units()[name], ""
		if template, rest, found := strings.Cut(name, "@"); u == nil && found {
			u, instance = e.units()[template+"@.service"], strings.TrimSuffix(rest, ".service")
		}
		if u == nil {
			continue
		}
		user := strings.NewReplacer("%i", instance, "%I", instance).Replace(u.last("User"))
		isolated := u.last("PAMName") != "" || u.last("NetworkNamespacePath") != "" || slices.Contains([]string{"yes", "true", "on", "1"}, u.last("PrivateNetwork"))
		if !isolated && slices.ContainsFunc(e.users, func(a session.Answer) bool { return a.User == user && a.UID != 0 }) {
			e.report(unitOutside, Finding{Evidence: []string{u.file}}, "unit", name, "user", user)
		}
	}
}

// last returns the value of a setting that counts once, "" if there is none.
func (u *unit) last(name string) string {
	values := u.written(name)
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}
