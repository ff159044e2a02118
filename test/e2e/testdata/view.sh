#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Says what a session sees: a line "KEY VALUE" for each thing there is.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C

each() {
	while IFS= read -r line; do echo "$1 $line"; done
}

entries() {
	find "$1" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort
}

# What the login program hands on to the session.
id -un | each user
pwd -P | each cwd
awk '/^Cap/' /proc/self/status | each capabilities
awk '/^Sig(Blk|Ign)/' /proc/self/status | each signals
each limits </proc/self/limits
compgen -e | each environment
for fd in "/proc/$$/fd/"*; do readlink "$fd"; done | each descriptor

# Its network.
readlink /proc/self/ns/net | each net
ip -oneline link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | each link
ip -oneline address | awk '!/scope link/ { print $2, $4 }' | each address
for address in 127.0.0.1 ::1; do
	# Nobody listens there, but a loopback that is up says so.
	(: <"/dev/tcp/$address/1") 2>&1 | sed -n "s/.*connect:/$address/p" | each loopback
done

# Its files.
entries /sys/class/net | each class_net
stat --file-system --format='%n %T' /sys /sys/fs/cgroup /sys/firmware/vars | each file-system
entries /run/netns | each handle
entries /etc/stood-in.d | each stood-in
each resolver </etc/resolv.conf
each mount </proc/self/mountinfo
