// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"strings"
	"testing"
)

func TestTag(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a placeholder":                        {PlaceholderArgs("lab.1_a-b"), "lab.1_a-b"},
		"a tag that looks like an option":      {PlaceholderArgs("--help"), "--help"},
		"the longest tag":                      {PlaceholderArgs(strings.Repeat("x", 64)), strings.Repeat("x", 64)},
		"a tag that is too long":               {PlaceholderArgs(strings.Repeat("x", 65)), ""},
		"an empty tag":                         {PlaceholderArgs(""), ""},
		"a tag with a slash":                   {PlaceholderArgs("a/b"), ""},
		"a tag with a space":                   {PlaceholderArgs("a b"), ""},
		"a tag with a newline":                 {PlaceholderArgs("a\n"), ""},
		"a tag with a letter that is not a-z":  {PlaceholderArgs("ä"), ""},
		"another program":                      {[]string{"sleep", "infinity"}, ""},
		"one that sleeps for a while only":     {[]string{"pamnet-hold lab/sleep", "10"}, ""},
		"one with more arguments":              {[]string{"pamnet-hold lab/sleep", "infinity", "infinity"}, ""},
		"one without the name of the program":  {[]string{"pamnet-hold lab", "infinity"}, ""},
		"one whose program is called pamnet":   {[]string{"pamnet-hold", "lab/sleep", "infinity"}, ""},
		"a process that is about to end":       {[]string{}, ""},
		"a command line that names one":        {[]string{"sh", "-c", "pamnet-hold lab/sleep infinity"}, ""},
		"one whose only argument is its name":  {[]string{"pamnet-hold lab/sleep"}, ""},
		"one with the name of another program": {[]string{"pamnet-hold lab/true", "infinity"}, ""},
	} {
		if got := tagIn(c.args); got != c.want {
			t.Errorf("%s: %q is held, not %q", name, got, c.want)
		}
	}
}
