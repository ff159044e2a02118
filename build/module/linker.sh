#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Fails unless the modules can be linked with GNU ld by $CC, and $LDFLAGS asks for no other linker.
set -eu

die() {
	echo "linker: the modules need GNU ld (ld.bfd, package binutils), whose script they add to: $*" >&2
	exit 1
}

for flag in ${LDFLAGS:-}; do
	case $flag in
	-fuse-ld=bfd) ;;
	-fuse-ld=* | --ld-path=*) die "LDFLAGS must not say $flag" ;;
	esac
done
version=$(${CC:-cc} -fuse-ld=bfd -Wl,--version 2>&1) || die "${CC:-cc} -fuse-ld=bfd does not find it"
case $version in
*GNU\ ld*) ;;
*) die "${CC:-cc} -fuse-ld=bfd runs $(echo "$version" | head -n 1)" ;;
esac
