#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Prints the directory from which this machine's libpam loads its modules: the
# one that holds pam_permit.so.
#
# usage: libsecuritydir.sh [PREFIX]
#
# With a PREFIX it is the directory under it that plays this role on the
# machine; with or without, $CC says for which architecture.
set -eu

prefix=${1:-}
multiarch=$(${CC:-cc} -print-multiarch 2>/dev/null ||
	dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || true)

# Of /usr/lib and /lib, often the same, the first is the one to be recorded.
for lib in ${multiarch:+"lib/$multiarch"} lib64 lib; do
	for root in /usr ''; do
		if [ -e "$root/$lib/security/pam_permit.so" ]; then
			echo "${prefix:-$root}/$lib/security"
			exit
		fi
	done
done

echo "$0: no pam_permit.so in the usual places" >&2
exit 1
