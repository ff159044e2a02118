// SPDX-License-Identifier: GPL-2.0-or-later

package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// hasJournal returns whether systemd keeps a journal on this machine.
func hasJournal() bool {
	for _, dir := range []string{"/var/log/journal", "/run/log/journal"} {
		if files, _ := filepath.Glob(dir + "/*/*.journal"); len(files) > 0 { // the pattern is sound
			_, err := exec.LookPath("journalctl")
			return err == nil
		}
	}
	return false
}

// matches choose the lines of pam_syslog(3) that root has written, and those of set-uid programs, which have the user
// ID of the user who runs them. Every user can name a process like one of them.
var matches = []string{
	"_TRANSPORT=syslog", "SYSLOG_FACILITY=10", "_UID=0",
	"+",
	"_TRANSPORT=syslog", "SYSLOG_FACILITY=10",
	"_COMM=su", "_COMM=sudo", "_COMM=doas", "_COMM=pkexec", "_COMM=polkit-agent-he",
}

func readJournal(ctx context.Context, q Query) ([]Line, error) {
	args := []string{
		"--quiet", "--no-pager", "--all", "--output=json", "--output-fields=MESSAGE,_PID,_UID",
		fmt.Sprintf("--since=@%d", q.Since.Unix()), fmt.Sprintf("--lines=%d", q.Most),
	}
	if q.Refusals {
		args = append(args, "--priority=err")
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(ctx, "journalctl", append(args, matches...)...)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	output, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("run journalctl: %w", err)
	}
	lines, err := parseJournal(output, q)
	if err != nil {
		stop()
	}
	if failed := cmd.Wait(); err == nil && failed != nil {
		err = fmt.Errorf("%w: %s", failed, strings.TrimSpace(complaint.String()))
	}
	if err != nil {
		return lines, fmt.Errorf("read the journal: journalctl: %w", err)
	}
	return lines, nil
}

// record is an entry of the journal. Clients cannot send fields that begin with "_".
type record struct {
	Time    string `json:"__REALTIME_TIMESTAMP"` // µs
	Message text   `json:"MESSAGE"`
	PID     string `json:"_PID"`
	UID     string `json:"_UID"`
}

// text is a field that journalctl prints as a list of bytes if it is not UTF-8, or has control characters.
type text string

func (t *text) UnmarshalJSON(data []byte) error {
	var bytes []int
	if json.Unmarshal(data, &bytes) == nil {
		var b strings.Builder
		for _, c := range bytes {
			b.WriteByte(byte(c))
		}
		*t = text(b.String())
		return nil
	}
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
	}
	return nil // something else is no line of a module
}

// parseJournal parses what journalctl prints.
func parseJournal(output io.Reader, q Query) ([]Line, error) {
	c := collector{Query: q}
	for d := json.NewDecoder(output); ; {
		var r record
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return c.newest(), nil
		} else if err != nil {
			return c.newest(), err
		}
		l, ok := parse(string(r.Message), r.PID)
		if !ok {
			continue
		}
		µs, err := strconv.ParseInt(r.Time, 10, 64)
		if err != nil {
			return c.newest(), err
		}
		l.Time, l.Proven = time.UnixMicro(µs), r.UID == "0"
		c.add(l)
	}
}
