#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Unpacks Debian packages, with what they depend on and this machine, or the Debian
# in the directory TREE, lacks, into a new directory, which tests copy into their sandboxes. They are not installed:
# their scripts would start servers whenever the machine starts, change its
# /etc/resolv.conf, /etc/nsswitch.conf and /etc/pam.d, and add users and set-uid
# programs.
#
# usage: [TREE=DIR] unpack.sh DIR PACKAGE...
set -eu

dir=$1
shift
[ ! -e "$dir" ] || exit 0
if ! command -v apt-get >/dev/null; then
	echo "unpack: only for Debian; tests that need $* are skipped" >&2
	exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# A fresh machine has no lists of packages.
apt-cache show "$1" >/dev/null 2>&1 || apt-get -qq update
known=
for package in "$@"; do
	if apt-cache show "$package" >/dev/null 2>&1; then
		known="$known $package"
	else
		echo "unpack: there is no package $package; tests that need it are skipped" >&2
	fi
done
# What apt-get would install: a line "Inst PACKAGE ..." for each package.
# shellcheck disable=SC2086 # a list
apt-get ${TREE:+-o "Dir::State::status=$(realpath "$TREE")/var/lib/dpkg/status"} -s --no-install-recommends install $known >"$work/plan"
packages=$(sed -n 's/^Inst \([^ ]*\).*/\1/p' "$work/plan")
mkdir "$work/root"
if [ -n "$packages" ]; then
	cd "$work"
	# shellcheck disable=SC2086 # a list
	apt-get -qq -o APT::Sandbox::User=root download $packages
	for package in *.deb; do
		dpkg-deb -x "$package" root
	done
	rm -rf root/usr/share/doc root/usr/share/man
	cd "$OLDPWD"
fi
mkdir -p "$(dirname "$dir")"
mv "$work/root" "$dir"
