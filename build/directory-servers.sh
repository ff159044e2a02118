#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Unpacks an LDAP server and what asks it (slapd, nslcd with libnss_ldap, SSSD,
# nscd), with the libraries of theirs that this machine lacks, into a new
# directory. test/directory copies that into its sandboxes. They are not
# installed: Debian's packages would start servers whenever the machine starts,
# and put them into its /etc/nsswitch.conf and /etc/pam.d.
#
# usage: directory-servers.sh DIR
set -eu

dir=$1
[ ! -e "$dir" ] || exit 0
if ! command -v apt-get >/dev/null; then
	echo 'directory-servers: only for Debian; tests that need them are skipped' >&2
	exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# What apt-get would install: a line "Inst PACKAGE ..." for each package.
plan() {
	apt-get -s --no-install-recommends install \
		slapd nslcd libnss-ldapd sssd-ldap libnss-sss nscd >"$work/plan"
}

# A fresh machine has no lists of packages.
plan 2>/dev/null || { apt-get -qq update && plan; }
mkdir "$work/root"
(
	cd "$work"
	# shellcheck disable=SC2046 # a list
	apt-get -qq -o APT::Sandbox::User=root download $(sed -n 's/^Inst \([^ ]*\).*/\1/p' plan)
	for package in *.deb; do
		dpkg-deb -x "$package" root
	done
	rm -r root/usr/share/doc root/usr/share/man
)
mkdir -p "$(dirname "$dir")"
mv "$work/root" "$dir"
