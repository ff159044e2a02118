// SPDX-License-Identifier: GPL-2.0-or-later

package doctor

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// mdoc returns the list of the findings as pamnetctl(8) has it.
func mdoc() string {
	var b strings.Builder
	placeholder := regexp.MustCompile(`\{(\w+)\}`)
	sentence := regexp.MustCompile(`(\.) ([A-Z\\])`)
	said := map[string]bool{}
	for i, k := range table {
		if i == 0 || table[i-1].id != k.id {
			var severities []string
			for _, other := range table {
				if other.id == k.id && !slices.Contains(severities, string(other.severity)) {
					severities = append(severities, string(other.severity))
				}
			}
			fmt.Fprintf(&b, ".It Sy %s Pq %s\n", k.id, strings.Join(severities, ", "))
			said = map[string]bool{}
		}
		for _, text := range []string{k.problem, k.effect, k.advice} {
			if said[text] || placeholder.ReplaceAllString(text, "") == "" {
				continue
			}
			said[text] = true
			text = fill(text, []string{"are", "is", "do", "does", "open", "opens", "has", "has", "uplinks", "The uplink"})
			text = sentence.ReplaceAllString(strings.TrimSuffix(placeholder.ReplaceAllString(text, `\fI$1\fP`), ".")+".", "$1\n$2")
			b.WriteString(text + "\n")
		}
	}
	return b.String()
}

// The list of findings in pamnetctl(8) is made from the table; UPDATE=1 writes it.
func TestManPage(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../man/pamnetctl.8", ".\\\" The list is made from internal/doctor/findings.go.\n.Bl -tag -width Ds\n", ".El\n"
	page, err := os.ReadFile(file)
	expect.Check(t, err)
	before, rest, found := strings.Cut(string(page), begin)
	got, after, _ := strings.Cut(rest, end)
	if want := mdoc(); !found || got != want {
		if os.Getenv("UPDATE") == "" {
			t.Fatalf("%s does not have the findings of the table: UPDATE=1 writes them", file)
		}
		expect.Check(t, os.WriteFile(file, []byte(before+begin+want+end+after), 0o644))
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	archive, err := os.ReadFile("testdata/breaks.txtar")
	expect.Check(t, err)
	live := []string{"name-service", "module-load"} // of a machine that runs
	for _, k := range table {
		for _, text := range []string{k.problem, k.advice} {
			if text == "" || strings.HasSuffix(text, "..") {
				t.Errorf("%s: %q", k.id, text)
			}
		}
		if !slices.Contains(live, k.id) && !regexp.MustCompile(string(k.severity)+" "+k.id+`[,:]`).Match(archive) {
			t.Errorf("nothing in breaks.txtar provokes the %s %s", k.severity, k.id)
		}
	}
}
