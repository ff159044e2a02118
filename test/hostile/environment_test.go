// SPDX-License-Identifier: GPL-2.0-or-later

package hostile

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
)

// hostileEnvironment is what Go's runtime, the dynamic linker and libc listen to.
// /tmp/x is there, and everybody may write to it.
const hostileEnvironment = "GODEBUG=inittrace=1,schedtrace=1,gctrace=1,asyncpreemptoff=0 GOTRACEBACK=crash " +
	"GOCOVERDIR=/tmp/x GOMAXPROCS=1000000000 GOMEMLIMIT=1 GOGC=1 GORACE=log_path=/tmp/x/race " +
	"LD_PRELOAD=libpam.so.0 LD_LIBRARY_PATH=/tmp/x LD_AUDIT=/tmp/x/audit.so LD_BIND_NOW=1 LD_DEBUG=all " +
	"LD_DEBUG_OUTPUT=/tmp/x/debug LD_PROFILE=libpam.so.0 LD_PROFILE_OUTPUT=/tmp/x " +
	"GLIBC_TUNABLES=glibc.malloc.check=3 GCONV_PATH=/tmp/x LOCPATH=/tmp/x NLSPATH=/tmp/x/%N MALLOC_TRACE=/tmp/x/malloc " +
	"RES_OPTIONS=debug LOCALDOMAIN=x HOSTALIASES=/tmp/x/aliases TMPDIR=/tmp/x"

// The callers of su and sudo choose the environment in which the login process
// runs. Members see no more of it than olga does, who is no member.
func TestTheCallersEnvironmentChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.permitSU(t)
	expect.Check(t, b.WriteFile("/etc/sudoers.d/gus", "gus ALL=(ALL:ALL) NOPASSWD:SETENV: ALL\n", 0o440))
	b.sh(t, "mkdir -m 777 /tmp/x; mkdir -m 777 /tmp/cwd")
	for _, program := range []string{"su $1 -c", "su - $1 -c", "sudo -u $1 sh -c", "sudo --preserve-env -u $1 sh -c"} {
		t.Run(program, func(t *testing.T) {
			var olga string
			for _, user := range []string{"olga", "nina", "ulf", "ulf", "gina"} {
				files := b.files(t)
				result := b.try(t, fmt.Sprintf(`
					cd /tmp/cwd
					exec %senv %s %s 'readlink /proc/self/ns/net; env | sort | grep -v ^_='`,
					as(b.Gus), hostileEnvironment, program), user)
				network, environment, _ := strings.Cut(result.Stdout, "\n")
				environment = strings.ReplaceAll(environment, user, "USER")
				if result.ExitCode != 0 || !strings.HasPrefix(network, "net:") {
					t.Fatalf("%s's session: %+v", user, result)
				}
				said := environment + result.Stderr
				if user == "olga" {
					olga = said
				} else if network == b.own(t) {
					t.Errorf("%s is in the machine's own network namespace", user)
				}
				if said != olga {
					t.Errorf("%s's session says:\n%s\nolga's says:\n%s", user, said, olga)
				}
				if now := b.files(t); now != files {
					t.Errorf("%s's session has written: %s", user, difference(files, now))
				}
			}
		})
	}
}

// difference returns the lines of one list that are not in the other.
func difference(a, b string) string {
	lines := append(strings.Split(a, "\n"), strings.Split(b, "\n")...)
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool {
		return strings.Contains("\n"+a+"\n", "\n"+line+"\n") == strings.Contains("\n"+b+"\n", "\n"+line+"\n")
	}), "\n")
}

// files lists all files that somebody may have written, but for the log and what
// is known of named networks.
func (b *box) files(t *testing.T) string {
	t.Helper()
	return b.sh(t, `
		find /dev/shm /etc /home /root /run /tmp /var ! -type d ! -path /run/sandbox/log \
			! -path '/run/netns/*' ! -path '/run/libpam-net/*' -printf '%p %s %T@\n' | sort`)
}
