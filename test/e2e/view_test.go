// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	_ "embed"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"libpam-net/test/expect"
	"libpam-net/test/sandbox"
)

// viewScript says what a session sees. It is there as the command "view".
//
//go:embed testdata/view.sh
var viewScript string

// networks are those that root has made when the users log in: ulf's, and what
// stands in for files of /etc in those of ulf and of groupnet-lab.
const networks = `
ip netns add ulf
ip link add to-ulf type veth peer name eth0 netns ulf
ip address add 198.51.100.1/24 dev to-ulf
ip link set to-ulf up
ip -netns ulf address add 198.51.100.2/24 dev eth0
ip -netns ulf link set eth0 up

mkdir -p /etc/stood-in.d /etc/netns/ulf/stood-in.d /etc/netns/lab
touch /etc/stood-in.d/machine /etc/netns/ulf/stood-in.d/ulf
echo nameserver 198.51.100.53 >/etc/netns/ulf/resolv.conf
echo nameserver 203.0.113.53 >/etc/netns/lab/resolv.conf

# Mounts below /sys, one on another, with all sorts of options.
mount -t tmpfs -o noatime,mode=755 efi /sys/firmware
mkdir /sys/firmware/vars
mount -t tmpfs -o nosuid,noexec,size=4k,mode=700 vars /sys/firmware/vars
mount -o remount,bind,ro /sys/firmware
`

// prepared starts a machine with networks and the command "view", and una: she
// is in usernet, like ulf, but nobody has made her a network.
func prepared(t *testing.T) *host {
	t.Helper()
	h := newMachine(t)
	var err error
	h.una, err = h.AddUser("una", sandbox.Groups("usernet"))
	expect.Check(t, err)
	expect.Check(t, h.WriteFile("/usr/local/bin/view", viewScript, 0o755))
	for _, user := range []sandbox.User{h.Olga, h.Nina, h.Ulf, h.Gina, h.Gus, h.una} {
		expect.Check(t, h.AllowSudo(user))
	}
	h.Bash(t, networks)
	return h
}

// users are all, olga first: she is isolated from nothing, so that what she sees
// is what the others should see but for their network.
var users = []string{"olga", "nina", "ulf", "una", "gina", "gus"}

// networkOf names the networks of those whose have a name.
var networkOf = map[string]string{"ulf": "ulf", "una": "una", "gina": "lab", "gus": "lab"}

// checkViews checks what sessions of all users see. way runs "view" in a session
// of a user, and returns what it prints.
func (h *host) checkViews(t *testing.T, way func(t *testing.T, user string) string) {
	// The first to log in make these, the next ones join them.
	h.Try(t, "ip netns del una; ip netns del lab")
	machine := parseView(h.Bash(t, "view"))
	var olga facts
	for _, user := range users {
		t.Run(user, func(t *testing.T) {
			got := parseView(way(t, user))
			if !slices.Contains(got["capabilities"], "CapEff:\t0000000000000000") {
				t.Errorf("%s has %q", user, got["capabilities"])
			}
			if user == "olga" {
				olga = got
				equalFacts(t, user, got.without(handedOn...), machine.without(handedOn...))
				return
			}
			equalFacts(t, user, got, h.expect(t, user, got, olga))
		})
	}
}

// handedOn are those facts of a view that depend on the login program.
var handedOn = []string{"user", "cwd", "capabilities", "signals", "limits", "environment", "descriptor"}

// expect tells what a member should see, where olga sees what she does.
func (h *host) expect(t *testing.T, user string, got, olga facts) facts {
	t.Helper()
	want := maps.Clone(olga)
	for _, key := range []string{"user", "cwd", "descriptor"} {
		want[key] = strings.Split(strings.ReplaceAll(strings.Join(olga[key], "\n"), "olga", user), "\n")
	}
	want["link"] = []string{"lo"}
	want["address"] = []string{"lo 127.0.0.1/8", "lo ::1/128"}
	want["loopback"] = []string{"127.0.0.1 Connection refused", "::1 Connection refused"}
	want["shared mount"] = nil
	switch user {
	case "ulf":
		want["link"] = []string{"eth0", "lo"}
		want["address"] = append(want["address"], "eth0 198.51.100.2/24")
		want["stood-in"] = []string{"ulf"}
		want["resolver"] = []string{"nameserver 198.51.100.53"}
	case "gina", "gus":
		want["resolver"] = []string{"nameserver 203.0.113.53"}
	}
	want["class_net"] = want["link"]
	if name := networkOf[user]; name != "" {
		want["handle"] = []string{name}
		want["net"] = []string{h.handle(t, name)}
		return want
	}
	delete(want, "handle")
	if net := got["net"]; len(net) == 1 && !slices.Contains(h.knownNetworks(t), net[0]) {
		want["net"] = net // a new one
	}
	return want
}

// handle tells which namespace has this name, like "net:[4026532248]".
func (h *host) handle(t *testing.T, name string) string {
	t.Helper()
	return h.Bash(t, `stat --format=net:[%i] "/run/netns/$1"`, name)
}

// knownNetworks are the machine's own and those that have a name.
func (h *host) knownNetworks(t *testing.T) []string {
	t.Helper()
	return strings.Fields(h.Bash(t, "stat --dereference --format=net:[%i] /proc/1/ns/net /run/netns/*"))
}

// parseView reads what "view" prints.
func parseView(output string) facts {
	view := facts{}
	for line := range strings.Lines(output) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch key {
		case "mount":
			view.addMount(value)
		case "descriptor":
			view[key] = append(view[key], withoutNumbers(value))
		default:
			view[key] = append(view[key], value)
		}
	}
	slices.Sort(view["mount"])
	return view
}

// addMount adds a line of mountinfo, without its numbers, to the mounts, and its
// mount point to the shared mounts if it is one.
func (view facts) addMount(line string) {
	// 36 35 98:0 /root /point rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue
	fields := strings.Fields(line)
	dash := slices.Index(fields, "-")
	device, point := fields[2], fields[4]
	if slices.ContainsFunc(fields[6:dash], func(tag string) bool { return strings.HasPrefix(tag, "shared:") }) {
		view["shared mount"] = append(view["shared mount"], point)
	}
	if strings.HasPrefix(point, "/run/netns") || strings.HasPrefix(point, "/etc/") {
		return // handles, and what stands in for something: the view tells in another way
	}
	if fields[dash+1] == "sysfs" {
		device = "" // each network has one of its own
	}
	mount := slices.Concat([]string{point, device, fields[3], fields[5]}, fields[dash+1:])
	view["mount"] = append(view["mount"], strings.Join(mount, " "))
}

// withoutNumbers makes of "pipe:[123]" and "/dev/pts/0" the same for all pipes and
// terminals.
func withoutNumbers(s string) string {
	return regexp.MustCompile("[0-9]+").ReplaceAllString(s, "N")
}
