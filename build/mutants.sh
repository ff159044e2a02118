#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Deletes one security check at a time, in a copy of this tree, and proves that a
# test notices. The head of each patch in test/mutants names the check, and the test
# that has to fail without it, as arguments of `go test`.
#
# usage: mutants.sh [--apply-only] [test/mutants/NAME.patch...]
#
# With --apply-only it only proves that the patches apply.
set -eu
cd "$(dirname "$0")/.."

apply_only=false
if [ "${1-}" = --apply-only ]; then
	apply_only=true
	shift
fi
[ $# != 0 ] || set -- test/mutants/*.patch

apply() { # OPTION... <PATCH
	patch --quiet --strip=1 --fuzz=0 --force --no-backup-if-mismatch --reject-file=- "$@"
}

if $apply_only; then
	for patch; do
		apply --dry-run <"$patch" || {
			echo "$0: $patch no longer applies" >&2
			exit 1
		}
	done
	exit
fi
if [ "$(id -u)" != 0 ]; then
	echo "$0: only root can run the tests that have to notice" >&2
	exit 1
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$tmp/copy"
tar -c --exclude=./.git --exclude=./out . | tar -x -C "$tmp/copy"
cd "$tmp/copy"
export GOFLAGS='-trimpath -buildvcs=false' CGO_CFLAGS='-O1 -Werror' # the same for all, so that Go's cache serves

tests() { # PATCH...
	sed -n 's/^Noticed by: //p' "$@" | sort -u
}

passes() { # ARGUMENTS
	# shellcheck disable=SC2086 # a list
	go test -count=1 -timeout=5m $1 </dev/null >"$tmp/log" 2>&1
}

# So that a mutant dies of its test and not of the compiler.
compiles() { # PATCH
	dir=./$(dirname "$(sed -n 's|^+++ b/||p' "$1")")
	! go list "$dir" >/dev/null 2>&1 || go build -o /dev/null "$dir" >"$tmp/log" 2>&1
}

# A test that fails anyway notices nothing.
tests "$@" >"$tmp/tests"
while read -r arguments; do
	passes "$arguments" || {
		cat "$tmp/log" >&2
		echo "$0: fails without any mutant: go test $arguments" >&2
		exit 1
	}
done <"$tmp/tests"

noticed=0
for patch; do
	printf '%s: ' "$(basename "$patch" .patch)"
	if ! apply <"$patch"; then
		echo 'no longer applies'
		continue
	elif ! compiles "$patch"; then
		echo 'does not compile:'
		cat "$tmp/log"
	elif passes "$(tests "$patch")"; then
		echo "survives go test $(tests "$patch")"
	else
		noticed=$((noticed + 1))
		{ grep -m1 -E '_test\.go:[0-9]+: |^panic: ' "$tmp/log" || tail -n1 "$tmp/log"; } | sed 's/^ *//' | cut -c1-160
	fi
	apply --reverse <"$patch"
done
echo "$# mutants, $noticed noticed"
[ "$noticed" = $# ]
