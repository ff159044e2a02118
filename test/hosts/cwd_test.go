// SPDX-License-Identifier: GPL-2.0-or-later

package hosts

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/pamhost"
)

// callers adds two host programs that nina starts in a directory, and that are root's then:
// in supamhost the real user ID stays hers, as in su(1), and in rootpamhost it does not, as
// in sudo(8).
func (b *box) callers(t *testing.T, directory string) {
	t.Helper()
	b.sh(t, `cp /usr/local/bin/pamhost /usr/local/bin/supamhost; cp /usr/bin/setpriv /usr/local/bin/rootly
		chmod 4755 /usr/local/bin/supamhost /usr/local/bin/rootly`)
	for name, program := range map[string]string{
		"nina-su":   "supamhost",
		"nina-sudo": "rootly --reuid 0 --regid 0 --clear-groups pamhost",
	} {
		script := fmt.Sprintf("#!/bin/sh\nexec setpriv --reuid nina --regid nina --clear-groups sh -c 'cd %s && exec %s \"$@\"' sh \"$@\"\n", directory, program)
		expect.Check(t, b.WriteFile("/usr/local/bin/"+name, script, 0o755))
	}
}

// fuse mounts a directory of nina's, which lasts until the test ends, and returns what its
// server prints.
func (b *box) fuse(t *testing.T, directory string, options ...string) *bufio.Reader {
	t.Helper()
	expect.Check(t, b.Install(programs.fuse, "/usr/local/bin/fuse", 0o755))
	b.sh(t, "mkdir -p "+directory)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	server := b.CommandContext(ctx, "fuse", append(options, strconv.Itoa(b.Nina.UID), directory)...)
	stdin, err := server.StdinPipe()
	expect.Check(t, err)
	stdout, err := server.StdoutPipe()
	expect.Check(t, err)
	expect.Check(t, server.Start())
	t.Cleanup(func() {
		defer cancel()
		stdin.Close()
		expect.Check(t, server.Wait())
		// Who has waited for an answer is let go.
		_, err := b.Run(ctx, nil, "sh", "-c", "umount "+directory+"; while pgrep pamhost; do :; done")
		expect.Check(t, err)
	})
	lines := bufio.NewReader(stdout)
	if line, err := lines.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the FUSE server says %q: %v", line, err)
	}
	return lines
}

const inRoot = `notice pam_newnet: "nina": the session starts in "/": enter the working directory: `

// Root may not enter what a user mounts by FUSE, nor what NFS serves with root_squash. The
// latter is what root without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH gets anywhere.
func TestADirectoryThatRootMayNotEnterIsNoReasonForARefusal(t *testing.T) {
	t.Parallel()
	const squash = " --drop-cap dac_override --drop-cap dac_read_search"
	for _, c := range []struct {
		is, host, directory string
		kept                bool
	}{
		{"a FUSE mount, by the set-uid program of its user", "nina-su", "/tmp/fuse", true},
		{"a FUSE mount, by a program that is all root's", "nina-sudo", "/tmp/fuse", false},
		{"a directory that root is kept from, by the set-uid program of its user", "nina-su" + squash, "/home/nina/own", true},
		{"a directory that root is kept from, by a program that is all root's", "nina-sudo" + squash, "/home/nina/own", false},
	} {
		t.Run(c.is, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			b.callers(t, c.directory)
			if c.directory == "/tmp/fuse" {
				b.fuse(t, c.directory)
			} else {
				b.sh(t, "install -d -m 700 -o nina "+c.directory)
			}
			o := b.open(t, login{host: c.host, stack: everything, user: "nina", command: "pwd -P"})
			log := []string{`info pam_newnet: "nina": new network namespace`}
			expected := []pamhost.Field{pamhost.NetNamespace, pamhost.MountNamespace}
			want := c.directory
			if !c.kept {
				log = append(log, inRoot+"Permission denied")
				expected = append(expected, pamhost.Cwd)
				want = "/"
			}
			o.logs(t, log...)
			expect.Equal(t, "working directory", o.output, want+"\n")
			unchanged(t, "pam_open_session", o.Before, o.After, expected...)

			o = b.open(t, login{host: c.host, stack: everything, user: "olga"})
			expect.Equal(t, "result for no member", o.Result("pam_open_session"), "PAM_SUCCESS")
			unchanged(t, "pam_open_session for no member", o.Before, o.After)
		})
	}
}

// What waits for the server has a deadline.
func TestADirectoryWhoseServerHangsHoldsUpNoLogin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		is      string
		options []string
		result  string
		waits   string
		log     []string
	}{
		{
			"root is kept out",
			[]string{"--enter", "1"},
			"PAM_SUCCESS",
			"uid NINA waits, whose memory is uid 0's\n", // a copy of the host's
			[]string{`info pam_newnet: "nina": new network namespace`, inRoot + "Connection timed out"},
		},
		{
			"root is let in",
			[]string{"--enter", "1", "--allow-other"},
			"PAM_ABORT", "uid 0 waits, whose memory is uid 0's\n",
			[]string{`err pam_newnet: "nina" refused: no verdict within 1 s`},
		},
	} {
		t.Run(c.is, func(t *testing.T) {
			t.Parallel()
			b := newBox(t)
			lines := b.fuse(t, "/tmp/fuse", c.options...)
			b.callers(t, "/tmp/fuse")
			stack := []string{"required pam_newnet.so timeout=1", "required pam_permit.so"}
			o := b.open(t, login{host: "nina-su", stack: stack, user: "nina"})
			expect.Equal(t, "result", o.Result("pam_open_session"), c.result)
			o.logs(t, c.log...)
			line, err := lines.ReadString('\n')
			expect.Check(t, err)
			expect.Equal(t, "who waits", line, strings.Replace(c.waits, "NINA", strconv.Itoa(b.Nina.UID), 1))
			if c.result == "PAM_ABORT" {
				unchanged(t, "pam_open_session", o.Before, o.After, pamhost.Children) // the child ends with the server
			}
		})
	}
}

// A user may stand in a mount namespace of their own, and call su(1) there.
func TestADirectoryOfAnotherMountNamespaceIsNotKept(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.sh(t, `mkdir /tmp/in
setpriv --reuid nina --regid nina --clear-groups unshare --map-root-user --mount sh -c '
	mount -t tmpfs in /tmp/in && cd /tmp/in && echo secret >file && echo $$ >/tmp/in.pid; exec sleep 1000' </dev/null >/tmp/in.log 2>&1 &
echo $! >/run/in.pid
until [ -s /tmp/in.pid ] || [ -s /tmp/in.log ]; do :; done`)
	pid := strings.TrimSpace(b.sh(t, "cat /run/in.pid"))
	defer b.sh(t, "kill "+pid+"; while [ -e /proc/"+pid+" ]; do :; done")
	b.callers(t, "/proc/"+pid+"/cwd")
	o := b.open(t, login{host: "nina-su", stack: everything, user: "nina", command: "pwd -P; cat file 2>/dev/null"})
	o.logs(t, `info pam_newnet: "nina": new network namespace`, `notice pam_newnet: "nina": the session starts in "/": the working directory is not there`)
	expect.Equal(t, "working directory, and what is in it", o.output, "/\n")
}
