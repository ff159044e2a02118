// SPDX-License-Identifier: GPL-2.0-or-later

package ctl

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// report is what `pamnetctl check --json` prints.
type report struct {
	User, Service, Outcome string
	Problems               []string
	Module, Why            string
	Network                *struct {
		Inode      uint64
		Name       string
		Created    bool
		Interfaces []struct {
			Name      string
			Up        bool
			Addresses []string
			In        uint64 `json:"bytes_in"`
			Out       uint64 `json:"bytes_out"`
		}
		Routes []struct{ Gateway, Interface string } `json:"default_routes"`
	}
	StandIns []string `json:"etc"`
	DNS      []string
	ClassNet []string `json:"sys_class_net"`
	Sockets  []string `json:"host_sockets"`
	Log      []struct {
		Priority     int
		Module, Text string
	}
	Messages     []string
	Milliseconds float64
	Net          []struct {
		Kind, Address, Why string
		Reached            bool
	}
	Open *struct {
		Exposure float64
		Ways     []struct {
			ID, What string
			Weight   int
			Open     bool
			Evidence []string
		}
	}
	Run *struct {
		ExitCode int `json:"exit_code"`
		Output   string
	}
}

// check checks a user, and that the machine is afterwards what it was.
func (h *host) check(t *testing.T, code int, args string) report {
	t.Helper()
	before := h.state(t)
	result := h.Try(t, "pamnetctl check --json "+args)
	if result.ExitCode != code || (code == 1) != (result.Stderr != "") {
		t.Errorf("check %s: exit code %d, not %d: %s", args, result.ExitCode, code, result.Stderr)
	}
	h.unchanged(t, "check "+args, before)
	return parse[report](t, result.Stdout)
}

// state is what a check must not change: the mounts of process 1, the networks with a
// name and the records of them, the processes, the log, and what tells of logins. (The
// message of the day is pam_motd's.)
func (h *host) state(t *testing.T) map[string]string {
	t.Helper()
	mounts, err := sandbox.MountTable(h.PID())
	expect.Check(t, err)
	processes, err := h.Processes()
	expect.Check(t, err)
	var names []string
	for _, p := range processes {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	log, err := h.Log()
	expect.Check(t, err)
	return map[string]string{
		"mounts":    fmt.Sprint(mounts),
		"processes": fmt.Sprint(names),
		"log":       log,
		"names":     h.Bash(t, "for d in /run/netns /run/libpam-net/netns; do [ ! -e $d ] || (cd $d; stat -c '%n %i' * | grep -v '^\\*'); done; true"),
		"records":   h.Bash(t, "cat /run/libpam-net/netns/* 2>&1 | grep -v 'No such'; md5sum /run/utmp /var/log/wtmp /var/log/lastlog 2>&1; ls /run /tmp | grep -v -e '^libpam-net$' -e '^netns$' -e '^motd.dynamic$'"),
	}
}

func (h *host) unchanged(t *testing.T, what string, before map[string]string) {
	t.Helper()
	for key, after := range h.state(t) {
		if after != before[key] {
			t.Errorf("%s has changed %s from\n%s\nto\n%s", what, key, before[key], after)
		}
	}
}

func TestCheckTellsWhatALoginGets(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startSSHD(t)
	hostNet := h.Bash(t, "stat -Lc %i /proc/1/ns/net")

	t.Run("a new network, on a machine where nobody has logged in yet", func(t *testing.T) {
		r := h.check(t, 0, "nina")
		expect.Equal(t, "outcome", r.Outcome+" "+r.Module, "isolated pam_newnet")
		expect.Equal(t, "why", r.Why, fmt.Sprintf(`"nina": new network namespace (net:[%d])`, r.Network.Inode))
		expect.Equal(t, "network", fmt.Sprintf("%s %v %+v %v", r.Network.Name, r.Network.Created, r.Network.Interfaces, r.Network.Routes),
			" false [{Name:lo Up:true Addresses:[127.0.0.1/8 ::1/128] In:0 Out:0}] []")
		expect.Equal(t, "/sys/class/net", fmt.Sprint(r.ClassNet), "[lo]")
	})
	t.Run("a network with a name that is not there", func(t *testing.T) {
		for user, name := range map[string]string{"ulf": "ulf", "gina": "lab"} {
			r := h.check(t, 0, user)
			expect.Equal(t, "network", fmt.Sprintf("%s %v %s %v", r.Outcome, r.Network.Created, r.Network.Name, r.StandIns), "isolated true "+name+" []")
		}
	})
	t.Run("what others than the modules have for a session", func(t *testing.T) {
		h.Bash(t, `ip netns add ulf; ip -n ulf link set lo up; ip link add to-ulf type veth peer name eth0 netns ulf
			ip -n ulf address add 198.51.100.2/24 dev eth0; ip -n ulf link set eth0 up; ip link set to-ulf up
			ip -n ulf route add default via 198.51.100.1
			mkdir -p /etc/netns/ulf /run/open /run/closed /run/masked; echo nameserver 198.51.100.53 >/etc/netns/ulf/resolv.conf
			chmod 700 /run/closed`)
		for _, dir := range []string{"open", "closed", "masked"} {
			listen := h.Command("perl", "-MIO::Socket::UNIX", "-e",
				fmt.Sprintf(`$s = IO::Socket::UNIX->new(Local => "/run/%s/socket", Listen => 1) or die; chmod 0666, "/run/%s/socket"; sleep`, dir, dir))
			expect.Check(t, listen.Start())
			defer func() {
				_ = listen.Cancel()
				_ = listen.Wait()
			}()
			expect.Eventually(t, "somebody listens", func() bool {
				return h.Try(t, `[ "$(stat -c %a /run/$1/socket)" = 666 ]`, dir).ExitCode == 0
			})
		}
		expect.Check(t, h.PAM("masking", "session required pam_permit.so", "session required pam_usernet.so mask=/run/masked"))
		r := h.check(t, 0, "ulf --service masking")
		expect.Equal(t, "network", fmt.Sprintf("%v %s %v", r.Network.Created, r.Network.Name, r.Network.Routes), "false ulf [{198.51.100.1 eth0}]")
		expect.Equal(t, "interfaces", r.Network.Interfaces[1].Name+" "+r.Network.Interfaces[1].Addresses[0], "eth0 198.51.100.2/24")
		expect.Equal(t, "files of /etc", fmt.Sprint(r.StandIns, r.DNS), "[/etc/resolv.conf] [198.51.100.53]")
		expect.Equal(t, "/sys/class/net", fmt.Sprint(r.ClassNet), "[eth0 lo]")
		expect.Equal(t, "sockets", fmt.Sprint(r.Sockets), "[/run/open/socket]")
	})
	t.Run("the host's network", func(t *testing.T) {
		r := h.check(t, 0, "olga")
		expect.Equal(t, "outcome", fmt.Sprintf("%s %d", r.Outcome, r.Network.Inode), "host "+hostNet)
	})
	t.Run("a refusal, and the module's reason", func(t *testing.T) {
		h.Bash(t, "chmod 777 /etc/netns/ulf")
		r := h.check(t, 1, "ulf")
		h.Bash(t, "chmod 755 /etc/netns/ulf")
		if r.Outcome != "refused" || r.Module != "pam_usernet" || !strings.Contains(r.Why, "/etc/netns/ulf") ||
			r.Network != nil || len(r.Messages) != 1 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("a refusal by another module", func(t *testing.T) {
		expect.Check(t, h.PAM("denying", "session required pam_deny.so"))
		expect.Equal(t, "why", h.check(t, 1, "olga --service denying").Why, "PAM says: Cannot make/remove an entry for the specified session")
	})
	t.Run("a member whom a service lets into the host's network", func(t *testing.T) {
		expect.Check(t, h.PAM("lacking", "session required pam_permit.so"))
		expect.Check(t, h.PAM("ending", "session sufficient pam_permit.so", "session required pam_newnet.so"))
		expect.Equal(t, "problem", fmt.Sprint(h.check(t, 1, "nina --service lacking").Problems),
			`[a member of "newnet" stays in the host's network: the service has no line of pam_newnet]`)
		expect.Equal(t, "problem", fmt.Sprint(h.check(t, 1, "nina --service ending").Problems),
			`[a member of "newnet" stays in the host's network: libpam skips /etc/pam.d/ending:2]`)
		expect.Equal(t, "problems of others", len(h.check(t, 0, "olga --service lacking").Problems), 0)
	})
	t.Run("what a command finds there", func(t *testing.T) {
		expect.Check(t, h.PAM("limiting", "session required pam_limits.so", "session required pam_permit.so", "session required pam_newnet.so"))
		h.Bash(t, "echo nina - nofile 300 >/etc/security/limits.d/nina.conf")
		r := h.check(t, 7, `nina --service limiting --run 'id -un; pwd; ls /sys/class/net; ulimit -n; exit 7'`)
		expect.Equal(t, "output", r.Run.Output, "nina\n/home/nina\nlo\n300\n")
		result := h.Try(t, "echo hello | pamnetctl check nina --run cat")
		if !strings.HasPrefix(result.Stdout, "nina through sshd: isolated\n") || !strings.HasSuffix(result.Stdout, " ms\nhello\n") {
			t.Errorf("%+v", result)
		}
	})
	t.Run("all members", func(t *testing.T) {
		h.Bash(t, "mv /etc/netns/ulf/resolv.conf /etc/netns/ulf/nosuch.conf; ln -s /home /etc/netns/lab")
		before := h.state(t)
		result := h.Try(t, "pamnetctl check --all-members")
		h.unchanged(t, "check --all-members", before)
		var lines []string
		for line := range strings.Lines(result.Stdout) {
			words := strings.Fields(line)
			lines = append(lines, strings.Join(append(words[:3], words[5:6]...), " "))
		}
		expect.Equal(t, "lines", strings.Join(lines, "\n"), "USER OUTCOME MODULE PROBLEMS\ngina refused pam_groupnet \"gina\"\n"+
			"gus refused pam_groupnet \"gus\"\nnina isolated pam_newnet -\nulf isolated pam_usernet -")
		expect.Equal(t, "exit code", result.ExitCode, 1)
		expect.Equal(t, "stderr", result.Stderr, "pamnetctl: check: problems with 2 users\n")
	})
	t.Run("a mount that the host makes for the login", func(t *testing.T) {
		expect.Check(t, h.PAM("mounting", "session required pam_exec.so /usr/local/sbin/mounts", "session required pam_newnet.so"))
		expect.Check(t, h.WriteFile("/usr/local/sbin/mounts", "#!/bin/sh\n[ $PAM_TYPE = close_session ] || { mkdir /run/made; nsenter -t 1 -m mount -t tmpfs made /run/made; }", 0o755))
		expect.Equal(t, "in the session", h.Bash(t, "pamnetctl check nina --service mounting --run 'grep -c \" /run/made \" /proc/mounts' | tail -n 1; umount /run/made; rmdir /run/made"), "1")
	})
	t.Run("nothing where it cannot be told", func(t *testing.T) {
		for args, says := range map[string]string{
			"nobody-knows":             `there is no user "nobody-knows"`,
			"olga --service nosuch":    `no service "nosuch" exists`,
			"":                         "name either a user or --all-members",
			"olga --all-members":       "name either a user or --all-members",
			"--all-members --run true": "--run needs a user",
		} {
			before := h.state(t)
			result := h.Try(t, "pamnetctl check "+args)
			if !strings.Contains(result.Stderr, says) || result.Stdout != "" {
				t.Errorf("%s: %+v", args, result)
			}
			h.unchanged(t, "check "+args, before)
		}
		for program, says := range map[string]string{
			"unshare --net": "this is another one: use `nsenter",
			"setpriv --reuid 5005 --clear-groups env": "use sudo",
		} {
			if result := h.Try(t, program+" pamnetctl check olga"); result.ExitCode != 1 || !strings.Contains(result.Stderr, says) {
				t.Errorf("%s: %+v", program, result)
			}
		}
	})
}

func TestExplain(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	expect.Check(t, h.AddToGroup("newnet", "ulf"))
	expect.Check(t, h.WriteFile("/etc/pam.d/common-nets", "session required pam_newnet.so nonsense\n"+
		"session [success=ok ignore=ignore default=die] pam_usernet.so setup=/sbin/uplink [mask=/run/a b]\n", 0o644))
	expect.Check(t, h.PAM("this", "# a comment", "session required pam_permit.so", "@include common-nets"))
	for _, user := range []string{"olga", "ulf"} {
		before := h.state(t)
		h.Bash(t, "pamnetctl explain --service this "+user)
		h.unchanged(t, "explain "+user, before)
	}
	type explained struct {
		User, Service, Outcome, Why string
		Problems                    []string
		Steps                       []struct {
			File, Text, Module, Group, Action, Network, Member string
			Line                                               int
			Complaints                                         []string
			Asked, Decides                                     bool
			MemberBy                                           string `json:"member_by"`
		}
	}
	h.Bash(t, "ip netns add ulf")
	e := parse[explained](t, h.Bash(t, "pamnetctl explain ulf --service this --json"))
	expect.Equal(t, "the action", e.Steps[1].Action, `joins the network namespace "ulf" (net:[`+h.Bash(t, "stat -c %i /run/netns/ulf")+"])")
	expect.Equal(t, "JSON", fmt.Sprintf("%s %s:%d %s %s %v", e.Outcome, e.Steps[1].File, e.Steps[1].Line, e.Steps[1].MemberBy, e.Steps[1].Network, e.Steps[1].Decides),
		"isolated /etc/pam.d/common-nets:2 usernet ulf true")
	h.Bash(t, "ip netns del ulf; touch /run/netns/ulf; echo x >/run/netns/ulf")
	e = parse[explained](t, h.Bash(t, "pamnetctl explain ulf --service this --json"))
	if !strings.HasPrefix(e.Steps[1].Action, "refuses: ") {
		t.Errorf("%+v", e.Steps[1])
	}
	for args, says := range map[string]string{"nobody-knows": "there is no user", "ulf --service nosuch": `no service "nosuch" exists`} {
		if result := h.Try(t, "pamnetctl explain "+args); result.ExitCode != 1 || !strings.Contains(result.Stderr, says) {
			t.Errorf("%s: %+v", args, result)
		}
	}
	h.Bash(t, "setpriv --reuid $1 --clear-groups pamnetctl explain ulf | grep 'joins the network namespace \"ulf\", or creates it'", fmt.Sprint(h.Ulf.UID))
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.session(t, h.Command("su", "gina", "-c", "touch /tmp/gina; sleep 1000; true"))
	h.Bash(t, "until [ -e /tmp/gina ]; do sleep 0.01; done; ip netns add spare")
	for args, want := range map[string]string{
		"check ''":               "gina gus nina ulf :4",
		"explain ''":             "gina gus nina ulf :4",
		"enter ''":               "gina lab spare :4",
		"enter --as-user ''":     "gina lab :4",
		"list ''":                "gina :4",
		"log ''":                 "gina gus nina ulf :4",
		"log --since ''":         "1h 1d 7d 30d :4",
		"status ''":              ":4",
		"graph ''":               ":4",
		"check --service sudo":   "sudo sudo-i :4",
		"check --service common": ":4",
		"check --user ''":        "gina gus nina ulf :4",
	} {
		got := strings.Fields(h.Bash(t, "pamnetctl __complete "+args))
		if _, begin, ok := strings.Cut(args, "--service "); ok { // a shell leaves out what does not begin so
			got = slices.DeleteFunc(got, func(s string) bool { return !strings.HasPrefix(s, begin) && s[0] != ':' })
		}
		expect.Equal(t, args, strings.Join(got, " "), want)
	}
	expect.Equal(t, "a script", h.Bash(t, "pamnetctl completion bash | bash -n && for s in zsh fish; do pamnetctl completion $s | grep -c pamnetctl; done | wc -l"), "2")
}

func TestCheckLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.startSSHD(t)
	expect.Check(t, h.WriteFile("/usr/local/sbin/uplink", `#!/bin/sh
echo "$1 $2" >>/var/uplinks
[ ! -e /run/bad ] || { echo no cable; exit 1; }
[ "$1" = down ] || { setsid ip netns exec $2 sleep 1000 </dev/null >/dev/null 2>&1 & }
`, 0o755))
	expect.Check(t, h.PAM("plugged", "session required pam_permit.so", "session required pam_usernet.so setup=/usr/local/sbin/uplink"))

	t.Run("of a setup program", func(t *testing.T) {
		r := h.check(t, 0, "ulf --service plugged")
		expect.Equal(t, "network", fmt.Sprintf("%s %v", r.Network.Name, r.Network.Created), "ulf true")
		expect.Equal(t, "calls", h.Bash(t, "cat /var/uplinks; rm /var/uplinks"), "up ulf\ndown ulf")
	})
	t.Run("of a setup program that fails", func(t *testing.T) {
		h.Bash(t, "touch /run/bad")
		r := h.check(t, 1, "ulf --service plugged")
		for _, args := range []string{"ulf", "--user ulf"} {
			if result := h.Try(t, "pamnetctl check --service plugged "+args); !strings.Contains(result.Stdout, `setup of "ulf": no cable`) {
				t.Errorf("check %s hides what the program has said: %+v", args, result)
			}
		}
		h.Bash(t, "rm /run/bad")
		if !strings.Contains(r.Why, "setup program") || !slices.ContainsFunc(r.Log, func(l struct {
			Priority     int
			Module, Text string
		},
		) bool {
			return strings.Contains(l.Text, "no cable")
		}) {
			t.Errorf("%+v", r)
		}
	})
	t.Run("of a command, and of other modules", func(t *testing.T) {
		h.Bash(t, "touch /run/utmp /var/log/wtmp /var/log/lastlog; mkdir -p /run/mount")
		expect.Check(t, h.PAM("writing", "session required pam_lastlog.so showfailed", "session required pam_exec.so /usr/local/sbin/other", "session required pam_newnet.so"))
		expect.Check(t, h.WriteFile("/usr/local/sbin/other", "#!/bin/sh\nmount -t tmpfs none /mnt && setsid sleep 1000 </dev/null >/dev/null 2>&1 &\nsleep 0", 0o755))
		h.check(t, 0, "nina --service writing --run 'setsid sleep 1000 & echo'")
	})
	t.Run("when it is interrupted", func(t *testing.T) {
		expect.Check(t, h.PAM("hanging", "session required pam_permit.so", "session required pam_usernet.so setup=/usr/local/sbin/uplink",
			"session required pam_exec.so /usr/local/sbin/hang"))
		expect.Check(t, h.WriteFile("/usr/local/sbin/hang", "#!/bin/sh\ntouch /var/hangs; sleep 1000", 0o755))
		before := h.state(t)
		result := h.Try(t, `rm -f /var/hangs; pamnetctl check ulf --service hanging & until [ -e /var/hangs ]; do sleep 0.01; done; kill $!; wait $!`)
		if result.ExitCode != 1 || !strings.Contains(result.Stderr, "interrupted") {
			t.Errorf("%+v", result)
		}
		h.unchanged(t, "an interrupted check", before)
	})
	t.Run("but what somebody uses by then", func(t *testing.T) {
		// ulf logs in while the check's session is open.
		expect.Check(t, h.AppendPAM("su", "session optional pam_permit.so"))
		result := h.Try(t, `pamnetctl check ulf --service plugged --run 'touch ready; until [ -e go ]; do sleep 0.01; done' >/var/checked 2>&1 &
			until [ -e ~ulf/ready ]; do sleep 0.01; done
			su ulf -c 'stat -Lc %i /proc/self/ns/net; exec sleep 1000' </dev/null >/var/session &
			until pgrep -u ulf -xf 'sleep 1000' >/var/sleeps; do sleep 0.01; done; touch ~ulf/go
			wait %1; echo $?; cat /var/checked; cat /var/session; stat -c %i /run/netns/ulf
			su ulf -c 'stat -Lc %i /proc/self/ns/net'; pgrep -xc sleep; pkill -x sleep; wait`)
		lines := strings.Split(strings.TrimSpace(result.Stdout), "\n")
		n := len(lines)
		if lines[0] != "0" || !strings.Contains(result.Stdout, `network "ulf", created by this check, stays: threads in it: 2`) || lines[n-4] != lines[n-3] ||
			lines[n-1] != "2" {
			t.Errorf("%+v", result)
		}
		expect.Equal(t, "a further login", lines[n-2], lines[n-3])
	})
}
