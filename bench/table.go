// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is all that a run has come to.
type Report struct {
	Date    string `json:"date"`
	Machine string `json:"machine"`
	Load    string `json:"load"` // the load average before
	Form    string `json:"form"` // how long the run was
	Took    string `json:"took"`
	Rows    []Row  `json:"rows"`
}

// plots are the pictures that bench/plot draws, by the beginning of their section's name.
var plots = []struct{ section, file string }{
	{"1.", "member"},
	{"2.", "non-member"},
	{growthSection + "groups", "groups"},
	{growthSection + "live sessions", "sessions"},
	{growthSection + "named networks", "networks"},
}

// print writes the tables, a section each, in Markdown; with the plots whose files begin with a prefix, unless that
// is empty.
func (r Report) print(w io.Writer, prefix string) error {
	fmt.Fprintf(w, "%s, %s; load average before: %s; %s, took %s. Cells: median / 95th percentile.\n",
		r.Date, r.Machine, r.Load, r.Form, r.Took)
	for rows := r.Rows; len(rows) > 0; {
		n := 1
		for n < len(rows) && rows[n].Section == rows[0].Section {
			n++
		}
		if err := printSection(w, rows[:n], prefix); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func printSection(w io.Writer, rows []Row, prefix string) error {
	section := rows[0].Section
	fmt.Fprintf(w, "\n### %s\n\n", section)
	for _, p := range plots {
		if prefix != "" && strings.HasPrefix(section, p.section) {
			fmt.Fprintf(w, "![%s](%s%s.svg)\n\n", section, prefix, p.file)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	line := func(cells ...string) {
		fmt.Fprintf(t, "| %s |\n", strings.Join(cells, "\t| "))
	}
	head := []string{"", "unit", "runs"}
	for _, c := range columns {
		head = append(head, string(c))
	}
	head = append(head, fmt.Sprintf("%s : %s", ours, debian12), "target")
	line(head...)
	line(strings.Split(strings.Repeat("--- ", len(head)-1)+"---", " ")...)
	for _, row := range rows {
		cells := []string{row.label(), row.Unit, row.runs()}
		for _, c := range columns {
			cells = append(cells, row.cell(c))
		}
		ratio := ""
		if row.Ratio != nil {
			ratio = fmt.Sprintf("%.2f", *row.Ratio)
		}
		var targets []string
		for _, target := range row.Targets {
			targets = append(targets, target.String())
		}
		line(append(cells, ratio, strings.Join(targets, "; "))...)
	}
	return t.Flush()
}

// runs is the number of runs of a column; columns of fewer were not measured in each round.
func (r Row) runs() string {
	most := 0
	for _, s := range r.Columns {
		most = max(most, s.Runs)
	}
	return fmt.Sprint(most)
}

func (r Row) cell(c column) string {
	s, ok := r.Columns[c]
	switch {
	case !ok:
		return ""
	case s.Median == s.P95:
		return format(s.Median)
	default:
		return format(s.Median) + " / " + format(s.P95)
	}
}

// format writes three digits that say something.
func format(v float64) string {
	switch {
	case v == float64(int(v)):
		return fmt.Sprint(int(v))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func (t Target) String() string {
	met := "met"
	if !t.Met {
		met = "**not met**"
		if t.Floor != 0 {
			met += ", floor " + format(t.Floor)
		}
	}
	return fmt.Sprintf("%s: %s, %s", t.Text, format(t.Value), met)
}

// shape lists the rows, and the columns that each has, without sizes and without what was measured.
func (r Report) shape() string {
	var lines []string
	for _, row := range r.Rows {
		line := row.Section + " | " + row.Name + " |"
		for _, c := range columns {
			if _, ok := row.Columns[c]; ok {
				line += " " + string(c)
			}
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// The lines of a document between which the tables stand.
const (
	tablesBegin = "<!-- tables: written by `make bench-doc` -->\n"
	tablesEnd   = "<!-- end of tables -->\n"
)

// putInto replaces the tables in a document.
func putInto(path, tables string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begin := strings.Cut(string(content), tablesBegin)
	_, after, end := strings.Cut(rest, tablesEnd)
	if !begin || !end {
		return fmt.Errorf("%s has no lines %q and %q, between which the tables would go", path, tablesBegin, tablesEnd)
	}
	return os.WriteFile(path, []byte(before+tablesBegin+"\n"+tables+"\n"+tablesEnd+after), 0o644)
}
