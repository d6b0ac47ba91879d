#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nosnoop(8) and docs/rule.md name what the tool has: options, members of the JSON, thresholds; and the
# manual's copy of the rule is the page's.
#
# Run by prove. OUT names the build directory (default: build).

set -u -o pipefail

# shellcheck source=tests/cli/nosnoop.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/nosnoop.sh"
# shellcheck source=tests/cli/nsrec.sh disable=SC1094
. "$TOP/tests/cli/nsrec.sh"
# shellcheck source=tests/cli/nstree.sh disable=SC1094
. "$TOP/tests/cli/nstree.sh"

is "tools/man/rule.rsti is made from docs/rule.md" \
	"$(diff tools/man/rule.rsti <(awk -v mode=rst -f tools/nosnoop/rule.awk docs/rule.md))" ''

"$(command -v rst2man || command -v rst2man.py)" --strict tools/man/nosnoop.8.rst "$TMP/page.8"
is 'rst2man --strict' $? 0
mandoc -T lint -W warning "$TMP/page.8" | grep -vE 'missing date|unknown font|skipping paragraph macro: sp after' >"$TMP/lint"
is 'mandoc -T lint' "$(<"$TMP/lint")" ''
mandoc -T utf8 -O width=120 "$TMP/page.8" | col -bx | sed 's/\xc2\xa0/ /g' >"$TMP/page.txt"

# section NAME: its lines
section() {
	awk -v name="$1" '/^[A-Z]/ { inside = $0 == name; next } inside' "$TMP/page.txt"
}

for name in NAME SYNOPSIS DESCRIPTION OPTIONS 'THE PROBE' COUNTING EXPOSURE 'THE RULE' OUTPUT OVERHEAD 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
	ok "has $name" test -n "$(section "$name")"
done
section OPTIONS >"$TMP/options"
for command in list watch advise; do
	"$TOOL" "$command" --help >"$TMP/help"
	unlike "$command --help: no line is longer than 80 columns" "$(<"$TMP/help")" $'[^\n]{81}'
	while read -r option; do
		ok "OPTIONS has $option of $command" grep -qE -- "(^|[ ,|])${option}\b" "$TMP/options"
	done < <(grep -oE -- '^ +(-[a-zA-Z], )?--[a-z-]+' "$TMP/help" | grep -oE -- '--[a-z-]+' | sort -u)
done
while read -r option; do
	ok "some command has $option" grep -qE -- "$option\b" <(for c in list watch advise; do "$TOOL" "$c" --help; done)
done < <(grep -oE -- '--[a-z][a-z-]+' "$TMP/options" | sort -u)
section 'EXIT STATUS' | grep -oE '^ {7}[0-9]\b' | tr -d ' \n' >"$TMP/says"
is 'EXIT STATUS' "$(<"$TMP/says")" 01234

# ---- members of the JSON ------------------------------------------------------------------------

TREE=$TMP/tree
demo_tree
section OUTPUT >"$TMP/output"
"$TOOL" list --list-fields >>"$TMP/output"
"$TOOL" watch --sysroot "$TREE" --all -n 1 -d 0.1 --json >"$TMP/json"
watch_rec 1735732800 100 '[dev]' >"$TMP/rec"
"$TOOL" advise --baseline "$TMP/rec" --json | jq -c 'del(.thresholds, .vms) | .devices[].inputs |= {ability}' >>"$TMP/json"
while read -r member; do
	ok "OUTPUT or --list-fields say $member" grep -qwE -- "${member%_why}|$member" "$TMP/output"
done < <(jq -r '[paths | map(select(type == "string")) | .[]] | unique[]' "$TMP/json" | sort -u)

# ---- the page of the rule -----------------------------------------------------------------------

"$TOOL" advise --baseline "$TMP/rec" --json >"$TMP/json"
# cells SECTION: the first column
cells() {
	awk -v title="## $1" '/^## / { inside = $0 == title } inside && /^\| `/' docs/rule.md | cut -d '|' -f 2 | tr -d '` '
}
is 'docs/rule.md: inputs' "$(cells Inputs | sort | tr '\n' ' ')" "$(jq -r '.devices[0].inputs | keys[]' "$TMP/json" | sort | tr '\n' ' ')"
is 'docs/rule.md: thresholds' "$(cells Thresholds | sort | tr '\n' ' ')" "$(jq -r '.thresholds | keys[]' "$TMP/json" | sort | tr '\n' ' ')"
while read -r option value; do
	ok "docs/rule.md: $option defaults to $value" jq -e ".thresholds | to_entries[] | select(.value == $value)" "$TMP/json"
	ok "advise has $option" grep -q -- "$option" <("$TOOL" advise --help)
done < <(awk -F ' *[|] *' '/^\| .*`--/ { gsub(/`/, ""); print $3, $4 }' docs/rule.md)

done_testing
