// SPDX-License-Identifier: GPL-2.0-or-later

package trial

/*
#cgo CFLAGS: -std=gnu11 -Wall -Wextra -Wshadow -Wformat=2

#include "syslog.h"
*/
import "C"

import (
	"log/syslog"
	"regexp"
)

// Line is a line that a module has logged.
type Line struct {
	Priority int    `json:"priority"` // of syslog(3)
	Module   string `json:"module"`   // "pam_usernet", "" if it is not by pam_syslog(3)
	Text     string `json:"text"`
}

// prefix matches a line of pam_syslog(3): the module and its service, and the text.
var prefix = regexp.MustCompile(`(?s)^(\w+)\([^)]*\): ?(.*)$`)

// newLine splits a line.
func newLine(priority int, text string) Line {
	l := Line{Priority: priority & 7, Text: text} // without the facility
	if m := prefix.FindStringSubmatch(text); m != nil {
		l.Module, l.Text = m[1], m[2]
	}
	return l
}

// failed tells whether the line reports an error.
func (l Line) failed() bool { return l.Priority <= int(syslog.LOG_ERR) }

// logged returns the lines of this process so far.
func logged() []Line {
	all := []Line{} // [] in JSON
	for {
		line := C.logged(C.size_t(len(all)))
		if line == nil {
			return all
		}
		all = append(all, newLine(int(line.priority), C.GoString(line.text)))
	}
}
