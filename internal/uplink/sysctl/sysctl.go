// SPDX-License-Identifier: GPL-2.0-or-later

// Package sysctl sets the kernel's network parameters of the calling thread's
// network namespace, and switches IP forwarding on so that it can be undone.
package sysctl

import (
	"fmt"
	"os"
	"strings"
)

// Get returns the value of a parameter, by its path below /proc/sys. An error
// wraps fs.ErrNotExist if there is no such parameter.
func Get(key string) (string, error) {
	value, err := os.ReadFile("/proc/sys/" + key)
	if err != nil {
		return "", fmt.Errorf("read parameter: %w", err)
	}
	return strings.TrimSpace(string(value)), nil
}

// Set sets a parameter.
func Set(key, value string) error {
	file, err := os.OpenFile("/proc/sys/"+key, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteString(value)
		file.Close()
	}
	if err != nil {
		return fmt.Errorf("set parameter to %s: %w", value, err)
	}
	return nil
}

// HasIPv6 tells whether the host has IPv6 and has not switched it off.
func HasIPv6() bool {
	off, err := Get("net/ipv6/conf/all/disable_ipv6")
	return err == nil && off == "0"
}

// Link sets what an uplink's end on the host needs, before it is brought up: it
// routes the IP versions in use, and believes nothing that the namespace says
// about routes. It gets no address but those that are given to it.
func Link(device string, ipv4, ipv6 bool) error {
	settings := [][2]string{
		{"net/ipv4/conf/%s/forwarding", digit(ipv4)},
		{"net/ipv4/conf/%s/accept_redirects", "0"},
		{"net/ipv4/conf/%s/route_localnet", "0"},
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
		settings = append(settings, [][2]string{
			{"net/ipv6/conf/%s/accept_ra", "0"},
			{"net/ipv6/conf/%s/accept_redirects", "0"},
			{"net/ipv6/conf/%s/addr_gen_mode", "1"},
			{"net/ipv6/conf/%s/forwarding", digit(ipv6)},
			{"net/ipv6/conf/%s/disable_ipv6", digit(!ipv6)},
		}...)
	}
	for _, s := range settings {
		if err := Set(fmt.Sprintf(s[0], device), s[1]); err != nil {
			return err
		}
	}
	return nil
}

func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
