// SPDX-License-Identifier: GPL-2.0-or-later

package session

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Priority is one of syslog(3)'s.
type Priority byte

// The priorities in use.
const (
	Error   Priority = 3
	Warning Priority = 4
	Info    Priority = 6
	Debug   Priority = 7
)

// Outcome is the decision of a verdict.
type Outcome byte

// The outcomes.
const (
	Isolated Outcome = 'I'
	Refused  Outcome = 'R'
)

// Messages have the layout that pam/verdict.h describes.
const (
	messageLog     = 'L'
	messageVerdict = 'V'
	messageMax     = 1024
)

// Socket is the child's end of the SOCK_SEQPACKET socket to the login process, which does all logging.
type Socket int

// Logf sends a line for the log. A line that cannot be sent is lost: only the verdict counts.
func (s Socket) Logf(p Priority, format string, args ...any) {
	_ = s.send([]byte{messageLog, byte(p)}, fmt.Sprintf(format, args...), nil)
}

// Verdict is the last message of the child.
type Verdict struct {
	Outcome  Outcome
	Text     string // the log line of an isolated session, or the reason of a refusal
	CwdMoved bool   // see mount.Namespace

	// Of an isolated session: descriptors of its namespaces, its "/" and its ".".
	Net, Mnt, Root, Cwd int
}

// Send sends the verdict.
func (s Socket) Send(v Verdict) error {
	header := []byte{messageVerdict, byte(v.Outcome), 0}
	if v.CwdMoved {
		header[2] = 1
	}
	var rights []byte
	if v.Outcome == Isolated {
		rights = unix.UnixRights(v.Net, v.Mnt, v.Root, v.Cwd)
	}
	return s.send(header, v.Text, rights)
}

func (s Socket) send(header []byte, text string, rights []byte) error {
	if limit := messageMax - len(header); len(text) > limit {
		text = strings.ToValidUTF8(text[:limit-3], "") + "..."
	}
	if text == "" {
		text = "-"
	}
	return unix.Sendmsg(int(s), append(header, text...), rights, nil, unix.MSG_NOSIGNAL)
}
