// SPDX-License-Identifier: GPL-2.0-or-later

package setup_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"libpam-net/internal/setup"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestRepair(t *testing.T) {
	private.Needs(t, "nft")
	if private.Namespaces(t) {
		return
	}
	t.Cleanup(func() { expect.Check(t, setup.Group("lab").End()) })
	install(t, `[ -e /run/works ] && nft add table inet pamnet && echo "$1 $2"`)
	const uplink = "/run/bin/pamnet-uplink"
	expect.Check(t, os.Rename(program, uplink))
	repair := func() (output []string, err error) {
		p := setup.Program{Path: uplink, Name: "lab", Output: func(line string) { output = append(output, line) }}
		return output, p.Repair(time.Now().Add(time.Minute))
	}
	_, err := private.Sh("nft 'add table ip pamnet; add table inet other'")
	expect.Check(t, err)
	if _, err := repair(); err == nil || !strings.Contains(err.Error(), "repair uplink: setup program "+uplink) {
		t.Errorf("a program that fails: %v", err)
	}
	expect.Check(t, os.WriteFile("/run/works", nil, 0o600))
	output, err := repair()
	expect.Equal(t, "what the program is told without the table", strings.Join(output, "\n"), "up lab")
	expect.Check(t, err)
	output, err = repair()
	expect.Equal(t, "what the program is told with the table", strings.Join(output, "\n"), "")
	expect.Check(t, err)
	for path, want := range map[string]bool{uplink: true, program: false, uplink + ".sh": false} {
		expect.Equal(t, path+" can repair", setup.Program{Path: path}.CanRepair(), want)
	}
}
