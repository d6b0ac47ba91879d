#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What wbinvdtop costs, on every kernel: the targets of scripts/bench/overhead, from instruction
# counts, which repeat on a busy machine. LONG=1 measures every peer at full size.
#
# Run by prove. OUT names the directory of the binaries (default: build).

set -u -o pipefail

BUILD=${OUT:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)/build}

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

SIZE=(-n 2000 -r 1 -p empty -p tracepoint -p fentry -p perf-kvm) TABLES=3
[[ ! ${LONG:-} ]] || SIZE=(--hits) TABLES=4

# targets: each target of the last run is a check
targets() {
	local line

	note "$(<"$OUT")"
	while IFS= read -r line; do
		case $line in
		'met '*) pass "${line#met     }" ;;
		'MISSED '*) fail "${line#MISSED  }" ;;
		esac
	done <"$OUT"
}

runs env OUT="$BUILD" "$TOP/scripts/bench/overhead" -o "$TMP/overhead" "${SIZE[@]}"
targets
compare "every kernel was measured" "$TESTS" -ge 13
is "the manual's table was written" "$(grep -c '^    attached' "$TMP/overhead/overhead.rst")" "$TABLES"
is "ends as its targets say" "$STATUS" "$((FAILURES > 0))"
((STATUS == 0)) || note "$(<"$ERR")"
# KVM's own tracepoints are nowhere else.
is "what is not measured has no figure, and its reason" \
	"$(awk -F , '$7 == "tracepoint" && $1 != "patched-7.2" { print $9 $10 $11 $13 }' "$TMP/overhead/overhead.csv" | sort -u)" \
	'"this kernel has no kvm:kvm_wbinvd_end"'
if [[ -e $TMP/overhead/patched-7.2.tsv ]]; then
	is "tracepoint was measured" "$(grep -c '^met .*: tracepoint' "$OUT")" 2
else
	skip "tracepoint was measured" "there is no kernel patched-7.2"
fi

# What is judged is what was measured: the same results with less of them.
sed -i -E '/^run\t(empty|perf-kvm)\twbinvd/s/[0-9.]+\t[^\t]*$/1\t1/' "$TMP/overhead/base-7.2.tsv"
runs env OUT="$BUILD" "$TOP/scripts/bench/overhead" -o "$TMP/overhead" -k base-7.2 --judge
is "targets are missed where the figures say so" "$STATUS $(grep -c '^MISSED' "$OUT")" "1 2"
done_testing
