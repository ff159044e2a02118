// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// index finds the lines of the keys of a TOML file: "ipv4.users", "forward[0].port",
// and those of elements: "nameservers[1]". Where the syntax is wrong, it ends.
//
// The decoder tells the lines of its own errors only. go-toml's parser calls its
// interface unstable; go.mod has the version that this is written for.
func index(text []byte) map[string]int {
	x := indexer{lines: make(map[string]int)}
	x.Reset(text)
	count := make(map[string]int)
	table := ""
	for x.NextExpression() {
		e := x.Expression()
		switch e.Kind {
		case unstable.Table:
			table = x.key("", e)
		case unstable.ArrayTable:
			table = x.key("", e)
			count[table]++
			name := element(table, count[table]-1)
			x.lines[name] = x.lines[table]
			table = name
		case unstable.KeyValue:
			x.value(x.key(table, e), e.Value())
		}
	}
	return x.lines
}

type indexer struct {
	unstable.Parser
	lines map[string]int
}

// key notes the line of an expression's key and returns the whole of it.
func (x *indexer) key(table string, e *unstable.Node) string {
	var parts []string
	if table != "" {
		parts = []string{table}
	}
	line := 0
	for key := e.Key(); key.Next(); {
		line = x.Shape(key.Node().Raw).Start.Line
		parts = append(parts, string(key.Node().Data))
	}
	name := strings.Join(parts, ".")
	x.lines[name] = line
	return name
}

// value looks for keys in the value of a key.
func (x *indexer) value(name string, v *unstable.Node) {
	children := v.Children()
	switch v.Kind {
	case unstable.InlineTable:
		for children.Next() {
			x.value(x.key(name, children.Node()), children.Node().Value())
		}
	case unstable.Array:
		for i := 0; children.Next(); i++ {
			child := element(name, i)
			x.lines[child] = x.lines[name]
			if raw := children.Node().Raw; raw.Length > 0 {
				x.lines[child] = x.Shape(raw).Start.Line
			}
			x.value(child, children.Node())
		}
	}
}
