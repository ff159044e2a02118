// SPDX-License-Identifier: GPL-2.0-or-later

package hostile

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
)

// resolver is a daemon that tells names to all who ask libc.
type resolver struct {
	name    string
	program string
	source  string // of nsswitch.conf(5): how libc asks it
	socket  string // where libc asks it
	mask    string // what covers that
}

// nscd comes last: libc asks it before all others.
var resolvers = []resolver{
	{
		name: "systemd-resolved", program: "/lib/systemd/systemd-resolved", source: "resolve",
		socket: "/run/systemd/resolve/io.systemd.Resolve", mask: "/run/systemd/resolve/io.systemd.Resolve",
	},
	{name: "nscd", program: "/usr/sbin/nscd", source: "files", socket: "/run/nscd/socket", mask: "/run/nscd"},
}

// The resolvers of the machine know the address of this name, and nobody else.
const known, address = "known.example", "192.0.2.7"

// newResolvers starts a machine on which resolvers are installed.
func newResolvers(t *testing.T) *box {
	t.Helper()
	unpacked := filepath.Join(machine.Out(), "resolvers")
	if _, err := os.Stat(unpacked); err != nil {
		t.Skipf("needs nscd and systemd-resolved: %v (make deps gets them, on Debian)", err)
	}
	b := newBox(t)
	expect.Check(t, b.InstallTree(unpacked))
	for _, user := range []string{"systemd-resolve", "messagebus"} {
		if b.try(t, "id "+user).ExitCode != 0 {
			_, err := b.AddUser(user)
			expect.Check(t, err)
		}
	}
	b.sh(t, "mkdir -p /run/systemd /run/nscd /run/dbus /var/cache/nscd; echo $1 $2 >/run/hosts", address, known)
	return b
}

// startResolver starts one, in an /etc of its own.
func (b *box) startResolver(t *testing.T, r resolver) {
	t.Helper()
	if _, err := b.Stat(r.program); err != nil {
		t.Skipf("needs %s: %v", r.name, err)
	}
	expect.Check(t, b.WriteFile("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: "+r.source+"\n", 0o644))
	expect.Check(t, b.Remove(r.socket))
	b.sh(t, `unshare --mount --propagation slave sh -ec "mount --bind /run/hosts /etc/hosts; $1 >/run/resolver.log 2>&1 &"`, r.program)
	expect.Eventually(t, r.name+" answers", func() bool { return b.resolves(t, "") })
}

// resolves tells whether somebody finds the address of the name, with the command
// that stands before.
func (b *box) resolves(t *testing.T, front string) bool {
	t.Helper()
	found := strings.Fields(b.sh(t, front+" getent hosts "+known+" || true"))
	if len(found) > 0 && !slices.Equal(found, []string{address, known}) {
		t.Errorf("getent says %q", found)
	}
	return len(found) > 0
}

func TestANameThatOnlyTheHostsResolverKnows(t *testing.T) {
	t.Parallel()
	b := newResolvers(t)
	for _, r := range resolvers {
		t.Run(r.name, func(t *testing.T) {
			b.startResolver(t, r)
			for _, c := range []struct {
				is        string
				user      string
				arguments string
				want      bool
			}{
				{"is known to nobody's member", "olga", "", true},
				{"is not known in a new network", "nina", "", false},
				{"is not known in a named network", "ulf", "", false},
				{"is known with keepresolver", "nina", "keepresolver", true},
				{"is known in a named network with keepresolver", "ulf", "keepresolver", true},
				{"is not known behind a mask", "gina", "keepresolver mask=" + r.mask, false},
			} {
				t.Run(c.is, func(t *testing.T) {
					b.service(t, "resolver", c.arguments)
					if got := b.resolves(t, "pamhost --bare resolver "+c.user+" --"); got != c.want {
						t.Errorf("%s resolves it: %t", c.user, got)
					}
				})
			}
		})
	}
}

// Its socket lies in a directory that sessions need, so that it is covered alone.
func TestSystemdResolvedComesOutFromUnderItsCoverWhenItIsRestarted(t *testing.T) {
	t.Parallel()
	b := newResolvers(t)
	resolved := resolvers[0]
	b.startResolver(t, resolved)
	end := b.start(t, "pamhost", "--bare", "hostile", "nina", "--", "cat")
	defer end()
	inside := fmt.Sprintf("/proc/%d/root%s", b.find(t, "cat"), resolved.socket)
	connect := func() error {
		connection, err := net.Dial("unix", inside)
		if err == nil {
			connection.Close()
		}
		return err
	}
	if err := connect(); err == nil {
		t.Error("the cover does not work")
	}
	pid := b.find(t, "systemd-resolve")
	expect.Check(t, unix.Kill(pid, unix.SIGTERM))
	expect.Eventually(t, "it has ended", func() bool { return b.find(t, "systemd-resolve") != pid })
	b.startResolver(t, resolved)
	expect.Check(t, connect())
}

func TestSystemdResolvedAnswersOverDBusUnlessThatIsMasked(t *testing.T) {
	t.Parallel()
	b := newResolvers(t)
	b.sh(t, "dbus-daemon --system --fork 2>/run/dbus.log")
	b.startResolver(t, resolvers[0])
	const ask = `busctl call org.freedesktop.resolve1 /org/freedesktop/resolve1 \
		org.freedesktop.resolve1.Manager ResolveHostname isit 0 ` + known + ` 2 0 || true`
	expect.Eventually(t, "it is on the bus", func() bool { return b.sh(t, ask) != "" })
	for arguments, want := range map[string]bool{"": true, "mask=/run/dbus": false} {
		b.service(t, "resolver", arguments)
		if got := b.sh(t, "pamhost --bare resolver nina -- "+ask) != ""; got != want {
			t.Errorf("%q: nina resolves the name: %t", arguments, got)
		}
	}
}
