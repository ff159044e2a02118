// SPDX-License-Identifier: GPL-2.0-or-later

package e2e

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"libpam-net/test/expect"
)

// netnsOf is the network namespace of a process.
func netnsOf(pid int) string { return fmt.Sprintf("/proc/%d/ns/net", pid) }

// inNetns calls f in the network namespace that a file stands for. The sockets
// that f makes stay in there.
func inNetns(netns string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		done <- func() error {
			file, err := os.Open(netns)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("setns: %w", err)
			}
			return f()
		}()
	}()
	return <-done
}

// serve starts a server in a network namespace. It tells whoever connects its
// name, and the address they come from: "machine 192.0.2.1".
func serve(t *testing.T, netns, address, name string) {
	t.Helper()
	var listener net.Listener
	expect.Check(t, inNetns(netns, func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	}))
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			from := netip.MustParseAddrPort(conn.RemoteAddr().String()).Addr()
			fmt.Fprintf(conn, "%s %s", name, from)
			conn.Close()
		}
	}()
}

// dial connects to an address in a network namespace.
func dial(t *testing.T, netns, address string) (conn net.Conn, err error) {
	t.Helper()
	err = inNetns(netns, func() error {
		conn, err = net.DialTimeout("tcp", address, patience)
		return err
	})
	if err == nil {
		t.Cleanup(func() { conn.Close() })
		expect.Check(t, conn.SetDeadline(time.Now().Add(patience)))
	}
	return conn, err
}

// ask returns what a server tells, or "" if there is none.
func ask(t *testing.T, netns, address string) string {
	t.Helper()
	conn, err := dial(t, netns, address)
	if err != nil {
		return ""
	}
	return hear(conn)
}

// askThrough asks a server through a SOCKS proxy (RFC 1928).
func askThrough(t *testing.T, netns, proxy, address string) string {
	t.Helper()
	conn, err := dial(t, netns, proxy)
	expect.Check(t, err)
	to := netip.MustParseAddrPort(address)
	request := []byte{
		5, 1, 0, // version 5, one method: no authentication
		5, 1, 0, 1, // version 5, connect, an IPv4 address:
	}
	request = append(request, to.Addr().AsSlice()...)
	request = binary.BigEndian.AppendUint16(request, to.Port())
	_, err = conn.Write(request)
	expect.Check(t, err)
	said := hear(conn)
	return said[min(len(said), 2+10):] // after the proxy's own replies
}

func hear(conn net.Conn) string {
	said, _ := io.ReadAll(conn) // an error is a server that says nothing
	return string(said)
}
