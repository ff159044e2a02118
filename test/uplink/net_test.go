// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
)

// in calls f in the network namespace of a name, or the machine's own if that is "".
// The sockets that f makes stay in there.
func (l *lab) in(name string, f func() error) error {
	file := fmt.Sprintf("/proc/%d/ns/net", l.PID())
	if name != "" {
		file = l.Root() + "/run/netns/" + name
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		done <- func() error {
			namespace, err := os.Open(file)
			if err != nil {
				return err
			}
			defer namespace.Close()
			if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("setns: %w", err)
			}
			return f()
		}()
	}()
	return <-done
}

// serve starts servers for TCP and UDP in a namespace. They tell whoever asks their
// name, and the address of the question: "outside 192.0.2.1".
func (l *lab) serve(namespace, address, name string) {
	l.t.Helper()
	var listener net.Listener
	var socket net.PacketConn
	expect.Check(l.t, l.in(namespace, func() (err error) {
		if listener, err = net.Listen("tcp", address); err == nil {
			socket, err = net.ListenPacket("udp", address)
		}
		return err
	}))
	l.t.Cleanup(func() { listener.Close(); socket.Close() })
	answer := func(from net.Addr) []byte {
		return fmt.Appendf(nil, "%s %s", name, netip.MustParseAddrPort(from.String()).Addr().Unmap())
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			conn.Write(answer(conn.RemoteAddr()))
			conn.Close()
		}
	}()
	go func() {
		for {
			_, from, err := socket.ReadFrom(make([]byte, 1))
			if err != nil {
				return
			}
			socket.WriteTo(answer(from), from)
		}
	}()
}

// ask asks a server in a protocol and returns what it tells, or else "refused": an
// answer from the network that there is no way. Silence fails the test.
func (l *lab) ask(namespace, protocol, address string) string {
	l.t.Helper()
	var conn net.Conn
	err := l.in(namespace, func() (err error) {
		conn, err = net.DialTimeout(protocol, address, patience)
		return err
	})
	var said []byte
	if err == nil {
		defer conn.Close()
		expect.Check(l.t, conn.SetDeadline(time.Now().Add(patience)))
		if protocol == "udp" {
			said = make([]byte, 100)
			var n int
			if _, err = conn.Write([]byte("?")); err == nil {
				n, err = conn.Read(said)
			}
			said = said[:n]
		} else {
			said, err = io.ReadAll(conn)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.ETIMEDOUT) {
		l.t.Errorf("%s %s from %q: no answer at all", protocol, address, namespace)
	}
	if err != nil {
		return "refused"
	}
	return string(said)
}

// asks compares what a server tells in both protocols.
func (l *lab) asks(what, namespace, address, want string) {
	l.t.Helper()
	for _, protocol := range []string{"tcp", "udp"} {
		expect.Equal(l.t, what+", "+protocol+" "+address, l.ask(namespace, protocol, address), want)
	}
}

// both runs a test with the addresses of both IP versions.
func both(t *testing.T, f func(t *testing.T, v version)) {
	for _, v := range []version{
		{"IPv4", "0.0.0.0", "127.0.0.1", outside4, gateway4, second4, anna4, bert4},
		{"IPv6", "[::]", "::1", outside6, gateway6, second6, anna6, bert6},
	} {
		t.Run(v.name, func(t *testing.T) { f(t, v) })
	}
}

type version struct {
	name, any, loopback, outside, gateway, second, anna, bert string
}

// listen waits for a datagram at an address. What it returns returns the first.
func (l *lab) listen(namespace, address string) func() string {
	l.t.Helper()
	var socket net.PacketConn
	expect.Check(l.t, l.in(namespace, func() (err error) {
		socket, err = net.ListenPacket("udp", address)
		return err
	}))
	l.t.Cleanup(func() { socket.Close() })
	return func() string {
		l.t.Helper()
		expect.Check(l.t, socket.SetDeadline(time.Now().Add(patience)))
		text := make([]byte, 100)
		n, _, err := socket.ReadFrom(text)
		expect.Check(l.t, err)
		return string(text[:n])
	}
}

// send sends a datagram from an address, which the namespace need not have.
func (l *lab) send(namespace, source, to, text string) {
	l.t.Helper()
	expect.Check(l.t, l.in(namespace, func() error {
		dialer := net.Dialer{
			LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0)),
			Control: func(_, _ string, c syscall.RawConn) (err error) {
				level, option := unix.SOL_IP, unix.IP_TRANSPARENT
				if strings.Contains(source, ":") {
					level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
				}
				if failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) }); failed != nil {
					return failed
				}
				return err
			},
		}
		conn, err := dialer.Dial("udp", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte(text))
		return err
	}))
}

// broadcast sends a datagram to everybody on a link.
func (l *lab) broadcast(namespace, to, text string) {
	l.t.Helper()
	expect.Check(l.t, l.in(namespace, func() error {
		dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
			failed := c.Control(func(fd uintptr) {
				err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
					unix.SetsockoptString(int(fd), unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "eth0"))
			})
			return errors.Join(err, failed)
		}}
		conn, err := dialer.Dial("udp4", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte(text))
		return err
	}))
}

// advertise sends a router advertisement (RFC 4861) from a namespace's eth0.
func (l *lab) advertise(namespace string) {
	l.t.Helper()
	expect.Check(l.t, l.in(namespace, func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		message := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0} // for 1,800 seconds
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_MULTICAST_HOPS, 255),
			unix.Sendto(fd, message, 0, &unix.SockaddrInet6{
				Addr: netip.MustParseAddr("ff02::1").As16(), ZoneId: uint32(eth0.Index),
			}),
		)
	}))
}
