// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"path"
	"slices"
	"strings"

	"libpam-net/internal/amend"
	"libpam-net/internal/pamstack"
	"libpam-net/internal/view"
)

const (
	sshdProgram = "/usr/sbin/sshd"
	sshdConfig  = "/etc/ssh/sshd_config"
	pamWord     = "usepam"
	pamService  = "pamservicename"
)

// sshd is a server of OpenSSH that runs, or that a unit starts.
type sshd struct {
	place   string // a file that tells of it
	service string // of PAM, "" for that of the configuration
	config  string
	usePAM  string // by the command line, "" if that says nothing
}

// sshds returns the servers of OpenSSH, the one with the usual configuration first, and each configuration once. A
// configuration where a user may change what the path leads to is passed over: that server has other mounts.
func (e *examination) sshds() []sshd {
	all := []sshd{}
	if e.exists(sshdProgram) {
		all = append(all, sshd{place: sshdConfig, config: sshdConfig})
	}
	var daemons []daemon
	for _, name := range []string{"/etc/default/ssh", "/etc/sysconfig/sshd"} {
		for line := range strings.Lines(e.read(name)) {
			if variable, value, found := strings.Cut(strings.TrimSpace(line), "="); found && (variable == "SSHD_OPTS" || variable == "OPTIONS") {
				daemons = append(daemons, daemon{name, sshdProgram, strings.Fields(strings.Trim(value, `"'`))})
			}
		}
	}
	for _, u := range e.units() {
		for _, s := range u.all("ExecStart") {
			if words := strings.Fields(strings.TrimLeft(s.value, "-+!:@")); len(words) > 0 {
				daemons = append(daemons, daemon{s.file, words[0], words})
			}
		}
	}
	daemons = append(daemons, e.daemons()...)
	slices.SortStableFunc(daemons, func(a, b daemon) int { return strings.Compare(a.place, b.place) })
	for _, d := range daemons {
		if s, ok := e.sshdOf(d); ok && view.CheckMask(e.Root, s.config) == nil && !slices.ContainsFunc(all, func(other sshd) bool {
			return other.config == s.config && other.usePAM == s.usePAM && other.service == s.service
		}) {
			all = append(all, s)
		}
	}
	return all
}

// sshdOf returns the server that a program is. A server that runs has its arguments in its title, in one word.
func (e *examination) sshdOf(d daemon) (s sshd, ok bool) {
	name := path.Base(d.program)
	if name != "sshd" && !strings.HasPrefix(name, "sshd-") || slices.Contains([]string{"sshd-session", "sshd-auth", "sshd-keygen"}, name) {
		return s, false
	}
	s = sshd{place: d.place, config: sshdConfig}
	if name != "sshd" && !slices.ContainsFunc([]string{"/usr/lib/openssh", "/usr/libexec/openssh", "/usr/libexec"}, func(dir string) bool {
		return e.exists(dir + "/sshd-session") // OpenSSH 9.8, which asks for "sshd" whatever its name is
	}) {
		s.service = name
	}
	words := strings.Fields(strings.Join(d.args, " "))
	if len(words) > 0 && words[0] == "sshd:" && !slices.Contains(words, "[listener]") {
		return s, false // it serves somebody
	}
	for i, word := range words {
		next := ""
		if i+1 < len(words) {
			next = strings.Trim(words[i+1], `"'`)
		}
		option := strings.Trim(strings.TrimPrefix(word, "-o"), `"'`)
		if word == "-o" {
			option = next
		}
		switch key, value := splitOption(option); {
		case word == "-f" && path.IsAbs(next):
			s.config = path.Clean(next)
		case !strings.HasPrefix(word, "-o"):
		case key == pamWord:
			s.usePAM = strings.ToLower(value)
		case key == pamService:
			s.service = value
		}
	}
	return s, true
}

// checkSSHD finds servers of OpenSSH that do not use PAM.
func checkSSHD(e *examination) {
	all := e.sshds()
	if len(all) == 0 {
		e.unknown(sshdWithoutPAM)
	}
	for _, s := range all {
		place, value := e.sshdOption(s.config, pamWord, nil)
		if e.Run != nil && s.config == sshdConfig {
			// sshd -T is exact, but needs host keys.
			if output, err := e.Run(sshdProgram, "-T"); err == nil {
				for line := range strings.Lines(output) {
					if word, v, _ := strings.Cut(strings.TrimSpace(line), " "); word == pamWord {
						value = v
					}
				}
			}
		}
		switch {
		case s.usePAM != "":
			if s.usePAM != "yes" {
				e.report(sshdArgument, Finding{Evidence: []string{s.place}}, "place", s.place)
			}
		case value != "yes" && (s.config == sshdConfig || e.exists(s.config)):
			e.reportSSHD(s, place)
		}
	}
}

// reportSSHD reports a configuration without UsePAM, or with "no" at a place.
func (e *examination) reportSSHD(s sshd, place pamstack.Place) {
	k := sshdOtherWithoutPAM
	if s.config == sshdConfig {
		k = sshdWithoutPAM
	}
	f := Finding{Evidence: []string{place.String()}, Diff: []Edit{{File: place.File, Lines: append(amend.Marked("- ", e.at(place)...), "+ UsePAM yes")}}}
	if place.File == "" {
		first, _, _ := strings.Cut(e.read(s.config), "\n")
		f = Finding{Evidence: []string{s.config}, Diff: []Edit{{File: s.config, Lines: []string{"+ UsePAM yes", "  " + first}}}}
	}
	if s.place != s.config {
		f.Evidence = append(f.Evidence, s.place)
	}
	e.report(k, f, "file", s.config)
}

// sshdServices returns the services that servers of OpenSSH ask for, apart from "sshd".
func (e *examination) sshdServices() (names []string) {
	for _, s := range e.sshds() {
		name := s.service
		if name == "" {
			_, name = e.sshdOption(s.config, pamService, nil)
		}
		if name != "" && name != "sshd" {
			names = append(names, strings.ToLower(name))
		}
	}
	return names
}

// sshdOption returns the first value of an option in sshd_config and the files that it includes, in lower
// case, and its place. Lines behind Match do not count: the option is not for such blocks.
func (e *examination) sshdOption(file, option string, open []string) (place pamstack.Place, value string) {
	if slices.Contains(open, file) {
		return place, ""
	}
	open = append(open, file)
	number := 0
	for line := range strings.Lines(e.read(file)) {
		number++
		word, rest := splitOption(line)
		switch word {
		case option:
			return pamstack.Place{File: file, Number: number, Last: number}, strings.ToLower(strings.Trim(rest, `"`))
		case "match":
			return place, ""
		case "include":
			for _, pattern := range strings.Fields(rest) {
				pattern = strings.Trim(pattern, `"`)
				if !strings.HasPrefix(pattern, "/") {
					pattern = path.Join("/etc/ssh", pattern)
				}
				for _, name := range e.glob(pattern) {
					if place, value := e.sshdOption(name, option, open); place.File != "" {
						return place, value
					}
				}
			}
		}
	}
	return place, ""
}

// splitOption splits "UsePAM yes" and "UsePAM = yes".
func splitOption(line string) (word, rest string) {
	line = strings.TrimSpace(line)
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		return strings.ToLower(line), ""
	}
	return strings.ToLower(line[:end]), strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line[end:]), "="))
}
