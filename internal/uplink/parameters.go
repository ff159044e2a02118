// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"libpam-net/internal/uplink/config"
)

// version is an IP version, as /proc/sys/net and the configuration name it.
type version string

const (
	ipv4 version = "ipv4"
	ipv6 version = "ipv6"
)

// key returns the key of an interface's parameter.
func (v version) key(device, name string) string {
	return fmt.Sprintf("net/%s/conf/%s/%s", v, device, name)
}

// getParameter returns a kernel parameter of the calling thread's network namespace. The key
// is its path below /proc/sys. The error wraps fs.ErrNotExist if there is no such parameter.
func getParameter(key string) (string, error) {
	value, err := os.ReadFile("/proc/sys/" + key)
	if err != nil {
		return "", fmt.Errorf("read parameter: %w", err)
	}
	return strings.TrimSpace(string(value)), nil
}

// setParameter sets a parameter, see getParameter.
func setParameter(key, value string) error {
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

// setParameters sets the parameters that differ and exist: interfaces come and go.
func setParameters(settings []setting) error {
	for _, s := range settings {
		if value, err := getParameter(s.key); err == nil && value == s.value {
			continue
		}
		if err := setParameter(s.key, s.value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// hasIPv6 tells whether the host has IPv6 and has not switched it off.
func hasIPv6() bool {
	off, err := getParameter(ipv6.key("all", "disable_ipv6"))
	return err == nil && off == "0"
}

// setLinkParameters sets the parameters of the host's end of a link, which must be down. The
// host routes the plan's IP versions for it. The host learns no routes from the namespace,
// and no addresses but the plan's.
func setLinkParameters(p plan) error {
	settings := []setting{
		{ipv4.key(p.device(), "forwarding"), digit(p.ipv4.host.IsValid())},
		{ipv4.key(p.device(), "accept_redirects"), "0"},
		{ipv4.key(p.device(), "rp_filter"), "1"},
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
		settings = append(settings,
			setting{ipv6.key(p.device(), "accept_ra"), "0"},
			setting{ipv6.key(p.device(), "accept_redirects"), "0"},
			setting{ipv6.key(p.device(), "addr_gen_mode"), "1"},
			setting{ipv6.key(p.device(), "forwarding"), digit(p.ipv6.host.IsValid())},
			setting{ipv6.key(p.device(), "disable_ipv6"), digit(!p.ipv6.host.IsValid())},
		)
	}
	for _, s := range settings {
		if err := setParameter(s.key, s.value); err != nil {
			return err
		}
	}
	return nil
}

// setRouteLocalnet lets connections from the host's loopback to the link, if a forward is for
// these, too, and answers to them back. The gate and the table drop the rest.
func setRouteLocalnet(p plan) error {
	local := slices.ContainsFunc(p.forwards, func(f config.Forward) bool { return f.Local })
	return setParameters([]setting{{ipv4.key(p.device(), "route_localnet"), digit(local)}})
}

func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
