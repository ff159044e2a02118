// SPDX-License-Identifier: GPL-2.0-or-later

package amend

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"golang.org/x/tools/txtar"

	"libpam-net/internal/policy"
	"libpam-net/test/expect"
)

// machine makes a Debian below a directory, with these files besides. An empty text removes a file.
func machine(t testing.TB, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	archive, err := txtar.ParseFile("testdata/debian.txtar")
	expect.Check(t, err)
	for _, f := range archive.Files {
		if _, other := files["/"+f.Name]; !other {
			put(t, root, f.Name, string(f.Data))
		}
	}
	for name, text := range files {
		if text != "" {
			put(t, root, name, text)
		}
	}
	return root
}

func put(t testing.TB, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, name)
	expect.Check(t, os.MkdirAll(filepath.Dir(file), 0o755))
	expect.Check(t, os.WriteFile(file, []byte(text), 0o644))
}

func get(t testing.TB, root, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	expect.Check(t, err)
	return string(text)
}

// ours is a service with the modules.
const ours = `auth required pam_unix.so
auth optional pam_group.so
account required pam_unix.so
session required pam_unix.so
session [success=ignore default=1] pam_succeed_if.so user != x
session optional pam_umask.so
session required pam_newnet.so mask=/run/docker.sock
session required pam_usernet.so
`

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, new string // in the service
		want     string // in the error; "" for none
	}{
		"a comment":                             {"session optional", "# x\nsession optional", ""},
		"one more module of others":             {"session optional", "session optional pam_env.so\nsession optional", ""},
		"one more at the end":                   {"pam_usernet.so\n", "pam_usernet.so\nsession optional pam_env.so\n", ""},
		"an argument of ours":                   {"pam_usernet.so", "pam_usernet.so debug", ""},
		"our line gets a weaker control":        {"required pam_usernet", "optional pam_usernet", "a refusal of a member of usernet would be ignored"},
		"our line goes":                         {"session required pam_newnet.so mask=/run/docker.sock\n", "", "a member of newnet would be in the host's network"},
		"our line is for another group":         {"pam_newnet.so", "pam_newnet.so group=x", "a member of newnet would be in the host's network"},
		"our line comes behind one that ends":   {"session required pam_usernet", "session sufficient pam_permit.so\nsession required pam_usernet", "a member of usernet would be in the host's network"},
		"less is covered":                       {"mask=/run/docker.sock", "", "a member of newnet would see /run/docker.sock"},
		"more is covered":                       {"mask=/run/docker.sock", "mask=/run", ""},
		"a line of auth goes":                   {"auth optional pam_group.so\n", "", "service sshd, auth: lines of other modules would change"},
		"lines of auth change places":           {"auth required pam_unix.so\nauth optional pam_group.so\n", "auth optional pam_group.so\nauth required pam_unix.so\n", "lines of other modules would change"},
		"a line of ours in auth":                {"auth optional", "auth required pam_newnet.so\nauth optional", "service sshd, auth: the login of a non-member would fail"},
		"a line of session of others goes":      {"session optional pam_umask.so\n", "", "would go"},
		"a line of session of others changes":   {"optional pam_umask.so", "optional pam_umask.so x", "would go"},
		"non-members would be refused":          {"session required pam_usernet", "session [success=ok default=die] pam_usernet", "the login of a non-member would fail"},
		"a line that libpam cannot parse":       {"session optional", "sesion optional pam_x.so\nsession optional", "libpam could not parse the line"},
		"a line that is continued by mistake":   {"pam_umask.so", "pam_umask.so \\", "would go"},
		"our lines are before a line that ends": {"pam_usernet.so\n", "pam_usernet.so\nsession sufficient pam_permit.so\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := machine(t, map[string]string{"/etc/pam.d/sshd": ours})
			tree := New(root)
			text := strings.Replace(ours, c.old, c.new, 1)
			if text == ours {
				t.Fatal("it changes nothing")
			}
			expect.Check(t, tree.Set("/etc/pam.d/sshd", text))
			err := tree.Check(nil)
			if c.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, not %q", err, c.want)
			}
			if err := tree.Check(func(policy.Module) bool { return true }); strings.Contains(c.want, "a member of") != (err == nil) && c.want != "" {
				t.Errorf("where less isolation is wanted: %v", err)
			}
		})
	}
}

func TestCheckOfTheSharedFiles(t *testing.T) {
	t.Parallel()
	const file = "/etc/pam.d/common-session"
	for name, c := range map[string]struct{ old, new, want string }{
		"an argument in the block":            {"pam_unix.so ", "pam_unix.so debug", "would go"},
		"a line before the block":             {"# here are the per-package", "session required pam_newnet.so\n# here are the per-package", ""},
		"a line behind the block":             {"# end of pam-auth-update config", "# end of pam-auth-update config\nsession required pam_newnet.so", ""},
		"a line in the block":                 {"# end of pam-auth-update config", "session required pam_newnet.so\n# end of pam-auth-update config", "pam-auth-update could not update"},
		"a comment in the block":              {"# end of pam-auth-update config", "# x\n# end of pam-auth-update config", "pam-auth-update could not update"},
		"a mark goes":                         {"# and here are more per-package modules", "# and here", "pam-auth-update could not update"},
		"blanks in the block":                 {"session\toptional\tpam_systemd.so", "session\toptional pam_systemd.so", "pam-auth-update could not update"},
		"an argument with a blank in a block": {"pam_systemd.so ", "pam_systemd.so [a b]", "would go"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := machine(t, nil)
			text := get(t, root, file)
			tree := New(root)
			expect.Check(t, tree.Set(file, strings.Replace(text, c.old, c.new, 1)))
			expect.Equal(t, "changed files", len(tree.Files()), 1)
			if err := tree.Check(nil); c.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
}

func TestArgumentsThatPamAuthUpdateWouldMixUp(t *testing.T) {
	t.Parallel()
	root := machine(t, nil)
	for _, file := range []string{"/etc/pam.d/common-session", "/var/lib/pam/session"} {
		line := map[bool]string{true: "session\trequired\tpam_newnet.so\n# end of", false: "\nModule: libpam-net-newnet\nrequired\tpam_newnet.so\n"}
		text := get(t, root, file)
		if strings.Contains(text, "# end of") {
			text = strings.Replace(text, "# end of", line[true], 1)
		} else {
			text += line[false]
		}
		put(t, root, file, text)
	}
	for arguments, want := range map[string]string{"mask=/run/x debug": "", "[mask=/run/a b]": "would mix up", "debug # why": "would mix up"} {
		tree := New(root)
		text := get(t, root, "/etc/pam.d/common-session")
		expect.Check(t, tree.Set("/etc/pam.d/common-session", strings.Replace(text, "pam_newnet.so", "pam_newnet.so "+arguments, 1)))
		if err := tree.Check(nil); want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", arguments, err, want)
		}
	}
}

func TestAFileOfTheDistributionsIsCopied(t *testing.T) {
	t.Parallel()
	root := machine(t, map[string]string{"/usr/lib/pam.d/x": "session required pam_unix.so\n"})
	tree := New(root)
	expect.Check(t, tree.Edit(Edit{"/usr/lib/pam.d/x", []string{"+ session required pam_newnet.so"}}))
	expect.Check(t, tree.Edit(Edit{"/etc/pam.d/x", []string{"+ # more"}}))
	const want = "session required pam_unix.so\nsession required pam_newnet.so\n# more\n"
	expect.Equal(t, "the copy", tree.Changed()["/etc/pam.d/x"], want)
	expect.Equal(t, "diff", tree.Diff(), `--- /usr/lib/pam.d/x
+++ /etc/pam.d/x
@@ -1,1 +1,3 @@
 session required pam_unix.so
+session required pam_newnet.so
+# more
`)
	expect.Check(t, tree.Check(nil))
	commit(t, tree)
	expect.Equal(t, "the copy", get(t, root, "/etc/pam.d/x"), want)
	expect.Equal(t, "the original", get(t, root, "/usr/lib/pam.d/x"), "session required pam_unix.so\n")
}

func commit(t testing.TB, tree *Tree) (copies string) {
	t.Helper()
	staged, err := tree.Stage(nil)
	expect.Check(t, err)
	copies, err = staged.Commit()
	expect.Check(t, err)
	return copies
}

func TestFilesThatAreNotChanged(t *testing.T) {
	t.Parallel()
	root := machine(t, map[string]string{"/etc/pam.d/sudo": "", "/opt/stack": "session required pam_unix.so\n"})
	expect.Check(t, os.Symlink("su", root+"/etc/pam.d/sudo"))
	expect.Check(t, os.Symlink("/nowhere", root+"/etc/pam.d/x"))
	for file, want := range map[string]string{
		"/etc/pam.d/sudo": "/etc/pam.d/sudo is a symbolic link to /etc/pam.d/su: change that",
		"/opt/stack":      "belongs to a package",
		"/etc/none/x":     "no such file or directory",
	} {
		err := New(root).Edit(Edit{file, []string{"+ x"}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", file, err, want)
		}
	}
	expect.Check(t, os.Rename(root+"/etc/pam.d", root+"/etc/elsewhere"))
	expect.Check(t, os.Symlink("elsewhere", root+"/etc/pam.d"))
	if err := New(root).Edit(Edit{"/etc/pam.d/su", []string{"+ x"}}); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link on the way: %v", err)
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: files get another owner")
	}
	root := machine(t, nil)
	const file = "/etc/pam.d/su"
	before := get(t, root, file)
	expect.Check(t, os.Chown(root+file, 7, 8))
	expect.Check(t, os.Chmod(root+file, 0o640))
	labelled := unix.Setxattr(root+file, "user.x", []byte("y"), 0) == nil // tmpfs of old kernels has none
	tree := New(root)
	expect.Check(t, tree.Edit(Edit{file, []string{"+ session required pam_newnet.so"}}, Edit{"/etc/pam.d/sudo", []string{"+ # x"}}))
	copies := commit(t, tree)
	expect.Equal(t, "the file", get(t, root, file), before+"session required pam_newnet.so\n")
	expect.Equal(t, "the copy", get(t, root, copies+file), before)
	for _, name := range []string{file, copies + file} {
		var st unix.Stat_t
		expect.Check(t, unix.Stat(root+name, &st))
		expect.Equal(t, "owner and mode of "+name, fmt.Sprintf("%d %d %o", st.Uid, st.Gid, st.Mode&0o7777), "7 8 640")
		value := make([]byte, 9)
		if n, err := unix.Getxattr(root+name, "user.x", value); labelled && (err != nil || string(value[:n]) != "y") {
			t.Errorf("label of %s: %q %v", name, value[:n], err)
		}
	}
	left, err := filepath.Glob(root + "/etc/pam.d/.*")
	expect.Check(t, err)
	expect.Equal(t, "what is left", len(left), 0)
}

func TestNothingIsWrittenIfAFileHasChangedMeanwhile(t *testing.T) {
	t.Parallel()
	root := machine(t, nil)
	tree := New(root)
	expect.Check(t, tree.Edit(Edit{"/etc/pam.d/su", []string{"+ # x"}}, Edit{"/etc/pam.d/sudo", []string{"+ # x"}}))
	put(t, root, "/etc/pam.d/sudo", "session required pam_unix.so\n")
	before := get(t, root, "/etc/pam.d/su")
	if _, err := tree.Stage(nil); err == nil || !strings.Contains(err.Error(), "/etc/pam.d/sudo has been changed meanwhile") {
		t.Error(err)
	}
	expect.Equal(t, "the other file", get(t, root, "/etc/pam.d/su"), before)
	left, err := filepath.Glob(root + "/etc/pam.d/.*")
	expect.Check(t, err)
	expect.Equal(t, "what is left", len(left), 0)
}

// A rename fails after others have been made, or the configuration is not what was expected.
func TestEverythingIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, disturb := range map[string]func(root string) error{
		"a rename fails": func(root string) error {
			return os.Remove(root + "/etc/pam.d/.sudo.pamnetctl-new")
		},
		"another text is there": func(root string) error {
			return os.WriteFile(root+"/etc/pam.d/.sudo.pamnetctl-new", []byte("session required pam_deny.so\n"), 0o644)
		},
		"another program changes a file": func(root string) error {
			return os.WriteFile(root+"/etc/pam.d/common-session", []byte("session required pam_deny.so\n"), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := machine(t, map[string]string{"/usr/lib/pam.d/x": "session required pam_unix.so\n"})
			before := map[string]string{"/etc/pam.d/su": "", "/etc/pam.d/sudo": ""}
			for file := range before {
				before[file] = get(t, root, file)
			}
			tree := New(root)
			expect.Check(t, tree.Edit(Edit{"/etc/pam.d/su", []string{"+ # a long line, which comes first"}},
				Edit{"/usr/lib/pam.d/x", []string{"+ # x"}}, Edit{"/etc/pam.d/sudo", []string{"+ #"}}))
			staged, err := tree.Stage(nil)
			expect.Check(t, err)
			expect.Check(t, disturb(root))
			if copies, err := staged.Commit(); err == nil {
				t.Errorf("it is content; %s", copies)
			}
			for file, text := range before {
				expect.Equal(t, file, get(t, root, file), text)
			}
			left, err := filepath.Glob(root + "/etc/pam.d/[.x]*")
			expect.Check(t, err)
			expect.Equal(t, "what is left", len(left), 0)
		})
	}
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	root := machine(t, nil)
	var runs sync.WaitGroup
	for i := range 8 {
		runs.Go(func() {
			unlock, err := Lock(root)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			tree := New(root)
			staged, err := func() (*Staged, error) {
				if err := tree.Edit(Edit{"/etc/pam.d/su", []string{fmt.Sprintf("+ # %d", i)}}); err != nil {
					return nil, err
				}
				return tree.Stage(nil)
			}()
			if err == nil {
				_, err = staged.Commit()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	runs.Wait()
	for i := range 8 {
		if !strings.Contains(get(t, root, "/etc/pam.d/su"), fmt.Sprintf("\n# %d\n", i)) {
			t.Errorf("the change of run %d is lost", i)
		}
	}
}
