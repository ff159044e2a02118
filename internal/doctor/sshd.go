// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const (
	sshdConfig = "/etc/ssh/sshd_config"
	pamWord    = "usepam"
)

// checkSSHD finds an sshd that does not ask PAM.
func checkSSHD(e *examination) {
	if !e.exists("/usr/sbin/sshd") {
		return
	}
	place, value := e.sshdOption(sshdConfig, pamWord, nil)
	if e.Run != nil {
		// It knows best, but wants host keys.
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
	if place == "" {
		place = sshdConfig
	}
	e.found(Finding{
		Severity: Error, ID: "sshd-without-pam",
		What:        "sshd does not use PAM.",
		Evidence:    []string{place},
		Consequence: "No module is asked: members who log in over ssh are in the host's network.",
		Remedy:      "sed -i '1i UsePAM yes' " + sshdConfig + " && " + e.reload(),
	})
}

// reload has sshd read its configuration anew.
func (e *examination) reload() string {
	switch {
	case !e.exists("/run/systemd/system"):
		return "pkill -HUP -o -x sshd"
	case len(e.glob("/*/systemd/system/ssh.service")) > 0 || e.exists("/usr/lib/systemd/system/ssh.service"):
		return "systemctl reload ssh"
	default:
		return "systemctl reload sshd"
	}
}

// sshdOption returns the first value of an option in sshd_config and what that
// includes, in small letters, and where it stands. What is behind Match does not
// count: the option is not for such blocks.
func (e *examination) sshdOption(file, option string, open []string) (place, value string) {
	if slices.Contains(open, file) {
		return "", ""
	}
	open = append(open, file)
	number := 0
	for line := range strings.Lines(e.read(file)) {
		number++
		word, rest := splitOption(line)
		switch word {
		case option:
			return fmt.Sprintf("%s:%d", file, number), strings.ToLower(strings.Trim(rest, `"`))
		case "match":
			return "", ""
		case "include":
			for _, pattern := range strings.Fields(rest) {
				pattern = strings.Trim(pattern, `"`)
				if !strings.HasPrefix(pattern, "/") {
					pattern = path.Join("/etc/ssh", pattern)
				}
				for _, name := range e.glob(pattern) {
					if place, value := e.sshdOption(name, option, open); place != "" {
						return place, value
					}
				}
			}
		}
	}
	return "", ""
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
