// SPDX-License-Identifier: GPL-2.0-or-later

package ctl

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// What differs from run to run is N in the scripts' output, and blanks that line
// up what stands behind it are two.
var (
	numbers = regexp.MustCompile(`(net:\[|"(?:inode|leader|pid|milliseconds)": )[\d.]+|\b\d+( ms\b)`)
	leaders = regexp.MustCompile(`(?m)^(\S+ +\S+ +\S+ +)\d+( +)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	members = regexp.MustCompile(`(?m)^(\S+ +(?:isolated|refused|host) +\S+ +\S+ +)\d+\b`)
	times   = regexp.MustCompile(`"(since|time)": "[^"]+"`)
	logged  = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( +.* )\d+( +pam_)`)
	recent  = regexp.MustCompile(`(?m)^(\S+ +\S+ +\S+ +|)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	release = regexp.MustCompile(`(libpam-net |"version": ")[^",]+`)
	modules = regexp.MustCompile(`/\S+/security\b`)
	nodes   = regexp.MustCompile(`("(?:network|session)|label="[a-z]+) \d+"`)
	local   = regexp.MustCompile(`fe80::\S+`)
	choices = regexp.MustCompile(`(?m)^(  pamnetctl enter [-a-z ]*)\d+(    # .* since )\S+$`)
	columns = regexp.MustCompile(`([^\s"])  +`)
)

func masked(output string) string {
	output = numbers.ReplaceAllString(output, "${1}N$2")
	output = leaders.ReplaceAllString(output, "${1}N${2}TIME")
	output = members.ReplaceAllString(output, "${1}N")
	output = times.ReplaceAllString(output, `"$1": "TIME"`)
	output = release.ReplaceAllString(modules.ReplaceAllString(output, "DIRECTORY"), "${1}VERSION")
	output = logged.ReplaceAllString(output, "TIME${1}N$2")
	output = recent.ReplaceAllString(output, "${1}TIME")
	output = nodes.ReplaceAllString(output, `$1 N"`)
	output = choices.ReplaceAllString(output, "${1}N${2}TIME")
	output = local.ReplaceAllString(output, "fe80::N")
	return columns.ReplaceAllString(output, "$1  ")
}

// Each script has a machine of its own, where sh runs what root does.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/*.txtar")
	expect.Check(t, err)
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			h := newHost(t)
			expect.Check(t, h.StartSSHD())
			run := func(ts *testscript.TestScript, neg bool, result sandbox.Result) {
				_, err := ts.Stdout().Write([]byte(masked(result.Stdout)))
				ts.Check(err)
				_, err = ts.Stderr().Write([]byte(masked(result.Stderr)))
				ts.Check(err)
				if (result.ExitCode != 0) != neg {
					ts.Fatalf("the exit code is %d", result.ExitCode)
				}
			}
			testscript.Run(t, testscript.Params{
				Files:         []string{script},
				UpdateScripts: os.Getenv("UPDATE") != "",
				Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
					"pamnetctl": func(ts *testscript.TestScript, neg bool, args []string) {
						run(ts, neg, h.Try(t, `exec pamnetctl "$@"`, args...))
					},
					"sh": func(ts *testscript.TestScript, neg bool, args []string) {
						run(ts, neg, h.Try(t, args[0], args[1:]...))
					},
					// put FILE PATH copies a file of the script's to the machine.
					"put": func(ts *testscript.TestScript, _ bool, args []string) {
						ts.Check(h.WriteFile(args[1], ts.ReadFile(args[0]), 0o644))
					},
					// login USER lets somebody log in until the test ends.
					"login": func(ts *testscript.TestScript, _ bool, args []string) {
						h.session(t, h.SSHCommand(args[0], "echo >/tmp/$USER; exec sleep 1000"))
						h.Try(t, "until [ -e /tmp/$1 ]; do sleep 0.01; done", args[0])
					},
				},
			})
		})
	}
}
