// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// selfManaged is a machine on which nina, of newnet, and ulf, of usernet, manage
// their networks themselves.
func selfManaged(t *testing.T) *host {
	t.Helper()
	h := newMachine(t)
	for _, service := range []string{"sshd", "sudo", "su"} {
		expect.Check(t, h.PAM(service, "account required pam_permit.so", "auth required pam_permit.so",
			"session required pam_permit.so",
			"session required pam_newnet.so selfmanaged", "session required pam_usernet.so selfmanaged"))
	}
	h.Bash(t, `echo "nina ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/nina; chmod 440 /etc/sudoers.d/nina`)
	h.makeTun(t)
	expect.Check(t, h.StartSSHD())
	return h
}

// asUser runs a script in an ssh login.
func (h *host) asUser(t *testing.T, user, script string) sandbox.Result {
	t.Helper()
	result, err := h.Run(t.Context(), strings.NewReader(script), "ssh", user+"@127.0.0.1", "PATH=$PATH:/usr/sbin:/sbin exec bash -e")
	expect.Check(t, err)
	return result
}

func TestUsersManageTheirNetworksThemselves(t *testing.T) {
	t.Parallel()
	h := selfManaged(t)
	for _, user := range []string{"nina", "ulf"} {
		for what, script := range map[string]string{
			"has no capability":                `[ $(sed -n 's/^CapEff:\t//p' /proc/self/status) = 0000000000000000 ]`,
			"is in the initial user namespace": `[ "$(cat /proc/self/uid_map | tr -s ' ')" = " 0 0 4294967295" ]`,
			"adds a veth pair":                 "ip link add v0 type veth peer name v1; ip link set v0 up; ip link show v1; ip link del v0",
			"adds a bridge":                    "ip link add br0 type bridge; ip link show br0; ip link del br0",
			"adds a macvlan": "ip link add v2 type veth peer name v3; ip link add link v2 name m0 type macvlan mode bridge; " +
				"ip link show m0; ip link del v2",
			"adds a tap":                      "ip tuntap add tap0 mode tap; ip link set tap0 up; ip tuntap del tap0 mode tap",
			"sets addresses, routes":          "ip link add v4 type veth peer name v5; ip link set v4 up; ip link set v5 up; ip address add 10.1.2.3/24 dev v4; ip -6 address add fd01::1/64 dev v4 nodad; ip route add 10.9.0.0/16 via 10.1.2.4; ip route get 10.9.1.1; ip link del v4",
			"has an nftables of its own":      "nft add table inet mine; nft list tables | grep mine; nft delete table inet mine",
			"shapes traffic":                  "tc qdisc add dev lo root pfifo limit 9; tc qdisc show dev lo | grep 'pfifo .*limit 9p'; tc qdisc del dev lo root",
			"listens on port 80":              `perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0) && bind(S, sockaddr_in(80, INADDR_ANY)) && listen(S, 1) or die $!'`,
			"opens a raw and a packet socket": `perl -MSocket -e 'socket(R, AF_INET, SOCK_RAW, 1) && socket(P, 17, SOCK_RAW, 0x300) or die $!'`,
			"listens in with tcpdump":         "tcpdump -i lo -c 1 -w /dev/null icmp 2>/dev/null & for i in $(seq 3000); do ping -c 1 -W 1 127.0.0.1 >/dev/null; kill -0 $! 2>/dev/null || exit 0; done; exit 1",
			"writes its sysctls":              "echo 1 >/proc/sys/net/ipv4/ip_forward; [ $(cat /proc/sys/net/ipv4/ip_forward) = 1 ]; echo 0 >/proc/sys/net/ipv4/ip_forward",
		} {
			t.Run(user+" "+what, func(t *testing.T) {
				result := h.asUser(t, user, script)
				expect.Check(t, result.Err())
			})
		}
	}
}

func TestUsersManageNothingButTheirNetworks(t *testing.T) {
	t.Parallel()
	h := selfManaged(t)
	forwarding := h.Bash(t, "cat /proc/sys/net/ipv4/ip_forward")
	links := h.Bash(t, "ip -o link")
	ulf := h.logIn(t, "ulf", "")
	defer ulf.logOut(t)
	theirs := strings.TrimSpace(ulf.command(t, "sleep 1000 </dev/null >/dev/null 2>&1 & echo $!"))
	for what, c := range map[string]struct{ script, because string }{
		"a link into the host's network": {"ip link add x type veth peer name y netns 1", "Operation not permitted"},
		"an interface for the host":      {"ip link add x type veth peer name y; ip link set y netns 1", "Operation not permitted"},
		"an interface for another user":  {"ip link add x type veth peer name y; ip link set y netns " + theirs, "Operation not permitted"},
		"entering the host's network":    {"nsenter --net=/proc/1/ns/net true", "Permission denied"},
		"entering another user's network": {
			"nsenter --net=/proc/" + theirs + "/ns/net true", "Permission denied",
		},
		"mounting":                      {"mount -t tmpfs none /tmp", "must be superuser"},
		"mounting over a file of etc":   {"mount --bind /etc/hostname /etc/hosts", "must be superuser"},
		"a sysctl that is no network's": {"echo 1 >/proc/sys/kernel/panic", "Permission denied"},
		"the host's sysctls":            {"echo 1 >/proc/1/root/proc/sys/net/ipv4/ip_forward", "Permission denied"},
	} {
		t.Run(what, func(t *testing.T) {
			result := h.asUser(t, "nina", c.script)
			if result.ExitCode == 0 || !strings.Contains(result.Stderr, c.because) {
				t.Errorf("%q: exit code %d: %s", c.script, result.ExitCode, result.Stderr)
			}
		})
	}
	expect.Equal(t, "the host's ip_forward", h.Bash(t, "cat /proc/sys/net/ipv4/ip_forward"), forwarding)
	expect.Equal(t, "the host's interfaces", h.Bash(t, "ip -o link"), links)
}

func TestSudoStaysRootInAManagedNetwork(t *testing.T) {
	t.Parallel()
	h := selfManaged(t)
	result := h.asUser(t, "nina", `readlink /proc/self/ns/net /proc/self/ns/user
		sudo sh -c 'readlink /proc/self/ns/net /proc/self/ns/user; id -u; sed -n "s/^CapEff:.//p" /proc/self/status
			ip link add v0 type veth peer name v1 && mount -t tmpfs none /mnt && umount /mnt && echo root'`)
	expect.Check(t, result.Err())
	lines := strings.Split(strings.TrimSpace(result.Stdout), "\n")
	if len(lines) != 7 || lines[0] != lines[2] || lines[1] != lines[3] || lines[4] != "0" || lines[6] != "root" {
		t.Errorf("%q", lines)
	}
	expect.Equal(t, "capabilities of root", lines[5], h.Bash(t, `sed -n "s/^CapEff:.//p" /proc/self/status`))
}

func TestAUserJoinsTwoOfTheirNetworks(t *testing.T) {
	t.Parallel()
	h := selfManaged(t)
	one, two := h.logIn(t, "nina", "one"), h.logIn(t, "nina", "two")
	defer one.logOut(t)
	defer two.logOut(t)
	pid := strings.TrimSpace(one.command(t, "sleep 1000 </dev/null >/dev/null 2>&1 & echo $!"))
	two.command(t, "PATH=$PATH:/usr/sbin; ip link add here type veth peer name there netns "+pid+
		" && ip address add 10.0.0.1/30 dev here && ip link set here up")
	one.command(t, "PATH=$PATH:/usr/sbin; ip address add 10.0.0.2/30 dev there && ip link set there up")
	if out := two.command(t, "ping -c 1 -W 10 10.0.0.2 >/dev/null && echo answered"); strings.TrimSpace(out) != "answered" {
		t.Errorf("no answer: %s", out)
	}
}

func TestANetworkThatIsNotTheUsersIsJoinedWithAWarning(t *testing.T) {
	t.Parallel()
	h := selfManaged(t)
	h.Bash(t, "ip netns add ulf")
	log := strings.Join(h.logOf(t, func() {
		if result := h.asUser(t, "ulf", "ip link add v0 type veth peer name v1"); !strings.Contains(result.Stderr, "Operation not permitted") {
			t.Errorf("%v", result)
		}
	}), "\n")
	if want := `network namespace "ulf" already exists and is not the user's`; !strings.Contains(log, want) {
		t.Errorf("the log does not say %q:\n%s", want, log)
	}
}

// What Debian's kernel.unprivileged_userns_clone and AppArmor forbid to users is
// not forbidden to the module: it is root who makes the namespace. A limit holds
// for everybody.
func TestWhereNoUserNamespacesMayBeMade(t *testing.T) {
	t.Parallel()
	h := selfManaged(t)
	h.Bash(t, "strace -f -o /run/trace -e trace=capset,clone su nina -c true")
	var maker string // the thread that makes it
	for line := range strings.Lines(h.read(t, "/run/trace")) {
		thread, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(call, "CLONE_NEWUSER|CLONE_NEWNET") {
			maker = thread
		}
	}
	if maker == "" {
		t.Fatal("no user namespace is made")
	}
	effective := h.Bash(t, `sed -n "s/^$1 .*capset(.*effective=\([^,]*\).*/\1/p" /run/trace`, maker)
	if !strings.Contains(effective, "CAP_SYS_ADMIN") {
		t.Errorf("it is made with the capabilities %q", effective)
	}
	// The limits are in internal/netns, TestOwner.
}
