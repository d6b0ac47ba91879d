#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/bench/policy-ab names nosnoop advise --ab where that takes the file, and elsewhere says what is right for
# the pair of policies. The rest of the script is tested in tests/vm/bench-scripts.t. Needs no root.
#
# Run by prove. OUT names the build directory (default: build).

set -u -o pipefail

# shellcheck source=tests/cli/nosnoop.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/nosnoop.sh"
# shellcheck source=tests/cli/nsrec.sh disable=SC1094
. "$TOP/tests/cli/nsrec.sh"
watch_rec 1735732800 100 '[dev + {snoop_control: true}]' >"$TMP/rec"
# A workload that needs no device.
printf '#!/bin/sh\necho 5\n' >"$TMP/workload"
chmod +x "$TMP/workload"

while read -r a b status sentence; do
	runs scripts/bench/policy-ab -d 0000:01:00.0 -n 2 -a "$a" -b "$b" -o "$TMP/ab" -- "$TMP/workload"
	is "$a, $b: status" "$STATUS" 0
	like "$a, $b: what to do with it" "$(sed -n '/95 % interval/,$p' "$OUT" | tail -n +3)" "$sentence"
	runs "$TOOL" advise --baseline "$TMP/rec" --ab "$TMP/ab/ab.json"
	is "$a, $b: nosnoop advise takes it, or not" "$STATUS" "$status"
done <<TABLE
enforced noncoherent 0 ^For the rule: nosnoop advise --ab $TMP/ab/ab\.json --baseline RECORDING$
noncoherent enforced 2 ^The rule asks for .* refuses this file.*--policy-a enforced --policy-b noncoherent\.$
enforced blocked 2 ^The rule has no place .*--candidate RECORDING
blocked noncoherent 2 ^The rule has no place .*--candidate RECORDING
automatic blocked 2 ^The rule has no place .*--candidate RECORDING
automatic noncoherent 2 ^The rule has no place .*--policy-a enforced --policy-b noncoherent\.$
enforced automatic 2 ^The rule has no place .*--policy-a enforced --policy-b noncoherent\.$
TABLE
done_testing
