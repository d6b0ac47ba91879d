#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317 # expressions of jq; functions are passed by name
#
# nosnoop advise: what looks like a proof or a measurement, and is none: moments for a time, a half for the whole, a
# reading of another time, one recording's word against another's. Needs no root.
#
# Run by prove. OUT names the build directory (default: build).

set -u -o pipefail

# shellcheck source=tests/cli/nosnoop.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/nosnoop.sh"
# shellcheck source=tests/cli/nsrec.sh disable=SC1094
. "$TOP/tests/cli/nsrec.sh"
T=1735732800
LATER=$((T + 1000))
MUCH_LATER=$((T + 90000))
BLOCKED='dev + {no_snoop: "disabled", ability: null, blocked: true, no_snoop_operations: 0}'
OTHER='{bdf: "0000:02:00.0"}'
NOWHERE='{vm: {id: null, start: null, name: null}}'
VMS='{vms: [{id: "100-9", start: 5000, name: "web01", flush_ns: 0}]}'
LIST='.command = "list" | .interval_ns = 0 | del(.vms, .requests, .log)'
ab_file 5 5 >"$TMP/ab"
top_rec $T 100 2000000000 0 >"$TMP/top"
watch_rec $T 100 '[dev]' >"$TMP/able"
watch_lines $LATER 11 10 "[$BLOCKED]" >"$TMP/held"

# r5 NAME WANTED ARG...: with "able" as the baseline
r5() {
	local name=$1 wanted=$2

	shift 2
	fixture "$name" "R5 3-to-4-$wanted" --baseline "$TMP/able" "$@"
}

# r4 NAME WANTED ARG...: by an A/B file
r4() {
	local name=$1 wanted=$2

	shift 2
	fixture "$name" "R4 $wanted" --ab "$TMP/ab" "$@"
}

# device BDF BOX: as wbinvdtop lists it
device() {
	jq -nc '{bdf: $bdf, group: 1, snoop_control: false, no_snoop: "disabled", box: $box, box_candidates: [$box], box_reason: "x",
		certain: true, name: "a device"}' --arg bdf "$1" --argjson box "$2"
}

# ---- whether a block held -----------------------------------------------------------------------

r5 'BLOCK held' 'safe high' --candidate "$TMP/held"
watch_lines $LATER 2 100 "[$BLOCKED]" | tail -n 1 >"$TMP/one"
watch_lines $MUCH_LATER 2 100 "[$BLOCKED]" | tail -n 1 >"$TMP/one2"
r5 'one line' 'unproven medium' --candidate "$TMP/one"
r5 'two lines of two recordings' 'unproven medium' --candidate "$TMP/one" --candidate "$TMP/one2"
r5 'one line twice' 'unproven medium' --candidate "$TMP/one" --candidate "$TMP/one"
r5 'one line beside a recording' 'safe high' --candidate "$TMP/one" --candidate "$TMP/held"

cat -- "$TMP/held" <(watch_lines $MUCH_LATER 11 10 "[$BLOCKED]") >"$TMP/gapped"
r5 'a gap of a day' 'unproven medium' --candidate "$TMP/gapped"
like 'a gap of a day: why' "$(input block_held source)" 'nobody watched'
orders_of_two() {
	r5 "$1" "$2" --candidate "$TMP/$3" --candidate "$TMP/$4"
	r5 "$1, the other way around" "$2" --candidate "$TMP/$4" --candidate "$TMP/$3"
}
orders_of_two 'and a recording of what was before it' 'unproven medium' gapped held
watch_lines $LATER 893 100 "[$BLOCKED]" >"$TMP/whole"
orders_of_two 'and one that lasts over it' 'safe high' gapped whole
# A list before a recording is no part of it.
cat -- "$TMP/held" <(watch_lines $((LATER + 200)) 11 10 "[$BLOCKED]") >"$TMP/gapped"
cat -- <(head -n 1 "$TMP/held" | jq -c "$LIST") \
	<(watch_lines $((LATER + 180)) 13 10 "[$BLOCKED]") >"$TMP/behind"
r5 'and a list before it, a recording behind its beginning' 'unproven medium' --candidate "$TMP/gapped" --candidate "$TMP/behind" --min-overlap 20

cat -- <(head -n 1 "$TMP/held" | jq -c "$LIST") "$TMP/one" >"$TMP/lone"
r5 'a list and one line' 'unproven medium' --candidate "$TMP/lone" --candidate "$TMP/one2"
r5 'whatever little overlap is wanted: one line' 'unproven medium' --candidate "$TMP/one" --candidate "$TMP/one2" --min-overlap 0
r5 'whatever little overlap is wanted: a gap' 'unproven medium' --candidate "$TMP/gapped" --min-overlap 0

# allowed AT OP BEFORE AFTER: wbinvdtop's recording of 500 s, of which the first 100 are those of "held", with an
# operation of VFIO so many seconds after its beginning
allowed() {
	top_lines $LATER 51 10 0 0 "{devices: [$(device 0000:01:00.0 4)]}" '{events_lost: 0, events_why: null, events:
		(if $i == '"$(($1 / 10))"' then [{time_ns: mono($from + '"$1"'), kind: "no_snoop", pid: 100, tid: 100, comm: "qemu",
			device: "0000:01:00.0", text: "x", vm: "100-9", op: '"$2, before: $3, after: $4"'}] else [] end)}' >"$TMP/events"
}
for at in 20 300; do
	allowed $at 0 0 2048
	orders_of_two "wbinvdtop saw it allowed after $at s" 'unproven high' held events
done
allowed 20 256 2048 0
orders_of_two 'blocked again after a reset, at which it is set' 'safe high' held events
allowed 20 0 0 2048
watch_rec $LATER 100 '[unable]' >"$TMP/unable"
allowed 200 1 2048 0
orders_of_two 'blocked when nobody watched yet or any more' 'safe high' held events
allowed 20 1 2048 0
orders_of_two 'but not while it was watched' 'unproven high' held events
allowed 200 257 0 2048
orders_of_two 'closed when nobody watched any more' 'safe high' held events
allowed 20 256 65535 65535
orders_of_two 'blocked again, and an error read back' 'unproven medium' held events
watch_rec $LATER 100 '[unable]' >"$TMP/unable"
advise --baseline "$TMP/unable" --baseline "$TMP/events"
is 'all ones are no set bit' "$STATUS $(input ability)" '0 cannot'
allowed 20 0 0 2048
# An event may come before anything else of its device, in one file or several.
jq -c '.vms[].devices = []' "$TMP/events" >"$TMP/early"
for order in 'early unable' 'unable early'; do
	read -r one two <<<"$order"
	refused "an event of a device that another file lists ($order)" 2 '0000:01:00\.0 is proven unable .*, but its bit was set' \
		"$TOOL" advise --baseline "$TMP/$one" --baseline "$TMP/$two"
done
refused 'a proof, and an operation that found it set' 2 '0000:01:00\.0 is proven unable .*, but its bit was set' \
	"$TOOL" advise --baseline "$TMP/unable" --baseline "$TMP/events"
jq -c '.events = [{kind: "no_snoop", device: "0000:01:00.0", op: 1, before: 2048, after: 0}]' "$TMP/unable" >"$TMP/rec"
refused 'the same of nosnoop' 2 '0000:01:00\.0 is proven unable .*, but its bit was set' "$TOOL" advise --baseline "$TMP/rec"
jq -c '.functions[0].changes = 2' "$TMP/unable" >"$TMP/rec"
refused 'or one that changed' 2 '0000:01:00\.0 is proven unable .*, but its bit was set' "$TOOL" advise --baseline "$TMP/rec"

for box in 1 3; do
	watch_lines $LATER 11 10 "[$BLOCKED + {domain: {box: (if \$i == 5 then $box else 4 end)}}]" >"$TMP/rec"
	advise --baseline "$TMP/able" --candidate "$TMP/rec"
	is "blocked, and the kernel reports box $box in one line" "$(input block_held) $(input block_held source)" \
		'null VFIO blocked the bit, and the kernel reports the device as able all the same'
done
watch_lines $LATER 11 10 "[$BLOCKED + {domain: {box: 4}}]" >"$TMP/rec"
r5 'and box 4 in all' 'safe high' --candidate "$TMP/rec"
jq -c 'if .time_ns == 1051000000000 then .events = [{time_ns: (.time_ns - 5000000000), kind: "box", device: "0000:01:00.0", box: 3}] else . end' \
	"$TMP/held" >"$TMP/rec"
r5 'or for a moment between two lines' 'unproven medium' --candidate "$TMP/rec"
for box in 1 3; do
	top_rec $LATER 100 0 0 "{devices: [$(device 0000:01:00.0 $box)]}" >"$TMP/rec"
	orders_of_two "or wbinvdtop knows it to be in box $box" 'unproven medium' held rec
done
# Readings are judged as events are: before it is blocked, and when its VM has ended, a device is what it is.
in_box3() {
	device 0000:01:00.0 3 | jq -c '.no_snoop = "enabled"'
}
top_lines $((LATER - 50)) 31 10 0 0 "{devices: [if \$i < 5 or \$i > 16 then $(in_box3) else $(device 0000:01:00.0 4) end]}" >"$TMP/rec"
orders_of_two 'in box 3 before and after it was watched' 'safe high' held rec
top_lines $((LATER - 50)) 31 10 0 0 "{devices: [if \$i == 9 then $(in_box3) else $(device 0000:01:00.0 4) end]}" >"$TMP/rec"
orders_of_two 'but not while it was' 'unproven high' held rec
for at in 50 500; do
	watch_lines $((LATER + at)) 1 1 '[dev + {blocked: false, no_snoop_operations: 0}]' | jq -c "$LIST" >"$TMP/rec"
	orders_of_two "listed as able after $at s" "$([[ $at == 50 ]] && echo 'unproven high' || echo 'safe high')" held rec
done
watch_lines $((LATER + 500)) 1 1 '[dev + {suspended: true, no_snoop: null}]' | jq -c "$LIST" >"$TMP/rec"
orders_of_two 'listed as asleep' 'safe high' held rec
watch_lines $LATER 11 10 '[dev]' >"$TMP/rec"
advise --baseline "$TMP/able" --candidate "$TMP/rec"
like 'a kernel that tells of no block' "$(input block_held) $(input block_held source)" '^null .* do not tell of VFIO'

for kind in vf integrated display; do
	watch_lines $LATER 11 10 "[$BLOCKED + {kind: \"$kind\"}]" >"$TMP/rec"
	r5 "a block of a device that need not obey it: $kind" 'unproven high' --candidate "$TMP/rec"
	is "its kind is a back door: $kind" "$(input backdoor)" yes
done

# ---- whether a device was there, and in box 3 ---------------------------------------------------

watch_lines $T 11 10 "[dev + {snoop_control: true, domain: {box: null}} + $NOWHERE, dev + $OTHER + {snoop_control: true, domain: {box: 3}}]" "$VMS" >"$TMP/rec"
top_lines $T 11 10 200000000 0 "{devices: [$(device 0000:02:00.0 3)]}" | jq -c '.vms[].devices[].snoop_control = true' >"$TMP/without"
watch_lines $((T + 3600)) 1 1 '[dev + {snoop_control: true, domain: {box: 3}}]' | jq -c "$LIST" >"$TMP/list"
r4 'plugged after the recordings, and listed then' 'keep-1 low' --baseline "$TMP/without" --baseline "$TMP/rec" --baseline "$TMP/list"
like 'and why' "$(input f source)" 'in its VM all through'
is 'the other one was there' "$(jq -r '.devices[1].inputs.f.value' "$TMP/advice")" 0.5
watch_lines $T 11 10 "[unable + $NOWHERE]" "$VMS" >"$TMP/rec"
watch_lines $MUCH_LATER 1 1 '[unable]' | jq -c "$LIST" >"$TMP/list"
fixture 'one that is unable, plugged a day later' 'R1 costs-nothing medium' --baseline "$TMP/top" --baseline "$TMP/rec" --baseline "$TMP/list"
is 'is not why WBINVDs are carried out' "$(input only_unable)" null

jq -c '.functions = [.functions[0], .functions[0] + {bdf: "0000:02:00.0", ability: "can", no_snoop: "enabled", proof: {by: null, time: null}, domain: {box: 4}}]' \
	"$TMP/list" >"$TMP/list2"
top_rec $T 100 2000000000 0 "{devices: [$(device 0000:01:00.0 4), $(device 0000:02:00.0 3)]}" >"$TMP/both"
advise --baseline "$TMP/both" --baseline "$TMP/list2"
is 'one that went to box 4 a day later' "$(input only_unable)" no
like 'stays in box 3 as long as it was measured' "$(jq -r '.devices[0].notes[]' "$TMP/advice")" 'while 0000:02:00\.0 stays in box 3'
watch_lines $T 11 10 "[dev, dev + $OTHER | . + {snoop_control: true, domain: {box: null}} + $NOWHERE]" "$VMS" >"$TMP/rec"
jq -c '.vms[].devices[] |= (.certain = false | .box = null | .snoop_control = true)' "$TMP/both" >"$TMP/both2"
watch_lines $MUCH_LATER 1 1 '[dev + {snoop_control: true, domain: {box: 3}}]' | jq -c "$LIST" >"$TMP/list"
r4 'in box 3 a day later' 'keep-1 low' --baseline "$TMP/both2" --baseline "$TMP/rec" --baseline "$TMP/list"
for at in 5 95; do
	watch_lines $((T + at)) 2 1 '[dev + {snoop_control: true, domain: {box: 3}}]' "$VMS" | tail -n 1 >"$TMP/line$at"
done
r4 'in its VM and in box 3 at two moments' 'keep-1 low' --baseline "$TMP/top" --baseline "$TMP/line5" --baseline "$TMP/line95"
watch_lines $T 2 10 '[unable]' "$VMS" | tail -n 1 >"$TMP/rec"
fixture 'unable, and in its VM at one' 'R1 costs-nothing medium' --baseline "$TMP/top" --baseline "$TMP/rec"
watch_lines $T 3 50 '[dev + {snoop_control: true, domain: {box: 3}}]' "$VMS" | jq -c 'if .interval_ns > 0 then
	.events = [{time_ns: (.time_ns - 45000000000), kind: "box", device: "0000:01:00.0", box: 1},
		{time_ns: (.time_ns - 2000000000), kind: "box", device: "0000:01:00.0", box: 3}] else . end' >"$TMP/rec"
r4 'in box 1 between the lines' 'keep-1 low' --baseline "$TMP/top" --baseline "$TMP/rec"
like 'and why' "$(input f source)" 'was blocked'

advise --baseline "$TMP/both2" --baseline "$TMP/list" --ab "$TMP/ab"
is 'no recording of nosnoop: why M is not known' "$(input m source)" "no nosnoop recording of the device's VM"
# A VM that comes while the recording goes on, where another one had the device.
watch_lines $T 121 1 '[dev + {snoop_control: true} + (if $i < 20 then {vm: {id: "90-9", start: 4000, name: "old"}, domain: {box: 1}} else {domain: {box: 3}} end)]' \
	'{vms: [if $i < 20 then {id: "90-9", start: 4000, name: "old", flush_ns: 0} else {id: "100-9", start: 5000, name: "web01", flush_ns: 0} end]}' >"$TMP/rec"
top_lines $T 13 10 100000000 0 '{}' '{vms: []}' >"$TMP/without"
top_lines $T 13 10 100000000 0 >"$TMP/within"
{ head -n 2 "$TMP/without" && tail -n +3 "$TMP/within"; } >"$TMP/late"
r4 'a VM that was started anew' '1-to-3-pays high' --baseline "$TMP/late" --baseline "$TMP/rec"

# Few readings: one before and one behind the time in common tell it if they tell the same.
top_rec $((T + 300)) 200 4000000000 0 >"$TMP/between"
watch_lines $T 2 1000 '[dev + {snoop_control: true, domain: {box: 3}}]' "$VMS" >"$TMP/rec"
advise --baseline "$TMP/between" --baseline "$TMP/rec"
is 'there before and behind' "$(input f)" 0.5
watch_lines $T 2 1000 "[dev + {snoop_control: true} + (if \$i == 0 then {domain: {box: 1}, vm: {id: \"200-9\", start: 6000, name: \"db\"}} else {domain: {box: 3}} end)]" "$VMS" >"$TMP/rec"
advise --baseline "$TMP/between" --baseline "$TMP/rec"
like 'there behind, elsewhere before' "$(input f) $(input f source)" '^null .*in its VM all through'
watch_lines $T 2 1000 "[dev + {snoop_control: true, domain: {box: 3}} + (if \$i == 0 then {} else $NOWHERE end)]" "$VMS" >"$TMP/rec"
advise --baseline "$TMP/between" --baseline "$TMP/rec"
like 'there before, gone behind' "$(input f) $(input f source)" '^null .*in its VM all through'

IN_4='{domain: {box: 4}, blocked: true, no_snoop: "disabled"}'
watch_lines $T 11 10 "[dev + {snoop_control: true} + $IN_4, dev + $OTHER + {snoop_control: true, domain: {box: 3}}]" "$VMS" >"$TMP/rec"
r4 'in box 4 beside one in box 3' 'keep-1 low' --baseline "$TMP/top" --baseline "$TMP/rec"
like 'is not what costs' "$(input f source)" 'was blocked'
is 'nor one of those that make the VM non-coherent' "$(jq -c '.vms[0].noncoherent_devices' "$TMP/advice")" '["0000:02:00.0"]'
watch_lines $T 11 10 "[dev + {snoop_control: true, domain: {box: (if \$i < 6 then 4 else 3 end)}}, dev + $OTHER]" "$VMS" >"$TMP/rec"
r4 'in box 4 for a time' 'keep-1 low' --baseline "$TMP/top" --baseline "$TMP/rec"
watch_lines $T 11 10 "[dev + {snoop_control: true}, dev + $OTHER + $IN_4]" "$VMS" >"$TMP/rec"
r4 'alone but for one in box 4' '1-to-3-pays high' --baseline "$TMP/top" --baseline "$TMP/rec"
watch_lines $T 11 10 "[unable, dev + $OTHER + $IN_4]" "$VMS" >"$TMP/rec"
fixture 'unable, beside one in box 4' 'R1 kernel-waste high' --baseline "$TMP/top" --baseline "$TMP/rec"
unlike 'which does not stay in box 3' "$(jq -r '.devices[0].notes[]' "$TMP/advice")" '0000:02:00\.0'

# The cost is the baseline's, where the candidate was not recorded by wbinvdtop.
watch_lines $T 11 10 '[unable]' "$VMS" >"$TMP/unable"
watch_lines $LATER 11 10 '[unable]' "$VMS" >"$TMP/later"
fixture 'a candidate of nosnoop alone' 'R1 kernel-waste high' --baseline "$TMP/top" --baseline "$TMP/unable" --candidate "$TMP/later"
is 'and its cost' "$(input f)" 0.5

head -n 1 "$TMP/later" >"$TMP/line"
jq -c "$LIST" "$TMP/line" >"$TMP/list"
for moment in line list; do
	fixture "a candidate that is a $moment" 'R1 kernel-waste high' --baseline "$TMP/top" --baseline "$TMP/unable" --candidate "$TMP/$moment"
done
watch_lines $LATER 11 10 "[unable, dev + $OTHER]" "$VMS" >"$TMP/later"
advise --baseline "$TMP/top" --baseline "$TMP/unable" --candidate "$TMP/later" -D 0000:01:00.0
is 'what the candidate has beside it counts all the same' "$(input only_unable) $(jq -r '.devices[0].notes[]' "$TMP/advice" | grep -c '0000:02:00\.0 stays')" 'no 1'
watch_lines $LATER 11 10 '[unable]' "$VMS" >"$TMP/later"
watch_lines $T 11 10 '[dev + {snoop_control: true, domain: {box: 3}}]' "$VMS" >"$TMP/all"
watch_lines $LATER 11 10 '[dev + {snoop_control: true, vm: {id: "200-9", start: 6000, name: "db"}}]' '{vms: [{id: "200-9", start: 6000, name: "db", flush_ns: 0}]}' >"$TMP/rec"
r4 'a candidate in which another VM has it' 'keep-1 low' --baseline "$TMP/top" --baseline "$TMP/all" --candidate "$TMP/rec"

# ---- what was counted, and read -----------------------------------------------------------------

watch_lines $T 5 60 '[dev + {snoop_control: null}]' '{requests: counting(if $i == 3 then 5000 else 0 end)}' >"$TMP/minutes"
top_rec $((T + 61)) 118 0 0 >"$TMP/within"
fixture 'requests in a line that ends a second behind the time in common' 'R6 3-needed medium' --baseline "$TMP/minutes" --baseline "$TMP/within"
is 'are counted' "$(input h)" 5000
top_rec $((T + 61)) 178 20000000 0 >"$TMP/within"
watch_lines $T 5 60 '[dev + {snoop_control: true, domain: {box: 3}}]' '{vms: [{id: "100-9", start: 5000, name: "web01", flush_ns: (if $i == 4 then 50000000000 else 0 end)}]}' >"$TMP/rec"
r4 'flushes in such a line' 'keep-1 high' --baseline "$TMP/within" --baseline "$TMP/rec"
watch_lines $T 3 1000 '[dev + {snoop_control: null}]' '{requests: counting(if $i == 0 then 0 else 70 end)}' >"$TMP/rec"
top_rec $((T + 300)) 200 0 0 >"$TMP/within"
advise --baseline "$TMP/rec" --baseline "$TMP/within"
is 'requests in a line that has all of it' "$(input coverage) $(input h)" 'full 70'

watch_lines $T 11 10 '[cleared + {suspended: ($i > 0)}]' >"$TMP/rec"
advise --baseline "$TMP/rec"
is 'asleep in all lines but one: whether the bit was set' "$(input bit_seen_set)" null
watch_lines $T 3 50 '[cleared + if $i == 1 then {suspended: true, no_snoop: "enabled", ability: "can"} else {} end]' >"$TMP/rec"
advise --baseline "$TMP/rec"
is 'asleep, and last read as set' "$(input bit_seen_set) $(input ability)" 'yes can'

# What the baseline could not read, the candidate may; what it could counts.
watch_rec $T 100 '[cleared + {suspended: true, kind: null, listed: null, backdoor: null}]' >"$TMP/asleep"
fixture 'a proof of the candidate, the baseline asleep' 'R1 costs-nothing medium' --baseline "$TMP/asleep" --candidate "$TMP/later"
for kind in 'kind: "vf"=vf' 'listed: true=listed'; do
	watch_rec $LATER 100 "[cleared + {${kind%=*}}]" >"$TMP/rec"
	fixture "the candidate knows the kind: ${kind#*=}" 'R2 never-4 medium' --baseline "$TMP/asleep" --candidate "$TMP/rec"
	is "the kind: ${kind#*=}" "$(input kind)" "${kind#*=}"
done

# ---- one order of files or the other ------------------------------------------------------------

# either WHAT FILTER FILE FILE: as --baseline beside the others of $WITH
either() {
	local first

	advise "${WITH[@]}" --baseline "$TMP/$3" --baseline "$TMP/$4"
	first=$(jq -c "$2" "$TMP/advice")
	advise "${WITH[@]}" --baseline "$TMP/$4" --baseline "$TMP/$3"
	is "$1, in either order" "$(jq -c "$2" "$TMP/advice")" "$first"
	SAID=$first
}
watch_lines $T 11 10 '[dev + {snoop_control: true, domain: {box: 3}}]' "$VMS" >"$TMP/all"
watch_lines $((T + 94)) 2 1 '[dev + {snoop_control: true, domain: {box: 3}}]' "$VMS" | tail -n 1 >"$TMP/end"
WITH=(--baseline "$TMP/top" --ab "$TMP/ab")
either 'M of a recording and a line' '[.devices[0].verdict, .devices[0].inputs.m.value]' all end
is 'M is the recording'"'"'s' "$SAID" '["1-to-3-pays",0]'
top_lines $T 11 10 200000000 0 >"$TMP/early"
top_lines $((T + 5)) 11 10 200000000 0 >"$TMP/late"
watch_lines $T 11 10 "[dev + {snoop_control: true, domain: {box: 3}} + (if \$i == 10 then $NOWHERE else {} end), dev + $OTHER]" "$VMS" >"$TMP/leaves"
WITH=(--baseline "$TMP/leaves" --ab "$TMP/ab")
either 'two recordings that cost the same' '.devices[0].inputs.f' early late
top_lines $T 11 10 200000000 100000000 >"$TMP/early"
top_lines $T 11 10 100000000 200000000 >"$TMP/late"
WITH=(--baseline "$TMP/all")
either 'or the same in sum' '[.devices[0].inputs | .f, .t | .value]' early late
watch_lines $T 2 100 "[dev, dev + {bdf: \"0000:03:00.0\"}]" "$VMS" >"$TMP/third"
watch_lines $T 2 100 "[dev, dev + $OTHER]" "$VMS" >"$TMP/second"
WITH=(--baseline "$TMP/top")
either 'which devices make a VM non-coherent' '[.vms[0].noncoherent_devices, .devices[0].notes]' third second
top_lines $T 11 10 200000000 0 "{devices: [$(device 0000:01:00.0 3)]}" >"$TMP/t0"
for s in 1 2; do
	jq -c --argjson s $s '.time_ns += $s * 1000000000' "$TMP/t0" >"$TMP/t$s"
done
jq -c '.time_ns += 4000000000' "$TMP/t0" >"$TMP/t4"
for order in 't0 t2 t4' 't4 t0 t2' 't2 t4 t0'; do
	read -r one two three <<<"$order"
	refused "the two that are furthest apart are named ($order)" 2 't4 and .*t0 both .* 4\.0 s further' \
		"$TOOL" advise --baseline "$TMP/$one" --baseline "$TMP/$two" --baseline "$TMP/$three"
done
for order in 't0 t1 t2' 't1 t0 t2' 't2 t1 t0'; do
	read -r one two three <<<"$order"
	refused "three recordings, each a second apart ($order)" 2 '2\.0 s further' \
		"$TOOL" advise --baseline "$TMP/$one" --baseline "$TMP/$two" --baseline "$TMP/$three"
done

# One id and start is one VM, whether its name is told or not.
jq -c '.functions[0].vm.name = null | .vms[0].name = null' "$TMP/all" >"$TMP/unnamed"
r4 'a baseline that does not tell the name' '1-to-3-pays high' --baseline "$TMP/unnamed" \
	--candidate "$TMP/all" --candidate "$TMP/top"
for name in all top; do
	jq -c '(.. | objects | select(.name == "web01").name) = "db"' "$TMP/$name" >"$TMP/$name.db"
done
r4 'which is not that of another name' 'keep-1 low' --baseline "$TMP/all" --candidate "$TMP/all.db" --candidate "$TMP/top.db"

the_page_agrees
done_testing
