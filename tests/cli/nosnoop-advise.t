#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016 # expressions of jq
#
# nosnoop advise: a fixture for each row of docs/rule.md and one on each side of each threshold, worked
# out by hand; each also judged by tests/cli/rule-verdict; joins, refusals, the page. Needs no root.
#
# Run by prove. OUT names the build directory (default: build).

set -u -o pipefail

# shellcheck source=tests/cli/nosnoop.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/nosnoop.sh"
# shellcheck source=tests/cli/nsrec.sh disable=SC1094
. "$TOP/tests/cli/nsrec.sh"
T=1735732800

# ---- one for each row ---------------------------------------------------------------------------
# The host has 4 CPUs: of 100 s, 2 s of emulation are 0.5 % of its time, 1 s of stalls is 0.25 %.

top_rec $T 100 2000000000 1000000000 >"$TMP/top"
watch_rec $T 100 '[unable]' >"$TMP/unable"
fixture 'R1: proven unable, alone in its VM' 'R1 kernel-waste high' --baseline "$TMP/top" --baseline "$TMP/unable"
like 'R1: what is recoverable' "$(jq -r '.devices[0].notes[]' "$TMP/advice")" 'Recoverable: 0\.75 %.*F 0\.5 % \+ T 0\.25 %'
is 'R1: F and T' "$(jq -c '.devices[0].inputs | [.f.value, .t.value, .f.origin]' "$TMP/advice")" '[0.5,0.25,"measured"]'
like 'R1: by whom and when' "$(jq -r '.devices[0].inputs.ability.source' "$TMP/advice")" 'nosnoop --probe, 2025-01-01'
watch_rec $T 100 '[unable, dev + {bdf: "0000:02:00.0"}]' >"$TMP/rec"
fixture 'R1: another device of the VM can' 'R1 costs-nothing high' --baseline "$TMP/top" --baseline "$TMP/rec"
like 'R1: then nothing is saved, and the text says so' "$(jq -r '.devices[0].notes[]' "$TMP/advice")" \
	'0000:02:00\.0 stays in box 3.*nothing is saved'
fixture 'R1: without a recording of the VM' 'R1 costs-nothing medium' --baseline "$TMP/unable"

for kind in vf integrated display; do
	watch_rec $T 100 "[cleared + {kind: \"$kind\"}]" >"$TMP/rec"
	fixture "R2: $kind" 'R2 never-4 medium' --baseline "$TMP/rec"
done
watch_rec $T 100 '[cleared + {listed: true}]' >"$TMP/rec"
fixture 'R2: listed' 'R2 never-4 medium' --baseline "$TMP/rec"
for what in listed:true kind:\"vf\" kind:\"integrated\" kind:\"display\"; do
	watch_rec $T 100 "[unable + {$what}]" >"$TMP/rec"
	fixture "R2: $what overrules a proof" 'R2 never-4 medium' --baseline "$TMP/top" --baseline "$TMP/rec"
	is "R2: $what, nor is its VM non-coherent for nothing" "$(jq '.devices[0].inputs.only_unable.value' "$TMP/advice")" null
done
like 'R2: why the proof does not count' "$(jq -r '.devices[0].inputs.ability.source' "$TMP/advice")" 'need not govern'
watch_rec $T 100 '[unable + {listed: true}]' | head -n 1 >"$TMP/list"
for order in "list unable" "unable list"; do
	read -r one two <<<"$order"
	fixture "R2: listed by one of two recordings ($order)" 'R2 never-4 medium' --baseline "$TMP/$one" --baseline "$TMP/$two"
done
top_rec $T 100 0 0 '{devices: [{bdf: "0000:01:00.0", group: 1, snoop_control: true, no_snoop: "disabled", box: null,
	box_candidates: [1, 2], box_reason: "x", certain: false, name: "a device"}]}' >"$TMP/rec"
fixture 'R2: wbinvdtop alone does not tell the kind' 'R2 never-4 low' --baseline "$TMP/rec"

watch_rec $T 100 '[dev + {snoop_control: true}]' '{vms: [{id: "100-9", start: 5000, flush_ns: 500000000}]}' >"$TMP/box1"
fixture 'R3: blocked, not measured' 'R3 keep-1-unmeasured medium' --baseline "$TMP/top" --baseline "$TMP/box1"
like 'R3: what would raise it, with the address' "$(jq -r '.devices[0].raise[]' "$TMP/advice")" 'policy-ab --device 0000:01:00\.0'
watch_rec $T 100 '[cleared + {snoop_control: true}]' >"$TMP/rec"
fixture 'R3: also where the bit is merely cleared' 'R3 keep-1-unmeasured medium' --baseline "$TMP/rec"
is 'R3: nothing more of one that the IOMMU blocks' "$(jq -c '.devices[0].notes' "$TMP/advice")" '[]'
# The IOMMU could block it, and by the policy of its address space does not.
watch_rec $T 100 '[dev + {snoop_control: true, domain: {box: 3}}]' >"$TMP/box3"
fixture 'R3: let pass by policy' 'R3 keep-1-unmeasured medium' --baseline "$TMP/top" --baseline "$TMP/box3"
like 'R3: where it is now' "$(jq -r '.devices[0].notes[]' "$TMP/advice")" 'It is in box 3 now'
is 'R3: it can, so that its VM is not non-coherent for unable ones alone' "$(jq -r '.devices[0].inputs.only_unable.value' "$TMP/advice")" no
watch_rec $T 100 '[dev + {snoop_control: true, domain: {box: 5}}]' >"$TMP/box5"
refused 'a box that there is not' 2 'domain.*box is 5, not within 1 to 4' "$TOOL" advise --baseline "$TMP/top" --baseline "$TMP/box5"
ab_file 5 >"$TMP/ab1"
fixture 'R3: one block has no interval' 'R3 keep-1-unmeasured medium' --baseline "$TMP/top" --baseline "$TMP/box1" --ab "$TMP/ab1"

# Gains 5 and 5: no scatter, the interval is 5 to 5. M: 2 lines of 0.5 s are 0.25 % of 400 s.
ab_file 5 5 >"$TMP/ab"
fixture 'R4: pays' 'R4 1-to-3-pays high' --baseline "$TMP/top" --baseline "$TMP/box1" --ab "$TMP/ab"
is 'R4: F, T, M' "$(jq -c '.devices[0].inputs | [.f.value, .t.value, .m.value]' "$TMP/advice")" '[0.5,0.25,0.25]'
like 'R4: what applies it' "$(jq -r '.devices[0].apply' "$TMP/advice")" 'IOMMU_IOAS_ALLOC_NONCOHERENT.*CAP_SYS_RAWIO'
# Gains 10 and 12: mean 11, standard error 1, t 12.706.
ab_file 10 12 >"$TMP/wide"
fixture 'R4: a wide interval does not' 'R4 keep-1 high' --baseline "$TMP/top" --baseline "$TMP/box1" --ab "$TMP/wide"
is 'R4: its lower bound' "$(jq -c '.devices[0].ab | [.gain, .gain_lo, .gain_hi]' "$TMP/advice")" '[11,-1.706,23.706]'
watch_rec $T 100 '[dev + {snoop_control: true}]' >"$TMP/nom"
is 'R4: which condition did not hold' "$(jq -r '.devices[0].did_not_hold' "$TMP/advice")" 'gain_lo > min_gain'
fixture 'R4: M is not known, so the cost is not small' 'R4 keep-1 medium' --baseline "$TMP/top" --baseline "$TMP/nom" --ab "$TMP/ab"

# What a coherent VM costs says nothing about box 3; a candidate in it does.
top_rec $T 100 0 0 '{noncoherent: false}' >"$TMP/topco"
fixture 'R4: the VM was coherent' 'R4 keep-1 low' --baseline "$TMP/topco" --baseline "$TMP/box1" --ab "$TMP/ab"
is 'R4: then its cost is not 0' "$(jq -c '.devices[0].inputs | [.f, .t, .m | .value]' "$TMP/advice")" '[null,null,null]'
like 'R4: and why' "$(jq -r '.devices[0].inputs.f.source' "$TMP/advice")" 'what box 3 costs was not measured'
{
	head -n 1 "$TMP/topco"
	tail -n 1 "$TMP/top"
} >"$TMP/rec"
fixture 'R4: the VM was coherent at first' 'R4 keep-1 low' --baseline "$TMP/rec" --baseline "$TMP/box1" --ab "$TMP/ab"
top_rec $T 100 0 0 '{noncoherent: null}' >"$TMP/rec"
fixture 'R4: the VM'\''s state is not recorded' 'R4 keep-1 low' --baseline "$TMP/rec" --baseline "$TMP/box1" --ab "$TMP/ab"
jq -c '.functions[0].domain.box = 1' "$TMP/box1" >"$TMP/rec"
fixture 'R4: the device was in box 1' 'R4 keep-1 low' --baseline "$TMP/top" --baseline "$TMP/rec" --ab "$TMP/ab"
jq -c '.functions[0].domain.box = 3' "$TMP/box1" >"$TMP/rec"
fixture 'R4: the device was in box 3' 'R4 1-to-3-pays high' --baseline "$TMP/top" --baseline "$TMP/rec" --ab "$TMP/ab"
fixture 'R4: a candidate in box 3' 'R4 1-to-3-pays high' --baseline "$TMP/topco" --baseline "$TMP/box1" \
	--candidate "$TMP/top" --candidate "$TMP/rec" --ab "$TMP/ab"

watch_rec $T 100 '[dev]' >"$TMP/box3"
watch_rec $((T + 1000)) 100 '[dev + {no_snoop: "disabled", ability: null, blocked: true, no_snoop_operations: 0}]' >"$TMP/held"
fixture 'R5: blocked through the whole candidate' 'R5 3-to-4-safe high' --baseline "$TMP/box3" --candidate "$TMP/held"
like 'R5: what applies it' "$(jq -r '.devices[0].apply' "$TMP/advice")" 'VFIO_DEVICE_FEATURE_PCI_NO_SNOOP, op 1'
fixture 'R5: no candidate' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3"
{
	head -n 1 "$TMP/held"
	tail -n 1 "$TMP/held" | jq -c '.functions[0].no_snoop = "enabled" | .functions[0].ability = "can"'
} >"$TMP/rec"
fixture 'R5: the bit came back' 'R5 3-to-4-unproven high' --baseline "$TMP/box3" --candidate "$TMP/rec"
{
	head -n 1 "$TMP/held"
	tail -n 1 "$TMP/held" | jq -c '.functions[0].blocked = null'
} >"$TMP/rec"
fixture 'R5: one line that does not tell' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/rec"
{
	cat -- "$TMP/held"
	tail -n 1 "$TMP/held" | jq -c '.functions = [] | .time = "'"$(date -u -d @$((T + 1200)) +%FT%T)"'.000000000Z"'
} >"$TMP/rec"
fixture 'R5: one line without the device' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/rec"
jq -c '.functions[0].blocked = false' "$TMP/held" >"$TMP/rec"
fixture 'R5: cleared, but not blocked' 'R5 3-to-4-unproven high' --baseline "$TMP/box3" --candidate "$TMP/rec"
jq -c '.functions[0].blocked = null' "$TMP/held" >"$TMP/rec"
fixture 'R5: merely cleared is no block' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/rec"
head -n 1 "$TMP/held" >"$TMP/rec"
fixture 'R5: one line is no time' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/rec"
jq -c '.command = "list" | .interval_ns = 0' "$TMP/held" >"$TMP/rec"
fixture 'R5: lists see moments' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/rec"
top_rec $((T + 1000)) 100 0 0 >"$TMP/topc"
head -n 1 "$TMP/held" >"$TMP/rec"
fixture 'R5: nor does the time of another recording count' 'R5 3-to-4-unproven medium' \
	--baseline "$TMP/box3" --candidate "$TMP/rec" --candidate "$TMP/topc"
# worse CONFIDENCE JQ: the candidate with its second line changed
worse() {
	{
		head -n 1 "$TMP/held"
		tail -n 1 "$TMP/held" | jq -c "$2"
	} >"$TMP/rec"
	fixture "R5: a candidate with $2" "R5 3-to-4-unproven $1" --baseline "$TMP/box3" --candidate "$TMP/rec"
}
op='{kind: "no_snoop", device: "0000:01:00.0", op:'
worse high '.functions[0].changes = 2'
worse high '.functions[0].set_readings = 1'
worse high ".events = [$op 0}]"
worse high ".events = [$op 1}, $op 0}]"
worse medium '.functions[0].no_snoop_operations = 1'
worse medium '.functions[0].no_snoop_operations = null'
worse medium 'del(.functions[0].no_snoop_operations)'
worse medium '.log = {lost_events: 1, lost_maps: 0}'
worse medium '.log = {lost_events: null, lost_maps: 0}'
worse medium 'del(.log)'
worse medium '.functions[0].changes = null'
worse medium 'del(.functions[0].set_readings)'
worse medium ".functions[0].no_snoop_operations = 2 | .events = [$op 1}]"
worse high '.functions[0].backdoor = true'
worse high '.functions[0].listed = true'
worse high '.functions[0].group_size = 2'
{
	head -n 1 "$TMP/held"
	tail -n 1 "$TMP/held" | jq -c ".functions[0] += {no_snoop_operations: 1, changes: 0, set_readings: 0} | .events = [$op 1}]"
} >"$TMP/rec"
fixture 'R5: blocked once more' 'R5 3-to-4-safe high' --baseline "$TMP/box3" --candidate "$TMP/rec"
jq -c '.kernel = "6.1.0"' "$TMP/held" >"$TMP/rec"
fixture "R5: a candidate of another kernel" 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/rec"
jq -c '.functions[0] += {group_size: 1} | .functions[0].group_size = 2' "$TMP/held" | sed '2s/"group_size":2/"group_size":1/' >"$TMP/rec"
fixture 'R5: alone only at the end' 'R5 3-to-4-unproven high' --baseline "$TMP/box3" --candidate "$TMP/rec"
jq -c '.functions[0].listed = true' "$TMP/held" >"$TMP/rec"
watch_rec $T 100 '[unable]' >"$TMP/unable"
fixture 'R2: listed by the candidate' 'R2 never-4 medium' --baseline "$TMP/unable" --candidate "$TMP/rec"
watch_rec $T 100 '[dev + {backdoor: true}]' >"$TMP/rec"
fixture 'R5: a back door' 'R5 3-to-4-unproven high' --baseline "$TMP/rec" --candidate "$TMP/held"
watch_rec $T 100 '[dev + {listed: true}]' >"$TMP/rec"
fixture 'R5: listed is a back door' 'R5 3-to-4-unproven high' --baseline "$TMP/rec" --candidate "$TMP/held"
watch_rec $T 100 '[dev + {group_size: 2}]' >"$TMP/rec"
fixture 'R5: not alone in its group' 'R5 3-to-4-unproven high' --baseline "$TMP/rec" --candidate "$TMP/held"

watch_rec $T 100 '[dev + {snoop_control: null}]' >"$TMP/rec"
fixture 'R6: not measurable' 'R6 3-needed low' --baseline "$TMP/rec"
watch_rec $T 100 '[dev + {snoop_control: null}]' '{requests: counting(0)}' >"$TMP/rec"
fixture 'R6: counted, none' 'R6 not-shown medium' --baseline "$TMP/rec"
like 'R6: what a 0 is worth' "$(jq -r '.devices[0].notes[]' "$TMP/advice")" 'not a proof'
watch_rec $T 100 '[dev + {snoop_control: null}]' '{requests: (counting(0) + {coverage: "partial"})}' >"$TMP/rec"
fixture 'R6: a partial 0 is none' 'R6 3-needed medium' --baseline "$TMP/rec"
watch_rec $T 100 '[cleared]' >"$TMP/rec"
fixture 'R6: merely cleared is never called 4' 'R6 not-shown medium' --baseline "$TMP/rec"

# ---- each side of each threshold ----------------------------------------------------------------

for gain in 1.01:1-to-3-pays 1:keep-1 0.99:keep-1; do
	ab_file "${gain%:*}" "${gain%:*}" >"$TMP/ab"
	fixture "gain ${gain%:*} of 1 %" "R4 ${gain#*:} high" --baseline "$TMP/top" --baseline "$TMP/box1" --ab "$TMP/ab"
done
fixture '--min-gain is the threshold' 'R4 1-to-3-pays high' --baseline "$TMP/top" --baseline "$TMP/box1" --ab "$TMP/ab" --min-gain 0.9
ab_file 5 5 >"$TMP/ab"
# T 0.25 and M 0.25 leave F 0.5 % of 400 s: 2 s.
for e in 1999000000:1-to-3-pays 2000000000:1-to-3-pays 2001000000:keep-1; do
	top_rec $T 100 "${e%:*}" 1000000000 >"$TMP/rec"
	fixture "F of ${e%:*} ns" "R4 ${e#*:} high" --baseline "$TMP/rec" --baseline "$TMP/box1" --ab "$TMP/ab"
done
fixture '--max-cost is the threshold' 'R4 1-to-3-pays high' --baseline "$TMP/rec" --baseline "$TMP/box1" --ab "$TMP/ab" --max-cost 1.1
# The first line of a recording counts as well: 2 lines of 3 make 6.
watch_rec $T 100 '[dev + {snoop_control: null}]' '{requests: counting(3)}' >"$TMP/rec"
for n in 5:3-needed 6:not-shown 7:not-shown; do
	fixture "6 requests, --min-requests ${n%:*}" "R6 ${n#*:} medium" --baseline "$TMP/rec" --min-requests "${n%:*}"
done
# What could not be counted is null, and not 0: nothing was seen, and nothing is shown.
watch_rec $T 100 '[dev + {snoop_control: null}]' '{requests: (counting(0) | .sockets[0].partial_writes = null)}' >"$TMP/rec"
fixture 'requests of which one kind is not known' 'R6 3-needed medium' --baseline "$TMP/rec"
is 'its coverage is partial' "$(jq -r '.devices[0].inputs.coverage.value' "$TMP/advice")" partial
watch_rec $T 60 '[dev]' >"$TMP/rec"
fixture 'an overlap of 60 s' 'R5 3-to-4-unproven medium' --baseline "$TMP/rec"
watch_rec $T 59 '[dev]' >"$TMP/rec"
refused 'an overlap of 59 s' 2 'lasts 59\.0 s, less than the 60\.0 s of --min-overlap' "$TOOL" advise --baseline "$TMP/rec"
fixture '--min-overlap is the threshold' 'R5 3-to-4-unproven medium' --baseline "$TMP/rec" --min-overlap 59

# ---- gaps ---------------------------------------------------------------------------------------
# A line stands for the interval before it; what lies between two lines that do not follow each other was watched
# by nobody.

# held FROM SECONDS
held() {
	watch_rec "$1" "$2" '[dev + {no_snoop: "disabled", ability: null, blocked: true, no_snoop_operations: 0}]'
}
{
	held $((T + 1000)) 60
	held $((T + 1300)) 60
} >"$TMP/two"
fixture 'BLOCK in two recordings, 240 s apart' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/two"
like 'and why' "$(jq -r '.devices[0].inputs.block_held.source' "$TMP/advice")" 'nobody watched'
held $((T + 1000)) 360 >"$TMP/whole"
for order in "two whole" "whole two"; do
	read -r one two <<<"$order"
	fixture "unless another recording has no gap ($order)" 'R5 3-to-4-safe high' \
		--baseline "$TMP/box3" --candidate "$TMP/$one" --candidate "$TMP/$two"
done
# A block is judged by all that was recorded, the time in common or not: to 1,050 s, before the gap, and behind it
for end in 50:unproven 150:unproven 350:unproven; do
	top_rec $((T + 990)) $((10 + ${end%:*})) 0 0 '{devices: []}' >"$TMP/topc"
	advise --baseline "$TMP/box3" --candidate "$TMP/two" --candidate "$TMP/topc" --min-overlap 40
	is "a gap from 60 to 300 s, in common until ${end%:*} s" "$(verdict_of | cut -d ' ' -f 2)" "3-to-4-${end#*:}"
done
jq -c 'if .interval_ns > 0 then .interval_ns = 1000000000 else . end' "$TMP/held" >"$TMP/missing"
refused 'lines are missing: too little is left' 2 'missing was not watched for 99\.0 s.*of the 100\.0 s in common is less than the 60\.0 s' \
	"$TOOL" advise --baseline "$TMP/box3" --candidate "$TMP/missing"
fixture 'lines are missing' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/missing" --min-overlap 1
refused 'two short recordings in one file' 2 'two was not watched for 240\.0 s' \
	"$TOOL" advise --baseline "$TMP/two" --min-overlap 121
# M: 2 s of flushes in two recordings of 60 s on 4 CPUs are 0.417 % of their time, not 0.139 %.
for from in 0 300; do
	watch_rec $((T + from)) 60 '[dev + {snoop_control: true}]' '{vms: [{id: "100-9", start: 5000, flush_ns: 500000000}]}'
done >"$TMP/rec"
advise --baseline "$TMP/rec"
is 'M: not over a gap' "$(jq '.devices[0].inputs.m.value * 1000 | round' "$TMP/advice")" 417
advise --baseline "$TMP/top" --baseline "$TMP/box1" --baseline "$TMP/box1"
is 'M: two recordings of the same time have it once' "$(jq '.devices[0].inputs.m.value' "$TMP/advice")" 0.25
jq -c '.log = {lost_events: 0, lost_maps: 3}' "$TMP/box1" >"$TMP/rec"
advise --baseline "$TMP/rec"
is 'M: some of it was lost' "$(jq -r '.devices[0].inputs.m | "\(.value) \(.source)"' "$TMP/advice")" \
	'null some of what the kernel told of flushes was lost, or may have been'
jq -c 'del(.log)' "$TMP/box1" >"$TMP/rec"
advise --baseline "$TMP/rec"
is 'M: or may have been' "$(jq -r '.devices[0].inputs.m.value' "$TMP/advice")" null
watch_rec $T 100 '[dev + {snoop_control: null}]' '{requests: counting(3)}' >"$TMP/rec"
advise --baseline "$TMP/rec" --baseline "$TMP/rec"
is 'two recordings count the same requests' "$(jq '.devices[0].inputs.h.value' "$TMP/advice")" 6
# Two operations, of which one is told, to two watchers
jq -c '.functions[0].no_snoop_operations = 2 | if .interval_ns > 0 then .events = [{kind: "no_snoop", device: "0000:01:00.0", op: 1}]
	else . end' "$TMP/held" >"$TMP/rec"
fixture 'and hear the same operations' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/rec" --candidate "$TMP/rec"

# ---- joining ------------------------------------------------------------------------------------

watch_rec $((T + 60)) 100 '[dev]' >"$TMP/rec"
refused 'two recordings with 40 s in common' 2 'have 40\.0 s in common' "$TOOL" advise --baseline "$TMP/top" --baseline "$TMP/rec"
watch_rec $((T + 600)) 100 '[dev]' >"$TMP/rec"
refused 'two recordings of different times' 2 'have 0\.0 s in common' "$TOOL" advise --baseline "$TMP/top" --baseline "$TMP/rec"
watch_rec $T 100 '[dev + {vm: {id: "200-9", start: 6000, name: "db"}}]' >"$TMP/rec"
refused 'two recordings of different VMs' 2 'no VM in common' "$TOOL" advise --baseline "$TMP/top" --baseline "$TMP/rec"
watch_rec $T 100 '[dev + {vm: {id: "100-9", start: 5001, name: "web01"}}]' >"$TMP/rec"
refused 'the same id, another start' 2 'no VM in common' "$TOOL" advise --baseline "$TMP/top" --baseline "$TMP/rec"
watch_rec $T 100 '[dev + {bdf: "0000:09:00.0"}]' >"$TMP/rec"
refused 'a candidate with other devices' 2 'no device in common' "$TOOL" advise --baseline "$TMP/box3" --candidate "$TMP/rec"
refused 'an A/B of another device' 2 'is about 0000:01:00\.0, which is not in the baseline' \
	"$TOOL" advise --baseline "$TMP/rec" --ab "$TMP/ab"
watch_rec $T 100 '[cleared]' >"$TMP/rec"
watch_rec 1 0 '[unable]' | head -n 1 | jq -c '.command = "list"' >"$TMP/list"
cat "$TMP/list" "$TMP/list" | awk 'NR == 2 { sub(/"time":"[^"]*"/, "\"time\":\"1970-01-01T00:00:06Z\"") } 1' >"$TMP/lists"
fixture 'as do two lists in one file' 'R1 costs-nothing medium' --baseline "$TMP/lists" --baseline "$TMP/rec"
fixture 'a list made at another time adds what it proves' 'R1 costs-nothing medium' --baseline "$TMP/list" --baseline "$TMP/rec"

# A kind that could not be read is none: neither a proof nor a block makes such a device box 4.
watch_rec $T 100 '[cleared + {kind: null}]' >"$TMP/rec"
fixture 'a kind that is not known, the bit cleared' 'R2 never-4 low' --baseline "$TMP/rec"
watch_rec $T 100 '[unable + {kind: null}]' >"$TMP/rec"
fixture 'a kind that is not known, and a proof' 'R2 never-4 low' --baseline "$TMP/rec"
watch_rec $T 100 '[dev + {kind: null}]' >"$TMP/rec"
jq -c '.functions[0].kind = null' "$TMP/held" >"$TMP/rec2"
fixture 'a kind that is not known, blocked' 'R5 3-to-4-unproven medium' --baseline "$TMP/rec" --candidate "$TMP/rec2"
jq -c '.functions[0].kind = null' "$TMP/held" >"$TMP/rec"
fixture 'a kind that the candidate could not read' 'R5 3-to-4-unproven medium' --baseline "$TMP/box3" --candidate "$TMP/rec"
top_rec $T 100 0 0 '{devices: [{bdf: "0000:01:00.0", group: 1, snoop_control: false, no_snoop: "hardwired0", box: 4,
	box_candidates: [4], box_reason: "x", certain: true, name: "a device"}]}' >"$TMP/rec"
fixture 'a proof that wbinvdtop recorded alone' 'R2 never-4 low' --baseline "$TMP/rec"
watch_rec 1 0 '[cleared]' | head -n 1 >"$TMP/list"
fixture 'and with a list that tells the kind' 'R1 kernel-waste high' --baseline "$TMP/rec" --baseline "$TMP/list"

# What is proven of a device that could, of another device, or on another host.
watch_rec 1 0 '[unable]' | head -n 1 >"$TMP/proof"
watch_rec $T 100 '[dev]' >"$TMP/able"
sed '1s/"can"/null/; 1s/"enabled"/"disabled"/; 2s/"can"/null/' "$TMP/able" >"$TMP/once"
refused 'a bit that was set in one reading, and a proof' 2 '0000:01:00\.0 is proven unable \(nosnoop --probe, 2025-01-01' \
	"$TOOL" advise --baseline "$TMP/once" --baseline "$TMP/proof"
for order in "able proof" "proof able"; do
	read -r one two <<<"$order"
	refused "a set bit and a proof ($order)" 2 '0000:01:00\.0 is proven unable' \
		"$TOOL" advise --baseline "$TMP/$one" --baseline "$TMP/$two"
done
watch_rec $((T + 1000)) 100 '[unable]' >"$TMP/other"
for order in "able other" "other able"; do
	read -r one two <<<"$order"
	refused "a set bit and a proof, one each side ($order)" 2 'contradict each other: 0000:01:00\.0' \
		"$TOOL" advise --baseline "$TMP/$one" --candidate "$TMP/$two"
done
for change in '.functions[0].name = "another device"' '.functions[0].vendor = 32902' '.functions[0].device = 1'; do
	watch_rec $T 100 '[cleared + {vendor: 1, device: 2}]' >"$TMP/rec"
	jq -c '.functions[0] += {vendor: 1, device: 2} | '"$change" "$TMP/proof" >"$TMP/list"
	refused "a proof of another device: $change" 2 'different devices at 0000:01:00\.0' \
		"$TOOL" advise --baseline "$TMP/rec" --baseline "$TMP/list"
done
jq -c '.kernel = "6.1.0"' "$TMP/proof" >"$TMP/list"
refused 'a proof made on another kernel' 2 'different kernels or hosts' "$TOOL" advise --baseline "$TMP/rec" --baseline "$TMP/list"

# Its VM ended after 30 of 100 s: 2 s of emulation of 4 CPUs would be 1.7 % of its time.
{
	top_rec $T 30 2000000000 1000000000 '{ended: ($i == 1)}'
	top_rec $T 100 2000000000 1000000000 | tail -n 1 | jq -c '.vms = [] | .interval_ns = 70000000000 |
		.sum.delta |= map_values(if . then 0 else null end)'
} >"$TMP/short"
fixture 'a VM that was there for too short: its cost is not known' 'R4 keep-1 low' \
	--baseline "$TMP/short" --baseline "$TMP/box1" --ab "$TMP/ab"
like 'and why' "$(jq -r '.devices[0].inputs.f.source' "$TMP/advice")" 'less than --min-overlap'
fixture 'unless less is asked for' 'R4 keep-1 high' --baseline "$TMP/short" --baseline "$TMP/box1" --ab "$TMP/ab" --min-overlap 30

# The candidate's VM was started anew: found by name, which is an assumption.
sed 's/"100-9"/"300-9"/g; s/5000/7000/g' "$TMP/box1" | sed "s/$(date -u -d @$T +%FT%T)/$(date -u -d @$((T + 1000)) +%FT%T)/; s/$(date -u -d @$((T + 100)) +%FT%T)/$(date -u -d @$((T + 1100)) +%FT%T)/" | jq -c '.time_ns += 1000000000000' >"$TMP/box1b"
top_rec $((T + 1000)) 100 400000000 0 '{id: "300-9", pid: 300, start: 7000}' >"$TMP/topb"
fixture 'a VM started anew is an assumption' 'R4 1-to-3-pays low' --baseline "$TMP/top" --baseline "$TMP/box1" \
	--candidate "$TMP/topb" --candidate "$TMP/box1b" --ab "$TMP/ab"
is 'its cost is the candidate'\''s' "$(jq '.devices[0].inputs.f.value' "$TMP/advice")" 0.1

top_rec $T 100 2000000000 1000000000 '{devices: [{bdf: "0000:01:00.0", group: 1, snoop_control: false, no_snoop: "enabled", box: 3,
	box_candidates: [3], box_reason: "x", certain: true, name: null}]}' >"$TMP/rec"
advise --baseline "$TMP/rec" --cpus 8
is 'CPUs that are told are an assumption' "$(jq -c '.devices[0].inputs.f | [.value, .origin]' "$TMP/advice")" '[0.25,"assumed"]'

# Each side has the CPUs that its own recordings tell: 2 s of 100 s of 4 are 0.5 %, of 2 they are 1 %.
jq -c '.cpus = 2' "$TMP/box1" >"$TMP/two"
advise --baseline "$TMP/top" --baseline "$TMP/box1" --candidate "$TMP/top" --candidate "$TMP/two"
is 'the candidate has CPUs of its own' "$(jq -c '.devices[0].inputs.f | [.value, .origin]' "$TMP/advice")" '[1,"measured"]'
is 'and so has each side of the list' "$(jq -c '[.vms[] | [.side, .cpus, .f]]' "$TMP/advice")" \
	'[["baseline",4,0.5],["candidate",2,1]]'
is 'M too' "$(jq '.devices[0].inputs.m.value' "$TMP/advice")" 0.5
top_rec $T 100 2000000000 1000000000 '{devices: [{bdf: "0000:01:00.0", group: 1, snoop_control: true, no_snoop: "enabled", box: 3,
	box_candidates: [3], box_reason: "x", certain: true, name: null}]}' >"$TMP/rec"
advise --baseline "$TMP/top" --baseline "$TMP/two" --candidate "$TMP/rec"
is 'what only the other side tells is assumed' "$(jq -c '.devices[0].inputs.f | [.value, .origin]' "$TMP/advice")" '[1,"assumed"]'
for line in 1 2; do
	sed "${line}s/\"cpus\":4/\"cpus\":2/" "$TMP/box1" >"$TMP/rec"
	advise --baseline "$TMP/top" --baseline "$TMP/rec"
	is "CPUs that change: the fewest (line $line)" "$(jq '.devices[0].inputs.f.value' "$TMP/advice")" 1
done

# ---- bad input ----------------------------------------------------------------------------------

: >"$TMP/empty"
mkfifo "$TMP/fifo"
echo '{"schema":"nosnoop/2","time":"2025-01-01T00:00:00Z"}' >"$TMP/version"
echo '{"schema":"wbinvdtop/9","time":"2025-01-01T00:00:00Z"}' >"$TMP/version2"
head -c 300 "$TMP/box3" >"$TMP/cut"
{
	head -n 1 "$TMP/box3"
	echo '{"schema":"nosnoop/1"'
} >"$TMP/cut2"
head -c -20 "$TMP/box3" >"$TMP/cut3"
jq -c 'del(.functions[0].kind)' "$TMP/box3" >"$TMP/nokind"
jq -c '.functions[0].ability = "cannot"' "$TMP/box3" >"$TMP/noproof"
jq -c '.functions[0].suspended = 3' "$TMP/box3" >"$TMP/nobool"
jq -c '.functions += .functions' "$TMP/box3" >"$TMP/twice"
jq -c '.vms += .vms' "$TMP/box3" >"$TMP/vmtwice"
jq -c '.interval_ns = "1"' "$TMP/box3" >"$TMP/nointerval"
jq -c '.log = {lost_events: -1}' "$TMP/box3" >"$TMP/nolost"
jq -c '.log = true' "$TMP/box3" >"$TMP/nolog"
jq -c '.runs |= .[1:]' "$TMP/ab" >"$TMP/ab7"
jq -c '.runs[1].policy = "a"' "$TMP/ab" >"$TMP/aborder"
jq -c '.runs[1].score = 0' "$TMP/ab" >"$TMP/abzero"
jq -c '.schema = "nosnoop-ab/2"' "$TMP/ab" >"$TMP/abversion"
jq -c '.runs[0].score = 1e-300 | .runs[3].score = 1e-300 | .runs[1].score = 1e308' "$TMP/ab" >"$TMP/abinf"
jq -c '.runs[1].score = 1e308 | .runs[2].score = 1e308' "$TMP/ab" >"$TMP/absum"
jq -c '.runs[1].score = 1e200' "$TMP/ab" >"$TMP/absquares"
jq -c '.policy_a = "noncoherent" | .policy_b = "enforced"' "$TMP/ab" >"$TMP/abback"
jq -c '.policy_a = "automatic"' "$TMP/ab" >"$TMP/abauto"
jq -c '.policy_b = "blocked"' "$TMP/ab" >"$TMP/abblocked"
jq -c '.policy_b = "enforced"' "$TMP/ab" >"$TMP/absame"
while IFS='|' read -r words sentence; do
	eval "set -- $words"
	refused "refused: ${words//$TMP\//}" 2 "^nosnoop: .*$sentence" timeout 20 "$TOOL" advise "$@"
done <<TABLE
|--baseline is missing
--baseline ''|'' is not a file name
--baseline $TMP/nonexistent|cannot be opened
--baseline $TMP|the recording $TMP is a directory, not a file
--baseline $TMP/fifo|the recording .*fifo is a pipe, not a file
--baseline /dev/zero|the recording /dev/zero is a device, not a file
--baseline $TMP/box3 --candidate $TMP/fifo|fifo is a pipe, not a file
--baseline $TMP/box3 --ab $TMP/fifo|the file of policy-ab .*fifo is a pipe, not a file
--baseline $TMP/box3 --ab $TMP|the file of policy-ab $TMP is a directory, not a file
--baseline $TMP/box3 --ab /dev/null|the file of policy-ab /dev/null is a device, not a file
--baseline $TMP/empty|is empty
--baseline $TMP/version|nosnoop/2
--baseline $TMP/version2|wbinvdtop/9
--baseline $TMP/cut|cut ends in the middle of line 1, before any is whole
--baseline $TMP/cut3|cut3 ends in the middle of line 2; the 1 before it are whole
--baseline $TMP/cut2|line 2: not a JSON object
--baseline $TMP/nokind|functions\[0\]\.kind is missing
--baseline $TMP/noproof|"cannot" without a proof
--baseline $TMP/twice|functions\[1\]\.bdf is there twice
--baseline $TMP/vmtwice|vms\[1\]\.id is there twice
--baseline $TMP/nointerval|interval_ns
--baseline $TMP/nolost|log\.lost_events
--baseline $TMP/nolog|log is not an object
--baseline $TMP/nobool|functions\[0\]\.suspended
--baseline $TMP/top|the baseline holds no devices
--baseline $TMP/box3 -D 0000:0f:00.0|0000:0f:00\.0 is not in the baseline
--baseline $TMP/box3 -D x|option -D: 'x' is not
--baseline $TMP/box3 --ab $TMP/nonexistent|cannot be opened
--baseline $TMP/box3 --ab $TMP/ab7|not a multiple of 4
--baseline $TMP/box3 --ab $TMP/aborder|runs\[1\] is out of the order
--baseline $TMP/box3 --ab $TMP/abzero|runs\[1\]\.score
--baseline $TMP/box3 --ab $TMP/abinf|abinf: the scores of runs\[0\] to runs\[3\] are too large or too far apart
--baseline $TMP/box3 --ab $TMP/absum|the scores of runs\[0\] to runs\[3\] are too large or too far apart
--baseline $TMP/box3 --ab $TMP/absquares|the scores of runs\[0\] to runs\[7\] are too large or too far apart
--baseline $TMP/box3 --ab $TMP/abback|abback: policy_a is noncoherent and policy_b enforced, which is the gain of blocking
--baseline $TMP/box3 --ab $TMP/abauto|abauto: policy_a and policy_b are not enforced and noncoherent
--baseline $TMP/box3 --ab $TMP/abblocked|policy_a and policy_b are not enforced and noncoherent
--baseline $TMP/box3 --ab $TMP/absame|policy_a and policy_b are not enforced and noncoherent
--baseline $TMP/box3 --ab $TMP/ab --ab $TMP/wide|ab and .*wide are both about 0000:01:00\.0
--baseline $TMP/box3 --ab $TMP/abversion|nosnoop-ab/2
--baseline $TMP/box3 --min-gain -1|option --min-gain: '-1' is not
--baseline $TMP/box3 --max-cost 1e3|option --max-cost: '1e3' is not
--baseline $TMP/box3 --min-overlap 1000000000|lasts 100\.0 s, less than the 1000000000\.0 s
--baseline $TMP/box3 --min-overlap 1000000001|'1000000001' is not a number of seconds from 0 to 1000000000
--baseline $TMP/box3 --min-overlap 18446744074|'18446744074' is not a number of seconds
--baseline $TMP/box3 --min-overlap nan|option --min-overlap: 'nan' is not
--baseline $TMP/box3 --min-requests ''|option --min-requests: '' is not
--baseline $TMP/box3 --cpus 0|option --cpus: '0' is not
--baseline $TMP/box3 --html ''|option --html: '' is not
--baseline $TMP/box3 x|'x' is one argument too many
TABLE
chmod 711 "$TMP"
cp -- "$TMP/box3" "$TMP/secret"
chmod 0 "$TMP/secret"
for words in "--baseline $TMP/secret" "--baseline $TMP/box3 --candidate $TMP/secret" "--baseline $TMP/box3 --ab $TMP/secret"; do
	name="not to be read: ${words//$TMP\//}"
	if "${NOBODY[@]}" test -x "$TOOL" -a -r "$TMP/box3"; then
		# shellcheck disable=SC2086 # words they are
		refused "$name" 3 'secret cannot be opened: Permission denied' "${NOBODY[@]}" "$TOOL" advise $words
	else
		skip "$name" 'the tool or the recordings are where nobody may go'
	fi
done
refused 'a page that cannot be written' 1 'cannot be written' "$TOOL" advise --baseline "$TMP/box3" --html /nonexistent/x.html
"$TOOL" advise --baseline "$TMP/box3" --html /dev/full >"$OUT" 2>"$ERR"
is 'a page on a full disk: status' $? 1

# ---- text and page ------------------------------------------------------------------------------

ab_file 4 5 6 5 >"$TMP/ab"
runs "$TOOL" advise --baseline "$TMP/top" --baseline "$TMP/box1" --ab "$TMP/ab" --html "$TMP/page.html"
is 'text: status' "$STATUS" 0
for part in 'verdict: 1-to-3-pays \(row R4\), confidence high' 'because: iommu = blocks' 'gain_lo +3\.70095 %' \
	'--max-cost 1 %' 'host: 4 CPUs, kernel 6\.12\.0' '95 % interval 3\.70095 to 6\.29905'; do
	like "text: $part" "$(<"$OUT")" "$part"
done
page=$(<"$TMP/page.html")
like 'page: whole' "$page" '^<!DOCTYPE html>.*</html>$'
unlike 'page: nothing is fetched' "$page" '(src|href)="?(https?:)?//|@import|url\('
like 'page: plots' "$page" '<svg.*<polyline.*</svg>'
is 'page: balanced' "$(grep -o '<svg' "$TMP/page.html" | wc -l)" "$(grep -o '</svg>' "$TMP/page.html" | wc -l)"
like 'page: the verdict' "$page" '1-to-3-pays'
watch_rec $T 100 '[dev + {name: "<script>alert(1)</script>\"&"}]' >"$TMP/rec"
"$TOOL" advise --baseline "$TMP/rec" --html "$TMP/page.html" >/dev/null
unlike 'page: names are text' "$(<"$TMP/page.html")" '<script'

# In a browser, as a person would see it.
BROWSER=$(command -v chromium || command -v chromium-browser || command -v google-chrome || :)
if [[ $BROWSER ]]; then
	"$TOOL" advise --baseline "$TMP/top" --baseline "$TMP/box1" --ab "$TMP/ab" --html "$TMP/page.html" >/dev/null
	HOME=$TMP timeout 120 "$BROWSER" --headless --no-sandbox --disable-gpu --user-data-dir="$TMP/profile" \
		--dump-dom "file://$TMP/page.html" >"$TMP/dom" 2>/dev/null
	is 'browser: the plots are there' "$(grep -o '<svg' "$TMP/dom" | wc -l)" "$(grep -o '<svg' "$TMP/page.html" | wc -l)"
	like 'browser: and the verdict' "$(<"$TMP/dom")" 'class="verdict good">1-to-3-pays'
else
	skip 'browser: the page' 'no chromium here'
fi

the_page_agrees
done_testing
