#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Proves of each module that its link did what it is meant to do.
#
# usage: check-module.sh MODULE...
#
# $CC, which built the modules, compiles the program that loads them; where that
# is for another processor than this machine's, qemu-user-static runs it.
set -eu
export LC_ALL=C

CC=${CC:-cc}
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

processor=$($CC -dumpmachine)
processor=${processor%%-*}
emulator=
[ "$processor" = "$(uname -m)" ] || emulator=qemu-$processor-static
$CC -o "$tmp/load" "$(dirname "$0")/check-load.c" -ldl

wrong() {
	echo "$module: $1" >&2
	failed=1
}

# The section's address and size, in hexadecimal.
section() { # NAME
	sed 's/^ *\[ *[0-9]*\]//' "$tmp/sections" | awk -v name="$1" '$1 == name { print "0x" $3, "0x" $5 }'
}

# Whether a range of memory lies in another.
within() { # ADDRESS SIZE OUTER-ADDRESS OUTER-SIZE
	[ $# = 4 ] && [ $(($1)) -ge $(($3)) ] && [ $(($1 + $2)) -le $(($3 + $4)) ]
}

for module; do
	readelf -SW "$module" >"$tmp/sections"
	readelf -lW "$module" >"$tmp/segments"
	readelf -dW "$module" >"$tmp/dynamic"
	readelf -rW "$module" >"$tmp/relocations"
	readelf -W --dyn-syms "$module" >"$tmp/symbols"

	exports=$(awk '$5 == "GLOBAL" && $7 != "UND" { print $8 }' "$tmp/symbols" | sort | xargs)
	[ "$exports" = 'pam_sm_close_session pam_sm_open_session' ] || wrong "exports $exports"
	grep -q 'FLAGS.*NOW' "$tmp/dynamic" || wrong 'is not bound at load (BIND_NOW)'
	! grep -q TEXTREL "$tmp/dynamic" || wrong 'has text relocations'
	! grep -q ' [ R]WE ' "$tmp/segments" || wrong 'has memory that is writable and executable'
	! grep -Eq '\.(symtab|debug)' "$tmp/sections" || wrong 'is not stripped'

	entry=$(section .go_init_array)
	constants=$(section .go.data.rel.ro)
	if [ -n "$entry" ] && [ -n "$constants" ]; then
		address=${entry% *}
		relro=$(awk '$1 == "GNU_RELRO" { print $3, $6 }' "$tmp/segments")
		# shellcheck disable=SC2086 # address and size
		within $entry $relro || wrong "leaves Go's entry writable (RELRO)"
		# shellcheck disable=SC2086 # address and size
		within $constants $relro || wrong "leaves Go's constants writable (RELRO)"
		[ "$(awk '$2 == "(RELACOUNT)" { print $3 }' "$tmp/dynamic")" -lt 100 ] ||
			wrong "has Go's data relocated at each load (deferrelocations)"
		grep -q "^0*${address#0x}\>" "$tmp/relocations" || wrong "leaves Go's entry unrelocated"
		# shellcheck disable=SC2086 # address and size
		${emulator:+"$emulator"} "$tmp/load" "$module" "$address" ${constants} || wrong 'fails when loaded'
	else
		wrong "leaves Go's entry in .init_array, or its constants in .data.rel.ro"
	fi
done

exit $failed
