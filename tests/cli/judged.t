#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks that a test in a VM leaves to the outside (judged in tests/vm/lib.sh) are made there, and can fail.

# shellcheck disable=SC2016,SC2030,SC2031 # expressions of jq; what is set in a subshell is meant for it
set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"

# What would run in a VM: each check is named after what it has to come to.
inside() {
	printf '%s\n' '{"a": 1, "b": "it'\''s \"x\" \\ $HOME"}' '{"a": 2}' >"$TMP/two"
	echo '{"a": 3}' >"$TMP/one"
	: >"$TMP/empty"
	judged is "fail: nothing, which is no object" 3 "$TMP/empty" .a
	judged is "pass: nothing, and that is wanted" 0 "$TMP/empty" length -s
	judged is "pass: a member" 1 "$TMP/two" 'select(.b).a'
	judged is "fail: a member" 2 "$TMP/two" 'select(.b).a'
	judged is "pass: options, a filter of two lines" '[1,2]' "$TMP/two" 'map(.a)
		| .' -s -c
	judged is "pass: an argument" 2 "$TMP/two" '.[] | select(.a == $n).a' -s --argjson n 2
	judged like "pass: what needs quotes, it's \$HOME" '^it.s "x" \\ \$HOME$' "$TMP/two" 'select(.b).b'
	judged like "fail: what needs quotes" 'HOMES' "$TMP/two" 'select(.b).b'
	# What a subshell looks at is not what its parent looked at.
	(judged is "pass: in a subshell" 3 "$TMP/one" .a)
	judged is "pass: after it" 2 "$TMP/two" 'select(.b | not).a'
	echo '{"a": 4}' >"$TMP/one"
	judged is "pass: another file" 4 "$TMP/one" .a
	echo '{"a": 5}' >"$TMP/one"
	judged is "fail: it has changed" 4 "$TMP/one" .a
	judged is "fail: nothing of no file" '' "$TMP/none" .a
	judged is "fail: a filter that is none" '' "$TMP/one" '.a |'
	echo 'no JSON' >"$TMP/one"
	judged is "fail: no JSON" '' "$TMP/one" .a
	pass "pass: one of its own"
	fail "fail: one of its own" "why"
	done_testing
}

[[ ${1:-} != --inside ]] || inside

runs bash "$0" --inside
is "a check of its own decides its status" "$STATUS" 1
cp -- "$OUT" "$TMP/inside"
# The checks of those checks are not this file's.
(
	# Nor is what an earlier VM looked at this one's.
	JUDGED_TEXT='{"a": 3}'
	OUT=$TMP/inside TESTS=0 FAILURES=0
	checks_of vm
	echo "$TESTS $FAILURES"
) >"$TMP/said"
is "all are counted, also that it ran to its end" "$(tail -n 1 "$TMP/said")" '18 8'
is "none that has to fail passes" "$(grep -E '^ok [0-9]+ - vm: fail' "$TMP/said")" ''
is "none that has to pass fails" "$(grep -E '^not ok [0-9]+ - vm: pass' "$TMP/said")" ''
is "in order" "$(grep -oE '^(not )?ok [0-9]+' "$TMP/said" | grep -o '[0-9]*$' | paste -sd ' ')" "$(seq -s ' ' 18)"
like "what was seen is shown" "$(<"$TMP/said")" "# by jq: select\(.b\).a
# of: \{\"a\": 1"

printf '%s\n' "judged text '{}' is" 1..0 >"$TMP/inside"
(
	STATUS=0 OUT=$TMP/inside TESTS=0 FAILURES=0
	checks_of vm
) >"$TMP/said"
like "a check of which a part is missing" "$(<"$TMP/said")" '^not ok 1 - vm: a check that did not come whole'

# A VM that ends early has said too little.
head -n 3 "$OUT" >"$TMP/inside"
(
	STATUS=0 OUT=$TMP/inside TESTS=0 FAILURES=0
	checks_of vm
) >"$TMP/said"
like "an output that ends early" "$(<"$TMP/said")" 'not ok [0-9]+ - vm: ran to its end'
done_testing
