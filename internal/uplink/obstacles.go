// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"libpam-net/internal/uplink/config"
)

// obstacle is a chain of another firewall that refuses whatever no rule of its accepts. Each
// firewall decides for itself: no rule of ours can let through what another refuses.
type obstacle struct {
	name     string   // "nftables chain inet site forward"
	commands []string // let the uplinks' packets through
}

func (o obstacle) String() string {
	return fmt.Sprintf("%s refuses what it does not know, and so the packets of uplinks: %s", o.name, strings.Join(o.commands, " && "))
}

// obstacles returns the obstacles for a plan. A chain for packets to the host itself counts if
// namespaces may reach services there.
func (t *table) obstacles(p plan, c *config.Config) (all []obstacle, err error) {
	chains, err := t.conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("list nftables chains: %w", err)
	}
	families := map[nftables.TableFamily]string{nftables.TableFamilyINet: "inet"}
	for _, e := range p.ends() {
		if e.version == ipv4 {
			families[nftables.TableFamilyIPv4] = "ip"
		} else {
			families[nftables.TableFamilyIPv6] = "ip6"
		}
	}
	for _, chain := range chains {
		f := filter{program: "iptables", family: families[chain.Table.Family], table: chain.Table.Name, chain: chain.Name}
		switch {
		case f.family == "" || f.family == "inet" && f.table == tableName || chain.Hooknum == nil:
			continue
		case *chain.Hooknum == *nftables.ChainHookForward:
			f.forwards = true
		case *chain.Hooknum != *nftables.ChainHookInput || !c.AnyService && len(c.Services) == 0:
			continue
		}
		if f.family == "ip6" {
			f.program = "ip6tables"
		}
		rules, err := t.conn.GetRules(chain.Table, chain)
		if err != nil {
			return nil, fmt.Errorf("list rules of nftables chain %s: %w", f.name(), err)
		}
		if !(chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop || len(rules) > 0 && refusesAll(rules[len(rules)-1])) {
			continue
		}
		knows := slices.ContainsFunc(rules, matchesOurs)
		for _, other := range chains {
			if knows || other.Table.Name != chain.Table.Name || other.Table.Family != chain.Table.Family {
				continue
			}
			f.others = append(f.others, other.Name)
			if other.Name == chain.Name {
				continue
			}
			if rules, err = t.conn.GetRules(other.Table, other); err != nil {
				return nil, fmt.Errorf("list rules of nftables chain %s: %w", f.name(), err)
			}
			knows = slices.ContainsFunc(rules, matchesOurs)
		}
		if !knows {
			all = append(all, obstacle{"nftables chain " + f.name(), f.commands()})
		}
	}
	legacy, err := legacyObstacles(p, c)
	return append(all, legacy...), err
}

// refusesAll tells whether a rule drops or rejects without a condition.
func refusesAll(rule *nftables.Rule) (refuses bool) {
	for _, e := range rule.Exprs {
		switch e := e.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Reject:
			refuses = true
		case *expr.Target: // of iptables
			refuses = e.Name == "REJECT"
		case *expr.Verdict:
			refuses = e.Kind == expr.VerdictDrop
		default:
			return false
		}
	}
	return refuses
}

// matchesOurs tells whether a rule names an interface pn*. Then somebody has decided about
// uplinks.
func matchesOurs(rule *nftables.Rule) bool {
	return slices.ContainsFunc(rule.Exprs, func(e expr.Any) bool {
		compare, ok := e.(*expr.Cmp)
		return ok && bytes.HasPrefix(compare.Data, []byte("pn"))
	})
}

// filter is a chain of another firewall.
type filter struct {
	program              string // for a table of iptables
	family, table, chain string
	forwards             bool     // for packets that are forwarded, not for those to the host
	others               []string // the names of its table's chains
}

func (f filter) name() string { return f.family + " " + f.table + " " + f.chain }

// commands returns the commands that let the uplinks' packets through, in the way of the
// firewall that the chain is of.
func (f filter) commands() []string {
	both := func(in, out string) []string {
		if f.forwards {
			return []string{in, out}
		}
		return []string{in}
	}
	insert := func(chain string) []string {
		return both(fmt.Sprintf("%s -I %s -i pn+ -j ACCEPT", f.program, chain), fmt.Sprintf("%s -I %s -o pn+ -j ACCEPT", f.program, chain))
	}
	isUFW := func(chain string) bool { return strings.HasPrefix(chain, "ufw-") || strings.HasPrefix(chain, "ufw6-") }
	switch {
	case f.table == "firewalld":
		return []string{addToZone, "firewall-cmd --reload"}
	case slices.ContainsFunc(f.others, isUFW) && f.forwards:
		return both("ufw route allow in on pn+", "ufw route allow out on pn+")
	case slices.ContainsFunc(f.others, isUFW):
		return both("ufw allow in on pn+", "")
	case slices.Contains(f.others, "DOCKER-USER") && f.forwards:
		return insert("DOCKER-USER")
	case f.family != "inet" && f.table == "filter" && (f.chain == "FORWARD" || f.chain == "INPUT"):
		return insert(f.chain)
	}
	return both(fmt.Sprintf(`nft insert rule %s iifname "pn*" accept`, f.name()), fmt.Sprintf(`nft insert rule %s oifname "pn*" accept`, f.name()))
}

// legacyObstacles returns the obstacles of the older iptables, whose rules nftables does not
// show.
func legacyObstacles(p plan, c *config.Config) (all []obstacle, err error) {
	for _, e := range p.ends() {
		f := filter{program: "iptables-legacy", family: "ip", table: "filter"}
		names := "/proc/net/ip_tables_names"
		if e.version == ipv6 {
			f.program, f.family, names = "ip6tables-legacy", "ip6", "/proc/net/ip6_tables_names"
		}
		tables, err := os.ReadFile(names)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !slices.Contains(strings.Fields(string(tables)), "filter") {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list tables of %s: %w", f.program, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		text, err := exec.CommandContext(ctx, f.program+"-save", "-t", "filter").Output()
		cancel()
		if err != nil {
			return nil, fmt.Errorf("list rules: %s-save: %w", f.program, err)
		}
		all = append(all, f.legacy(string(text), c.AnyService || len(c.Services) > 0)...)
	}
	return all, nil
}

// legacy returns the obstacles in the output of iptables-save.
func (f filter) legacy(text string, input bool) (all []obstacle) {
	policy, last := map[string]string{}, map[string]string{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if chain, ok := strings.CutPrefix(line, ":"); ok && len(words) > 1 {
			chain, _, _ = strings.Cut(chain, " ")
			f.others = append(f.others, chain)
			policy[chain] = words[1]
		}
		if len(words) > 2 && words[0] == "-A" {
			last[words[1]] = strings.Join(words[2:], " ")
		}
		if i := slices.Index(words, "-i"); i > 0 && i+1 < len(words) && strings.HasPrefix(words[i+1], "pn") {
			return nil
		}
	}
	for _, chain := range []string{"FORWARD", "INPUT"} {
		f.chain, f.forwards = chain, chain == "FORWARD"
		refuses := policy[chain] == "DROP" || last[chain] == "-j DROP" || strings.HasPrefix(last[chain], "-j REJECT")
		if refuses && (f.forwards || input) {
			all = append(all, obstacle{f.program + " chain " + chain, f.commands()})
		}
	}
	return all
}
