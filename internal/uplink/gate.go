// SPDX-License-Identifier: GPL-2.0-or-later

package uplink

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"structs"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"libpam-net/internal/uplink/config"
)

// The gate keeps a namespace from everything, the host included, while the nftables table is
// away: any "nft flush ruleset" deletes it. The gate has three parts.
//
//  1. A BPF program on each link marks the packets from the namespace, before any firewall
//     sees them. No firewall command removes the program.
//  2. The table's first chain removes the mark from packets that it does not drop.
//  3. A rule of policy routing, before all others, has no route for marked packets.
//
// One rule is enough for any number of uplinks. Rules that match interfaces would not do: the
// kernel goes through all of them for each packet.
const (
	unchecked = 0x706e6574 // the mark; all of its bits count, so nobody else has it by accident
	gateName  = "pamnet"
)

// markProgram returns the BPF program of a link. It leaves ARP alone, which the table does not
// see. It drops IPv4 packets to 0.0.0.0, to groups and to everybody: the kernel delivers these
// without a look at its routes.
func markProgram() []bpfInstruction {
	const (
		offsetMark, offsetProtocol = 8, 16          // of struct __sk_buff
		destination                = -0x100000 + 16 // SKF_NET_OFF, and the offset in the IPv4 header
		pass, dropped              = -1, 2          // TC_ACT_UNSPEC, after which other filters decide; TC_ACT_SHOT
		packet                     = 6              // the register that BPF_LD wants it in
	)
	networkOrder := func(protocol uint16) int32 {
		return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol)))
	}
	return []bpfInstruction{
		{code: unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_X, registers: packet | 1<<4},
		{code: unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W, registers: packet << 4, offset: offsetProtocol},
		{code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, offset: 7, immediate: networkOrder(unix.ETH_P_ARP)}, // to pass
		{code: unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K, registers: 2, immediate: unchecked},
		{code: unix.BPF_STX | unix.BPF_MEM | unix.BPF_W, registers: packet | 2<<4, offset: offsetMark},
		{code: unix.BPF_JMP | unix.BPF_JNE | unix.BPF_K, offset: 4, immediate: networkOrder(unix.ETH_P_IP)}, // to pass
		{code: unix.BPF_LD | unix.BPF_ABS | unix.BPF_W, immediate: destination},
		{code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, offset: 4}, // 0.0.0.0: to drop
		{code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, immediate: 28},
		{code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, offset: 2, immediate: 224 >> 4}, // 224.0.0.0 and higher: to drop
		{code: unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K, immediate: pass},              // pass:
		{code: unix.BPF_JMP | unix.BPF_EXIT},
		{code: unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K, immediate: dropped}, // drop:
		{code: unix.BPF_JMP | unix.BPF_EXIT},
	}
}

// bpfInstruction is struct bpf_insn of linux/bpf.h.
type bpfInstruction struct {
	_         structs.HostLayout
	code      uint8
	registers uint8 // the destination in the low 4 bits, the source in the high
	offset    int16
	immediate int32
}

// loadMarkProgram returns a descriptor of the program.
func loadMarkProgram() (int, error) {
	// Before Linux 5.11 programs count as root's locked memory.
	_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	program, license := markProgram(), []byte("GPL\x00")
	attributes := struct {
		_                    structs.HostLayout
		kind, count          uint32
		program, license     unsafe.Pointer
		logLevel, logSize    uint32
		log                  uint64
		kernelVersion, flags uint32
		name                 [16]byte
	}{
		kind: unix.BPF_PROG_TYPE_SCHED_CLS, count: uint32(len(program)),
		program: unsafe.Pointer(&program[0]), license: unsafe.Pointer(&license[0]),
	}
	copy(attributes.name[:], gateName)
	var fd uintptr
	errno := unix.EAGAIN // the kernel's verifier gives up when a signal is pending, and Go's runtime sends itself some
	for attempt := 0; errno == unix.EAGAIN && attempt < attempts; attempt++ {
		fd, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes))
	}
	if errno != 0 {
		return -1, fmt.Errorf("load BPF program: %w: let this container use bpf(2), or set gate = false: "+
			"then whatever flushes nftables opens the host to namespaces", errno)
	}
	return int(fd), nil
}

// markUnchecked puts the program on a link, or replaces it there, unless the configuration has no gate.
func (h *host) markUnchecked(link netlink.Link, c *config.Config) error {
	if !c.Gate {
		return nil
	}
	fd, err := loadMarkProgram()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	index := link.Attrs().Index
	err = h.QdiscReplace(&netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT},
		QdiscType:  "clsact",
	})
	if err == nil {
		err = h.FilterReplace(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: index, Parent: netlink.HANDLE_MIN_INGRESS, Handle: 1, Protocol: unix.ETH_P_ALL, Priority: 1,
			},
			Fd: fd, Name: gateName, DirectAction: true,
		})
	}
	if err != nil {
		return fmt.Errorf("put BPF program on %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// isGated tells whether the program is on a link and the rule is there.
func (h *host) isGated(link netlink.Link) (bool, error) {
	filters, err := list(func() ([]netlink.Filter, error) { return h.FilterList(link, netlink.HANDLE_MIN_INGRESS) })
	if err != nil {
		return false, fmt.Errorf("list BPF programs of %s: %w", link.Attrs().Name, err)
	}
	for _, family := range families() {
		gate, local, _, err := h.gateAndLocal(family)
		if err != nil || gate < 0 || local >= 0 && local < gate {
			return false, err
		}
	}
	return slices.ContainsFunc(filters, func(f netlink.Filter) bool {
		bpf, ok := f.(*netlink.BpfFilter)
		return ok && bpf.Name == gateName && bpf.DirectAction
	}), nil
}

// families returns the address families that the kernel has.
func families() []int {
	all := []int{netlink.FAMILY_V4}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
		all = append(all, netlink.FAMILY_V6)
	}
	return all
}

// closeGate makes the gate's rule the first one. The caller must hold uplinksLock.
//
// Its preference is 0, like that of the rule for the host's own addresses ("local"), and a new
// rule comes after those of the same preference. So closeGate adds a copy of the latter behind
// the gate's, and then deletes the first. The host has its addresses all the time.
func (h *host) closeGate() error {
	for _, family := range families() {
		for {
			gate, local, copies, err := h.gateAndLocal(family)
			if err != nil {
				return err
			}
			if gate >= 0 && (local < 0 || local > gate) {
				break
			}
			switch {
			case gate < 0:
				err = h.RuleAdd(gateRule(family))
			case copies == 1:
				err = copyLocalRule(family)
			default:
				err = h.RuleDel(localRule(family))
			}
			if err != nil {
				return fmt.Errorf("move rule of policy routing: %w", err)
			}
		}
	}
	return nil
}

// openGate undoes closeGate. The caller must hold uplinksLock.
func (h *host) openGate() error {
	for _, family := range families() {
		for {
			gate, _, copies, err := h.gateAndLocal(family)
			if err != nil {
				return err
			}
			if gate < 0 && copies <= 1 {
				break
			}
			rule := gateRule(family)
			if gate < 0 {
				rule = localRule(family)
			}
			if err := h.RuleDel(rule); err != nil {
				return fmt.Errorf("delete rule of policy routing: %w", err)
			}
		}
	}
	return nil
}

// gateAndLocal returns the places of the gate's rule and of the first rule for the host's own
// addresses, -1 if there is none, and the number of the latter. A host may have moved these to
// another preference.
func (h *host) gateAndLocal(family int) (gate, local, copies int, err error) {
	rules, err := h.rules(family)
	if err != nil {
		return 0, 0, 0, err
	}
	gate, local = -1, -1
	for i, r := range rules {
		if r.Priority != 0 {
			break
		}
		if r.Mark == unchecked && gate < 0 {
			gate = i
		}
		if isLocalRule(r) {
			if copies++; local < 0 {
				local = i
			}
		}
	}
	return gate, local, copies, nil
}

// gateRule returns the gate's rule. systemd-networkd deletes rules that are not its own, but
// none with the protocol "kernel".
func gateRule(family int) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Mark = family, 0, unchecked
	rule.Type, rule.Protocol = unix.RTN_UNREACHABLE, unix.RTPROT_KERNEL
	return rule
}

// localRule returns the rule for the host's own addresses, as the kernel makes it.
func localRule(family int) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Table = family, 0, unix.RT_TABLE_LOCAL
	return rule
}

// copyLocalRule adds the rule for the host's own addresses once more. RuleAdd would refuse to.
func copyLocalRule(family int) error {
	request := nl.NewNetlinkRequest(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_ACK)
	request.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family), Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_UNICAST}})
	request.AddData(nl.NewRtAttr(nl.FRA_PRIORITY, nl.Uint32Attr(0)))
	request.AddData(nl.NewRtAttr(nl.FRA_PROTOCOL, nl.Uint8Attr(unix.RTPROT_KERNEL)))
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
