// SPDX-License-Identifier: GPL-2.0-or-later

package journal

import (
	"bufio"
	"cmp"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// files are the log files that have what is logged at logins: of Debian, of Fedora, and of other syslog daemons. A
// daemon that writes to one of them writes these lines to none of the later ones.
var files = []string{"auth.log", "secure", "messages", "syslog"}

// readFiles reads the first of the log files in dir that is in use, and those into which it was rotated. source is its
// path.
func readFiles(dir string, q Query) (lines []Line, source string, err error) {
	var failed []error
	for _, name := range files {
		rotated, err := rotatedFiles(dir, name)
		if err != nil {
			return nil, "", err
		}
		if len(rotated) == 0 {
			continue
		}
		source = cmp.Or(source, filepath.Join(dir, name))
		c := collector{Query: q}
		used := false
		for _, f := range rotated {
			if f.time.Before(q.Since) {
				continue
			}
			used = true
			if err := readFile(f, &c); err != nil {
				failed = append(failed, fmt.Errorf("read %s: %w", f.path, err))
			}
		}
		if used {
			return c.newest(), filepath.Join(dir, name), errors.Join(failed...)
		}
	}
	if source == "" {
		err = fmt.Errorf("%w: neither a journal nor one of %s in %s exists", ErrNone, strings.Join(files, ", "), dir)
	}
	return nil, source, err
}

type file struct {
	path string
	time time.Time // of the last line
}

// rotatedFiles returns a log file with its predecessors, such as auth.log.1 and auth.log-20261129.gz, the oldest
// first.
func rotatedFiles(dir, name string) (all []file, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), name)
		if !ok || rest != "" && rest[0] != '.' && rest[0] != '-' || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // rotated just now
		} else if err != nil {
			return nil, err
		}
		all = append(all, file{filepath.Join(dir, e.Name()), info.ModTime()})
	}
	slices.SortFunc(all, func(a, b file) int { return a.time.Compare(b.time) })
	return all, err
}

// longestLine is what a line of a log file has at most.
const longestLine = 1 << 20

func readFile(f file, c *collector) error {
	content, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer content.Close()
	var text io.Reader = content
	switch filepath.Ext(f.path) {
	case ".gz":
		if text, err = gzip.NewReader(content); err != nil {
			return err
		}
	case ".bz2":
		text = bzip2.NewReader(content)
	case ".xz", ".zst":
		return errors.New("pamnetctl cannot decompress it: do so, and run the command again")
	}
	s := bufio.NewScanner(text)
	s.Buffer(nil, longestLine)
	for s.Scan() {
		if l, ok := parseLine(s.Text(), f.time); ok {
			c.add(l)
		}
	}
	return s.Err()
}

// entry is a line of a log file: the time, the host, the priority if the daemon is busybox, the program with its PID,
// and the message.
var entry = regexp.MustCompile(`^(\d{4}-\S+|[A-Z][a-z]{2} [ \d]\d [\d:]{8}) \S+ (?:\w+\.\w+ )?[^ \[:]+(?:\[(\d+)\])?: (.*)$`)

// parseLine parses a line of a file that was written to at last at the time end.
func parseLine(text string, end time.Time) (l Line, ok bool) {
	if !strings.Contains(text, ":session): ") { // which is faster
		return l, false
	}
	m := entry.FindStringSubmatch(text)
	if m == nil {
		return l, false
	}
	if l, ok = parse(m[3], m[2]); ok {
		l.Time, ok = parseTime(m[1], end)
	}
	return l, ok
}

// parseTime parses the time of a line. One that has no year is not after end.
func parseTime(text string, end time.Time) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Local(), true
	}
	// With a year: without one, February has no 29th.
	for year := end.Year(); year > end.Year()-5; year-- {
		t, err := time.ParseInLocation("2006 "+time.Stamp, fmt.Sprint(year, " ", text), time.Local)
		if err == nil && !t.After(end.Add(time.Minute)) {
			return t, true
		}
	}
	return time.Time{}, false
}
