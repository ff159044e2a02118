// SPDX-License-Identifier: GPL-2.0-or-later

package trial

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// The list of ways in pamnetctl(8) is made from the table; UPDATE=1 writes it.
func TestTheManPageHasTheWays(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../man/pamnetctl.8", ".\\\" The list is made from internal/trial/ways.go.\n.Bl -tag -width Ds\n", ".El\n"
	page, err := os.ReadFile(file)
	expect.Check(t, err)
	before, rest, found := strings.Cut(string(page), begin)
	got, after, _ := strings.Cut(rest, end)
	var want strings.Builder
	for _, k := range wayKinds {
		fmt.Fprintf(&want, ".It Sy %s Pq %d\n%s\n", k.id, k.weight, k.what)
	}
	if !found || got != want.String() {
		if os.Getenv("UPDATE") == "" {
			t.Fatalf("%s does not have the ways of the table: UPDATE=1 writes them", file)
		}
		expect.Check(t, os.WriteFile(file, []byte(before+begin+want.String()+end+after), 0o644))
	}
}

func TestExposure(t *testing.T) {
	t.Parallel()
	way := func(weight int, open bool) Way { return Way{Weight: weight, Open: open} }
	for name, c := range map[string]struct {
		ways []Way
		want float64
	}{
		"no way":                 {nil, 0},
		"none open":              {[]Way{way(3, false), way(10, false)}, 0},
		"one of weight 10":       {[]Way{way(10, true), way(3, false)}, 10},
		"a part of the others":   {[]Way{way(10, false), way(3, true), way(5, false)}, 3.7},
		"all but that of weight": {[]Way{way(10, false), way(3, true), way(5, true)}, 10},
	} {
		expect.Equal(t, name, Exposure(c.ways), c.want)
	}
}
