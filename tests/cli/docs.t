#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is generated into the documentation is what the generator makes, and two pages say the same of boxes.

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"
cd -- "$TOP" || exit 1

is "docs/verdicts.md: its cases follow from its tables" \
	"$(awk -v mode=page -f docs/verdicts.awk docs/verdicts.md | diff docs/verdicts.md -)" ''
is "docs/verdicts.md: each of 6 x 5 x 3 cases, once" \
	"$(awk -v mode=cases -f docs/verdicts.awk docs/verdicts.md | cut -d '|' -f 1-4 | sort -u | wc -l)" 90

# boxes_of_page, boxes_of_manual: a line for each "IOMMU blocks" and bit, with the boxes
boxes_of_page() {
	awk -F ' *[|] *' '
		/^## / { rule = /The rule without a write probe/ }
		rule && ($5 == "yes" || $5 == "no") {
			blocks = $2 == "can block" ? "yes" : $2 == "cannot" ? "no" : $2
			gsub(/ /, "", $4)
			n = split($3, bits, " or ")
			for (i = 1; i <= n; i++)
				print blocks, bits[i], $4
		}' docs/box.md | LC_ALL=C sort
}
boxes_of_manual() {
	awk -F '  +' '
		/^$/ { table = 0 }
		table && $2 !~ /^=/ {
			for (i = 3; i <= 5; i++) {
				gsub(/ or /, ",", $i)
				sub(/1 to 4/, "1,2,3,4", $i)
				print $2, i == 3 ? 1 : i == 4 ? 0 : "unknown", $i
			}
		}
		/The IOMMU blocks  / { table = 1 }' tools/man/wbinvdtop.8.rst | LC_ALL=C sort
}
is "docs/box.md: its rule has 3 x 3 cases" "$(boxes_of_page | wc -l)" 9
is "wbinvdtop(8): the same boxes" "$(boxes_of_manual)" "$(boxes_of_page)"
done_testing
