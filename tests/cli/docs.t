#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What is generated into the documentation is what the generator makes.

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"
cd -- "$TOP" || exit 1

is "docs/verdicts.md: its cases follow from its tables" \
	"$(awk -v mode=page -f docs/verdicts.awk docs/verdicts.md | diff docs/verdicts.md -)" ''
is "docs/verdicts.md: each of 6 x 5 x 3 cases, once" \
	"$(awk -v mode=cases -f docs/verdicts.awk docs/verdicts.md | cut -d '|' -f 1-4 | sort -u | wc -l)" 90
done_testing
