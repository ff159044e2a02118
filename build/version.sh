#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Prints the version of this tree: the newest one of CHANGELOG.md, with "~dev" behind it until it is released.
set -eu
cd "$(dirname "$0")/.."
sed -n 's/^## \([^ ]*\)/\1/p' CHANGELOG.md | sed 's/ *(unreleased)/~dev/; s/ .*//; q'
