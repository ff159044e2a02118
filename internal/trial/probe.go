// SPDX-License-Identifier: GPL-2.0-or-later

package trial

/*
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
*/
import "C"

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/policy"
	"libpam-net/internal/sessions"
)

// Probe tells whether a session reaches something.
type Probe struct {
	Kind    string `json:"kind"`    // see below
	Address string `json:"address"` // "" for the kind anything
	Reached bool   `json:"reached"`
	Why     string `json:"why"` // how that was seen
}

// String returns what the probe is for: "gateway 10.77.0.1".
func (p Probe) String() string { return strings.TrimSpace(p.Kind + " " + p.Address) }

// The kinds of probes.
const (
	Gateway    = "gateway"
	NameServer = "name server"
	Target     = "target"
	Anything   = "anything" // has the network a route to anything at all?
)

// The calling thread is in the session, and Go's other threads are outside: all sockets are made by plain system calls
// here. The thread has the user's rights to files, which nftables takes for the owner of a socket.

// probe finds out what the session that the calling thread is in reaches.
func (v *View) probe(before *memory, a *policy.Account, w Wanted) error {
	return withRightsTo(a, func() {
		for _, r := range v.Routes {
			if r.Gateway != "" {
				v.Probes = append(v.Probes, result(Gateway, r.Gateway, askGateway(r)))
			}
		}
		for _, server := range v.DNS {
			v.Probes = append(v.Probes, result(NameServer, server, askNameServer(server)))
		}
		for _, target := range w.Targets {
			v.Probes = append(v.Probes, result(Target, target, askTarget(target)))
		}
		if v.Moved && len(v.Routes) == 0 {
			v.Probes = append(v.Probes, anything(before.addresses))
		}
	})
}

// result makes a probe of what an attempt has returned.
func result(kind, address string, err error) Probe {
	p := Probe{Kind: kind, Address: address, Reached: err == nil, Why: "it answers"}
	if err != nil {
		p.Why = err.Error()
	}
	return p
}

// connect returns a socket that is connected within some time. The kernel returns an error at once if there is no route.
func connect(kind int, address netip.AddrPort, patience time.Duration) (fd int, err error) {
	family, to := unix.AF_INET6, unix.Sockaddr(nil)
	if a := address.Addr().Unmap(); a.Is4() {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Port: int(address.Port()), Addr: a.As4()}
	} else {
		six := &unix.SockaddrInet6{Port: int(address.Port()), Addr: a.As16()}
		if a.Zone() != "" {
			link, err := net.InterfaceByName(a.Zone())
			if err != nil {
				return -1, err
			}
			six.ZoneId = uint32(link.Index)
		}
		to = six
	}
	if fd, err = unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	err = unix.Connect(fd, to)
	if errors.Is(err, unix.EINPROGRESS) {
		if err = await(fd, unix.POLLOUT, patience); err == nil {
			var code int
			if code, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
				err = unix.Errno(code)
			}
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// await waits until a socket is readable or writable.
func await(fd int, events int16, patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("no answer within %v", patience)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, int(left.Milliseconds())+1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n > 0:
			return nil
		}
	}
}

// askGateway sends a packet to a gateway, and waits until its link address is confirmed. That takes no service there.
func askGateway(r sessions.Route) error {
	const patience = 10 * time.Second // the kernel confirms an old entry after 5 s
	address, err := netip.ParseAddr(r.Gateway)
	if err != nil {
		return err
	}
	if address.IsLinkLocalUnicast() {
		address = address.WithZone(r.Interface)
	}
	const discard = 9
	fd, err := connect(unix.SOCK_DGRAM, netip.AddrPortFrom(address, discard), patience)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	space, err := nsfs.Open(nsfs.Thread, nsfs.Net)
	if err != nil {
		return err
	}
	defer unix.Close(space)
	handle, err := netlink.NewHandleAt(netns.Handle(space), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	link, err := handle.LinkByName(r.Interface)
	if err != nil {
		return err
	}
	_, _ = unix.Write(fd, []byte{0})
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		neighbours, err := handle.NeighList(link.Attrs().Index, 0)
		if err != nil {
			return err
		}
		switch state := stateOf(neighbours, address.WithZone("")); {
		case state&(netlink.NUD_REACHABLE|netlink.NUD_PERMANENT|netlink.NUD_NOARP) != 0:
			return nil
		case state&netlink.NUD_FAILED != 0:
			return errors.New("its link address is unknown")
		}
	}
	return fmt.Errorf("no answer within %v", patience)
}

// stateOf returns the state of a neighbour, 0 if there is none.
func stateOf(neighbours []netlink.Neigh, address netip.Addr) int {
	for _, n := range neighbours {
		if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == address.Unmap() {
			return n.State
		}
	}
	return 0
}

// askNameServer asks a name server for the servers of the root. Any answer will do.
func askNameServer(server string) error {
	const patience, domain = 2 * time.Second, 53
	address, err := netip.ParseAddr(server)
	if err != nil {
		return err
	}
	for range 2 { // a packet may be lost
		var fd int
		if fd, err = connect(unix.SOCK_DGRAM, netip.AddrPortFrom(address, domain), patience); err != nil {
			return err
		}
		err = askName(fd, patience)
		unix.Close(fd)
		if err == nil {
			break
		}
	}
	return err
}

func askName(fd int, patience time.Duration) error {
	const recursion, isAnswer, typeNS, classIN = 0x0100, 0x80, 2, 1
	id := uint16(time.Now().UnixNano())
	query := binary.BigEndian.AppendUint16(nil, id)
	for _, word := range []uint16{recursion, 1, 0, 0, 0} { // one question
		query = binary.BigEndian.AppendUint16(query, word)
	}
	query = append(query, 0) // the name of the root
	query = binary.BigEndian.AppendUint16(query, typeNS)
	query = binary.BigEndian.AppendUint16(query, classIN)
	if _, err := unix.Write(fd, query); err != nil {
		return err
	}
	if err := await(fd, unix.POLLIN, patience); err != nil {
		return err
	}
	reply := make([]byte, 4096)
	n, err := unix.Read(fd, reply)
	if err != nil {
		return err
	}
	if n < 12 || binary.BigEndian.Uint16(reply) != id || reply[2]&isAnswer == 0 {
		return errors.New("what it answers is not DNS")
	}
	return nil
}

// askTarget connects to HOST:PORT by TCP, to one of its addresses.
func askTarget(target string) error {
	const patience = 5 * time.Second
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return err
	}
	addresses, err := lookUp(host, port)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		var fd int
		if fd, err = connect(unix.SOCK_STREAM, address, patience); err == nil {
			unix.Close(fd)
			return nil
		}
	}
	return err
}

// lookUp asks libc for addresses. libc does it on the calling thread, in the session.
func lookUp(host, port string) (addresses []netip.AddrPort, err error) {
	name, service := C.CString(host), C.CString(port)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(service))
	hints := C.struct_addrinfo{ai_socktype: C.SOCK_STREAM}
	var list *C.struct_addrinfo
	if code := C.getaddrinfo(name, service, &hints, &list); code != 0 {
		return nil, fmt.Errorf("look up %s: %s", host, strings.ToLower(C.GoString(C.gai_strerror(code))))
	}
	defer C.freeaddrinfo(list)
	for a := list; a != nil; a = a.ai_next {
		switch a.ai_family {
		case C.AF_INET:
			s := (*unix.RawSockaddrInet4)(unsafe.Pointer(a.ai_addr))
			addresses = append(addresses, netip.AddrPortFrom(netip.AddrFrom4(s.Addr), bigEndian(s.Port)))
		case C.AF_INET6:
			s := (*unix.RawSockaddrInet6)(unsafe.Pointer(a.ai_addr))
			addresses = append(addresses, netip.AddrPortFrom(netip.AddrFrom16(s.Addr), bigEndian(s.Port)))
		}
	}
	return addresses, nil
}

// bigEndian returns a port that is in the order of the network.
func bigEndian(port uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, port))
}

// elsewhere are addresses that are nobody's, for which only a default route is there.
var elsewhere = []string{"198.51.100.1", "2001:db8:ffff::1"}

// anything tells whether the network has a route to an address of the host's, or elsewhere. Nothing is sent.
func anything(hosts []string) Probe {
	tried := append(hosts, elsewhere...)
	for _, text := range tried {
		address, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		fd, err := connect(unix.SOCK_DGRAM, netip.AddrPortFrom(address, 9), 0)
		if err == nil {
			unix.Close(fd)
			return Probe{Kind: Anything, Reached: true, Why: "there is a route to " + text}
		}
	}
	return Probe{Kind: Anything, Why: "no route to " + strings.Join(tried, ", ")}
}
