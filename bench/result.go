// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// A column of the tables.
type column string

const (
	none     column = "none"  // the same without any module
	floor    column = "floor" // the least that such a login can be: c/floor.c, floor/
	debian12 column = "0.3-2" // the C modules of Debian 12's libpam-net: what all ratios are to
	debian13 column = "0.4-1" // those of Debian 13, which have a third one
	ours     column = "ours"
)

var columns = []column{none, floor, debian12, debian13, ours}

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

// Row is a line of the tables.
type Row struct {
	Section string          `json:"section"`
	Name    string          `json:"name"`
	Size    string          `json:"size,omitempty"` // of what grows in this section
	Unit    string          `json:"unit"`
	Columns map[column]Stat `json:"columns"`
	Ratio   *float64        `json:"ratio_to_0.3-2,omitempty"` // of the medians
	Targets []Target        `json:"targets,omitempty"`
}

// label is the row's name in a table.
func (r Row) label() string {
	if r.Size == "" {
		return r.Name
	}
	return r.Name + ", " + r.Size
}

// Target is what a row has to reach.
type Target struct {
	Text  string  `json:"text"`
	Value float64 `json:"value"`
	Met   bool    `json:"met"`
	Floor float64 `json:"floor,omitempty"` // the value of the floor's column, 0 if the row has none
}

// goal makes a Target of the medians of a row.
type goal struct {
	text  string
	limit float64
	least bool // the value has to be at least the limit, not at most
	value func(map[column]Stat) float64
}

func (g goal) judge(measured map[column]Stat) Target {
	value := g.value(measured)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return Target{Text: g.text + ", which is 0"} // as small sizes may have it
	}
	met := value <= g.limit
	if g.least {
		met = value >= g.limit
	}
	t := Target{Text: g.text, Value: value, Met: met}
	if floor, ok := measured[floor]; ok {
		instead := maps.Clone(measured)
		instead[ours] = floor
		t.Floor = g.value(instead)
	}
	return t
}

// times says that ours takes at most so many times what the other column does.
func times(limit float64, other column) goal {
	return goal{
		text: fmt.Sprintf("≤ %v of %s", limit, other), limit: limit,
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
		text: text, limit: limit,
		value: func(m map[column]Stat) float64 { return m[ours].Median - m[other].Median },
	}
}

// below says that ours is at most the limit.
func below(limit float64, unit string) goal {
	return goal{
		text: fmt.Sprintf("≤ %v %s", limit, unit), limit: limit,
		value: func(m map[column]Stat) float64 { return m[ours].Median },
	}
}

// of returns the row with all values of each column.
func (r Row) of(values map[column][]float64, goals ...goal) Row {
	r.Columns = make(map[column]Stat)
	for c, list := range values {
		r.Columns[c] = summarize(list)
	}
	if theirs := r.Columns[debian12].Median; theirs > 0 {
		ratio := r.Columns[ours].Median / theirs
		r.Ratio = &ratio
	}
	for _, g := range goals {
		r.Targets = append(r.Targets, g.judge(r.Columns))
	}
	return r
}
