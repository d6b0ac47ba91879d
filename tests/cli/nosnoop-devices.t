#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016 # expressions of jq
#
# nosnoop advise: what is known of a device, of its IOMMU and its boxes, over both sides and over every line; and what
# the reason of an input says would raise the confidence. Needs no root.
#
# Run by prove. OUT names the build directory (default: build).

set -u -o pipefail

# shellcheck source=tests/cli/nosnoop.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/nosnoop.sh"
# shellcheck source=tests/cli/nsrec.sh disable=SC1094
. "$TOP/tests/cli/nsrec.sh"
T=1735732800

raises() {
	jq -r '.devices[0].raise[]' "$TMP/advice"
}

# long_rec FROM DEVICES [MEMBERS]: 11 lines of nosnoop watch in 100 s, in which nothing was flushed at map
long_rec() {
	watch_lines "$1" 11 10 "$2" '{vms: [{id: "100-9", start: 5000, name: "web01", flush_ns: 0}]} + ('"${3:-{\}}"')'
}

LATER=$((T + 1000))
BLOCKED='dev + {no_snoop: "disabled", ability: null, blocked: true, no_snoop_operations: 0}'
ab_file 5 5 >"$TMP/ab"
top_rec $T 100 2000000000 0 >"$TMP/top"
watch_rec $T 100 '[dev]' >"$TMP/able"
watch_rec $LATER 100 "[$BLOCKED]" >"$TMP/held"

# ---- whether the IOMMU blocks -------------------------------------------------------------------

watch_rec $T 100 '[dev + {snoop_control: null, domain: {box: 1}}]' >"$TMP/rec"
fixture 'the kernel reports that it is blocked' 'R3 keep-1-unmeasured medium' --baseline "$TMP/rec"
watch_rec $T 100 '[dev + {snoop_control: null}]' >"$TMP/unknown"
watch_rec $LATER 100 '[dev + {snoop_control: true}]' >"$TMP/rec"
fixture 'only the candidate tells that it can block' 'R3 keep-1-unmeasured medium' --baseline "$TMP/unknown" --candidate "$TMP/rec"
watch_rec $LATER 100 '[dev + {snoop_control: null, domain: {box: 1}}]' >"$TMP/rec"
fixture 'only the candidate is reported to be blocked' 'R3 keep-1-unmeasured medium' --baseline "$TMP/unknown" --candidate "$TMP/rec"
fixture 'the IOMMU cannot, and the candidate is reported to be blocked' 'R6 3-needed low' --baseline "$TMP/able" --candidate "$TMP/rec"
like 'contradict each other' "$(input iommu source)" 'contradict each other'
fixture 'what the IOMMU can is an input of R6' 'R6 3-needed low' --baseline "$TMP/unknown"
like 'and raises the confidence' "$(raises)" 'has the IOMMU in use'
unlike 'nor is it said that nothing blocks' "$(jq -r '.devices[0].meaning' "$TMP/advice")" 'nothing blocks'

# ---- a VM's other devices -----------------------------------------------------------------------

OTHER='{bdf: "0000:02:00.0"}'
watch_rec $T 100 "[unable, unable + $OTHER]" >"$TMP/unable"
fixture 'unable ones alone' 'R1 kernel-waste high' --baseline "$TMP/top" --baseline "$TMP/unable"
top_rec $LATER 100 2000000000 0 >"$TMP/toplater"
for change in 'listed: true' 'kind: "vf"' 'kind: null'; do
	watch_rec $LATER 100 "[unable, unable + $OTHER + {$change}]" >"$TMP/rec"
	advise --baseline "$TMP/top" --baseline "$TMP/unable" --candidate "$TMP/rec" --candidate "$TMP/toplater"
	is "the candidate knows of a sibling: $change" "$(verdict_of) $(input only_unable)" 'R1 costs-nothing medium null'
	like 'and the note says what stays' "$(jq -r '.devices[0].notes[]' "$TMP/advice")" '0000:02:00\.0 stays in box 3'
done
watch_rec $LATER 100 "[unable, dev + {bdf: \"0000:03:00.0\"}]" >"$TMP/rec"
fixture 'only the candidate has a device that can' 'R1 costs-nothing high' \
	--baseline "$TMP/top" --baseline "$TMP/unable" --candidate "$TMP/rec" --candidate "$TMP/toplater"
others_note() {
	jq -r '.devices[0].notes[]' "$TMP/advice" | grep '^The cost'
}
like 'and the note names it' "$(others_note)" 'while 0000:03:00\.0 stays in box 3'
watch_rec $T 100 "[unable, dev + $OTHER]" >"$TMP/rec2"
advise --baseline "$TMP/top" --baseline "$TMP/rec2" --candidate "$TMP/rec" --candidate "$TMP/toplater"
like 'each side has another one' "$(others_note)" 'while 0000:02:00\.0 and others stay in box 3'
watch_rec $LATER 100 "[unable, dev + $OTHER]" >"$TMP/rec"
advise --baseline "$TMP/top" --baseline "$TMP/rec2" --candidate "$TMP/rec" --candidate "$TMP/toplater"
like 'or the same one' "$(others_note)" 'while 0000:02:00\.0 stays in box 3'
long_rec $T "[unable, dev + $OTHER + (if \$i == 10 then {vm: {id: \"200-9\", start: 6000, name: \"db\"}} else {} end)]" >"$TMP/left"
fixture 'one that can, which left at the end' 'R1 costs-nothing high' --baseline "$TMP/top" --baseline "$TMP/left"
is 'is one of those that make the VM non-coherent' "$(jq -c '.vms[0].noncoherent_devices' "$TMP/advice")" '["0000:01:00.0","0000:02:00.0"]'
long_rec $T '[if $i < 10 then unable + {vm: {id: null, start: null, name: null}} else unable end]' >"$TMP/rec"
fixture 'one that came at the end explains nothing' 'R1 costs-nothing medium' --baseline "$TMP/top" --baseline "$TMP/rec"
top_rec $LATER 100 1000000000 0 >"$TMP/toplater"
watch_rec $LATER 100 '[unable]' >"$TMP/rec"
watch_rec $T 100 '[unable]' >"$TMP/unable"
advise --baseline "$TMP/top" --baseline "$TMP/unable" --candidate "$TMP/rec" --candidate "$TMP/toplater"
like 'what is recoverable is the F of the verdict' "$(input f) $(jq -r '.devices[0].notes[]' "$TMP/advice")" '^0\.25 .*F 0\.25 %'

watch_rec $LATER 100 '[unable]' >"$TMP/rec"
watch_rec $T 100 '[cleared]' >"$TMP/cleared"
for side in 'cleared rec' 'rec cleared'; do
	read -r one two <<<"$side"
	fixture "a proof of one side ($side)" 'R1 costs-nothing medium' --baseline "$TMP/$one" --candidate "$TMP/$two"
	like "is the reason ($side)" "$(input ability source)" '^nosnoop --probe, 2025'
done
watch_rec $T 100 '[cleared + {listed: true}]' >"$TMP/cleared"
fixture 'which what the other knows against it outweighs' 'R2 never-4 medium' --baseline "$TMP/cleared" --candidate "$TMP/rec"
like 'and the reason is that' "$(input ability source)" 'a proof was recorded, but the bit need not govern'

# wbinvdtop tells of a device which VM has it, and none of what nosnoop is to tell.
top_rec $T 100 2000000000 0 '{devices: [{bdf: "0000:01:00.0", group: 1, snoop_control: false, no_snoop: null, box: 3, box_candidates: [3], box_reason: "x", certain: false, name: "a device"}]}' >"$TMP/topdev"
fixture 'a proof of the candidate, of nosnoop alone' 'R1 kernel-waste low' --baseline "$TMP/topdev" --candidate "$TMP/rec"
is 'which tells the kind, too' "$(input kind) $(input alone) $(input backdoor)" 'other yes no'
watch_rec $LATER 100 '[unable + {kind: null}]' >"$TMP/rec"
advise --baseline "$TMP/topdev" --candidate "$TMP/rec"
is 'or could not' "$(verdict_of) $(input kind)" 'R2 never-4 low null'
like 'and says so' "$(input kind source)" 'nosnoop could not read it'
jq -c '.vms[0].devices[0].no_snoop = "enabled"' "$TMP/topdev" >"$TMP/topon"
fixture 'a block that held in the candidate, of nosnoop alone' 'R5 3-to-4-safe high' --baseline "$TMP/topon" --candidate "$TMP/held"
for change in 'kind: null=kind medium' 'group_size: 2=alone high' 'backdoor: true=backdoor high'; do
	watch_rec $LATER 100 "[$BLOCKED + {${change%=*}}]" >"$TMP/rec2"
	read -r name confidence <<<"${change#*=}"
	fixture "but for $name" "R5 3-to-4-unproven $confidence" --baseline "$TMP/topon" --candidate "$TMP/rec2"
done

# ---- in box 3 all through -----------------------------------------------------------------------

long_rec $T '[dev + {snoop_control: true}]' >"$TMP/alone"
fixture 'alone in a VM that is non-coherent' 'R4 1-to-3-pays high' --baseline "$TMP/top" --baseline "$TMP/alone" --ab "$TMP/ab"
# not_box3 NAME REASON DEVICES [VERDICT]
not_box3() {
	long_rec $T "$3" >"$TMP/rec"
	fixture "$1" "R4 ${4:-keep-1 low}" --baseline "$TMP/top" --baseline "$TMP/rec" --ab "$TMP/ab"
	like "$1: why" "$(input f source) $(input m source)" "$2"
}
not_box3 'in box 3 at the end alone' 'was blocked in all or part.*was blocked' \
	"[dev + {snoop_control: true, domain: {box: (if \$i == 10 then 3 else 1 end)}}, dev + $OTHER]"
like 'what would tell it' "$(raises)" 'candidate recorded with the device in box 3'
not_box3 'in the VM at the end alone' 'in its VM all through.*in its VM' \
	"[dev + {snoop_control: true, domain: {box: 3}} + (if \$i == 10 then {} else {vm: {id: null, start: null, name: null}} end), dev + $OTHER]"
not_box3 'there at the end alone' 'in its VM all through' \
	"[dev + {snoop_control: true, domain: {box: 3}} | select(\$i == 10)] + [dev + $OTHER]"
not_box3 'gone at the end' 'in its VM all through' \
	"[dev + {snoop_control: true, domain: {box: 3}} | select(\$i < 5)] + [dev + $OTHER]"
not_box3 'not told, beside another one' 'may be what made that non-coherent' "[dev + {snoop_control: true}, dev + $OTHER]"
not_box3 'not told, beside one that is blocked' '' "[dev + {snoop_control: true}, dev + $OTHER + {domain: {box: 1}}]" '1-to-3-pays high'
# boxes CONDITION=:BOX: of the device in such a line; box 3 in others
boxes() {
	echo "[dev + {snoop_control: true, domain: {box: (if ${1%%=:*} then ${1##*=:} else 3 end)}}, dev + $OTHER]"
}
not_box3 'not told by one line' '' "$(boxes '$i == 3=:null')" '1-to-3-pays high'
not_box3 'nor by another one' '' "$(boxes '$i == 3 or $i == 5=:null')" '1-to-3-pays high'
long_rec $T "$(boxes '$i == 4=:null')" >"$TMP/untold"
fixture 'nor by one in the middle' 'R4 1-to-3-pays high' --baseline "$TMP/top" --baseline "$TMP/untold" --ab "$TMP/ab"
not_box3 'not told by two in a row' 'may be what made' "$(boxes '$i == 3 or $i == 4=:null')"
not_box3 'not told by the first' 'may be what made' "$(boxes '$i == 0=:null')"
not_box3 'not told by the last' 'may be what made' "$(boxes '$i == 10=:null')"
not_box3 'not told before box 1' 'was blocked' "$(boxes '$i > 2=:[null, 1][[$i - 3, 1] | min]')"
jq -c 'if .time_ns == 51000000000 then .interval_ns = 9000000000 else . end' "$TMP/untold" >"$TMP/rec"
fixture 'not told before a gap' 'R4 keep-1 low' --baseline "$TMP/top" --baseline "$TMP/rec" --ab "$TMP/ab"
like 'not told before a gap: why' "$(input f source)" 'may be what made'
long_rec $T "$(boxes '$i == 0=:null')" >"$TMP/untold"
long_rec $T "$(boxes '$i == 20=:null')" | head -n 1 >"$TMP/told"
for order in 'told untold' 'untold told'; do
	read -r one two <<<"$order"
	fixture "not told by the first, but by another recording ($order)" 'R4 keep-1 low' \
		--baseline "$TMP/top" --baseline "$TMP/$one" --baseline "$TMP/$two" --ab "$TMP/ab"
done
not_box3 'one line of another that is blocked' '' \
	"[dev + {snoop_control: true}, dev + $OTHER + {domain: {box: (if \$i == 3 then null else 1 end)}}]" '1-to-3-pays high'
not_box3 'told all through' '' "[dev + {snoop_control: true, domain: {box: 3}}, dev + $OTHER]" '1-to-3-pays high'
top_rec $((T + 7)) 93 2000000000 0 >"$TMP/late"
long_rec $T '[dev + {snoop_control: true, domain: {box: 3}} + (if $i < 2 then {vm: {id: null, start: null, name: null}, domain: {box: null}} else {} end)]' \
	'{vms: (if $i < 2 then [] else [{id: "100-9", start: 5000, name: "web01", flush_ns: 0}] end)}' >"$TMP/rec"
fixture 'told 3 s after the VM' 'R4 1-to-3-pays high' --baseline "$TMP/late" --baseline "$TMP/rec" --ab "$TMP/ab"
# away NAME TOP REASON [ARG...]: F is not known of TOP and the recording at hand
away() {
	fixture "not late: $1" 'R4 keep-1 low' --baseline "$TMP/$2" --baseline "$TMP/rec" --ab "$TMP/ab" "${@:4}"
	like "not late: $1: why" "$(input f) $(input f source)" "^null .*$3"
}
top_rec $((T + 7)) 4 2000000000 0 >"$TMP/few"
away 'never in the VM, as the time is so short' few 'in its VM all through' --min-overlap 4
long_rec $T '[dev + {snoop_control: true, domain: {box: 3}} + (if $i < 1 then {vm: {id: null, start: null, name: null}} else {} end)]' >"$TMP/rec"
away 'the VM was there at the first line' top 'in its VM all through'
for vm in '{id: "200-9", start: 6000, name: "db"}=in its VM all through' '{id: null, start: null, name: null}=was blocked'; do
	long_rec $T "[dev + {snoop_control: true, domain: {box: 3}} + (if \$i < 2 then {vm: ${vm%=*}, domain: {box: 1}} else {} end)]" \
		'{vms: (if $i < 2 then [] else [{id: "100-9", start: 5000, name: "web01", flush_ns: 0}] end)}' >"$TMP/rec"
	away "in box 1 of ${vm%%,*}" late "${vm#*=}"
done
# A recording that sees no VM takes nothing back, and a VM that ends takes its devices with it.
watch_rec $T 100 '[dev + {snoop_control: true, vm: {id: null, start: null, name: null}}]' '{vms: []}' >"$TMP/blind"
fixture 'another recording sees no VM' 'R4 1-to-3-pays high' --baseline "$TMP/top" --baseline "$TMP/blind" --baseline "$TMP/alone" --ab "$TMP/ab"
long_rec $T "[dev + {snoop_control: true, domain: {box: 3}}, dev + $OTHER]" >"$TMP/two"
long_rec $T "[dev + {snoop_control: true, domain: {box: null}, vm: {id: null, start: null, name: null}}, dev + $OTHER]" '{vms: []}' >"$TMP/blind"
for order in 'two blind' 'blind two'; do
	read -r one two <<<"$order"
	fixture "nor a box ($order)" 'R4 1-to-3-pays high' --baseline "$TMP/top" --baseline "$TMP/$one" --baseline "$TMP/$two" --ab "$TMP/ab"
done
top_rec $T 95 2000000000 0 '{ended: ($i == 1)}' >"$TMP/ended"
long_rec $T '[dev + {snoop_control: true} + (if $i == 10 then {vm: {id: null, start: null, name: null}} else {} end)]' >"$TMP/rec"
fixture 'the VM ended' 'R4 1-to-3-pays high' --baseline "$TMP/ended" --baseline "$TMP/rec" --ab "$TMP/ab"

# ---- BLOCK and the bit --------------------------------------------------------------------------

for change in 'no_snoop: null' 'no_snoop: "enabled"' 'no_snoop: "disabled"'; do
	watch_rec $LATER 100 "[$BLOCKED + {suspended: true, $change}]" >"$TMP/rec"
	fixture "asleep in the candidate, $change" 'R5 3-to-4-unproven medium' --baseline "$TMP/able" --candidate "$TMP/rec"
	like "asleep, $change: why" "$(input block_held source) $(raises)" 'asleep.*awake all through'
done
watch_rec $LATER 100 "[$BLOCKED + if \$i == 1 then {suspended: true} else {} end]" >"$TMP/rec"
fixture 'asleep at the end' 'R5 3-to-4-unproven medium' --baseline "$TMP/able" --candidate "$TMP/rec"
watch_rec $LATER 100 "[$BLOCKED + if \$i == 1 then {no_snoop: null} else {} end]" >"$TMP/rec"
fixture 'not read at the end' 'R5 3-to-4-unproven medium' --baseline "$TMP/able" --candidate "$TMP/rec"
watch_rec $T 100 '[cleared]' >"$TMP/cleared"
watch_rec $LATER 100 '[cleared + {no_snoop: null}]' >"$TMP/rec"
fixture 'cleared, and not read in the candidate' 'R6 not-shown low' --baseline "$TMP/cleared" --candidate "$TMP/rec"
is 'is not known not to be set' "$(input bit_seen_set)" null

# ---- requests of either side --------------------------------------------------------------------

# requests FROM REQUESTS
requests() {
	watch_rec "$1" 100 '[dev + {snoop_control: null}]' "{requests: $2}"
}
requests $T 'counting(0)' >"$TMP/zero"
requests $LATER 'counting(250)' >"$TMP/many"
fixture 'requests that only the candidate has' 'R6 3-needed medium' --baseline "$TMP/zero" --candidate "$TMP/many"
is 'are counted' "$(input h)" 500
jq -c '.command = "list" | .interval_ns = 0 | del(.requests)' "$TMP/zero" | head -n 1 >"$TMP/list"
fixture 'a list, and a candidate that counts' 'R6 3-needed medium' --baseline "$TMP/list" --candidate "$TMP/many"
is 'its coverage' "$(input coverage)" full
requests $LATER 'counting(0)' >"$TMP/rec"
fixture 'none on either side' 'R6 not-shown medium' --baseline "$TMP/zero" --candidate "$TMP/rec"
requests $LATER blind >"$TMP/rec"
fixture 'one side does not count' 'R6 3-needed medium' --baseline "$TMP/zero" --candidate "$TMP/rec"
requests $T 'counting(250)' >"$TMP/many"
for order in "many unknown" "unknown many"; do
	read -r one two <<<"$order"
	advise --baseline "$TMP/$one" --baseline "$TMP/$two"
	is "one recording counts, another does not ($order)" "$(input coverage) $(input h)" 'full 500'
done
watch_rec $T 100 '[dev + {snoop_control: null, socket: 1}]' '{requests: counting(3)}' >"$TMP/rec"
advise --baseline "$TMP/rec"
like 'no counts of the socket: why' "$(input h source) $(raises)" "no counts of the device's socket.*counters of the device's socket"
unlike 'which is not the CPU' "$(input h source) $(raises)" 'CPU'

# ---- other kernels, other machines --------------------------------------------------------------

for side in able held; do
	jq -c '.kernel = null' "$TMP/$side" >"$TMP/$side.null"
done
fixture 'a baseline of an unknown kernel' 'R5 3-to-4-unproven medium' --baseline "$TMP/able.null" --candidate "$TMP/held"
like 'why, and what would tell' "$(input block_held source) $(raises)" "not known to be of the baseline's kernel.*under one kernel"
fixture 'a candidate of an unknown kernel' 'R5 3-to-4-unproven medium' --baseline "$TMP/able" --candidate "$TMP/held.null"
jq -c '.kernel = null' "$TMP/alone" >"$TMP/rec"
advise --baseline "$TMP/rec" --ab "$TMP/ab"
is 'a gain, and a baseline of an unknown kernel' "$(input gain_lo origin)" assumed
for change in 'del(.host.kind)' '.host.kind = null'; do
	jq -c "$change" "$TMP/ab" >"$TMP/rec"
	fixture "a gain with $change" 'R4 1-to-3-pays medium' --baseline "$TMP/top" --baseline "$TMP/alone" --ab "$TMP/rec"
done

# ---- what would raise the confidence ------------------------------------------------------------

for what in listed:true kind:\"vf\" kind:\"integrated\" kind:\"display\"; do
	watch_rec $T 100 "[cleared + {$what}]" >"$TMP/rec"
	advise --baseline "$TMP/rec"
	is "$what: no proof would count" "$(raises)" ''
done
top_rec $T 100 0 0 '{noncoherent: false}' >"$TMP/coherent"
advise --baseline "$TMP/coherent" --baseline "$TMP/alone" --ab "$TMP/ab"
is 'costs of a coherent VM' "$(raises | cut -d ' ' -f 1-8)" 'a --candidate recorded with the device in box'
jq -c '.host.kind = "emulated: x"' "$TMP/ab" >"$TMP/rec"
advise --baseline "$TMP/top" --baseline "$TMP/alone" --ab "$TMP/rec"
like 'a gain on an emulated machine' "$(raises)" '^[^
]*not emulated$'
top_rec $LATER 100 400000000 0 '{id: "300-9", pid: 300, start: 7000}' >"$TMP/toplater"
watch_rec $LATER 100 '[dev + {snoop_control: true, vm: {id: "300-9", start: 7000, name: "web01"}}]' '{vms: [{id: "300-9", start: 7000, flush_ns: 0}]}' >"$TMP/rec"
fixture 'found by name' 'R4 1-to-3-pays low' --baseline "$TMP/top" --baseline "$TMP/alone" \
	--candidate "$TMP/toplater" --candidate "$TMP/rec" --ab "$TMP/ab"
is 'which nothing makes better' "$(raises)" ''

# ---- what applies the verdict --------------------------------------------------------------------

# applied NAME WANTED ARG...
applied() {
	local name=$1 wanted=$2

	shift 2
	advise "$@"
	like "applied by: $name" "$(jq -r '.devices[0].apply' "$TMP/advice")" "$wanted"
}
applied 'no candidate' 'record a candidate with BLOCK' --baseline "$TMP/able"
for change in backdoor:true=back\ door group_size:2=group\ of\ its\ own group_size:null='nosnoop list'; do
	watch_rec $T 100 "[dev + {${change%=*}}]" >"$TMP/rec"
	watch_rec $LATER 100 "[$BLOCKED + {${change%=*}}]" >"$TMP/rec2"
	applied "BLOCK held, ${change%=*}" "${change#*=}" --baseline "$TMP/rec" --candidate "$TMP/rec2"
	unlike 'no more of BLOCK' "$(jq -r '.devices[0].apply' "$TMP/advice")" 'with BLOCK'
done
watch_rec $LATER 100 "[$BLOCKED + {set_readings: 1}]" >"$TMP/rec"
applied 'BLOCK did not hold' 'nosnoop watch' --baseline "$TMP/able" --candidate "$TMP/rec"
applied 'cleared' 'nosnoop list --probe -D 0000:01:00\.0' --baseline "$TMP/cleared"
applied 'what can' 'has the IOMMU in use' --baseline "$TMP/zero"
unlike 'is not probed' "$(jq -r '.devices[0].apply' "$TMP/advice")" 'probe'

# ---- a device of the candidate alone ------------------------------------------------------------

watch_rec $LATER 100 '[dev, dev + {bdf: "0000:03:00.0"}]' >"$TMP/rec"
runs "$TOOL" advise --baseline "$TMP/able" --candidate "$TMP/rec" --html "$TMP/page"
like 'text' "$(<"$OUT")" '0000:03:00\.0: in the candidate alone'
like 'page' "$(<"$TMP/page")" '0000:03:00\.0: in the candidate alone'
advise --baseline "$TMP/able" --candidate "$TMP/rec"
is 'JSON' "$(jq -c '.candidate_only' "$TMP/advice")" '["0000:03:00.0"]'
refused 'asked for' 2 '0000:03:00\.0 is in the candidate alone' "$TOOL" advise --baseline "$TMP/able" --candidate "$TMP/rec" -D 03:00.0

# ---- numbers as they are printed ----------------------------------------------------------------

jq -c '.runs |= map(if .policy == "a" then .score = 30 else .score = 30.3 end)' "$TMP/ab" >"$TMP/rec"
fixture 'a gain of 1 % by 30 and 30.3' 'R4 keep-1 high' --baseline "$TMP/top" --baseline "$TMP/alone" --ab "$TMP/rec"
top_rec $T 100 2990000000 780000000 >"$TMP/rec"
watch_rec $T 100 '[dev + {snoop_control: true}]' '{vms: [{id: "100-9", start: 5000, name: "web01", flush_ns: 115000000}]}' >"$TMP/sum"
fixture 'F + T + M of 1 %, with a rounding of the sum' 'R4 1-to-3-pays high' --baseline "$TMP/rec" --baseline "$TMP/sum" --ab "$TMP/ab"
ab_file 1.0002 1.0002 >"$TMP/rec"
fixture 'a gain of 1.0002 %' 'R4 1-to-3-pays high' --baseline "$TMP/top" --baseline "$TMP/alone" --ab "$TMP/rec"
like 'is no 1 % in the text' "$("$TOOL" advise --baseline "$TMP/top" --baseline "$TMP/alone" --ab "$TMP/rec")" 'gain_lo +1\.0002 %'

the_page_agrees
done_testing
