// SPDX-License-Identifier: GPL-2.0-or-later

// Command demo shows the modules at work: real ssh logins on a machine of its
// own, made of namespaces, which is gone afterwards.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"libpam-net/test/machine"
	"libpam-net/test/sandbox"
)

func main() {
	sandbox.Main()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run() error {
	m, err := machine.New()
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.StartSSHD(); err != nil {
		return err
	}
	d := &demo{Machine: m}
	const look = "ip -brief address; ls -m /sys/class/net"

	d.title("A sandbox: its own mounts, processes and network, and a real sshd. In /etc/pam.d/sshd:")
	d.root("grep -h pam_.*net.so /etc/pam.d/sshd; getent group newnet usernet groupnet-lab")

	d.title("olga is in none of the groups: she sees the machine's network")
	d.ssh("olga", look)

	d.title("nina is in newnet: a network with nothing but its own loopback, a new one in each session")
	d.ssh("nina", look)
	d.ssh("nina", "exec 2>&1; : </dev/tcp/192.0.2.1/22 || true")

	d.title("ulf is in usernet: the network that root has made for him, and a resolv.conf of his own")
	d.root("ip netns add ulf")
	d.root("ip link add to-ulf type veth peer name eth0 netns ulf")
	d.root("ip -n ulf address add 198.51.100.2/24 dev eth0; ip -n ulf link set eth0 up; ip link set to-ulf up")
	d.root("mkdir -p /etc/netns/ulf; echo nameserver 198.51.100.53 >/etc/netns/ulf/resolv.conf")
	d.ssh("ulf", look+"; ip netns identify $$; cat /etc/resolv.conf")

	d.title("gina and gus are in groupnet-lab: they share the network lab, made by the first login")
	d.ssh("gina", "readlink /proc/self/ns/net; ls -m /sys/class/net")
	d.ssh("gus", "readlink /proc/self/ns/net")
	d.root("ip netns list")

	d.title("What the log says")
	d.root("grep -o 'pam_[a-z]*net(.*' /run/sandbox/log")
	return d.err
}

// demo shows what it does. After the first error it does nothing more.
type demo struct {
	*machine.Machine
	err error
}

func (d *demo) title(text string) {
	if d.err == nil {
		fmt.Printf("\n== %s\n", text)
	}
}

func (d *demo) root(script string) {
	d.show("# "+script, func() (sandbox.Result, error) { return d.Sh(context.Background(), script) })
}

func (d *demo) ssh(user, script string) {
	d.show(user+"$ "+script, func() (sandbox.Result, error) { return d.SSH(context.Background(), user, script) })
}

func (d *demo) show(prompt string, run func() (sandbox.Result, error)) {
	if d.err != nil {
		return
	}
	fmt.Println(prompt)
	result, err := run()
	for line := range strings.Lines(result.Stdout) {
		fmt.Print("  ", line)
	}
	if err == nil {
		err = result.Err()
	}
	d.err = err
}
