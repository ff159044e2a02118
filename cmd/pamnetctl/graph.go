// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"libpam-net/internal/netns"
	"libpam-net/internal/nsfs"
	"libpam-net/internal/sessions"
)

func graphCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "graph",
		Short: "Draw the host, its links, networks, sessions and users (root)",
		Long: `Prints a graph in the language of dot(1): from the host over its links to the networks, the sessions in
them, and their users. A network with a broken frame has no default route.

Use it to see who is connected with what: pamnetctl graph --svg >networks.svg. --svg needs dot, of the
package graphviz. Only links between a network and the host are drawn.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	svg := c.Flags().Bool("svg", false, "print SVG, by dot")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := onlyRoot("look into the networks of others; use sudo"); err != nil {
			return err
		}
		if _, err := exec.LookPath("dot"); *svg && err != nil {
			return errors.New("--svg needs dot: install graphviz, or give what `pamnetctl graph` prints to dot on another machine")
		}
		runtime.LockOSThread()
		all, err := listSessions("")
		if all == nil && err != nil {
			return err
		}
		networks, failed := drawnNetworks(all)
		text := draw(networks, all)
		if *svg {
			return errors.Join(toSVG(c.Context(), text, c.OutOrStdout()), err, failed)
		}
		_, printed := io.WriteString(c.OutOrStdout(), text)
		return errors.Join(printed, err, failed)
	}
	return c
}

// toSVG lets dot draw a graph.
func toSVG(ctx context.Context, graph string, w io.Writer) error {
	dot := exec.CommandContext(ctx, "dot", "-Tsvg")
	var complaint strings.Builder
	dot.Stdin, dot.Stdout, dot.Stderr = strings.NewReader(graph), w, &complaint
	if err := dot.Run(); err != nil {
		return fmt.Errorf("dot -Tsvg: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return nil
}

// drawnNetwork is a network in the graph.
type drawnNetwork struct {
	*sessions.Network
	inode uint64
	name  string
	wires []sessions.Wire
}

// drawnNetworks returns the networks that have a name or a session. What it cannot look into is not connected.
func drawnNetworks(all []sessions.Session) (networks []drawnNetwork, err error) {
	names, err := netns.Names()
	if err != nil {
		return nil, err
	}
	leaders := map[uint64]int{}
	for inode := range names {
		leaders[inode] = 0
	}
	for _, s := range all {
		leaders[s.Inode] = s.Leader
	}
	host, err := sessions.LookAtHost()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	var failed []error
	for _, inode := range slices.Sorted(maps.Keys(leaders)) {
		n := drawnNetwork{inode: inode, name: names[inode], Network: &sessions.Network{}}
		if err := n.look(leaders[inode], host); nsfs.Ended(err) || errors.Is(err, netns.ErrAbsent) {
			continue
		} else if err != nil {
			failed = append(failed, err)
		}
		networks = append(networks, n)
	}
	slices.SortFunc(networks, func(a, b drawnNetwork) int { return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.inode, b.inode)) })
	return networks, errors.Join(failed...)
}

// look looks into a network by its name or, without one, by the leader of a session.
func (n *drawnNetwork) look(leader int, host *sessions.HostLinks) (err error) {
	fd := -1
	if n.name != "" {
		fd, err = netns.Open(n.name)
	} else {
		fd, err = nsfs.Open(leader, nsfs.Net)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if inside, err := sessions.LookInto(fd); err != nil {
		return err
	} else {
		n.Network = inside
	}
	n.wires, err = host.Wires(fd)
	return err
}

// draw returns a graph in the language of dot(1).
func draw(networks []drawnNetwork, all []sessions.Session) string {
	g := graph{drawn: map[string]bool{}}
	name, _ := os.Hostname() // without one the host is drawn all the same
	g.node("host", "box3d", "host "+name)
	for _, n := range networks {
		node := fmt.Sprintf("network %d", n.inode)
		style := "solid"
		if len(n.Routes) == 0 {
			style = "dashed"
		}
		g.line("%s [shape=box style=%s label=%s]", quoted(node), style, quoted(sessions.NetworkName(n.name, n.inode)))
		for _, w := range n.wires {
			g.edge(g.link(w.Outside, w.Bridge), node, strings.Join(append([]string{w.Inside}, n.addresses(w.Inside)...), "\n"))
		}
	}
	for _, s := range all {
		node, user := fmt.Sprintf("session %d", s.Leader), "user "+s.User
		g.node(node, "ellipse", fmt.Sprintf("%s %d", cmp.Or(s.Service, "left running"), s.Leader))
		g.edge(fmt.Sprintf("network %d", s.Inode), node, "")
		g.node(user, "plaintext", s.User)
		label := ""
		if s.From != "" {
			label = "from " + s.From
		}
		g.edge(node, user, label)
	}
	return "graph pamnet {\n\trankdir=LR\n" + g.text.String() + "}\n"
}

func (n drawnNetwork) addresses(name string) []string {
	for _, i := range n.Interfaces {
		if i.Name == name {
			return i.Addresses
		}
	}
	return nil
}

// graph is the text of a graph in the making.
type graph struct {
	text  strings.Builder
	drawn map[string]bool // the nodes and edges that are in it
}

func (g *graph) line(format string, args ...any) {
	text := fmt.Sprintf("\t"+format+"\n", args...)
	if !g.drawn[text] {
		g.drawn[text] = true
		g.text.WriteString(text)
	}
}

func (g *graph) node(name, shape, label string) {
	g.line("%s [shape=%s label=%s]", quoted(name), shape, quoted(label))
}

func (g *graph) edge(from, to, label string) {
	if label == "" {
		g.line("%s -- %s", quoted(from), quoted(to))
	} else {
		g.line("%s -- %s [label=%s]", quoted(from), quoted(to), quoted(label))
	}
}

// link draws a link of the host, with its bridge if that is not "", and returns the node.
func (g *graph) link(name, bridge string) string {
	node, upper := "link "+name, "host"
	if bridge != "" {
		upper = g.link(bridge, "")
	}
	g.node(node, "cds", name)
	g.edge(upper, node, "")
	return node
}

// quoted returns a string of dot's. Users choose some names.
func quoted(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(plain(line)))
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}
