// SPDX-License-Identifier: GPL-2.0-or-later

package session

import (
	"errors"
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

// Messages have the layout that pam/wire.h describes.
const (
	messageLog     = 'L'
	messageVerdict = 'V'
	messageMax     = 1024
)

// Socket is the child's end of the SOCK_SEQPACKET socket to the login process, which does all logging.
type Socket int

// queueMax is how many bytes of lines, as the kernel counts them, may be unread: some thousand lines.
const queueMax = 8 << 20

// Logf sends a line for the log. It never waits: a user may have stopped the login process,
// and other logins may be waiting for this process. A line that cannot be sent is lost.
func (s Socket) Logf(p Priority, format string, args ...any) {
	header, text := []byte{messageLog, byte(p)}, fmt.Sprintf(format, args...)
	if errors.Is(s.send(header, text, nil, unix.MSG_DONTWAIT), unix.EAGAIN) {
		_ = unix.SetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, queueMax/2) // the kernel doubles it
		_ = s.send(header, text, nil, unix.MSG_DONTWAIT)
	}
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
	return s.send(header, v.Text, rights, 0)
}

func (s Socket) send(header []byte, text string, rights []byte, flags int) error {
	if limit := messageMax - len(header); len(text) > limit {
		text = strings.ToValidUTF8(text[:limit-3], "") + "..."
	}
	if text == "" {
		text = "-"
	}
	return unix.Sendmsg(int(s), append(header, text...), rights, nil, unix.MSG_NOSIGNAL|flags)
}
