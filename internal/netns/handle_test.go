// SPDX-License-Identifier: GPL-2.0-or-later

package netns_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestOpenMakesNothing(t *testing.T) {
	private.Needs(t, "ip")
	if private.Namespaces(t) {
		return
	}
	if _, err := netns.Open("there"); !errors.Is(err, netns.ErrAbsent) {
		t.Errorf("without a directory: %v", err)
	}
	_, err := private.Sh("ip netns add there; touch /run/netns/empty; echo x >/run/netns/file")
	expect.Check(t, err)
	for _, c := range []struct {
		name string
		want error
	}{{"there", nil}, {"nowhere", netns.ErrAbsent}, {"empty", netns.ErrAbsent}, {"file", netns.ErrNotNamespace}} {
		fd, err := netns.Open(c.name)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil {
			id, err := published(c.name)
			expect.Check(t, err)
			if netns.ID(fd) != id {
				t.Errorf("%s: %s is not %s", c.name, netns.ID(fd), id)
			}
			unix.Close(fd)
		}
	}
	if _, err := os.Stat("/run/netns/nowhere"); err == nil {
		t.Error("has made what was not there")
	}
}
