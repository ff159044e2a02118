// SPDX-License-Identifier: GPL-2.0-or-later

package journal

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"libpam-net/test/expect"
)

// show returns the lines of a log in short: the time, "?" if it is not proven, the user, and the text.
func show(lines []Line) string {
	var text strings.Builder
	for _, l := range lines {
		mark := ""
		if !l.Proven {
			mark = " ?"
		}
		fmt.Fprintf(&text, "%s%s %q %s %d %s: %q\n", l.Time.UTC().Format("01-02 15:04:05"), mark, l.User, l.Service, l.PID, l.Module, l.Text)
	}
	return text.String()
}

const exported = `
{"__REALTIME_TIMESTAMP":"1795942800000000","_UID":"0","_PID":"70","MESSAGE":"pam_newnet(sshd:session): argument \"x\" ignored: no such argument"}
{"__REALTIME_TIMESTAMP":"1795942801000000","_UID":"0","_PID":"71","MESSAGE":"pam_usernet(sshd:session): setup of \"ulf\": no address"}
{"__REALTIME_TIMESTAMP":"1795942802000000","_UID":"0","_PID":"70","MESSAGE":"pam_newnet(sshd:session): \"nina\": new network namespace (net:[4026532180])"}
{"__REALTIME_TIMESTAMP":"1795942803000000","_UID":"0","_PID":"71","MESSAGE":"pam_usernet(sshd:session): \"ulf\" refused: setup program: exit status 1"}
{"__REALTIME_TIMESTAMP":"1795942804000000","_UID":"0","_PID":"71","MESSAGE":"pam_unix(sshd:session): session opened for user ulf"}
{"__REALTIME_TIMESTAMP":"1795942805000000","_UID":"1000","_PID":"72","MESSAGE":"pam_usernet(su:session): \"ulf\" refused: as a user says"}
{"__REALTIME_TIMESTAMP":"1795942806000000","_UID":"0","_PID":"73","MESSAGE":"Invalid user pam_usernet(sshd:session): \"gina\" refused: from 10.0.0.1"}
{"__REALTIME_TIMESTAMP":"1795942807000000","_UID":"0","_PID":"74","MESSAGE":null}
{"__REALTIME_TIMESTAMP":"1795942808000000","_UID":"0","_PID":"75","MESSAGE":[112,97,109,95,110,101,119,110,101,116,40,115,117,58,115,101,115,115,105,111,110,41,58,32,34,110,34,58,32,27,255]}
{"__REALTIME_TIMESTAMP":"1795942809000000","_UID":"0","_PID":"76","MESSAGE":"pam_usernet(cron:session): \"una\" refused: a\nb"}
`

func TestTheJournalTellsWhatRootHasWritten(t *testing.T) {
	t.Parallel()
	lines, err := parseJournal(strings.NewReader(exported), Query{Most: 100})
	expect.Check(t, err)
	RefusedFirst(lines)
	expect.Equal(t, "the lines", show(lines), `11-29 09:00:09 "una" cron 76 pam_usernet: "\"una\" refused: a\nb"
11-29 09:00:05 ? "ulf" su 72 pam_usernet: "\"ulf\" refused: as a user says"
11-29 09:00:01 "ulf" sshd 71 pam_usernet: "setup of \"ulf\": no address"
11-29 09:00:03 "ulf" sshd 71 pam_usernet: "\"ulf\" refused: setup program: exit status 1"
11-29 09:00:08 "n" su 75 pam_newnet: "\"n\": \x1b\xff"
11-29 09:00:00 "nina" sshd 70 pam_newnet: "argument \"x\" ignored: no such argument"
11-29 09:00:02 "nina" sshd 70 pam_newnet: "\"nina\": new network namespace (net:[4026532180])"
`)
	lines, err = parseJournal(strings.NewReader(exported), Query{Refusals: true, Most: 2})
	expect.Check(t, err)
	expect.Equal(t, "the last two refusals", show(lines), `11-29 09:00:05 ? "ulf" su 72 pam_usernet: "\"ulf\" refused: as a user says"
11-29 09:00:09 "una" cron 76 pam_usernet: "\"una\" refused: a\nb"
`)
	if lines, err = parseJournal(strings.NewReader(exported+"{"), Query{Most: 100}); err == nil || len(lines) != 7 {
		t.Errorf("half a line: %d lines, %v", len(lines), err)
	}
}

// write writes a log file whose last line is of the time end.
func write(t *testing.T, path, end, text string) {
	t.Helper()
	content := []byte(text)
	if filepath.Ext(path) == ".gz" {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := w.Write(content)
		expect.Check(t, err)
		expect.Check(t, w.Close())
		content = b.Bytes()
	}
	expect.Check(t, os.WriteFile(path, content, 0o644))
	at, err := time.Parse(time.DateTime, end)
	expect.Check(t, err)
	expect.Check(t, os.Chtimes(path, at, at))
}

func TestLogFilesAreReadWithThoseIntoWhichTheyWereRotated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := func(at, program, text string) string { return at + " host " + program + ": " + text + "\n" }
	refusal := `pam_usernet(sshd:session): "ulf" refused: no`
	write(t, dir+"/syslog", "2026-11-29 09:00:00", line("2026-11-29T09:00:00+00:00", "sshd[1]", refusal+" (of a file that does not count)"))
	write(t, dir+"/auth.log", "2026-11-29 09:00:00",
		line("2026-11-28T23:00:00.123456-01:00", "sshd[4]", refusal)+line("2026-11-29T09:00:00+00:00", "sshd[5]", "pam_unix(sshd:session): x"))
	write(t, dir+"/auth.log.1", "2026-11-20 00:00:00", line("2026-11-19T00:00:00+00:00", "sshd[3]", refusal)+"half a line")
	write(t, dir+"/auth.log.2.gz", "2026-11-10 00:00:00", line("2026-11-09T00:00:00+00:00", "sshd[2]", refusal))
	write(t, dir+"/auth.log.3.gz", "2026-11-01 00:00:00", "not read")
	write(t, dir+"/auth.login", "2026-11-29 00:00:00", line("2026-11-29T00:00:00+00:00", "sshd[6]", refusal))
	since := time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)
	lines, source, err := readFiles(dir, Query{Since: since, Most: 10})
	expect.Check(t, err)
	expect.Equal(t, "the source", source, dir+"/auth.log")
	expect.Equal(t, "the lines", show(lines), `11-09 00:00:00 ? "ulf" sshd 2 pam_usernet: "\"ulf\" refused: no"
11-19 00:00:00 ? "ulf" sshd 3 pam_usernet: "\"ulf\" refused: no"
11-29 00:00:00 ? "ulf" sshd 4 pam_usernet: "\"ulf\" refused: no"
`)
	lines, _, err = readFiles(dir, Query{Since: since.AddDate(0, 0, 20), Most: 10})
	expect.Check(t, err)
	expect.Equal(t, "the lines of later", len(lines), 1)

	// What cannot be read is named, and the rest is read.
	write(t, dir+"/auth.log.2.gz", "2026-11-10 00:00:00", "")
	expect.Check(t, os.Rename(dir+"/auth.log.2.gz", dir+"/auth.log.2.xz"))
	lines, _, err = readFiles(dir, Query{Since: since, Most: 10})
	if err == nil || !strings.Contains(err.Error(), "auth.log.2.xz: pamnetctl cannot decompress it") || len(lines) != 2 {
		t.Errorf("%v\n%s", err, show(lines))
	}
	if _, _, err := readFiles(dir+"/none", Query{}); err == nil || !strings.Contains(err.Error(), "no log found") {
		t.Error(err)
	}
}

func TestLinesOfSyslogDaemons(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)
	const want = `pam_newnet(su:session): "nina" refused: why`
	for text, at := range map[string]string{
		"Jan  2 11:00:00 host su[7]: " + want:              "2026-01-02 11:00:00",
		"Dec 31 11:00:00 host su: " + want:                 "2025-12-31 11:00:00",
		"Feb 29 11:00:00 host su[7]: " + want:              "2024-02-29 11:00:00",
		"Jan  2 11:00:00 host authpriv.err su[7]: " + want: "2026-01-02 11:00:00",
		"Jan  2 11:00:00 host logger: su[7]: " + want:      "",
		"Jan  2 11:00:00 " + want:                          "",
		"Jan 99 11:00:00 host su[7]: " + want:              "",
		want:                                               "",
	} {
		l, ok := parseLine(text, end)
		if ok != (at != "") || ok && (l.Time.Format(time.DateTime) != at || l.User != "nina" || !l.Refused) {
			t.Errorf("%q: %+v %v", text, l, ok)
		}
	}
}
