// SPDX-License-Identifier: GPL-2.0-or-later

package sessions

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/nsfs"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestLookInto(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	private.Needs(t, "ip")
	runtime.LockOSThread()
	fd, err := nsfs.Open(nsfs.Thread, nsfs.Net)
	expect.Check(t, err)
	defer unix.Close(fd)
	empty, err := LookInto(fd)
	expect.Check(t, err)
	expect.Equal(t, "a network without anything", fmt.Sprintf("%+v", *empty), "{Interfaces:[{Name:lo Up:false Addresses:[] In:0 Out:0}] Routes:[]}")
	_, err = private.Sh(`ip link set lo up; ip link add eth0 type veth peer name other
		ip link set eth0 addrgenmode none; ip link set other addrgenmode none
		ip address add 192.0.2.2/24 dev eth0; ip address add 2001:db8::2/64 dev eth0 nodad; ip link set eth0 up; ip link set other up
		ip route add default via 192.0.2.1
		ip route add default metric 5 nexthop via 192.0.2.3 nexthop via 192.0.2.4
		ip route add unreachable default metric 9
		ip route add 198.51.100.0/24 via 192.0.2.5
		ip route add 0.0.0.0/1 via 192.0.2.6
		ip -6 route add default dev eth0
		ping -qc1 192.0.2.2`)
	expect.Check(t, err)
	n, err := LookInto(fd)
	expect.Check(t, err)
	var interfaces, routes []string
	for _, i := range n.Interfaces {
		interfaces = append(interfaces, fmt.Sprintf("%s %v %s", i.Name, i.Up, i.Addresses))
		if i.Name == "lo" && (i.In < 84 || i.In != i.Out) {
			t.Errorf("lo has received %d bytes and sent %d", i.In, i.Out)
		}
	}
	for _, r := range n.Routes {
		routes = append(routes, fmt.Sprintf("%q by %s", r.Gateway, r.Interface))
	}
	slices.Sort(interfaces)
	slices.Sort(routes)
	expect.Equal(t, "interfaces", strings.Join(interfaces, ", "), "eth0 true [192.0.2.2/24 2001:db8::2/64], lo true [127.0.0.1/8 ::1/128], other true []")
	expect.Equal(t, "default routes", strings.Join(routes, ", "), `"" by eth0, "192.0.2.1" by eth0, "192.0.2.3" by eth0, "192.0.2.4" by eth0`)
}
