#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Puts a named network namespace into the host's own Ethernet, as if it was a machine
# of its own there, with addresses that the network's administrator has given it.
#
#	session required pam_usernet.so setup=/usr/local/libexec/macvlan-uplink.sh
#
# The addresses are in /etc/security/macvlan-uplink, a line for each:
#
#	NAME   INTERFACE  ADDRESS/LENGTH   GATEWAY
#	alice  enp1s0     192.0.2.10/24    192.0.2.1
#	alice  enp1s0     2001:db8::10/64  2001:db8::1
#
# A name without a line has no login. By the kernel's rules for macvlan, "mode
# private", such namespaces reach neither each other nor the host. Nothing keeps
# whoever may administer the namespace from taking other addresses: do not combine
# this with selfmanaged.
#
# usage: macvlan-uplink.sh up|down NAME
#
# Needs ip(8), and an interface that takes frames for several addresses: most
# wireless ones do not.
set -eu

PATH=/usr/sbin:/usr/bin:/sbin:/bin
table=/etc/security/macvlan-uplink

die() {
	echo "macvlan-uplink: $*" >&2
	exit 1
}

rows() {
	NAME=$name awk '$1 == ENVIRON["NAME"] { print $2, $3, $4 }' "$table"
}

down() {
	ip -n "$name" link del eth0 2>/dev/null || :
}

up() {
	rows=$(rows)
	[ -n "$rows" ] || die "$table has no line for $name"
	down # what another run has left
	trap down EXIT

	# The same Ethernet address each time; 02 says that it is not a manufacturer's.
	mac=$(printf %s "$name" | sha256sum | sed -E 's/(..)(..)(..)(..)(..).*/02:\1:\2:\3:\4:\5/')
	parent=${rows%% *}
	ip link add link "$parent" name eth0 address "$mac" netns "$name" type macvlan mode private
	ip -n "$name" link set eth0 up
	echo "$rows" | while read -r _ address gateway; do
		case $address in
		*:*) ip -n "$name" address add "$address" dev eth0 nodad ;;
		*) ip -n "$name" address add "$address" dev eth0 ;;
		esac
		ip -n "$name" route replace default via "$gateway"
	done
	trap - EXIT
}

[ $# = 2 ] || die "usage: macvlan-uplink.sh up|down NAME"
name=$2

case $1 in
up) up ;;
down) down ;;
*) die "$1 is neither up nor down" ;;
esac
