#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzzes the C of pam/ with clang's libFuzzer, ASan and UBSan, and whatever has a Go
# fuzz test, one after the other. An input that fails becomes a seed in the tree, so
# that from then on the tests fail, too. What is learned on the way is kept in
# out/fuzz, or in Go's cache.
#
# usage: fuzz.sh TIME	for each; 60s, 5m, 1h
set -eu
cd "$(dirname "$0")/.."
time=$1

# Not with -fuzztime: up to Go 1.26 its end may be taken for a failure (golang/go#75804).
fuzz() { # COMMAND...
	timeout -s INT "$time" "$@" || [ $? = 124 ]
}

for source in pam/testdata/fuzz_*.c; do
	name=$(basename "$source" .c)
	name=${name#fuzz_}
	seeds=pam/testdata/seeds/$name
	echo "== $name"
	mkdir -p "out/fuzz/$name"
	clang -std=gnu11 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-o "out/fuzz/$name.bin" "$source" -lpam -ldl
	fuzz "out/fuzz/$name.bin" -timeout=10 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix="$seeds/" "out/fuzz/$name" "$seeds"
done

grep -ro --include='*_test.go' '^func Fuzz[A-Za-z]*' . | while IFS=: read -r file func; do
	name=${func#func }
	echo "== $name"
	fuzz go test -run '^$' -fuzz "^$name\$" -fuzzminimizetime 10x "$(dirname "$file")" </dev/null
done
