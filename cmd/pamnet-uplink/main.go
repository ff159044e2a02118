// SPDX-License-Identifier: GPL-2.0-or-later

// Command pamnet-uplink connects named network namespaces to the host's network. The modules
// run it as the program of their argument setup=, administrators by hand: pamnet-uplink(8).
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"libpam-net/internal/uplink"
	"libpam-net/internal/uplink/config"
)

// One thread does all the work, because strace(1) counts the calls of each thread.
func init() { runtime.LockOSThread() }

// version is the release. The Makefile sets it.
var version = "unreleased"

func main() {
	if err := command().Execute(); err != nil {
		complain(err.Error())
		os.Exit(1)
	}
}

// complain writes each line to standard error with the program's name, for logs.
func complain(text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(os.Stderr, "pamnet-uplink: %s\n", strings.TrimSuffix(line, "\n"))
	}
}

func command() *cobra.Command {
	var path string
	var check bool
	root := &cobra.Command{
		Use:           "pamnet-uplink",
		Short:         "Connect named network namespaces to the host's network",
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(root *cobra.Command, _ []string) error {
			if !check {
				return root.Help()
			}
			c, err := config.Load(path)
			if err != nil {
				return err
			}
			if err := uplink.CheckMembers(c); err != nil {
				return err
			}
			fmt.Printf("%s: no problems found\n", path)
			return nil
		},
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&path, "config", config.Path, "read the configuration from `FILE`")
	root.Flags().BoolVar(&check, "check", false, "check the configuration and do nothing else")
	root.AddCommand(up(&path), down(), show(&path))
	return root
}

func up(path *string) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "up NAME",
		Short: "Connect a network namespace, or repair its uplink",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			if all == (len(names) == 1) {
				return errors.New("either a name or --all is needed")
			}
			c, err := config.Load(*path)
			if err != nil {
				return err
			}
			if all {
				if names, err = uplink.Names(); err != nil {
					return err
				}
			}
			var failed []error
			for _, name := range names {
				failed = append(failed, connect(name, c))
			}
			return errors.Join(failed...)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "repair all uplinks, for example after all nftables rules were flushed")
	return c
}

func connect(name string, c *config.Config) error {
	status, err := uplink.Up(name, c)
	if err != nil {
		return err
	}
	addresses := ""
	for _, n := range status.Networks {
		addresses += " " + n.Address.String()
	}
	fmt.Printf("%q, %s, is connected by %s as%s\n", name, status.Owner, status.Device, addresses)
	for _, w := range status.Warnings {
		complain("warning: " + w)
	}
	return nil
}

func down() *cobra.Command {
	return &cobra.Command{
		Use:   "down NAME",
		Short: "Disconnect a network namespace, if it is connected",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			reliant, err := uplink.Down(names[0])
			if len(reliant) > 0 {
				complain(fmt.Sprintf("forwarding stays switched on: %s may rely on it", strings.Join(reliant, ", ")))
			}
			return err
		},
	}
}

func show(path *string) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show what an uplink is, or would be",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			c, err := config.Load(*path)
			if err != nil {
				return err
			}
			status, err := uplink.Show(names[0], c)
			if err != nil {
				return err
			}
			if asJSON {
				encoder := json.NewEncoder(os.Stdout)
				encoder.SetIndent("", "  ")
				return encoder.Encode(status)
			}
			fmt.Print(describe(status))
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "show it as JSON")
	return c
}

// describe returns what show prints without --json.
func describe(s *uplink.Status) string {
	var text strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&text, "  %-12s "+format+"\n", append([]any{key}, args...)...)
	}
	fmt.Fprintf(&text, "%s (%s): %s\n", s.Name, s.Owner, s.State)
	line("link", "%s inside, %s on the host, MTU %d", s.Interface, s.Device, s.MTU)
	for _, n := range s.Networks {
		nat := ""
		if n.NAT {
			nat = fmt.Sprintf(", %s to others (NAT)", cmp.Or(n.Outside, "the host's"))
		}
		line("address", "%s by %s%s", n.Address, n.Gateway, nat)
	}
	line("neighbours", "%s", choose(s.Isolated, "not reached", "reached"))
	line("host", "%s", choose(len(s.HostServices) == 0, "not reached", strings.Join(s.HostServices, " ")))
	line("from outside", "%s", choose(s.Inbound, "all ports", choose(len(s.Forwards) == 0, "nothing", "the ports below")))
	for _, f := range s.Forwards {
		line("port", "%s of %s leads to %d", f.Host, cmp.Or(f.Address, "the host"), f.Namespace)
	}
	for server := range strings.Lines(s.ResolvConf()) {
		line("resolver", "/etc/netns/%s/resolv.conf may say: %s", s.Name, strings.TrimSuffix(server, "\n"))
	}
	for _, c := range s.Changed {
		line("on the host", "/proc/sys/%s", c)
	}
	for _, w := range s.Warnings {
		line("warning", "%s", w)
	}
	return text.String()
}

func choose(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}
