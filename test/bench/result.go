// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"math"
	"slices"
)

// column is one of those that are compared.
type column string

const (
	none     column = "none"     // the same without any module
	floor    column = "floor"    // the kernel's: c/floor.c
	original column = "original" // Debian's libpam-net
	ours     column = "ours"
)

var columns = []column{none, floor, original, ours}

// Stat describes what was measured for one column of a row.
type Stat struct {
	Runs   int     `json:"runs"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
}

// summarize describes values, of which there is at least one.
func summarize(values []float64) Stat {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Stat{
		Runs:   n,
		Median: (sorted[(n-1)/2] + sorted[n/2]) / 2,
		P95:    sorted[int(math.Ceil(0.95*float64(n)))-1], // the smallest that 95 % do not exceed
	}
}

// Row is a line of the table. What a column lacks was not, or could not be, measured.
type Row struct {
	Section string          `json:"section"`
	Name    string          `json:"name"`
	Unit    string          `json:"unit"`
	Columns map[column]Stat `json:"columns"`
	Ratio   *float64        `json:"ratio_to_original,omitempty"` // of the medians
	Targets []Target        `json:"targets,omitempty"`
}

// Target is what a row has to reach.
type Target struct {
	Text  string   `json:"text"`
	Value *float64 `json:"value,omitempty"` // nil: what it is compared with is missing
	Met   *bool    `json:"met,omitempty"`
}

// goal makes a Target of what was measured.
type goal struct {
	text  string
	limit float64
	least bool // the value has to be at least the limit, not at most
	value func(map[column]Stat) float64
	needs []column
}

func (g goal) judge(measured map[column]Stat) Target {
	t := Target{Text: g.text}
	for _, c := range g.needs {
		if _, ok := measured[c]; !ok {
			return t
		}
	}
	value := g.value(measured)
	met := value <= g.limit
	if g.least {
		met = value >= g.limit
	}
	t.Value, t.Met = &value, &met
	return t
}

// times says that ours takes at most so many times what the other column does.
func times(limit float64, other column) goal {
	return goal{
		text: fmt.Sprintf("≤ %v of %s", limit, other), limit: limit, needs: []column{ours, other},
		value: func(m map[column]Stat) float64 { return m[ours].Median / m[other].Median },
	}
}

// atLeast says that ours reaches at least so many times what the other column does.
func atLeast(limit float64, other column) goal {
	g := times(limit, other)
	g.text, g.least = fmt.Sprintf("≥ %v of %s", limit, other), true
	return g
}

// above says that ours is at most so much more than the other column.
func above(limit float64, unit string, other column) goal {
	text := fmt.Sprintf("≤ %s + %v %s", other, limit, unit)
	if limit == 0 {
		text = fmt.Sprintf("≤ %s", other)
	}
	return goal{
		text: text, limit: limit, needs: []column{ours, other},
		value: func(m map[column]Stat) float64 { return m[ours].Median - m[other].Median },
	}
}

// below says that ours is at most the limit.
func below(limit float64, unit string) goal {
	return goal{
		text: fmt.Sprintf("≤ %v %s", limit, unit), limit: limit, needs: []column{ours},
		value: func(m map[column]Stat) float64 { return m[ours].Median },
	}
}

// newRow makes a row of all values of each column.
func newRow(section, name, unit string, values map[column][]float64, goals ...goal) Row {
	r := Row{Section: section, Name: name, Unit: unit, Columns: make(map[column]Stat)}
	for c, list := range values {
		if len(list) > 0 {
			r.Columns[c] = summarize(list)
		}
	}
	theirs, ok := r.Columns[original]
	if us, both := r.Columns[ours]; ok && both && theirs.Median > 0 {
		ratio := us.Median / theirs.Median
		r.Ratio = &ratio
	}
	for _, g := range goals {
		r.Targets = append(r.Targets, g.judge(r.Columns))
	}
	return r
}
