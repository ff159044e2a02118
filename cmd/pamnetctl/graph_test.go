// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"strings"
	"testing"

	"libpam-net/internal/sessions"
)

func TestDrawKeepsNamesWithinTheirQuotes(t *testing.T) {
	t.Parallel()
	const evil = "a\"\\N]\x1b\n"
	got := draw([]drawnNetwork{{
		Network: &sessions.Network{Interfaces: []sessions.Interface{{Name: evil, Addresses: []string{"10.0.0.2/30"}}}},
		inode:   7, name: evil, wires: []sessions.Wire{{Inside: evil, Outside: "x", Bridge: "b"}, {Inside: "eth1", Outside: "y", Bridge: "b"}},
	}}, []sessions.Session{{User: evil, Leader: 3, Inode: 7}})
	_, got, _ = strings.Cut(got, "\t\"network")
	want := `	"network 7" [shape=box style=dashed label="a\"\\N]?\n"]
	"link b" [shape=cds label="b"]
	"host" -- "link b"
	"link x" [shape=cds label="x"]
	"link b" -- "link x"
	"link x" -- "network 7" [label="a\"\\N]?\n\n10.0.0.2/30"]
	"link y" [shape=cds label="y"]
	"link b" -- "link y"
	"link y" -- "network 7" [label="eth1"]
	"session 3" [shape=ellipse label="left running 3"]
	"network 7" -- "session 3"
	"user a\"\\N]?\n" [shape=plaintext label="a\"\\N]?\n"]
	"session 3" -- "user a\"\\N]?\n"
}
`
	if "\t\"network"+got != want {
		t.Errorf("got\n\t\"network%s", got)
	}
}
