// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"path"
	"slices"
	"strings"

	"libpam-net/internal/pamstack"
)

const (
	sshdConfig = "/etc/ssh/sshd_config"
	pamWord    = "usepam"
)

// checkSSHD finds an sshd that does not use PAM.
func checkSSHD(e *examination) {
	if !e.exists("/usr/sbin/sshd") {
		e.unknown(sshdWithoutPAM)
		return
	}
	place, value := e.sshdOption(sshdConfig, pamWord, nil)
	if e.Run != nil {
		// sshd -T is exact, but needs host keys.
		if output, err := e.Run("/usr/sbin/sshd", "-T"); err == nil {
			for line := range strings.Lines(output) {
				if word, v, _ := strings.Cut(strings.TrimSpace(line), " "); word == pamWord {
					value = v
				}
			}
		}
	}
	if value == "yes" {
		return
	}
	if place.File == "" {
		first, _, _ := strings.Cut(e.read(sshdConfig), "\n")
		e.report(sshdWithoutPAM, Finding{Evidence: []string{sshdConfig}, Diff: []Edit{{sshdConfig, []string{"+ UsePAM yes", "  " + first}}}})
		return
	}
	diff := []Edit{{place.File, append(marked("- ", e.at(place)...), "+ UsePAM yes")}}
	e.report(sshdWithoutPAM, Finding{Evidence: []string{place.String()}, Diff: diff})
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
