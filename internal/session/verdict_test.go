// SPDX-License-Identifier: GPL-2.0-or-later

package session_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"libpam-net/internal/session"
	"libpam-net/test/expect"
)

// sent returns the one datagram that send sends, and the descriptors with it.
func sent(t *testing.T, send func(session.Socket) error) (message string, fds []int) {
	t.Helper()
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	expect.Check(t, err)
	expect.Check(t, send(session.Socket(sockets[0])))
	expect.Check(t, unix.Close(sockets[0]))

	data, control := make([]byte, 4096), make([]byte, 4096)
	n, controls, flags, _, err := unix.Recvmsg(sockets[1], data, control, unix.MSG_CMSG_CLOEXEC)
	expect.Check(t, err)
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		t.Fatalf("cut short: %#x", flags)
	}
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	expect.Check(t, err)
	for _, m := range messages {
		rights, err := unix.ParseUnixRights(&m)
		expect.Check(t, err)
		fds = append(fds, rights...)
	}
	if more, _, err := unix.Recvfrom(sockets[1], make([]byte, 1), 0); more != 0 || err != nil {
		t.Errorf("there is more than one: %v", err)
	}
	expect.Check(t, unix.Close(sockets[1]))
	return string(data[:n]), fds
}

// As pam/wire.h describes them.
func TestMessages(t *testing.T) {
	logf := func(p session.Priority, format string, args ...any) func(session.Socket) error {
		return func(s session.Socket) error {
			s.Logf(p, format, args...)
			return nil
		}
	}
	verdict := func(v session.Verdict) func(session.Socket) error {
		return func(s session.Socket) error { return s.Send(v) }
	}
	for _, c := range []struct {
		what string
		send func(session.Socket) error
		want string
	}{
		{"an error", logf(session.Error, "%s: %d", "a", 1), "L\x03a: 1"},
		{"a warning", logf(session.Warning, "ä"), "L\x04ä"},
		{"for debugging", logf(session.Debug, "x"), "L\x07x"},
		{"a line with nothing in it", logf(session.Debug, ""), "L\x07-"},
		{"refused", verdict(session.Verdict{Outcome: session.Refused, Text: "no"}), "VR\x00no"},
		{"refused without a reason", verdict(session.Verdict{Outcome: session.Refused}), "VR\x00-"},
		{"refused, with descriptors all the same", verdict(session.Verdict{Outcome: session.Refused, Text: "no", Net: 1}), "VR\x00no"},
	} {
		t.Run(c.what, func(t *testing.T) {
			got, fds := sent(t, c.send)
			if got != c.want || fds != nil {
				t.Errorf("%q with %d descriptors", got, len(fds))
			}
		})
	}
}

func TestAnIsolatedVerdictBringsItsDescriptors(t *testing.T) {
	var files []*os.File
	var fds []int
	for _, path := range []string{"/dev/null", "/dev/zero", "/", "/usr"} {
		f, err := os.Open(path)
		expect.Check(t, err)
		defer f.Close()
		files, fds = append(files, f), append(fds, int(f.Fd()))
	}
	for _, moved := range []bool{false, true} {
		message, arrived := sent(t, func(s session.Socket) error {
			return s.Send(session.Verdict{
				Outcome: session.Isolated, Text: "in", CwdMoved: moved,
				Net: fds[0], Mnt: fds[1], Root: fds[2], Cwd: fds[3],
			})
		})
		if want := map[bool]string{false: "VI\x00in", true: "VI\x01in"}[moved]; message != want {
			t.Errorf("%q", message)
		}
		if len(arrived) != len(files) {
			t.Fatalf("%d descriptors", len(arrived))
		}
		for i, fd := range arrived {
			f := os.NewFile(uintptr(fd), "")
			defer f.Close()
			was, err := files[i].Stat()
			expect.Check(t, err)
			is, err := f.Stat()
			expect.Check(t, err)
			if !os.SameFile(was, is) {
				t.Errorf("descriptor %d is not %s", i, files[i].Name())
			}
		}
	}
}

func TestALongTextIsCutBetweenCharacters(t *testing.T) {
	for _, character := range []string{"x", "ä", "日", "🖧"} {
		for shift := range 4 {
			text := strings.Repeat("-", shift) + strings.Repeat(character, 2000)
			for _, header := range []int{2, 3} {
				message, _ := sent(t, func(s session.Socket) error {
					if header == 3 {
						return s.Send(session.Verdict{Outcome: session.Refused, Text: text})
					}
					s.Logf(session.Error, "%s", text)
					return nil
				})
				cut, dots := strings.CutSuffix(message[header:], "...")
				if !dots || !utf8.ValidString(cut) || !strings.HasPrefix(text, cut) {
					t.Errorf("%q", message)
				}
				if n := len(message); n > 1024 || n <= 1024-len(character) {
					t.Errorf("%d bytes", n)
				}
			}
		}
	}
	exactly := strings.Repeat("x", 1021)
	if message, _ := sent(t, func(s session.Socket) error {
		return s.Send(session.Verdict{Outcome: session.Refused, Text: exactly})
	}); message != "VR\x00"+exactly {
		t.Errorf("what just fits has become %q", message)
	}
}

func TestNobodyListens(t *testing.T) {
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	expect.Check(t, err)
	expect.Check(t, unix.Close(sockets[1]))
	socket := session.Socket(sockets[0])
	socket.Logf(session.Error, "lost")
	if err := socket.Send(session.Verdict{Outcome: session.Refused}); !errors.Is(err, unix.EPIPE) {
		t.Errorf("send: %v", err) // and no SIGPIPE
	}
	expect.Check(t, unix.Close(sockets[0]))
}

func TestALoginProcessThatDoesNotReadHoldsUpNobody(t *testing.T) {
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	expect.Check(t, err)
	defer unix.Close(sockets[1])
	sent := make(chan struct{})
	go func() {
		for n := range 20000 {
			session.Socket(sockets[0]).Logf(session.Info, "line %d", n)
		}
		unix.Close(sockets[0])
		close(sent)
	}()
	expect.Eventually(t, "all lines are sent or lost", func() bool {
		select {
		case <-sent:
			return true
		default:
			return false
		}
	})
	got := 0
	for data := make([]byte, 4096); ; got++ {
		n, _, err := unix.Recvfrom(sockets[1], data, 0)
		expect.Check(t, err)
		if n == 0 {
			break
		}
	}
	if got < 1000 {
		t.Errorf("%d lines have been kept", got)
	}
}
