#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# scripts/bench/policy-ab names nosnoop advise --ab where that takes the file, and elsewhere says what is right for
# the pair of policies; what was measured is not lost, and the report says what failed and what is missing. The rest
# of the scripts is tested in tests/vm/bench-scripts.t. Needs no root.
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
	runs scripts/bench/policy-ab -d 0000:01:00.0 -n 2 --force -a "$a" -b "$b" -o "$TMP/ab" -- "$TMP/workload"
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

# ---- what was measured stays ----------------------------------------------------------------------

# ab [OPTION]...: of one directory
ab() {
	runs env OUT="$BUILD" scripts/bench/policy-ab -d 0000:01:00.0 -o "$TMP/kept" "$@" -- "$TMP/workload"
}

# counts: status, runs made now, runs kept, runs that count
counts() {
	echo "$STATUS $(grep -c ': run ' "$ERR") $(wc -l <"$TMP/kept/raw/runs") $(jq '.runs | length' "$TMP/kept/ab.json")"
}

ab -n 2
is 'two blocks' "$(counts)" '0 8 8 8'
ab -n 3
is 'a third one: measured are four runs' "$(counts)" '0 4 12 12'
ab -n 2
is 'two again: nothing is measured, nothing lost' "$(counts)" '0 0 12 8'
ab -n 2
like 'and that is finished' "$STATUS $(<"$ERR")" '^0 .*finished already'
ab -n 2 -w 'other words'
like 'another workload: refused' "$STATUS $(<"$ERR")" "^1 policy-ab: $TMP/kept has scores of other options .*--force"
is 'and all runs are there' "$(wc -l <"$TMP/kept/raw/runs") $(jq -r .workload "$TMP/kept/ab.json")" "12 $TMP/workload"
truncate -s -9 "$TMP/kept/raw/runs"
ab -n 3
is 'a last line that was cut off: that run is repeated' "$(counts)" '0 1 12 12'
like 'and it is said' "$(<"$ERR")" 'the last score is incomplete'
head -c 4096 /dev/zero >>"$TMP/kept/raw/runs"
ab -n 4
is 'zeroes of a file system after a loss of power' "$(counts)" '0 4 16 16'
ab -n 2 -w 'other words' --force
is '--force: anew' "$(counts)" '0 8 8 8'

if command -v gnuplot >/dev/null; then
	ab -n 2 --force -u "5 1/4\" of 'x'"
	like 'a unit with quotes: is drawn' "$STATUS $(cat "$TMP/kept/scores.svg" 2>&1)" "^0 .*>5 1/4(\"|&quot;) of ('|&#39;|&apos;)x"
else
	skip 'a unit with quotes: is drawn' 'gnuplot is not installed'
fi
refused 'a unit of two lines' 2 '--unit takes one line' scripts/bench/policy-ab -d 01:00.0 -o "$TMP/none" --unit $'a\nb' -- true

finished() {
	mkdir -p "$1" && echo '6.1.0 --sizes 4' >"$1/done" && echo 'the old table' >"$1/table.txt"
	echo '{}' >"$1/host.json"
}
for words in map-cost 'all --quick map-cost' 'all --bed none-0.0 --quick map-cost'; do
	rm -rf -- "$TMP/old"
	finished "$TMP/old/map-cost"
	dir=$TMP/old
	[[ $words == all* ]] || dir+=/map-cost
	# shellcheck disable=SC2086 # words they are
	runs env OUT="$BUILD" scripts/bench/$words --output "$dir"
	like "$words: a finished result of other options is not replaced" "$STATUS $(<"$ERR")" '^1 .*has a finished result of (other options|another machine).*--force'
	is "$words: and is still there" "$(cat "$TMP/old/map-cost/done" "$TMP/old/map-cost/table.txt" 2>&1)" $'6.1.0 --sizes 4\nthe old table'
done
runs env OUT="$BUILD" scripts/bench/map-cost --force --output "$TMP/old/map-cost"
is '--force: is run' "$STATUS $([[ -e $TMP/old/map-cost/done ]] && echo there)" '4 '

# ---- the report -----------------------------------------------------------------------------------

runs env OUT="$BUILD" scripts/bench/all --quick --device ffff:ff:1f.7 --output "$TMP/failed" map-cost
is 'a section that fails' "$STATUS" 1
like 'the report says why' "$(cat "$TMP/failed/report.txt" 2>&1)" \
	'\(map-cost\): failed.*Failed: there is no PCI function ffff:ff:1f\.7'
like 'so does the page' "$(cat "$TMP/failed/report.html" 2>&1)" 'failed: there is no PCI function ffff:ff:1f\.7'
runs env OUT="$BUILD" scripts/bench/map-cost --output "$TMP/failed/map-cost"
is 'and no more when it runs again' "$STATUS $(ls "$TMP/failed/map-cost/failed.txt" 2>/dev/null)" '4 '

# All commands but jq.
mkdir "$TMP/bin"
for dir in /bin /usr/bin /usr/local/bin; do
	ln -sf "$dir"/* "$TMP/bin/" 2>/dev/null
done
rm -f -- "$TMP/bin/jq"
runs env PATH="$TMP/bin" OUT="$BUILD" scripts/bench/all --quick --output "$TMP/no-jq" wbinvd-cost map-cost
is 'without jq: status' "$STATUS" 0
like 'the report says so' "$(cat "$TMP/no-jq/report.txt" 2>&1)" \
	'\(wbinvd-cost\): not measured.*Machine: [^ ].*Missing: jq is not installed.*\(map-cost\): not measured.*Missing: no device was given'
runs env PATH="$TMP/bin" OUT="$BUILD" scripts/bench/policy-ab -d 0000:01:00.0 -n 2 -w 'a "word" \ & more' -o "$TMP/no-jq/policy-ab" -- "$TMP/workload"
is 'without jq: the file is the same' "$STATUS $(jq -c '[.schema, .workload, .higher_is_better, (.runs | map(.policy + "\(.score)") | join(" ")), .host.cpus > 0]' "$TMP/no-jq/policy-ab/ab.json")" \
	'0 ["nosnoop-ab/1","a \"word\" \\ & more",true,"a5 b5 b5 a5 a5 b5 b5 a5",true]'
runs env PATH="$TMP/bin" OUT="$BUILD" scripts/bench/report "$TMP/no-jq"
like 'without jq: the report has it' "$STATUS $(<"$TMP/no-jq/report.txt")" '^0 .*\(policy-ab\): finished.*a "word" . & more on 0000:01:00\.0'
done_testing
