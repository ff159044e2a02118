// SPDX-License-Identifier: GPL-2.0-or-later

//go:build arm64_machine

// Package arm64 boots a Debian for arm64 in qemu-system-aarch64, with its kernel and the package, and logs users in
// there by ssh, su, sudo and cron. guest.sh does it; the test judges each login by its network namespace.
package arm64

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"libpam-net/test/expect"
	"libpam-net/test/machine"
)

// patience ends a machine that hangs. Booting and all logins take three minutes where nothing else runs.
const patience = 40 * time.Minute

//go:embed guest.sh
var guest string

// users of all kinds, with the named network that each belongs in; "host" is the machine's, "" one that has no name.
var users = map[string]string{
	"root": "host", "olga": "host", "nina": "", "ulf": "ulf", "uta": "uta", "gina": "lab", "gus": "lab", "sam": "sam",
}

// payload makes the disk from which the machine runs guest.sh.
func payload(t *testing.T) string {
	t.Helper()
	path, err := machine.Package("libpam-net_*_arm64.deb")
	expect.Check(t, err)
	deb, err := os.ReadFile(path)
	expect.Check(t, err)
	var disk bytes.Buffer
	w := tar.NewWriter(&disk)
	for name, content := range map[string]string{"run": guest, "setup": machine.SetUpDebian, "libpam-net.deb": string(deb)} {
		expect.Check(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}))
		_, err := w.Write([]byte(content))
		expect.Check(t, err)
	}
	expect.Check(t, w.Close())
	file := filepath.Join(t.TempDir(), "payload")
	expect.Check(t, os.WriteFile(file, disk.Bytes(), 0o600))
	return file
}

// boot runs the machine until it powers off, and returns what guest.sh has printed.
func boot(t *testing.T) string {
	t.Helper()
	debian := filepath.Join(machine.Out(), "debian-arm64")
	if _, err := os.Stat(debian); err != nil {
		t.Fatal("there is no out/debian-arm64: make test-arm64, as root")
	}
	results := filepath.Join(t.TempDir(), "results")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// The machine's disk stays as it is.
	console, err := exec.CommandContext(ctx, "qemu-system-aarch64",
		"-machine", "virt", "-accel", "kvm", "-accel", "tcg", "-cpu", "cortex-a57", "-smp", "2", "-m", "1024",
		"-nographic", "-no-reboot", "-nic", "none",
		"-kernel", debian+"/vmlinuz", "-initrd", debian+"/initrd.img", "-append", "root=/dev/vda rw console=ttyAMA0 quiet",
		"-drive", "if=virtio,format=raw,snapshot=on,file="+debian+"/root.img",
		"-drive", "if=virtio,format=raw,readonly=on,file="+payload(t),
		"-device", "virtio-serial-pci", "-chardev", "file,id=results,path="+results, "-device", "virtserialport,chardev=results",
	).CombinedOutput()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the console:\n%s", console[max(0, len(console)-4000):])
		}
	})
	expect.Check(t, err)
	printed, err := os.ReadFile(results)
	expect.Check(t, err)
	t.Logf("the machine has printed:\n%s", printed)
	return string(printed)
}

func TestLogins(t *testing.T) {
	printed := boot(t)
	result := make(map[string]string) // by "WHAT USER"
	for line := range strings.Lines(printed) {
		if fields := strings.SplitN(strings.TrimSpace(line), " ", 3); len(fields) == 3 {
			result[fields[0]+" "+fields[1]] = fields[2]
		}
	}
	if !strings.HasSuffix(printed, "\nend\n") {
		t.Fatal("the machine has not come to the end")
	}
	var named []string
	for key, network := range result {
		if strings.HasPrefix(key, "named ") {
			named = append(named, network)
		}
	}
	host := result["host -"]
	for user, name := range users {
		for _, service := range []string{"ssh", "su", "su-l", "sudo", "cron"} {
			got := result[service+" "+user]
			right := got == result["named "+name]
			switch name {
			case "host":
				right = got == host
			case "":
				right = got != host && !slices.Contains(named, got)
			}
			if !right || !strings.HasPrefix(got, "net:[") {
				t.Errorf("%s: the network of %s is %q, the machine's %q", service, user, got, host)
			}
		}
		if got := result["check "+user]; !strings.HasPrefix(got, "0 ") {
			t.Errorf("pamnetctl check %s: %s", user, got)
		}
	}
	expect.Equal(t, "links that sam sees, and has made", result["links sam"], "d0 lo")
	if got := result["doctor -"]; strings.Contains(got, "error: ") || !strings.Contains(got, "exit code ") {
		t.Errorf("pamnetctl doctor: %s", got)
	}
	for _, what := range []string{"failed -", "log -"} {
		if got := result[what]; got != "" {
			t.Errorf("%s: %s", what, got)
		}
	}
}
