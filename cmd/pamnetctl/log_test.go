// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"strings"
	"testing"
	"time"

	"libpam-net/internal/journal"
)

func TestParseSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 9, 5, 7, 0, time.Local)
	for text, want := range map[string]string{
		"90m": "2026-11-29 07:35:07", "7d": "2026-11-22 09:05:07", "0s": "2026-11-29 09:05:07",
		"2026-11-28": "2026-11-28 00:00:00", "2026-11-28 10:00": "2026-11-28 10:00:00", "2026-11-28 10:00:01": "2026-11-28 10:00:01",
		"": "", "d": "", "-1h": "", "-1d": "", "yesterday": "", "70000d": "",
	} {
		got, err := parseSince(text, now)
		if (err == nil) != (want != "") || err == nil && got.Format(time.DateTime) != want {
			t.Errorf("%q: %s %v, not %q", text, got, err, want)
		}
	}
}

func TestPrintLog(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 29, 9, 5, 7, 0, time.Local)
	lines := []journal.Line{
		{Time: at, User: "ulf", Service: "su", PID: 7, Module: "pam_usernet", Text: "\"ulf\" refused: \x1b[2J\n"},
		{Time: at, Service: "sshd", PID: 1234, Module: "pam_newnet", Text: "hello", Proven: true},
	}
	var out strings.Builder
	err := printLog(&out, journal.Log{Lines: lines, Source: "the journal"}, at)
	want := `TIME                    USER  SERVICE  PID   MODULE       TEXT
2026-11-29 09:05:07  ?  ulf   su       7     pam_usernet  "ulf" refused: ?[2J?
2026-11-29 09:05:07     -     sshd     1234  pam_newnet   hello

? Any user can have written this line (the journal).
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := printLog(&out, journal.Log{Source: "/var/log/auth.log"}, at); err != nil ||
		out.String() != "no lines of the modules since 2026-11-29 09:05:07 (/var/log/auth.log)\n" {
		t.Errorf("%v\n%s", err, out.String())
	}
}
