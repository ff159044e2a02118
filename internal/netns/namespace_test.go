// SPDX-License-Identifier: GPL-2.0-or-later

package netns_test

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

// current names the network namespace of the calling thread.
func current() (string, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return netns.ID(fd), nil
}

func TestNewAndJoin(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	host, err := current()
	expect.Check(t, err)
	var first int
	expect.Check(t, private.OnThread(func() error {
		if first, err = netns.New(nil); err != nil {
			return err
		}
		second, err := netns.New(nil)
		if err != nil {
			return err
		}
		defer unix.Close(second)
		now, err := current()
		if ids := map[string]bool{host: true, netns.ID(first): true, now: true}; len(ids) != 3 || now != netns.ID(second) {
			return fmt.Errorf("in %s, having made %s and %s from %s: %w", now, netns.ID(first), netns.ID(second), host, err)
		}
		return err
	}))
	expect.Check(t, private.OnThread(func() error {
		if err := netns.Join(first); err != nil {
			return err
		}
		if now, err := current(); now != netns.ID(first) {
			return fmt.Errorf("in %s, not in %s: %w", now, netns.ID(first), err)
		}
		return nil
	}))
	unix.Close(first)
	err = private.OnThread(func() error { return netns.Join(first) })
	if !errors.Is(err, unix.EBADF) {
		t.Errorf("join a closed descriptor: %v", err)
	}
	if netns.ID(first) != "net:[?]" {
		t.Errorf("a closed descriptor is %s", netns.ID(first))
	}
}

func TestRaiseLoopback(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address+" answers", func(t *testing.T) {
			expect.Check(t, private.OnThread(func() error {
				if _, err := netns.New(nil); err != nil {
					return err
				}
				if err := answers(address); err == nil {
					return errors.New("answers although lo is down")
				}
				// The second time there is nothing left to do.
				if err := errors.Join(netns.RaiseLoopback(), netns.RaiseLoopback()); err != nil {
					return err
				}
				return answers(address)
			}))
		})
	}
}

// answers makes a TCP connection to address, which stays on the calling thread.
func answers(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer listener.Close()
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	return connection.Close()
}
