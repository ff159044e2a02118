// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	upTo := func(n int) (list []float64) {
		for i := range n {
			list = append(list, float64(n-i))
		}
		return list
	}
	for _, c := range []struct {
		what   string
		values []float64
		want   Stat
	}{
		{"one value is all there is", []float64{7}, Stat{1, 7, 7}},
		{"of two the median is between, and the later one the percentile", []float64{3, 1}, Stat{2, 2, 3}},
		{"of an odd number the median is one of them", []float64{9, 1, 2}, Stat{3, 2, 9}},
		{"of twenty the percentile leaves one out", upTo(20), Stat{20, 10.5, 19}},
		{"of a hundred it leaves five out", upTo(100), Stat{100, 50.5, 95}},
		{"of twenty-one it leaves one out", upTo(21), Stat{21, 11, 20}},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := summarize(c.values); got != c.want {
				t.Errorf("%+v, not %+v", got, c.want)
			}
		})
	}
	values := []float64{3, 1, 2}
	summarize(values)
	if values[0] != 3 {
		t.Error("the values have been sorted in place")
	}
}

func TestRow(t *testing.T) {
	measured := map[column][]float64{none: {1, 1}, debian12: {2, 2}, ours: {3, 3}}
	for _, c := range []struct {
		what string
		goal goal
		want string
	}{
		{"a ratio that is reached", times(1.5, debian12), "≤ 1.5 of 0.3-2: 1.50, met"},
		{"a ratio that is exceeded", times(1.4, debian12), "≤ 1.4 of 0.3-2: 1.50, **not met**"},
		{"a ratio to what takes no time", times(1.5, floor), "≤ 1.5 of floor, which is 0: 0, **not met**"},
		{"a ratio to no module", times(3, none), "≤ 3 of none: 3, met"},
		{"more is better, reached", atLeast(1.5, debian12), "≥ 1.5 of 0.3-2: 1.50, met"},
		{"more is better, not reached", atLeast(1.6, debian12), "≥ 1.6 of 0.3-2: 1.50, **not met**"},
		{"a difference that is reached", above(1, "KiB", debian12), "≤ 0.3-2 + 1 KiB: 1, met"},
		{"a difference that is exceeded", above(1, "KiB", none), "≤ none + 1 KiB: 2, **not met**"},
		{"no difference at all", above(0, "", none), "≤ none: 2, **not met**"},
		{"a limit that is kept", below(3, "ms"), "≤ 3 ms: 3, met"},
		{"a limit that is exceeded", below(2, "ms"), "≤ 2 ms: 3, **not met**"},
	} {
		t.Run(c.what, func(t *testing.T) {
			row := Row{}.of(measured, c.goal)
			if got := row.Targets[0].String(); got != c.want {
				t.Errorf("%q, not %q", got, c.want)
			}
		})
	}
	if r := (Row{}).of(measured).Ratio; r == nil || *r != 1.5 {
		t.Errorf("the ratio to 0.3-2 is %v", r)
	}
	for what, values := range map[string]map[column][]float64{
		"no 0.3-2":     {ours: {1}},
		"a 0.3-2 of 0": {debian12: {0}, ours: {1}},
	} {
		if r := (Row{}).of(values).Ratio; r != nil {
			t.Errorf("with %s the ratio is %v", what, *r)
		}
	}
}

func TestTables(t *testing.T) {
	report := Report{
		Date: "today", Machine: "here", Load: "0", Form: "30 runs", Took: "1s",
		Rows: []Row{
			Row{Section: "First", Name: "a login", Unit: "ms"}.of(map[column][]float64{debian12: {10, 12}, ours: {0.5, 123.4}}, times(1, debian12)),
			Row{Section: "First", Name: "threads"}.of(map[column][]float64{ours: {1, 1}}),
			Row{Section: "Second", Name: "another", Size: "20", Unit: "ms"}.of(map[column][]float64{floor: {1.234}, debian13: {2}}),
		},
	}
	const want = `today, here; load average before: 0; 30 runs, took 1s. Cells: median / 95th percentile.

### First

|         | unit | runs | none | floor | 0.3-2   | 0.4-1 | ours       | ours : 0.3-2 | target |
| ---     | ---  | ---  | ---  | ---   | ---     | ---   | ---        | ---          | --- |
| a login | ms   | 2    |      |       | 11 / 12 |       | 62.0 / 123 | 5.63         | ≤ 1 of 0.3-2: 5.63, **not met** |
| threads |      | 2    |      |       |         |       | 1          |              |  |

### Second

|             | unit | runs | none | floor | 0.3-2 | 0.4-1 | ours | ours : 0.3-2 | target |
| ---         | ---  | ---  | ---  | ---   | ---   | ---   | ---  | ---          | --- |
| another, 20 | ms   | 1    |      | 1.23  |       | 2     |      |              |  |
`
	var got strings.Builder
	if err := report.print(&got, ""); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got\n%s\nwant\n%s", got.String(), want)
	}
	report.Rows = []Row{{Section: growthSection + "groups"}}
	got.Reset()
	if err := report.print(&got, "prefix-"); err != nil || !strings.Contains(got.String(), "\n![5. Growth: groups](prefix-groups.svg)\n\n|") {
		t.Errorf("%v: a section with a plot is\n%s", err, got.String())
	}
}

func TestShape(t *testing.T) {
	all := map[column][]float64{floor: {1}, debian13: {2}}
	report := Report{Rows: []Row{
		Row{Section: "First", Name: "a login"}.of(map[column][]float64{ours: {1}}),
		Row{Section: "Second", Name: "another", Size: "20"}.of(all),
		Row{Section: "Second", Name: "another", Size: "30"}.of(all),
	}}
	const shape = "First | a login | ours\nSecond | another | floor 0.4-1\n"
	if got := report.shape(); got != shape {
		t.Errorf("the shape is %q, not %q", got, shape)
	}
	report.Rows[2] = Row{Section: "Second", Name: "another", Size: "30"}.of(map[column][]float64{floor: {1}})
	if report.shape() == shape {
		t.Error("a column that is missing at one of two sizes does not change the shape")
	}
}

func TestTablesGoIntoADocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n" + tablesBegin + "old\n" + tablesEnd + "after\n")
	for range 2 {
		if err := putInto(path, "new\n"); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if want := "before\n" + tablesBegin + "\nnew\n\n" + tablesEnd + "after\n"; err != nil || string(content) != want {
			t.Errorf("%v: %q, not %q", err, content, want)
		}
	}
	for _, without := range []string{"", tablesBegin, tablesEnd, tablesEnd + tablesBegin} {
		write(without)
		if err := putInto(path, "new\n"); err == nil {
			t.Errorf("a document with %q has been written", without)
		}
	}
}
