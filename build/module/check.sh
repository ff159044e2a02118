#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Proves that modules were linked as they have to be, and logs in through each.
#
# usage: check.sh MODULE...
#
# $CC, which built the modules, compiles the program that logs in. For another processor
# than this machine's, qemu-user runs that program. Where this machine does not allow the
# login or has no qemu-user, a sentence says so; with CI=true that is a failure.
set -eu
export LC_ALL=C

CC=${CC:-cc}
here=$(dirname "$0")
failed=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

wrong() {
	echo "check: $module $1" >&2
	failed=1
}

untried() {
	echo "check: $module is linked as it has to be, but was not tried: $1" >&2
	[ "${CI:-}" != true ] || failed=1
}

# The section's address and size, in hexadecimal.
section() { # NAME
	sed 's/^ *\[ *[0-9]*\]//' "$tmp/sections" | awk -v name="$1" '$1 == name { print "0x" $3, "0x" $5 }'
}

# Whether a range of memory lies in another.
within() { # ADDRESS SIZE OUTER-ADDRESS OUTER-SIZE
	[ $# = 4 ] && [ $(($1)) -ge $(($3)) ] && [ $(($1 + $2)) -le $(($3 + $4)) ]
}

check_link() {
	readelf -SW "$module" >"$tmp/sections"
	readelf -lW "$module" >"$tmp/segments"
	readelf -dW "$module" >"$tmp/dynamic"
	readelf -W --dyn-syms "$module" >"$tmp/symbols"

	exports=$(awk '$5 == "GLOBAL" && $7 != "UND" { print $8 }' "$tmp/symbols" | sort | xargs)
	[ "$exports" = 'pam_sm_close_session pam_sm_open_session' ] || wrong "exports $exports"
	grep -q 'FLAGS.*NOW' "$tmp/dynamic" || wrong 'is not bound when it is loaded (BIND_NOW)'
	! grep -q TEXTREL "$tmp/dynamic" || wrong 'has text relocations'
	! grep -q ' [ R]WE ' "$tmp/segments" || wrong 'has memory that is writable and executable'
	! grep -Eq '\.(symtab|debug)' "$tmp/sections" || wrong 'is not stripped'

	relro=$(awk '$1 == "GNU_RELRO" { print $3, $6 }' "$tmp/segments")
	# shellcheck disable=SC2046,SC2086 # addresses and sizes
	within $(section .pamnet.go.relro) $relro || wrong "leaves Go's entry and constants writable (RELRO)"
	[ "$(awk '$2 == "(RELACOUNT)" { print $3 }' "$tmp/dynamic")" -lt 100 ] ||
		wrong "has Go's data relocated by the dynamic linker (deferrelocations)"
}

# Logs in as process 1 of a PID namespace, if this machine allows that.
log_in() {
	if [ -n "$emulator" ] && ! command -v "${emulator% *}" >/dev/null; then
		untried "there is no ${emulator% *} to run it (package qemu-user-static)"
		return
	fi
	# shellcheck disable=SC2086 # lists
	$own_pids $emulator "$tmp/check" "$module" 2>"$tmp/reason" && code=0 || code=$?
	case $code in
	0) ;;
	1) wrong "$(sed "s|^[^:]*: $module ||" "$tmp/reason")" ;;
	77) untried "$(sed 's/.*not tried: //' "$tmp/reason")" ;;
	*) wrong "crashes the login process (exit status $code) $(cat "$tmp/reason")" ;;
	esac
}

processor=$($CC -dumpmachine)
processor=${processor%%-*}
emulator=
[ "$processor" = "$(uname -m)" ] || emulator=qemu-$processor-static
own_pids=
for how in '' '--user --map-root-user'; do
	own_pids="unshare $how --pid --mount --fork --kill-child"
	# shellcheck disable=SC2086 # a list
	! $own_pids true 2>/dev/null || break
	own_pids=
done
$CC -o "$tmp/check" "$here/check.c" "$here/../../internal/trial/module.c" "$here/../../internal/trial/syslog.c" -lpam

for module; do
	check_link
	[ $failed != 0 ] || log_in
done
exit $failed
