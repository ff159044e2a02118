// SPDX-License-Identifier: GPL-2.0-or-later

package pamstack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
)

// library compiles a libpam that reads lines with a function of libc.
func library(t *testing.T, file, call string) {
	t.Helper()
	expect.Check(t, os.MkdirAll(filepath.Dir(file), 0o755))
	cmd := exec.Command("gcc", "-shared", "-fPIC", "-x", "c", "-o", file, "-")
	cmd.Stdin = strings.NewReader("#include <stdio.h>\nvoid pam(char **line, size_t *size) { " + call + "; }\n")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v: %s", err, output)
	}
}

func TestALineEndsWhereTheInstalledLibpamEndsIt(t *testing.T) {
	t.Parallel()
	const (
		text = "\\\n\n#\nsession required pam_a.so \\\n# no\nsession required pam_b.so \\\n\nsession required pam_c.so \\\nx\nsession optional pam_d.so \\\n#\n"
		old  = "svc:1 required pam_a.so(session)(required)(pam_b.so)(session)(required)(pam_c.so)(x)\n"
		now  = "svc:4 required pam_a.so\nsvc:6 required pam_b.so\nsvc:8 required pam_c.so(x)\nsvc:10 optional pam_d.so\n"
	)
	for name, c := range map[string]struct {
		prepare func(root string)
		want    string
	}{
		"Linux-PAM 1.5": {func(root string) { library(t, root+"/lib/x86/libpam.so.0", "fgets(*line, 9, stdin)") }, old},
		"Linux-PAM 1.7": {func(root string) {
			library(t, root+"/usr/lib64/libpam.so.0.85.1", "getline(line, size, stdin)")
			expect.Check(t, os.Symlink("libpam.so.0.85.1", root+"/usr/lib64/libpam.so.0"))
		}, now},
		"a library that a link leads out of the tree to": {func(root string) {
			elsewhere := t.TempDir() + "/libpam"
			library(t, elsewhere, "getline(line, size, stdin)")
			expect.Check(t, os.Mkdir(root+"/lib64", 0o755))
			expect.Check(t, os.Symlink(elsewhere, root+"/lib64/libpam.so.0"))
		}, old},
		"a pipe": {func(root string) {
			expect.Check(t, os.Mkdir(root+"/lib64", 0o755))
			expect.Check(t, unix.Mkfifo(root+"/lib64/libpam.so.0", 0o644))
		}, old},
		"no library": {func(string) {}, old},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := machine(t, map[string]string{"/etc/pam.d/svc": text + "session optional pam_e.so\n"})
			c.prepare(root)
			config, err := Load(root)
			expect.Check(t, err)
			want := c.want + "svc:12 optional pam_e.so\n"
			if c.want == old {
				want = old + "svc:10 optional pam_d.so(session)(optional)(pam_e.so)\n"
			}
			if got := show(config.Stack("svc", Session)); got != want {
				t.Errorf("%s, not %s", got, want)
			}
		})
	}
}
