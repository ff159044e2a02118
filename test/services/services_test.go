// SPDX-License-Identifier: GPL-2.0-or-later

// Package services logs a member in through the real login services that Debian has and no other
// package of tests starts, once into a network and once with a refusal, and looks where the
// member's processes are. docs/SECURITY.md has the table of what services do.
package services

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

// A member is to be a process of this user's; a non-member is tried after a refusal.
const (
	member    = "ulf"
	nonMember = "olga"
)

// A service is a program that opens sessions, with the least configuration that it starts with.
type service struct {
	name string // of its file in /etc/pam.d
	tree string // where build/unpack.sh has put it, in out/
	need string // the program
	// start is a script of bash that configures and starts the service.
	start string
	// login is a script of bash that logs user $1 in, and returns when the session has ended or been
	// refused. In the session /run/trace/look is to be run by the user.
	login string
	// unlimited is a script of bash that starts the service anew without its limit of memory, which
	// the modules cannot lift where root lacks CAP_SYS_RESOURCE.
	unlimited string
	// ignores says that the service runs a session that is refused.
	ignores bool
	// outside says that the user's processes are not in the network of the session.
	outside bool
}

// look is what users run: it tells in which network.
const look = `#!/bin/sh
readlink /proc/self/ns/net >/run/trace/$(id -un)
`

var services = []service{
	{name: "runuser", need: "runuser", login: `runuser -u $1 -- /run/trace/look`},
	{name: "runuser-l", need: "runuser", login: `runuser -l $1 -c /run/trace/look`},
	{
		name: "doas", tree: "services", need: "doas", login: `doas -u $1 /run/trace/look`,
		start: "chmod u+s /usr/bin/doas; echo 'permit nopass root' >/etc/doas.conf; chmod 600 /etc/doas.conf",
	},
	{
		name: "atd", tree: "services", need: "atd",
		start: `chown daemon:daemon /usr/bin/at; chmod 6755 /usr/bin/at
			mkdir -p /var/spool/cron/atjobs /var/spool/cron/atspool
			chown -R daemon:daemon /var/spool/cron/atjobs /var/spool/cron/atspool; chmod 1770 /var/spool/cron/at*
			chown root:daemon /etc/at.deny; install -o daemon -g daemon -m 600 /dev/null /var/spool/cron/atjobs/.SEQ; atd`,
		login: `setpriv --reuid=$1 --regid=$1 --init-groups sh -c "cd /; echo /run/trace/look | at now" 2>&1
			until ! ls /var/spool/cron/atjobs | grep -q ^a; do sleep 0.05; done
			until [ "$(pgrep -xc atd)" = 1 ]; do sleep 0.05; done`,
	},
	{
		name: "polkit-1", tree: "services", need: "pkexec",
		start: `chmod u+s /usr/bin/pkexec; mkdir -p /run/dbus; chown messagebus /run/dbus
			dbus-daemon --system --fork; /usr/lib/polkit-1/polkitd --no-debug >/dev/null 2>&1 &
			until busctl --list | grep -q PolicyKit1; do sleep 0.05; done`,
		login: `pkexec --user $1 /run/trace/look; exit $?`, // of which bash is the parent,
	},
	{
		name: "vsftpd", tree: "services", need: "vsftpd",
		start: `mkdir -p /var/run/vsftpd/empty; echo ftp:x:4000:4000::/srv/ftp:/usr/sbin/nologin >>/etc/passwd
			printf '%s\n' listen=YES listen_port=2121 local_enable=YES session_support=YES isolate=NO isolate_network=NO seccomp_sandbox=NO background=YES >/etc/vsftpd.conf
			vsftpd /etc/vsftpd.conf`,
		unlimited: `pkill -x vsftpd; while pgrep -x vsftpd; do sleep 0.05; done
			LD_PRELOAD=/run/trace/unlimited.so vsftpd /etc/vsftpd.conf`,
		login: ftp(2121),
	},
	{
		name: "greetd", tree: "services", need: "greetd",
		login: `printf '[terminal]\nvt = "none"\n[default_session]\ncommand = "/bin/true"\nuser = "nobody"\n[initial_session]\ncommand = "/run/trace/look"\nuser = "%s"\n' $1 >/run/greetd.toml
			rm -f /run/greetd.run; timeout 5 greetd -c /run/greetd.toml 2>&1`,
	},
	{
		name: "lightdm-autologin", tree: "services", need: "lightdm",
		start: `echo 'lightdm:x:4001:4001::/var/lib/lightdm:/bin/false' >>/etc/passwd; echo lightdm:x:4001: >>/etc/group
			mkdir -p /usr/share/xsessions /var/lib/lightdm /var/log/lightdm /var/cache/lightdm /var/lib/lightdm/data /run/dbus /run/lightdm
			chown -R lightdm: /var/lib/lightdm /run/lightdm
			printf '[Desktop Entry]\nName=look\nExec=/run/trace/look\nType=Application\n' >/usr/share/xsessions/look.desktop
			mkdir -m 1777 -p /tmp/.X11-unix; cp /etc/pam.d/lightdm-autologin /etc/pam.d/lightdm; cp /etc/pam.d/lightdm-autologin /etc/pam.d/lightdm-greeter
			dbus-daemon --system --fork`,
		login: `printf '%s\n' '[LightDM]' 'run-directory=/run/lightdm' '[Seat:*]' 'xserver-command=/run/trace/x' "autologin-user=$1" 'autologin-user-timeout=0' \
			'autologin-session=look' 'user-session=look' 'session-wrapper=/bin/sh' 'greeter-session=none' >/run/lightdm.conf
			timeout 8 lightdm --debug --config=/run/lightdm.conf 2>&1 | tail -n 3; cat /home/$1/.xsession-errors; pkill Xvfb; rm -f /tmp/.X*-lock`,
	},
	{
		name: "lxdm", tree: "services", need: "lxdm-binary", ignores: true,
		start: `mkdir -m 1777 -p /tmp/.X11-unix; mkdir -p /usr/share/xsessions /run/dbus /run/lxdm /var/lib/lxdm; touch /var/lib/lxdm/lxdm.conf; dbus-daemon --system --fork
			printf '[Desktop Entry]\nName=look\nExec=/run/trace/look\nType=Application\n' >/usr/share/xsessions/look.desktop
			login() { printf '%s\n' '[base]' "autologin=$1" 'session=/run/trace/look' '[server]' 'arg=/run/trace/x' >/etc/lxdm/lxdm.conf; cp /etc/lxdm/lxdm.conf /etc/lxdm/default.conf
			timeout 8 lxdm-binary 2>&1 | tail -n 20; tail -n 20 /var/log/lxdm.log; pkill Xvfb; rm -f /tmp/.X*-lock; }; login olga; rm -f /run/trace/olga`, // its very first login crashes
		login: `printf '%s\n' '[base]' "autologin=$1" 'session=/run/trace/look' '[server]' 'arg=/run/trace/x' >/etc/lxdm/lxdm.conf; cp /etc/lxdm/lxdm.conf /etc/lxdm/default.conf
			timeout 8 lxdm-binary 2>&1 | tail -n 20; tail -n 20 /var/log/lxdm.log; pkill Xvfb; rm -f /tmp/.X*-lock`,
	},
	{
		name: "cockpit", tree: "services", need: "/usr/lib/cockpit/cockpit-ws",
		start: `mkdir -p /run/cockpit /etc/cockpit; printf '[WebService]\nAllowUnencrypted=true\n' >/etc/cockpit/cockpit.conf
			/usr/lib/cockpit/cockpit-ws --no-tls --port 9090 >/run/cockpit.log 2>&1 &
			until (: </dev/tcp/127.0.0.1/9090) 2>/dev/null; do sleep 0.05; done`,
		login: `curl -s -o /dev/null -w '%{http_code}\n' -u $1:secret http://127.0.0.1:9090/cockpit/login; /run/trace/find $1; pkill -u $1`,
	},
	{
		name: "samba", tree: "services", need: "smbd",
		start: `mkdir -p /run/samba /var/lib/samba/private /var/log/samba /var/cache/samba
			printf '%s\n' '[global]' 'obey pam restrictions = yes' 'smb ports = 4450' 'bind interfaces only = no' 'disable spoolss = yes' '[homes]' 'read only = no' >/etc/samba/smb.conf
			for user in ulf olga; do printf 'secret\nsecret\n' | smbpasswd -s -a $user; done; smbd -D`,
		login: `(echo '!/run/trace/smb '$1; echo ls) | smbclient -p 4450 //127.0.0.1/homes -U $1%secret 2>&1`,
	},
	{
		name: "dovecot", tree: "services", need: "dovecot", outside: true,
		start: `for user in dovecot dovenull; do echo $user:x:4010:4010::/nonexistent:/bin/false >>/etc/passwd; done; sed -i 's/dovenull:x:4010:4010/dovenull:x:4011:4011/' /etc/passwd
			printf 'dovecot:x:4010:\ndovenull:x:4011:\n' >>/etc/group
			printf '%s\n' 'default_vsz_limit = 0' 'protocols = imap' 'ssl = no' 'disable_plaintext_auth = no' 'mail_location = maildir:~/Maildir' 'passdb {' 'driver = pam' 'args = session=yes dovecot' '}' 'userdb {' 'driver = passwd' '}' 'service imap-login {' 'inet_listener imap {' 'port = 1143' '}' '}' >/etc/dovecot/dovecot.conf
			dovecot -c /etc/dovecot/dovecot.conf >/dev/null 2>&1`,
		login: `exec 3<>/dev/tcp/127.0.0.1/1143; read -r line <&3; printf 'a login %s secret\r\n' $1 >&3
			while read -r -t 10 line <&3; do echo "$line"; case $line in a\ OK*) /run/trace/find $1; break ;; a\ *) break ;; esac; done; printf 'b logout\r\n' >&3`,
	},
	{
		name: "xrdp-sesman", tree: "services", need: "xrdp-sesman",
		start: `echo xrdp:x:4020:4020::/run/xrdp:/bin/false >>/etc/passwd; echo xrdp:x:4020: >>/etc/group; mkdir -p /run/xrdp /var/log /var/run/xrdp/sockdir
			sed -i 's/^param=Xvnc/param=\/run\/trace\/x/; s/^param=X11rdp//' /etc/xrdp/sesman.ini; printf '#!/bin/sh\n/run/trace/look\n' >/etc/xrdp/startwm.sh; chmod 755 /etc/xrdp/startwm.sh
			printf '#!/bin/sh\n/run/trace/look\nexec Xvfb $1\n' >/run/trace/x; chmod 755 /run/trace/x; mkdir -m 1777 -p /tmp/.X11-unix
			xrdp-sesman >/dev/null 2>&1`,
		login: `xrdp-sesrun -t Xvnc -p secret $1 2>&1; n=0; until [ -s /run/trace/$1 ] || [ $((n += 1)) = 60 ]; do sleep 0.1; done; pkill -u $1; until [ $(pgrep -xc xrdp-sesman) = 1 ] && [ $(grep -c '++ created' /var/log/xrdp-sesman.log) = $(grep -c '++ terminated' /var/log/xrdp-sesman.log) ]; do sleep 0.1; done`,
	},
	{
		name: "proftpd", tree: "proftpd", need: "proftpd",
		start: `mkdir -p /run/proftpd; printf '%s\n' 'ServerType standalone' 'Port 2122' 'User nobody' 'Group nogroup' 'UseIPv6 off' \
			'AuthPAM on' 'AuthOrder mod_auth_pam.c* mod_auth_unix.c' 'AuthPAMConfig proftpd' 'RequireValidShell off' 'WtmpLog off' >/etc/proftpd.conf
			proftpd -c /etc/proftpd.conf`,
		login: ftp(2122),
	},
}

// ftp logs in over FTP and stays until the test has seen a process of the user's.
func ftp(port int) string {
	return fmt.Sprintf(`exec 3<>/dev/tcp/127.0.0.1/%d || exit 9
		read -r line <&3; printf 'USER %%s\r\nPASS secret\r\n' $1 >&3
		while read -r -t 20 line <&3; do
			echo "$line"
			case $line in
			230*) /run/trace/find $1; break ;;
			[45]*) break ;;
			esac
		done
		printf 'QUIT\r\n' >&3`, port)
}

// find is run by root for services that run no program of the user's: it tells in which network the
// user's processes are.
const find = `#!/bin/bash
for pid in $(pgrep -u $1); do readlink /proc/$pid/ns/net; done | sort -u >/run/trace/$1
`

// noLimit is a library whose setrlimit does nothing.
const noLimit = "int setrlimit64(void) { return 0; }"

// box is a machine on which services are tried.
type box struct {
	*machine.Machine
	host string // the machine's network, as readlink tells it
}

func newBox(t *testing.T, s service) *box {
	t.Helper()
	b := &box{Machine: machine.Start(t)}
	if s.tree != "" {
		tree := filepath.Join(machine.Out(), s.tree)
		if _, err := os.Stat(tree); err != nil {
			t.Skipf("needs %s: %v (make deps gets it, on Debian)", s.need, err)
		}
		expect.Check(t, b.InstallTree(tree))
	}
	if b.Try(t, "command -v $1", s.need).ExitCode != 0 {
		t.Skipf("needs %s", s.need)
	}
	b.Bash(t, `for user in "$@"; do echo $user:secret; done | chpasswd`, member, nonMember)
	b.Bash(t, `mkdir -m 1777 /run/trace; cat >/run/trace/look <<<"$1"; cat >/run/trace/find <<<"$2"; chmod 755 /run/trace/*`, look, find)
	b.host = b.Bash(t, "readlink /proc/self/ns/net")
	b.Bash(t, `printf '#!/bin/sh\nexec Xvfb $1\n' >/run/trace/x; chmod 755 /run/trace/x`)
	b.Bash(t, `printf '#!/bin/sh\npid=$(pgrep -n smbd); readlink /proc/$pid/ns/net >/run/trace/$1\n' >/run/trace/smb; chmod 755 /run/trace/smb`)
	b.useModule(t, s, "")
	return b
}

// useModule puts pam_usernet with these arguments into the sessions of a service.
func (b *box) useModule(t *testing.T, s service, arguments string) {
	t.Helper()
	expect.Check(t, b.PAM(s.name, "auth sufficient pam_unix.so", "auth required pam_rootok.so", "account required pam_permit.so",
		"session required pam_permit.so", "session required pam_usernet.so "+arguments))
}

// login logs a user in, and returns in which networks processes of the user's were; "" if there was none.
func (b *box) login(t *testing.T, s service, user string) string {
	t.Helper()
	result := b.Try(t, s.login, user)
	t.Logf("%s: exit %d: %s%s", user, result.ExitCode, result.Stdout, result.Stderr)
	trace := b.Bash(t, "cat /run/trace/$1 2>/dev/null || true; rm -f /run/trace/$1", user)
	return trace
}

func TestServices(t *testing.T) {
	for _, s := range services {
		t.Run(s.name, func(t *testing.T) {
			b := newBox(t, s)
			b.Bash(t, s.start)
			first := b.login(t, s, member)
			handle := b.handle(t)
			if s.unlimited != "" && !maySetLimits(t) {
				expect.Equal(t, "the member, without the memory that Go needs, is in", first, "")
				b.withoutLimit(t, s)
				first, handle = b.login(t, s, member), b.handle(t)
			}
			if s.outside {
				expect.Equal(t, "the member is in the host's network", first, b.host)
			} else if first == b.host || first == "" || first != handle {
				t.Errorf("the member is in %q, the named network is %q, the host's %q", first, handle, b.host)
			}

			b.Bash(t, "mkdir -p /etc/netns/$1; chmod 777 /etc/netns/$1", member)
			trace := b.login(t, s, member)
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := b.WaitLog(ctx, fmt.Sprintf("pam_usernet(%s:session): %q refused", s.name, member))
			expect.Check(t, err)
			want := ""
			if s.ignores {
				want = b.host
			}
			// The refused session would have been seen by now: the next one is, which began later.
			expect.Equal(t, "the non-member is let in", b.login(t, s, nonMember), b.host)
			expect.Equal(t, "where the refused member has processes", trace+b.Bash(t, "cat /run/trace/$1 2>/dev/null || true", member), want)

			if s.ignores {
				b.useModule(t, s, "refusal=empty")
				if trace := b.login(t, s, member); trace == "" || trace == b.host || trace == handle {
					t.Errorf("the refused member is in %q with refusal=empty; the host's network is %q, the member's %q", trace, b.host, handle)
				}
			}
		})
	}
}

// handle is the member's named network, as readlink(1) would tell it.
func (b *box) handle(t *testing.T) string {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(b.Root()+"/run/netns/"+member, &st); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("net:[%d]", st.Ino)
}

// withoutLimit starts the service anew, without its limit of memory.
func (b *box) withoutLimit(t *testing.T, s service) {
	t.Helper()
	library := t.TempDir() + "/unlimited.so"
	gcc := exec.Command("gcc", "-shared", "-fPIC", "-x", "c", "-o", library, "-")
	gcc.Stdin = strings.NewReader(noLimit)
	if output, err := gcc.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", gcc, err, output)
	}
	expect.Check(t, b.Install(library, "/run/trace/unlimited.so", 0o755))
	b.Bash(t, s.unlimited)
}

// maySetLimits tells whether root has CAP_SYS_RESOURCE here.
func maySetLimits(t *testing.T) bool {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	expect.Check(t, unix.Capget(&header, &data[0]))
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}
