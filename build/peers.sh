#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Puts the modules of Debian's libpam-net, which the benchmark compares ours with, into DIR/VERSION: 0.3-2 of
# Debian 12 and 0.4-1 of Debian 13. They are not installed.
#
# apt has a configuration of its own here, with both releases. The machine's sources and lists stay as they are.
#
# usage: peers.sh DIR
set -eu

dir=$1
[ ! -e "$dir" ] || exit 0
command -v apt-get >/dev/null || {
	echo 'peers: apt-get is missing; the benchmark needs Debian' >&2
	exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Of lines "URI LABEL" that of Debian itself.
# shellcheck disable=SC2016 # apt-get's variables
mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' | sed -n 's/ Debian$//p' | head -n 1)
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/peers"
for release in bookworm trixie; do
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
		"${mirror:-http://deb.debian.org/debian} $release main"
done >"$work/sources.list"
cat >"$work/apt.conf" <<EOF
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$work/lists";
Dir::Cache "$work";
Acquire::Languages "none";
APT::Sandbox::User "root";
EOF
export APT_CONFIG="$work/apt.conf"

echo "peers: Debian's libpam-net, of bookworm and trixie" >&2
apt-get -qq update
cd "$work"
for version in 0.3-2 0.4-1; do
	apt-get -qq download "libpam-net=$version"
	dpkg-deb -x libpam-net_"$version"_*.deb "$version"
	mkdir "peers/$version"
	find "$version" -name 'pam_*net.so' -exec cp -t "peers/$version" {} +
done
cd "$OLDPWD"
mkdir -p "$(dirname "$dir")"
mv "$work/peers" "$dir"
