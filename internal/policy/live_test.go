// SPDX-License-Identifier: GPL-2.0-or-later

package policy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"libpam-net/internal/session"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// TestLive asks the name service of a machine with a directory, "fake", in each of its states.
func TestLive(t *testing.T) {
	if os.Getenv("FAKE_LIBRARY") == "" {
		dir := t.TempDir()
		cc := exec.Command("gcc", "-shared", "-fPIC", "-o", filepath.Join(dir, "libnss_fake.so.2"), "testdata/libnss_fake.c")
		if output, err := cc.CombinedOutput(); err != nil {
			t.Fatalf("gcc: %v: %s", err, output)
		}
		t.Setenv("FAKE_LIBRARY", "yes")
		t.Setenv("LD_LIBRARY_PATH", dir)
	}
	if private.Namespaces(t) {
		return
	}
	for name, content := range accounts {
		expect.Check(t, os.WriteFile(name, []byte(content), 0o644))
	}
	exam := Module{"pam_newnet", session.NewNet, "exam"}
	prefix := Module{"pam_groupnet", session.GroupNet, "exa"}
	const (
		files = "passwd: files\ngroup: files\n"
		fake  = "passwd: files fake\ngroup: files fake\n"
	)
	for _, c := range []struct {
		sentence, nsswitch, state string
		module                    Module
		members, dora, olga       string // the members, and what is known of two users
		failed, silent            int
	}{
		{"files", files, "", Modules[2], "bob", "n", "n", 0, 0},
		{"a source that is not installed", "passwd: files nosuch\ngroup: files nosuch\n", "", Modules[2], "bob", "n", "n", 0, 0},
		{"a directory that lists", fake, "lists", exam, "dora", "m", "n", 0, 0},
		{"a directory that does not list, of a group that it knows by name", fake, "silent", exam, "dora and perhaps others", "m", "n", 0, 1},
		{"a directory that does not list, of a group that nobody has", fake, "silent", Module{"pam_newnet", session.NewNet, "nosuch"}, "", "g", "g", 0, 1},
		{"a directory that does not list, of groups that begin alike", fake, "silent", prefix, "and perhaps others", "n", "n", 0, 1},
		{"a directory that fails", fake, "fails", Modules[2], "bob and perhaps others", "-", "-", 1, 0},
		{"a directory that hangs", fake, "hangs", Modules[2], "and perhaps others", "-", "-", 1, 0},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			expect.Check(t, os.WriteFile("/etc/nsswitch.conf", []byte(c.nsswitch), 0o644))
			t.Setenv("FAKE", c.state)
			if c.state == "hangs" {
				patience = 200 * time.Millisecond
			}
			o := Live()
			if got := names(t, o, c.module); got != c.members {
				t.Errorf("the members are %q, not %q", got, c.members)
			}
			l, err := o.Listing()
			expect.Check(t, err)
			if len(l.Failed) != c.failed || len(l.Silent) != c.silent || l.Complete() != (c.failed+c.silent == 0) {
				t.Errorf("failed: %v, silent: %v", l.Failed, l.Silent)
			}
			for _, err := range l.Failed {
				if !strings.Contains(err.Error(), `source "fake" of nsswitch.conf does not answer`) {
					t.Error(err)
				}
			}
			got := fmt.Sprintf("%c %c", o.Member("dora", c.module).State, o.Member("olga", c.module).State)
			expect.Equal(t, "what is known of dora and olga", got, c.dora+" "+c.olga)
			if err := (&Policy{Oracle: o}).CheckUser("nosuch"); (err == nil) != (c.failed > 0) {
				t.Errorf("a name that no source has: %v", err)
			}
			if a := o.Member("root", c.module); !a.Root {
				t.Errorf("root is not known as root: %+v", a)
			}
		})
	}
	t.Run("an nsswitch.conf that cannot be read", func(t *testing.T) {
		expect.Check(t, os.Remove("/etc/nsswitch.conf"))
		expect.Check(t, os.Mkdir("/etc/nsswitch.conf", 0o755))
		o := Live()
		if l, err := o.Listing(); err != nil || len(l.Failed) != 1 || l.Complete() {
			t.Errorf("%+v %v", l, err)
		}
		expect.Equal(t, "the members", names(t, o, Modules[2]), "and perhaps others")
	})
}
