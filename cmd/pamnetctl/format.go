// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"
)

// addJSON gives a command that prints a table the option --json.
func addJSON(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON")
}

// printJSON prints a list; an empty one is [].
func printJSON[T any](w io.Writer, list []T) error {
	if list == nil {
		list = []T{}
	}
	return printObject(w, list)
}

func printObject(w io.Writer, object any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(object)
}

// table prints lines of cells, which a tab ends each, as columns. Flush prints them.
type table struct {
	*tabwriter.Writer
	buffer *bufio.Writer // without it each cell is a system call
}

func newTable(w io.Writer) table {
	buffer := bufio.NewWriter(w)
	return table{tabwriter.NewWriter(buffer, 0, 0, 2, ' ', 0), buffer}
}

func (t table) Flush() error { return errors.Join(t.Writer.Flush(), t.buffer.Flush()) }

// orDash returns a cell of a table.
func orDash(s string) string { return cmp.Or(s, "-") }

// plain returns a text that is harmless on a terminal. Users choose the names of their interfaces.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// count returns a number of things: "1 member", "2 members".
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// size returns a number of bytes with its unit: 1.5M.
func size(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%dB", n)
	}
	value, units := float64(n), "KMGTPE"
	for value /= 1024; value >= 1023.95 && len(units) > 1; value /= 1024 {
		units = units[1:]
	}
	return fmt.Sprintf("%.1f%c", value, units[0])
}

// some returns the first of a number of things, and how many more there are.
func some(things []string) string {
	const most = 4
	if more := len(things) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(things[:most], ", "), more)
	}
	return strings.Join(things, ", ")
}
