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

SIZE=(-n 2000 -r 1 -p nothing -p empty -p fentry -p perf-kvm)
[[ ! ${LONG:-} ]] || SIZE=()

# judged: each target of the last run is a check
judged() {
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
judged
compare "every kernel was measured" "$TESTS" -ge 13
is "the manual's table was written" "$(grep -c list-table "$TMP/overhead/overhead.rst")" 4
is "ends as its targets say" "$STATUS" "$((FAILURES > 0))"
((STATUS == 0)) || note "$(<"$ERR")"

# KVM's own tracepoints, where they are
if [[ $("$GET_KERNEL" path patched-7.2 2>/dev/null) ]]; then
	BEFORE=$TESTS
	runs env OUT="$BUILD" "$TOP/scripts/bench/overhead" -k patched-7.2 -n 2000 -r 1 -p nothing \
		-p tracepoint -o "$TMP/series"
	judged
	compare "the kernel with the series was measured" "$((TESTS - BEFORE))" -eq 2
	((STATUS == 0)) || note "$(<"$ERR")"
else
	skip "the tracepoint source" "there is no kernel patched-7.2"
fi
done_testing
