// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"libpam-net/internal/doctor"
)

// The scripts have a machine, below the directory they run in, on which the modules
// are installed and nothing else is done.
func TestDoctor(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: the files of a machine are root's")
	}
	module := filepath.Join(t.TempDir(), "module")
	cmd := exec.Command("gcc", "-shared", "-fPIC", "-nostdlib", "-x", "c", "-o", module, "-")
	cmd.Stdin = strings.NewReader(`__attribute__((section(".pamnet.go.relro"), used)) static void *entry;
		int pam_sm_open_session(void) { return 0; } int pam_sm_close_session(void) { return 0; }`)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v: %s", err, output)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/doctor",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			dir := filepath.Join(e.WorkDir, "usr/lib/security")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			content, err := os.ReadFile(module)
			for _, name := range []string{"permit", "unix", "groupnet", "newnet", "usernet"} {
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "pam_"+name+".so"), content, 0o644)
				}
			}
			return err
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"pamnetctl": func(ts *testscript.TestScript, neg bool, args []string) {
				if code := execute(args, ts.Stdout(), ts.Stderr()); (code != fine) != neg {
					ts.Fatalf("the exit code is %d", code)
				}
			},
		},
	})
}

func TestSerious(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		severities []doctor.Severity
		want       string
	}{
		{nil, ""},
		{[]doctor.Severity{doctor.Note}, ""},
		{[]doctor.Severity{doctor.Warning, doctor.Note}, "0 errors, 1 warning"},
		{[]doctor.Severity{doctor.Error, doctor.Error, doctor.Warning}, "2 errors, 1 warning"},
	} {
		var findings []doctor.Finding
		for _, s := range c.severities {
			findings = append(findings, doctor.Finding{Severity: s})
		}
		got := ""
		if err := serious(findings); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%v: %q", c.severities, got)
		}
	}
}
