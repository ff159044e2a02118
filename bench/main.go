// SPDX-License-Identifier: GPL-2.0-or-later

// Command bench measures the modules beside Debian's libpam-net in two versions, beside the kernel's floor
// (c/floor.c), and beside no module at all: see docs/PERFORMANCE.md. Each column has a machine of its own,
// made of namespaces (test/machine). A fresh process makes each login, and the columns take turns.
package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"libpam-net/test/sandbox"
)

var (
	quick   = flag.Bool("quick", false, "small sizes and few rounds: for the rows, not for the times in them")
	rounds  = flag.Int("rounds", 0, "how often a module's login is measured in each column (60, or with -quick 1)")
	only    = flag.String("only", "", "measure these `parts` alone, with commas between: "+strings.Join(partNames(), ", "))
	profile = flag.Bool("profile", false, "say where the time of one login goes, and measure nothing else")
	results = flag.String("json", "", "write the results to this `file`, too")
	from    = flag.String("from", "", "measure nothing, but take the results from this `file`")
	doc     = flag.String("doc", "", "put the tables into this `document`, and do not print them")
)

func main() {
	sandbox.Main()
	flag.Parse()
	if err := bench(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench() error {
	if *profile {
		return withSuite(quickSizes, 20, func(s *suite) error { return s.profile(os.Stdout) })
	}
	report, err := read(*from)
	if *from == "" {
		report, err = measureAll()
	}
	if err == nil && *only == "" {
		err = checkShape(report)
	}
	if err != nil {
		return err
	}
	if *results != "" {
		if err := write(*results, report); err != nil {
			return err
		}
	}
	if *doc == "" {
		return report.print(os.Stdout, "")
	}
	var tables strings.Builder
	if err := report.print(&tables, "performance-"); err != nil {
		return err
	}
	return putInto(*doc, tables.String())
}

func withSuite(z sizes, rounds int, use func(*suite) error) error {
	s, err := newSuite(z, rounds, os.Stderr)
	if err != nil {
		return err
	}
	return errors.Join(use(s), s.close())
}

func measureAll() (r Report, err error) {
	z, n, form := fullSizes, 60, "full sizes"
	if *quick {
		z, n, form = quickSizes, 1, "small sizes"
	}
	if *rounds > 0 {
		n = *rounds
	}
	err = withSuite(z, n, func(s *suite) error {
		s.report.Form = fmt.Sprintf("%s, at most %d rounds", form, n)
		err := s.run()
		r = s.report
		return err
	})
	return r, err
}

// allRows is the shape of a report with everything.
//
//go:embed testdata/rows.txt
var allRows string

// checkShape fails unless a report has every row, and every column in it.
func checkShape(r Report) error {
	if r.shape() == allRows {
		return nil
	}
	const file = "out/bench-rows.txt"
	if err := os.WriteFile(file, []byte(r.shape()), 0o644); err != nil {
		return err
	}
	return fmt.Errorf("rows or columns are missing, or new: compare %s with bench/testdata/rows.txt", file)
}

func read(file string) (r Report, err error) {
	if file == "" {
		return r, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("parse %s: %w", file, err)
	}
	return r, nil
}

func write(file string, r Report) error {
	content, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}
