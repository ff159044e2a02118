#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Gives a named network namespace a WireGuard tunnel, and nothing else: a kill
# switch. While the tunnel does not work there is no network, and where it cannot
# be made there is no login.
#
#	session required pam_usernet.so setup=/usr/local/libexec/wireguard-uplink.sh
#
# The tunnel of NAME is described by /etc/wireguard/NAME.conf, root's alone to
# read, as providers hand it out for wg-quick(8). Its peer should have
# "AllowedIPs = 0.0.0.0/0, ::/0". Of what is for wg-quick alone, Address and MTU are
# heeded; DNS belongs into /etc/netns/NAME/resolv.conf.
#
# What is encrypted travels in the host's network, where the interface is made and
# its socket stays. The namespace sees the inside only.
#
# usage: wireguard-uplink.sh up|down NAME
#
# Needs ip(8), wg(8) and a kernel with WireGuard, or else wireguard-go.
set -eu

PATH=/usr/sbin:/usr/bin:/sbin:/bin

die() {
	echo "wireguard-uplink: $*" >&2
	exit 1
}

# The values of a key that wg-quick knows, one a line.
values() { # KEY
	sed -n "s/^[[:space:]]*$1[[:space:]]*=//Ip" "$conf" | tr ',' '\n' | sed 's/[[:space:]]//g; /^$/d'
}

# The configuration without the keys of wg-quick.
tunnel() {
	sed -E '/^[[:space:]]*(Address|DNS|MTU|Table|SaveConfig|(Pre|Post)(Up|Down))[[:space:]]*=/Id' "$conf"
}

down() {
	ip -n "$name" link del wg0 2>/dev/null || :
	ip link del "$device" 2>/dev/null || :
}

up() {
	[ -f "$conf" ] || die "there is no $conf"
	down # what another run has left
	trap down EXIT

	ip link add "$device" type wireguard 2>/dev/null ||
		wireguard-go "$device" >/dev/null 2>&1 ||
		die "neither the kernel nor wireguard-go makes a tunnel"
	tunnel | wg setconf "$device" /dev/stdin
	for mtu in $(values MTU); do
		ip link set "$device" mtu "$mtu"
	done
	ip link set "$device" netns "$name" name wg0
	for address in $(values Address); do
		ip -n "$name" address add "$address" dev wg0
	done
	ip -n "$name" link set wg0 up
	for address in $(values Address); do
		case $address in
		*:*) ip -n "$name" -6 route replace default dev wg0 ;;
		*) ip -n "$name" route replace default dev wg0 ;;
		esac
	done
	trap - EXIT
}

[ $# = 2 ] || die "usage: wireguard-uplink.sh up|down NAME"
name=$2
conf=/etc/wireguard/$name.conf
# While the interface is on the host; names may be longer than its may.
device=wg-$(printf %s "$name" | cksum | cut -d' ' -f1)

case $1 in
up) up ;;
down) down ;;
*) die "$1 is neither up nor down" ;;
esac
