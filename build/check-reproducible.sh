#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds a copy of this folder elsewhere, with nothing cached, and compares the
# modules with those built here.
#
# usage: check-reproducible.sh MODULE...
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
copy="$tmp/a folder elsewhere"

mkdir "$copy"
tar -c --exclude=./.git --exclude=./out . | tar -x -C "$copy"
TMPDIR=$tmp GOCACHE=$tmp/cache make --no-print-directory -C "$copy" build

for module; do
	cmp "$module" "$copy/$module"
done
