package sandbox

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// logPath is where process 1 keeps the system log: a line "<severity> <message>" for each record, the time left out.
const logPath = "/run/sandbox/log"

var severities = [8]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}

// startLog makes /dev/log and serves it as long as process 1 lives.
func startLog() error {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/dev/log", Net: "unixgram"})
	if err != nil {
		return err
	}
	if err := os.Chmod("/dev/log", 0o666); err != nil {
		return err
	}
	file, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	go func() {
		record := make([]byte, 64<<10)
		for {
			n, err := socket.Read(record)
			if err == nil {
				_, err = fmt.Fprintln(file, logLine(string(record[:n])))
			}
			if err != nil {
				panic(err)
			}
		}
	}()
	return nil
}

// logLine turns a record as syslog(3) sends it, "<38>Jan  2 15:04:05 sshd[7]: hello", into "info sshd[7]: hello".
func logLine(record string) string {
	severity := "notice"
	if number, message, ok := strings.Cut(record, ">"); ok && strings.HasPrefix(number, "<") {
		if priority, err := strconv.ParseUint(number[1:], 10, 16); err == nil {
			severity, record = severities[priority%8], message
		}
	}
	if len(record) > len(time.Stamp) {
		if _, err := time.Parse(time.Stamp, record[:len(time.Stamp)]); err == nil {
			record = record[len(time.Stamp)+1:]
		}
	}
	return severity + " " + strings.ReplaceAll(strings.TrimRight(record, "\n\x00"), "\n", `\n`)
}

// Log returns the system log so far: a line "<severity> <message>" for each record, like
// "info sshd[7]: Accepted publickey for alice".
func (s *Sandbox) Log() (string, error) {
	return s.ReadFile(logPath)
}

// WaitLog waits until a line of the log contains substring, and returns that line.
func (s *Sandbox) WaitLog(ctx context.Context, substring string) (string, error) {
	var found string
	err := poll(ctx, func() (bool, error) {
		log, err := s.Log()
		for line := range strings.Lines(log) {
			// A line without its end is still being written.
			if strings.Contains(line, substring) && strings.HasSuffix(line, "\n") {
				found = strings.TrimSuffix(line, "\n")
				return true, nil
			}
		}
		return false, err
	})
	if err != nil {
		return "", fmt.Errorf("wait for %q in the log of the sandbox: %w", substring, err)
	}
	return found, nil
}

// poll calls done until it returns true or fails, or the context ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
