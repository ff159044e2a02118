#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds a copy of this folder elsewhere, with nothing cached, and compares the
# files with those built here, and the packages with those in out/package.
#
# usage: check-reproducible.sh FILE...
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
copy="$tmp/a folder elsewhere"

# The copy has no history to take them from.
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || :)}"
: "${MAINTAINER:=$(git log -1 --format='%an <%ae>' 2>/dev/null || :)}"
export SOURCE_DATE_EPOCH MAINTAINER

mkdir "$copy"
tar -c --exclude=./.git --exclude=./out . | tar -x -C "$copy"
TMPDIR=$tmp GOCACHE=$tmp/cache make --no-print-directory -C "$copy" package

for file; do
	cmp "$file" "$copy/$file"
done
for file in "$copy"/out/package/*; do
	cmp "out/package/${file##*/}" "$file"
done
