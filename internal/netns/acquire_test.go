// SPDX-License-Identifier: GPL-2.0-or-later

package netns_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"libpam-net/internal/mount"
	"libpam-net/internal/netns"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// opener has the name that a process, started in a test, is to open or create.
const opener = "NETNS_TEST_OPENER"

func TestMain(m *testing.M) {
	if limit := os.Getenv(limited); limit != "" {
		fmt.Println(newWhere(limit))
		return
	}
	if os.Getenv(maker) != "" {
		fmt.Println(dumpable())
		return
	}
	name := os.Getenv(opener)
	if name == "" {
		os.Exit(m.Run())
	}
	io.Copy(io.Discard, os.Stdin) // until all are there
	id, created, err := open(name)
	fmt.Println(id, created, err)
}

// open acquires the namespace of a name, which is made without a setup program.
func open(name string) (id string, created bool, err error) {
	return acquire(netns.Spec{Name: name})
}

// acquire is Acquire on a thread of its own, which must be in the namespace afterwards.
func acquire(s netns.Spec) (id string, created bool, err error) {
	err = private.OnThread(func() error {
		n, err := netns.Acquire(s)
		if err != nil {
			return err
		}
		defer n.Close()
		id, created = netns.ID(n.FD), n.Created
		if here, err := current(); here != id {
			return fmt.Errorf("in %s, not in %s: %w", here, id, err)
		}
		return nil
	})
	return id, created, err
}

// traced starts a process that opens a name. strace tampers with its first ioctl(2), by which it looks at lo,
// and writes what happens to the file log.
func traced(t *testing.T, name, inject string) (cmd *exec.Cmd, output *strings.Builder, log string) {
	t.Helper()
	private.Needs(t, "strace")
	self, err := os.Executable()
	expect.Check(t, err)
	log, output = filepath.Join(t.TempDir(), "log"), &strings.Builder{}
	cmd = exec.Command("strace", "-f", "-o", log, "-e", "trace=ioctl", "-e", "inject=ioctl:when=1:"+inject, self)
	cmd.Env = append(os.Environ(), opener+"="+name)
	cmd.Stdout = output
	expect.Check(t, cmd.Start())
	return cmd, output, log
}

// whileMade calls f while a process that has made a namespace for the name stands still before it brings up
// lo. thread is the process's, in the namespace. It returns the process's output.
func whileMade(t *testing.T, name string, f func(thread string)) (output string) {
	t.Helper()
	cmd, said, log := traced(t, name, "signal=STOP")
	thread := ""
	expect.Eventually(t, "the process is stopped", func() bool {
		text, _ := os.ReadFile(log) // soon
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "stopped by SIGSTOP") {
				return true
			}
			if strings.Contains(line, "SIOCGIFFLAGS") {
				thread = strings.Fields(line)[0]
			}
		}
		return false
	})
	f(thread)
	_, _ = private.Sh("kill -CONT " + thread) // f may have done so
	expect.Check(t, cmd.Wait())
	return strings.TrimSpace(said.String())
}

// leadsTo fails the test unless name leads to the namespace id, by one mount on
// the one on /run/netns, which is shared.
func leadsTo(t *testing.T, name, id string) {
	t.Helper()
	found, err := published(name)
	expect.Check(t, err)
	if found != id {
		t.Errorf("%q is %s, not %s", name, found, id)
	}
	dir := mountsOn(t, "/run/netns")
	if len(dir) != 1 || !strings.Contains(dir[0].Optional, "shared:") {
		t.Fatalf("/run/netns is not one shared mount: %+v", dir)
	}
	handles := mountsOn(t, "/run/netns/"+name)
	// Where /run is shared, a copy of each is below, as with ip-netns.
	handles = slices.DeleteFunc(handles, func(m *mountinfo.Info) bool { return m.Parent != dir[0].ID })
	if len(handles) != 1 {
		t.Errorf("%d mounts on %q", len(handles), name)
	}
}

// published names the namespace that has the name for the whole machine.
func published(name string) (string, error) {
	var st unix.Stat_t
	err := unix.Stat("/run/netns/"+name, &st)
	return fmt.Sprintf("net:[%d]", st.Ino), err
}

func mountsOn(t *testing.T, path string) []*mountinfo.Info {
	t.Helper()
	mounts, err := mount.Table(func(m *mountinfo.Info) (skip, stop bool) { return m.Mountpoint != path, false })
	expect.Check(t, err)
	return mounts
}

var badNames = map[string]string{
	"an option":                          "-rf",
	"a long option":                      "--help",
	"a dash":                             "-",
	"nothing":                            "",
	"the directory itself":               ".",
	"the directory above":                "..",
	"a path":                             "a/b",
	"an absolute path":                   "/etc",
	"a NUL":                              "a\x00b",
	"a newline":                          "a\nb",
	"an escape sequence":                 "\x1b[2J",
	"a delete":                           "\x7f",
	"a control character outside ASCII":  "a\u0085b",
	"256 bytes":                          strings.Repeat("x", 256),
	"255 characters of more than a byte": strings.Repeat("ä", 255),
}

var goodNames = map[string]string{
	"an ordinary one":           "alice",
	"three dots":                "...",
	"a space":                   "a b",
	"an e-mail address":         "alice@example.org",
	"a Windows domain":          `EXAMPLE\alice`,
	"not ASCII":                 "Ægir-日本",
	"not UTF-8":                 "\xff\xfe\x80",
	"what a shell would expand": "$(id) *",
	"what printf would expand":  "%s%n",
	"255 bytes":                 strings.Repeat("x", 255),
}

func TestCheckName(t *testing.T) {
	for what, name := range badNames {
		t.Run(what+" is refused", func(t *testing.T) {
			if netns.CheckName(name) == nil {
				t.Errorf("%q can name a namespace", name)
			}
		})
	}
	for what, name := range goodNames {
		t.Run(what+" is a name", func(t *testing.T) { expect.Check(t, netns.CheckName(name)) })
	}
}

func FuzzCheckName(f *testing.F) {
	for _, name := range badNames {
		f.Add(name)
	}
	for _, name := range goodNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := netns.CheckName(name)
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) || len(err.Error()) > 2000 {
				t.Errorf("not fit for a log: %q", err)
			}
			return
		}
		dir := t.TempDir()
		expect.Check(t, os.WriteFile(dir+"/"+name, nil, 0o600))
		entries, err := os.ReadDir(dir)
		expect.Check(t, err)
		if len(entries) != 1 || entries[0].Name() != name {
			t.Errorf("%q has become %v", name, entries)
		}
	})
}

func TestAcquire(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	t.Run("a new one is ip-netns's, too", func(t *testing.T) {
		id, created, err := open("new")
		expect.Check(t, err)
		if !created {
			t.Error("is said to have been there")
		}
		leadsTo(t, "new", id)
		list, err := private.Sh(`ip netns list; ip netns exec new readlink /proc/self/ns/net`)
		if want := "new\n" + id; list != want {
			t.Errorf("ip-netns sees %q, not %q: %v", list, want, err)
		}
		_, err = private.Sh("ip netns delete new")
		expect.Check(t, err)
	})
	t.Run("the second login joins what the first has made", func(t *testing.T) {
		first, _, err := open("twice")
		expect.Check(t, err)
		second, created, err := open("twice")
		expect.Check(t, err)
		if created || second != first {
			t.Errorf("%s after %s", second, first)
		}
		leadsTo(t, "twice", first)
	})
	t.Run("what ip-netns has made is joined", func(t *testing.T) {
		_, err := private.Sh("ip netns add theirs")
		expect.Check(t, err)
		id, created, err := acquire(netns.Spec{Name: "theirs", LoDown: true})
		expect.Check(t, err)
		if created {
			t.Error("is said to be new")
		}
		leadsTo(t, "theirs", id)
	})
	t.Run("an empty file that a crash has left is taken over", func(t *testing.T) {
		expect.Check(t, os.WriteFile("/run/netns/crash", nil, 0o600))
		id, created, err := open("crash")
		expect.Check(t, err)
		if !created {
			t.Error("is said to have been there")
		}
		leadsTo(t, "crash", id)
	})
	t.Run("who has made the file may take a moment to mount", func(t *testing.T) {
		said := whileMade(t, "slow", func(thread string) {
			expect.Check(t, os.WriteFile("/run/netns/slow", nil, 0o600))
			_, err := private.Sh("kill -CONT " + thread)
			expect.Check(t, err)
			expect.Check(t, private.OnThread(func() error {
				err := unix.Unshare(unix.CLONE_NEWNET)
				return cmp.Or(err, unix.Mount("/proc/thread-self/ns/net", "/run/netns/slow", "", unix.MS_BIND, ""))
			}))
		})
		id, err := published("slow")
		expect.Check(t, err)
		expect.Equal(t, "the login", said, id+" false <nil>")
		leadsTo(t, "slow", id)
	})
	t.Run("it is prepared inside, before others see it", func(t *testing.T) {
		var inside string
		said := whileMade(t, "prepared", func(thread string) {
			if _, err := published("prepared"); !errors.Is(err, unix.ENOENT) {
				t.Errorf("published already: %v", err)
			}
			var err error
			inside, err = os.Readlink("/proc/" + thread + "/ns/net")
			expect.Check(t, err)
		})
		expect.Equal(t, "the login", said, inside+" true <nil>")
		leadsTo(t, "prepared", inside)
		_, err := private.Sh("ip netns exec prepared ip link show up | grep LOOPBACK")
		expect.Check(t, err)
	})
	t.Run("lo of what is there is brought up, unless it is to stay down", func(t *testing.T) {
		isUp := func() bool {
			_, err := private.Sh("ip netns exec theirs ip link show up | grep LOOPBACK")
			return err == nil
		}
		for _, down := range []bool{true, false} {
			_, _, err := acquire(netns.Spec{Name: "theirs", LoDown: down})
			expect.Check(t, err)
			expect.Equal(t, "lo is up", isUp(), !down)
		}
	})
	t.Run("a failure to prepare leaves nothing behind", func(t *testing.T) {
		cmd, said, _ := traced(t, "failed", "error=EIO")
		expect.Check(t, cmd.Wait())
		if !strings.Contains(said.String(), "bring up lo") {
			t.Errorf("%q", said)
		}
		if _, err := os.Lstat("/run/netns/failed"); !errors.Is(err, unix.ENOENT) {
			t.Errorf("the file is there: %v", err)
		}
		if m := mountsOn(t, "/run/netns/failed"); len(m) != 0 {
			t.Errorf("the mount is there: %v", m)
		}
		expect.Equal(t, "record", record(t, "failed"), "")
	})
	for what, name := range goodNames {
		t.Run("its name may be "+what, func(t *testing.T) {
			id, created, err := open(name)
			expect.Check(t, err)
			if !created {
				t.Error("is said to have been there")
			}
			leadsTo(t, name, id)
			again, _, err := open(name)
			expect.Check(t, err)
			if again != id {
				t.Errorf("%s after %s", again, id)
			}
		})
	}
	t.Run("the whole machine sees it if the login has mounts of its own", func(t *testing.T) {
		var id string
		expect.Check(t, private.OnThread(func() error {
			err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
			if err != nil {
				return err
			}
			n, err := netns.Acquire(netns.Spec{Name: "everybody"})
			if !n.Created {
				return fmt.Errorf("not created: %w", err)
			}
			id = netns.ID(n.FD)
			return answers("127.0.0.1:0")
		}))
		leadsTo(t, "everybody", id)
	})
	t.Run("the whole machine sees it if the login is chrooted", func(t *testing.T) {
		root := t.TempDir()
		var id string
		expect.Check(t, os.MkdirAll(root+"/proc", 0o755))
		expect.Check(t, private.OnThread(func() error {
			err := errors.Join(unix.Mount("/proc", root+"/proc", "", unix.MS_BIND, ""), unix.Chroot(root), unix.Chdir("/"))
			if err != nil {
				return err
			}
			n, err := netns.Acquire(netns.Spec{Name: "chrooted"})
			id = netns.ID(n.FD)
			return err
		}))
		expect.Check(t, unix.Unmount(root+"/proc", unix.MNT_DETACH))
		leadsTo(t, "chrooted", id)
	})
}

// What has the name is no namespace, or not one to put anybody into.
func TestAcquireRefuses(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	_, err := private.Sh("ip netns add other")
	expect.Check(t, err)
	for _, c := range []struct{ what, make, because string }{
		{"a symbolic link to a namespace", `ln -s other "$1"`, "not a network namespace"},
		{"a dangling symbolic link", `ln -s nothing "$1"`, "not a network namespace"},
		{"a directory", `mkdir "$1"`, "not a network namespace"},
		{"a file with something in it", `echo something > "$1"`, "not a network namespace"},
		{"a FIFO, without blocking", `mkfifo "$1"`, "not a network namespace"},
		{"a device", `mknod "$1" c 1 3`, "not a network namespace"},
		{"a file that is mounted there", `touch "$1"; mount --bind /etc/passwd "$1"`, "not a network namespace"},
		{"a UTS namespace", `touch "$1"; mount --bind /proc/self/ns/uts "$1"`, "another kind of namespace"},
		{"a PID namespace", `touch "$1"; mount --bind /proc/self/ns/pid "$1"`, "another kind of namespace"},
		{
			// Only one with a greater number than ours can be mounted, which not every new one has.
			"a mount namespace", `mount --make-private /run/netns; touch "$1"; for i in $(seq 100); do unshare --mount="$1" true && break; done`,
			"another kind of namespace",
		},
		{"the host's own network", `touch "$1"; mount --bind /proc/1/ns/net "$1"`, "the host's own network namespace"},
	} {
		t.Run(c.what, func(t *testing.T) {
			path := filepath.Join("/run/netns", c.what)
			_, err := private.Sh(c.make, path)
			expect.Check(t, err)
			before, err := os.ReadFile("/proc/self/mountinfo")
			expect.Check(t, err)
			_, _, err = open(c.what)
			if err == nil || !strings.Contains(err.Error(), c.because) || !strings.Contains(err.Error(), path) {
				t.Errorf("the error should name %s and say %q: %v", path, c.because, err)
			}
			after, err := os.ReadFile("/proc/self/mountinfo")
			expect.Check(t, err)
			if !bytes.Equal(before, after) {
				t.Error("the mount table has changed")
			}
		})
	}
	for _, c := range []struct{ what, make, undo string }{
		{"everybody may write", "chmod 1777 /run/netns", "chmod 755 /run/netns"},
		{"a group may write", "chmod 775 /run/netns", "chmod 755 /run/netns"},
		{"belongs to somebody else", "chown 1000 /run/netns", "chown root /run/netns"},
		{"is a symbolic link", "umount -l /run/netns; mv /run/netns /run/n; ln -s n /run/netns", ""},
	} {
		t.Run("where /run/netns "+c.what, func(t *testing.T) {
			_, err := private.Sh(c.make)
			expect.Check(t, err)
			if _, _, err = open("other"); err == nil || !strings.Contains(err.Error(), "/run/netns") {
				t.Errorf("an old one: %v", err)
			}
			if _, _, err = open("new"); err == nil || !strings.Contains(err.Error(), "/run/netns") {
				t.Errorf("a new one: %v", err)
			}
			_, err = private.Sh(c.undo)
			expect.Check(t, err)
		})
	}
}

func TestSimultaneousLoginsGetOneNamespace(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	for _, c := range []struct {
		what string
		more string // is run at the same time
	}{
		{"of 40 processes", "true"},
		{"of 40 processes and ip-netns", "ip netns add everybody 2>/dev/null || true"},
	} {
		t.Run(c.what, func(t *testing.T) {
			wait, start, err := os.Pipe()
			expect.Check(t, err)
			processes := []*exec.Cmd{exec.Command("sh", "-c", "cat; "+c.more)}
			for range 40 {
				cmd := exec.Command("/proc/self/exe")
				cmd.Env = append(os.Environ(), opener+"=everybody")
				processes = append(processes, cmd)
			}
			output := make([]bytes.Buffer, len(processes))
			for i, cmd := range processes {
				cmd.Stdin, cmd.Stdout, cmd.Stderr = wait, &output[i], &output[i]
				expect.Check(t, cmd.Start())
			}
			expect.Check(t, errors.Join(wait.Close(), start.Close()))
			said := make(map[string]int)
			for i, cmd := range processes {
				expect.Check(t, cmd.Wait())
				said[strings.TrimSpace(output[i].String())]++
			}
			id, err := published("everybody")
			expect.Check(t, err)
			leadsTo(t, "everybody", id)
			joined, created := said[id+" false <nil>"], said[id+" true <nil>"]
			if joined+created != 40 || created > 1 || c.more == "true" && created != 1 {
				t.Errorf("processes say %v", said)
			}
			_, err = private.Sh("ip netns delete everybody; umount -l /run/netns; rmdir /run/netns")
			expect.Check(t, err)
		})
	}
}

// Everybody may open the directory, and so hold the lock that ip-netns takes.
func TestSomebodyHoldsTheLockOfRunNetns(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	expect.Check(t, os.Mkdir("/run/netns", 0o755))
	dir, err := os.Open("/run/netns")
	expect.Check(t, err)
	defer dir.Close()
	expect.Check(t, unix.Flock(int(dir.Fd()), unix.LOCK_EX))
	for _, name := range []string{"first", "second"} {
		done := make(chan error)
		go func() {
			_, _, err := open(name)
			done <- err
		}()
		select {
		case err := <-done:
			expect.Check(t, err)
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: still waiting", name)
		}
	}
	if names := list(t); !slices.Equal(names, []string{"first", "second"}) {
		t.Error(names)
	}
}

// list returns what the calling thread sees in /run/netns.
func list(t *testing.T) []string {
	t.Helper()
	names, err := readDir()
	expect.Check(t, err)
	return names
}

func readDir() ([]string, error) {
	entries, err := os.ReadDir("/run/netns")
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func TestWhoWinsWhileWePrepareIsJoined(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "ip")
	var theirs string
	said := whileMade(t, "late", func(string) {
		_, err := private.Sh("ip netns add late")
		expect.Check(t, err)
		theirs, err = published("late")
		expect.Check(t, err)
		expect.Eventually(t, "the namespace is older than patience", func() bool {
			var st unix.Stat_t
			expect.Check(t, unix.Stat("/run/netns/late", &st))
			return time.Since(time.Unix(st.Ctim.Unix())) > 600*time.Millisecond
		})
	})
	expect.Equal(t, "the login", said, theirs+" false <nil>")
	leadsTo(t, "late", theirs)
	expect.Equal(t, "record", record(t, "late"), "")
}

func TestAnUnnamedNamespaceIsNew(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	host, err := current()
	expect.Check(t, err)
	seen := map[string]bool{host: true}
	for range 2 {
		id, created, err := acquire(netns.Spec{Unnamed: true})
		expect.Check(t, err)
		if !created || seen[id] {
			t.Errorf("%s (new: %v)", id, created)
		}
		seen[id] = true
	}
	if left, err := private.Sh("ls -A /run"); left != "" || err != nil {
		t.Errorf("there is %q: %v", left, err)
	}
	if _, _, err := acquire(netns.Spec{}); err == nil {
		t.Error("a namespace that nothing is said of is made")
	}
}
