#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes a new directory with a fresh Debian of this machine's release, from where
# this machine has its packages: what tests of the package and of systemd put under
# their sandboxes. Debian's own libpam-net lies in /var/cache/apt/archives, not
# installed. Nothing in the directory is run or changed in place.
#
# usage: debian-tree.sh DIR
set -eu

skip() {
	echo "debian-tree: $*; tests that need a fresh Debian are skipped" >&2
	exit 0
}

dir=$1
[ ! -e "$dir" ] || exit 0
[ -e /etc/debian_version ] || skip 'this is no Debian'
[ "$(id -u)" = 0 ] || skip 'only root can make one'

# What users log in through, and passt, a network that they may make themselves.
packages=at,cron,login,openssh-server,passt,policykit-1,sudo,systemd-container,util-linux
# What that and the package are set up with, and looked at.
packages=$packages,adduser,dbus,dbus-user-session,iproute2,iputils-ping,libpam-systemd,passwd,procps,systemd,systemd-sysv

# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
# Of lines "URI RELEASE LABEL" that of the release itself.
# shellcheck disable=SC2016 # apt-get's variables
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(LABEL)' 'Created-By: Packages' |
	sed -n "s/ $release Debian$//p" | head -n 1)
[ -n "$mirror" ] || skip "apt knows no archive of $release"

echo "debian-tree: a fresh Debian $release" >&2
rm -rf "$dir.new"
mkdir -p "$dir.new"
debootstrap --variant=minbase --include="$packages" "$release" "$dir.new" "$mirror" >"$dir.log" 2>&1 || {
	tail "$dir.log" >&2
	exit 1
}
rm -rf "$dir.new"/var/cache/apt/archives/*.deb "$dir.new"/var/lib/apt/lists/* "$dir.log"
(cd "$dir.new/var/cache/apt/archives" && apt-get -qq -o APT::Sandbox::User=root download libpam-net)
mv "$dir.new" "$dir"
