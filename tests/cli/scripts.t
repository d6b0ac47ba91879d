#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Every script says how it is used, and refuses what it does not know with one sentence, before it does
# anything else.

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"
cd -- "$TOP" || exit 1

for script in scripts/* scripts/bench/*; do
	[[ -f $script && -x $script ]] || continue
	for option in -h --help; do
		runs timeout 20 "$script" "$option"
		is "$script $option" "$STATUS $(grep -c "^Usage: $script" "$OUT") $(<"$ERR")" "0 1 "
	done
	for bad in --no-such-option -%; do
		refused "$script $bad" 2 "^${script##*/}: .*no (option|command) '$bad'" timeout 20 "$script" "$bad"
	done
done
compare "scripts were found" "$TESTS" -ge 80
done_testing
