// SPDX-License-Identifier: GPL-2.0-or-later

// Command bench measures the modules beside the C original, beside the kernel's floor (c/floor.c),
// and beside no module at all: see docs/PERFORMANCE.md. Each column has a machine of its own,
// made of namespaces (test/machine), each login is made by a fresh process, and the columns
// take turns.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"libpam-net/test/sandbox"
)

var (
	quick   = flag.Bool("quick", false, "small sizes and few rounds: not for its times")
	rounds  = flag.Int("rounds", 0, "how often a module's login is measured in each column (60, or with -quick 4)")
	only    = flag.String("only", "", "measure this `part` alone: modules, programs, remains, namespaces, sessions, groups, parallel, tool")
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
	if err != nil {
		return err
	}
	if *results != "" {
		if err := write(*results, report); err != nil {
			return err
		}
	}
	if *doc == "" {
		return report.print(os.Stdout)
	}
	var tables strings.Builder
	if err := report.print(&tables); err != nil {
		return err
	}
	return putInto(*doc, tables.String())
}

func withSuite(z sizes, rounds int, use func(*suite) error) error {
	s, err := newSuite(z, rounds, os.Stderr)
	if err != nil {
		return err
	}
	defer s.close()
	return use(s)
}

func measureAll() (r Report, err error) {
	z, n, form := fullSizes, 60, "Full sizes"
	if *quick {
		z, n, form = quickSizes, 4, "Small sizes"
	}
	if *rounds > 0 {
		n = *rounds
	}
	err = withSuite(z, n, func(s *suite) error {
		s.report.Form = fmt.Sprintf("%s, %d rounds", form, n)
		err := s.run()
		r = s.report
		return err
	})
	return r, err
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
