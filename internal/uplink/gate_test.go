// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"

	"libpam-net/internal/uplink/config"
	"libpam-net/test/expect"
	"libpam-net/test/private"
)

func TestTheGateComesFirstFromWhereverACrashHasLeftIt(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	h := newHost()
	rules := func() string {
		out, err := private.Sh("ip rule; ip -6 rule")
		expect.Check(t, err)
		return out
	}
	before := rules()
	expect.Check(t, h.closeGate())
	closed := rules()
	expect.Check(t, h.openGate())
	expect.Equal(t, "rules without the gate", rules(), before)
	gate := func() error { return h.RuleAdd(gateRule(netlink.FAMILY_V4)) }
	local := func() error { return copyLocalRule(netlink.FAMILY_V4) }
	first := func() error { return h.RuleDel(localRule(netlink.FAMILY_V4)) }
	for i, steps := range [][]func() error{
		{gate},
		{gate, local},
		{gate, local, first},
		{gate, local, first, local},
		{local},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for _, step := range steps {
				expect.Check(t, step())
			}
			expect.Check(t, h.closeGate())
			if i != 3 && i != 4 { // a copy too many goes with openGate
				expect.Equal(t, "rules with the gate", rules(), closed)
			}
			expect.Check(t, h.openGate())
			expect.Equal(t, "rules without the gate", rules(), before)
		})
	}
}

func TestTheTableComesBackForManyInOneTransaction(t *testing.T) {
	if private.Namespaces(t) {
		return
	}
	c, err := config.Parse("file", nil)
	expect.Check(t, err)
	var plans []plan
	for id := range uint32(10000) {
		p, err := makePlan(identity{name: fmt.Sprintf("a-user-with-a-long-name-%d", id), id: id}, c, nil, true)
		expect.Check(t, err)
		plans = append(plans, p)
	}
	table, err := openTable()
	expect.Check(t, err)
	expect.Check(t, table.write(c, &forwarding{}, plans))
	table, err = openTable()
	expect.Check(t, err)
	for _, p := range []plan{plans[0], plans[9999]} {
		if !table.has(p, c) {
			t.Errorf("the table lacks %s", p.name)
		}
	}
	expect.Equal(t, "links in the table", len(table.links.elements), 10000)
	who, err := identityOf(plans[9999].device(), plans[9999].name)
	expect.Check(t, err)
	expect.Equal(t, "identity by the device", who, plans[9999].identity)
	for _, device := range []string{"pnu", "pnu01", "pnu-1", "pnuzzzzzzzz"} {
		if who, err := identityOf(device, "x"); err == nil {
			t.Errorf("%s is taken for the device of %v", device, who)
		}
	}
}
