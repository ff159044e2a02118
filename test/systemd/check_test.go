// SPDX-License-Identifier: GPL-2.0-or-later

package systemd

import (
	"strings"
	"testing"

	"libpam-net/test/expect"
)

func TestACheckIsALoginAndLeavesNothing(t *testing.T) {
	h := start(t)
	h.end("ulf")
	result := h.try("pamnetctl check ulf --run 'echo $XDG_RUNTIME_DIR; stat -c %U $XDG_RUNTIME_DIR'")
	if !strings.HasSuffix(result.Stdout, "/run/user/"+h.run("id -u ulf")+"\nulf\n") || result.ExitCode != 0 {
		t.Errorf("%+v", result)
	}
	if strings.Contains(result.Stdout, "pam_systemd") {
		t.Errorf("a warning that no login gives: %s", result.Stdout)
	}
	expect.Equal(t, "stderr", result.Stderr, "pamnetctl: check: waits for the user's service manager, which keeps a network for some 10 seconds more\n")
	expect.Equal(t, "what is left", h.run("ls -d /run/netns/ulf /run/user/$(id -u ulf) 2>/dev/null || :"), "")
}

func TestACheckNamesTheNetworkThatSomebodyHasComeToUse(t *testing.T) {
	h := start(t)
	h.end("ulf")
	result := h.try(`
		pamnetctl check ulf --run 'touch ready; until [ -e go ]; do sleep 0.01; done' &
		until [ -e ~ulf/ready ]; do sleep 0.01; done
		loginctl enable-linger ulf; touch ~ulf/go; wait $!; rm ~ulf/ready ~ulf/go`)
	h.run("loginctl disable-linger ulf")
	if !strings.Contains(result.Stderr, `network "ulf", created by this check, stays: threads in it: `) {
		t.Errorf("%+v", result)
	}
	h.end("ulf")
}
