#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Analyzes all C with gcc and cppcheck, and takes every warning for an error. The C
# of pam/ is compiled as cgo does it: with its flags, and the header that it generates.
set -eu
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

lint() { # FLAG... FILE
	gcc -std=gnu11 -O2 -D_FORTIFY_SOURCE=2 \
		-Wall -Wextra -Wshadow -Wformat=2 -Werror -fanalyzer -S -o /dev/null "$@"
}

list() { # FIELD
	go list -f "{{join .$1 \" \"}}" ./pam
}

flags="-I pam $(list CgoCFLAGS)"
# shellcheck disable=SC2046,SC2086 # lists
go tool cgo -srcdir pam -objdir "$tmp" -- $flags $(list CgoFiles)
for file in pam/*.c; do
	# shellcheck disable=SC2086 # a list
	lint $flags -isystem "$tmp" "$file"
done
others=$(find bench build internal pam/testdata test -name '*.c')
for file in $others; do
	lint "$file"
done

# Not what style is to cppcheck. Only the module has to give back what it opens.
cppcheck='cppcheck --quiet --std=c11 --error-exitcode=1 --enable=warning,performance'
$cppcheck --library=posix pam/*.c
# shellcheck disable=SC2086 # a list
$cppcheck $others
