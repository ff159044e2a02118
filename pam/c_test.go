// SPDX-License-Identifier: GPL-2.0-or-later

package pam_test

import (
	"os/exec"
	"strings"
	"sync"
	"testing"

	"libpam-net/test/private"
)

// compile makes output with gcc, from files and flags.
func compile(t testing.TB, output string, args ...string) {
	t.Helper()
	private.Needs(t, "gcc")
	args = append([]string{"-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Wformat=2", "-Werror", "-o", output}, args...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc %q: %v\n%s", args, err, out)
	}
}

// sanitize is what makes errors of C fatal, where gcc has it.
var sanitize = sync.OnceValue(func() []string {
	flags := []string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}
	cmd := exec.Command("gcc", append(flags, "-o", "/dev/null", "-xc", "-")...)
	cmd.Stdin = strings.NewReader("int main(void) { return 0; }")
	if cmd.Run() != nil {
		return nil
	}
	return flags
})

// valgrind is what is put in front of a command to make its errors fatal.
var valgrind = []string{"valgrind", "--quiet", "--error-exitcode=1", "--leak-check=full"}

// underEachTool calls f with flags for gcc and what to put in front of the program.
func underEachTool(t *testing.T, f func(t *testing.T, flags, front []string)) {
	t.Run("under ASan and UBSan", func(t *testing.T) {
		if sanitize() == nil {
			t.Skip("needs a gcc that has them")
		}
		f(t, sanitize(), nil)
	})
	t.Run("under valgrind", func(t *testing.T) {
		private.Needs(t, valgrind[0])
		f(t, nil, valgrind)
	})
}

// compileProgram compiles testdata/NAME.c with other files.
func compileProgram(t testing.TB, name string, others ...string) (path string) {
	t.Helper()
	path = t.TempDir() + "/" + name
	compile(t, path, append(append(sanitize(), "testdata/"+name+".c"), others...)...)
	return path
}

// output is what a command prints, without the newline at its end.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}
