// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"

	"libpam-net/internal/uplink/config"
)

// firewallsFile has the commands that undo what openFirewalls has done, a line for each. What
// firewalld and ufw are told outlasts a boot, and so does the file.
const firewallsFile = "/var/lib/libpam-net/firewall"

// For firewalld the commands are what an administrator would type. It is told by D-Bus.
const (
	addToZone      = "firewall-cmd --permanent --zone=trusted --add-interface=pnu+ --add-interface=png+"
	removeFromZone = "firewall-cmd --permanent --zone=trusted --remove-interface=pnu+ --remove-interface=png+"
)

// undoOf returns the command that undoes one of an obstacle, "" if there is none.
func undoOf(command string) string {
	switch program, _, _ := strings.Cut(command, " "); program {
	case "firewall-cmd":
		return map[string]string{addToZone: removeFromZone}[command]
	case "ufw":
		return strings.Replace(command, "allow", "delete allow", 1)
	case "nft": // only the administrator knows what the table is for
		return ""
	default:
		return strings.Replace(command, " -I ", " -D ", 1)
	}
}

// openFirewalls lets the uplinks' packets through other firewalls. It notes first how to undo
// that. The caller must hold uplinksLock.
func (h *host) openFirewalls(p plan, c *config.Config) error {
	obstacles, err := h.table.obstacles(p, c)
	if err != nil {
		return err
	}
	undo, err := readUndo()
	if err != nil {
		return err
	}
	var commands []string
	for _, o := range obstacles {
		for _, command := range o.commands {
			if undoOf(command) == "" || slices.Contains(commands, command) {
				continue
			}
			commands = append(commands, command)
			if !slices.Contains(undo, undoOf(command)) {
				undo = append(undo, undoOf(command))
			}
		}
	}
	if len(commands) == 0 {
		return nil
	}
	err = os.MkdirAll(filepath.Dir(firewallsFile), 0o755)
	if err == nil {
		err = replaceFile(firewallsFile, strings.Join(undo, "\n")+"\n")
	}
	if err != nil {
		return fmt.Errorf("note what to undo: %w", err)
	}
	for _, command := range commands {
		if err := tellFirewall(command); err != nil {
			return err
		}
	}
	return nil
}

// closeFirewalls undoes openFirewalls. What fails is gone already, with its firewall or by an
// administrator's hand. The caller must hold uplinksLock.
func closeFirewalls() error {
	undo, err := readUndo()
	if err != nil || len(undo) == 0 {
		return err
	}
	for _, command := range undo {
		_ = tellFirewall(command)
	}
	return os.Remove(firewallsFile)
}

func readUndo() (undo []string, err error) {
	text, err := os.ReadFile(firewallsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what to undo: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		undo = append(undo, strings.TrimSuffix(line, "\n"))
	}
	return undo, nil
}

func tellFirewall(command string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	var said []byte
	switch command {
	case addToZone:
		err = changeZone(ctx, "addInterface")
	case removeFromZone:
		err = changeZone(ctx, "removeInterface")
	default:
		words := strings.Fields(command)
		said, err = exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput()
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, strings.TrimSpace(string(said)))
	}
	return nil
}

// changeZone calls a method of firewalld's zone trusted for the interfaces of uplinks. It does so
// for what firewalld has loaded and for its files: a reload of it is no reason to lose them.
func changeZone(ctx context.Context, method string) error {
	const name, zone = "org.fedoraproject.FirewallD1", "trusted"
	bus, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return err
	}
	defer bus.Close()
	var file dbus.ObjectPath
	err = bus.Object(name, "/org/fedoraproject/FirewallD1/config").CallWithContext(ctx, name+".config.getZoneByName", 0, zone).Store(&file)
	if err != nil {
		return err
	}
	var failed []error
	for _, device := range []string{"pnu+", "png+"} {
		failed = append(failed,
			bus.Object(name, file).CallWithContext(ctx, name+".config.zone."+method, 0, device).Err,
			bus.Object(name, "/org/fedoraproject/FirewallD1").CallWithContext(ctx, name+".zone."+method, 0, zone, device).Err,
		)
	}
	return errors.Join(failed...)
}
