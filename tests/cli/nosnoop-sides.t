#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317 # expressions of jq; functions are passed by name
#
# nosnoop advise: what several recordings tell of one device or VM, on one side and on both, in whatever order they
# are given. Needs no root.
#
# Run by prove. OUT names the build directory (default: build).

set -u -o pipefail

# shellcheck source=tests/cli/nosnoop.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/nosnoop.sh"
# shellcheck source=tests/cli/nsrec.sh disable=SC1094
. "$TOP/tests/cli/nsrec.sh"
T=1735732800

# orders CMD FILE...: CMD with the files as --baseline, in each order that there is
orders() {
	local cmd=$1

	shift
	permute "$cmd" '' "$@"
}

permute() {
	local cmd=$1 done=$2 i
	local -a left=("${@:3}")

	if ((!${#left[@]})); then
		eval "$cmd $done"
		return
	fi
	for i in "${!left[@]}"; do
		permute "$cmd" "$done --baseline '${left[i]}'" "${left[@]:0:i}" "${left[@]:i+1}"
	done
}

# ---- several recordings of wbinvdtop ------------------------------------------------------------
# Each counts since its own start, so that the counters of two do not belong together. 0.2 s in each 10 s of 4 CPUs
# are 0.5 %, whichever recording tells it.

ab_file 5 5 >"$TMP/ab"
watch_rec $T 100 '[dev + {snoop_control: true}]' \
	'{vms: [{id: "100-9", start: 5000, name: "web01", flush_ns: 0}]}' >"$TMP/box1"
top_lines $T 11 10 200000000 100000000 >"$TMP/early"
top_lines $((T + 15)) 10 10 200000000 100000000 >"$TMP/late"
joined() {
	advise "$@"
	is "two recordings of one VM: F, T, M (${*//$TMP\//})" \
		"$(jq -c '.devices[0].inputs | [.f, .t, .m | .value]' "$TMP/advice")" '[0.5,0.25,0]'
}
orders joined "$TMP/early" "$TMP/late" "$TMP/box1"
top_lines $((T + 15)) 9 10 100000000 100000000 >"$TMP/late"
joined() {
	advise "$@"
	is "the longer one is taken (${*//$TMP\//})" "$(input f)" 0.25
}
orders joined "$TMP/early" "$TMP/late" "$TMP/box1"
top_lines $T 11 10 300000000 100000000 >"$TMP/late"
joined() {
	advise "$@"
	is "of two that are as long, the one with the higher cost (${*//$TMP\//})" "$(input f)" 0.75
}
orders joined "$TMP/early" "$TMP/late" "$TMP/box1"

# ---- exits that were not counted, or not timed --------------------------------------------------

top_lines $T 11 10 200000000 100000000 '{}' 'if $i > 5 then {lost: {total: 1, delta: (if $i == 6 then 1 else 0 end)}} else {} end' >"$TMP/lost"
fixture 'exits were lost' 'R4 keep-1 low' --baseline "$TMP/lost" --baseline "$TMP/box1" --ab "$TMP/ab"
like 'lost: why F is not known' "$(input f source)" 'lost'
like 'lost: why T is not known' "$(input t source)" 'lost'
is 'lost: nor is it in the list' "$(jq -c '.vms[0] | [.f, .t]' "$TMP/advice")" '[null,null]'
top_lines $T 11 10 200000000 100000000 '{}' '{lost: {total: 3, delta: 0}}' >"$TMP/rec"
fixture 'exits were lost before' 'R4 1-to-3-pays high' --baseline "$TMP/rec" --baseline "$TMP/box1" --ab "$TMP/ab"
top_lines $T 11 10 200000000 100000000 '{}' 'if $i == 5 then {lost: {total: 1, delta: 1}} else {} end' >"$TMP/rec"
fixture 'an exit that was under way at a reading' 'R4 1-to-3-pays high' --baseline "$TMP/rec" --baseline "$TMP/box1" --ab "$TMP/ab"
top_lines $T 11 10 200000000 100000000 'if $i > 5 then {total: ($c + {untimed: 1}), delta: ($d + {untimed: (if $i == 6 then 1 else 0 end)})} else {} end' |
	jq -c '.sum = (.vms[0] | {total, delta})' >"$TMP/untimed"
fixture 'an exit was not timed' 'R4 keep-1 low' --baseline "$TMP/untimed" --baseline "$TMP/box1" --ab "$TMP/ab"
like 'untimed: why F is not known' "$(input f source)" 'one end'
for order in "lost early" "early lost"; do
	read -r one two <<<"$order"
	fixture "unless another recording lacks none ($order)" 'R4 1-to-3-pays high' \
		--baseline "$TMP/$one" --baseline "$TMP/$two" --baseline "$TMP/box1" --ab "$TMP/ab"
done

# ---- what box 3 costs ---------------------------------------------------------------------------

# boxed NAME REASON VM [LINE]: a recording whose F and T are no cost of box 3
boxed() {
	top_lines $T 11 10 0 0 "$3" "${4:-{\}}" | jq -c '.sum = (.vms[0] | {total, delta})' >"$TMP/rec"
	fixture "$1" 'R4 keep-1 low' --baseline "$TMP/rec" --baseline "$TMP/box1" --ab "$TMP/ab"
	is "$1: F, T" "$(jq -c '.devices[0].inputs | [.f, .t | .value]' "$TMP/advice")" '[null,null]'
	like "$1: why" "$(input f source)" "$2"
}
skipping='$c | if $i > 4 then .skips = 1 | .flushes -= 1 else . end'
for policy in pause force; do
	boxed "WBINVDs under the policy $policy" 'were skipped.*what box 3 costs was not measured' "{policy: \"$policy\"}"
	boxed "under $policy for a while" 'were skipped' "{policy: (if \$i == 4 then \"$policy\" else \"none\" end)}"
done
boxed 'skipped, nobody knows why' 'were skipped' \
	"{total: ($skipping), delta: (if \$i == 5 then (\$d | .skips = 1 | .flushes -= 1) else \$d end)}"
unseen='.flushes = null | .skips = null'
boxed 'a policy that is not told, by a source that does not see skips' 'whether a policy' \
	"{total: (\$c | $unseen), delta: (\$d | $unseen)}" '{events: [], events_lost: 0, events_why: null}'
boxed 'its state is told by the last reading alone' 'known to be non-coherent or not, for less than --min-overlap' \
	'{noncoherent: (if $i == 10 then true else null end)}'
boxed 'its state is not told by all readings' 'not recorded all through' '{noncoherent: (if $i == 3 then null else true end)}'
# Known from 20 s on: 0.3 s in each 10 s of 4 CPUs are 0.75 %, whatever was before.
top_lines $T 11 10 300000000 0 '{noncoherent: (if $i < 2 then null else true end)}' |
	jq -c 'if .time_ns < 20000000000 then .vms[0] |= (.total |= (.emulation_ns = 0) | .delta |= (.emulation_ns = 0)) | .sum = (.vms[0] | {total, delta}) else . end' >"$TMP/rec"
advise --baseline "$TMP/rec" --baseline "$TMP/box1"
is 'its state is told from a reading on: F and T are from there' "$(jq -c '[.vms[0].seconds, .devices[0].inputs.f.value]' "$TMP/advice")" '[80,0.75]'

# ---- stalls of which the VM is not known --------------------------------------------------------

# 0.4 s of stalls in each 10 s of 4 CPUs are 1 %, by one of several VMs; 0.1 s more are the VM's own, 0.25 %.
shared='if $i == 0 then {} else {sum: {total: ($c + {stall_ns: ($c.stall_ns + 400000000 * $i)}), delta: ($d + {stall_ns: ($d.stall_ns + 400000000)})}} end'
top_lines $T 11 10 0 100000000 '{}' "$shared" >"$TMP/rec"
fixture 'stalls by one of several VMs' 'R4 keep-1 high' --baseline "$TMP/rec" --baseline "$TMP/box1" --ab "$TMP/ab"
is 'may be this one: T' "$(input t)" 1.25
like 'and its source says so' "$(input t source)" 'by one of several VMs'
watch_rec $T 100 '[unable]' >"$TMP/unable"
fixture 'which are not called recoverable' 'R1 kernel-waste high' --baseline "$TMP/rec" --baseline "$TMP/unable"
like 'but the rest is' "$(jq -r '.devices[0].notes[]' "$TMP/advice")" 'Recoverable: 0\.25 %'
# Another VM that ended took its own stalls with it.
top_lines $T 11 10 0 100000000 '{}' 'if $i == 0 then {} else {sum: {total: ($c + {stall_ns: ($c.stall_ns + 7000)}),
	delta: ($d + {stall_ns: ($d.stall_ns + if $i == 1 then 7000 else 0 end)})}} end' |
	jq -c 'if .time_ns == 11000000000 then .vms += [.vms[0] | .id = "200-9" | .pid = 200 | .name = "gone" | .ended = true |
		.total |= (map_values(if . then 0 else null end) | .stall_ns = 7000) | .delta = .total] else . end' >"$TMP/rec"
advise --baseline "$TMP/rec" --baseline "$TMP/box1"
is 'what an ended VM caused is not shared' "$(input t)" 0.25

# ---- several recordings of wbinvdtop in one file ------------------------------------------------

idle='map_values(if . then 0 else null end)'
top_lines $T 11 10 0 0 | jq -c ".vms[0] |= (.total |= $idle | .delta |= $idle) | .sum = (.vms[0] | {total, delta})" >"$TMP/idle"
top_lines $((T + 1100)) 11 10 1200000000 0 | tail -n +2 >"$TMP/second"
watch_rec $T 1200 '[dev + {snoop_control: true}]' '{vms: [{id: "100-9", start: 5000, name: "web01", flush_ns: 0}]}' >"$TMP/long"
tail -n +2 "$TMP/idle" | cat - "$TMP/second" >"$TMP/rec"
fixture 'two runs of wbinvdtop --json' 'R4 keep-1 low' --baseline "$TMP/rec" --baseline "$TMP/long" --ab "$TMP/ab"
like 'and why' "$(input f source)" 'lines of wbinvdtop.s recording are missing, or it is several'
is 'nor is it in the list' "$(jq -c '.vms[0] | [.f, .t]' "$TMP/advice")" '[null,null]'
fixture 'but not of the time of the second alone' 'R4 keep-1 high' --baseline "$TMP/rec" --baseline "$TMP/second" --baseline "$TMP/long" --ab "$TMP/ab"
is 'whose F it is' "$(input f)" 3
sed 5d "$TMP/early" >"$TMP/missing"
advise --baseline "$TMP/missing" --baseline "$TMP/box1"
is 'a line that is missing' "$(input f)" null
top_lines $T 11 10 200000000 100000000 '{noncoherent: (if $i == 3 then null else true end)}' >"$TMP/untold"
for other in missing untold; do
	whole() {
		advise "$@"
		is "unless another recording has all (${*//$TMP\//})" "$(input f)" 0.5
	}
	orders whole "$TMP/$other" "$TMP/early" "$TMP/box1"
done
{
	top_lines $T 11 10 10000000 0
	jq -c '.vms[0] |= (.total.exits += 90 | .total.flushes += 90 | .delta.exits += 90 | .delta.flushes += 90 | .total.cpus_flushed += 180) |
		.sum = (.vms[0] | {total, delta})' "$TMP/second"
} >"$TMP/rec"
refused 'two runs, the second with more' 2 'line 12: sum\.delta\.exits is more than sum\.total grew by: another recording begins here' \
	"$TOOL" advise --baseline "$TMP/rec" --baseline "$TMP/long"

# ---- the wall clock -----------------------------------------------------------------------------

# later SECONDS: of what is from 50 s on of a recording
later() {
	jq -c 'if .time_ns > 50000000001 then .time = (((.time[0:19] + "Z") | fromdate + $s) | todate | rtrimstr("Z")) + ".000000000Z" else . end' \
		--argjson s "$1"
}
stepped='time has moved by 3600\.0 s against time_ns: the clock was set, or the host slept'
later 3600 <"$TMP/early" >"$TMP/rec"
refused 'a wall clock that is set, of wbinvdtop' 2 "rec: in the line 50\.0 s behind the first, $stepped" "$TOOL" advise --baseline "$TMP/rec" --baseline "$TMP/box1"
later 3600 <"$TMP/box1" >"$TMP/rec"
refused 'of nosnoop' 2 "rec: in the line 100\.0 s behind the first, $stepped" "$TOOL" advise --baseline "$TMP/rec"
later -2 <"$TMP/box1" >"$TMP/rec"
refused 'backwards' 2 'by -2\.0 s against' "$TOOL" advise --baseline "$TMP/rec"
# Of 100 s by a clock that gained one, 2 s are 0.5 % of 4 CPUs.
later 1 <"$TMP/early" >"$TMP/rec"
later 1 <"$TMP/box1" >"$TMP/rec2"
advise --baseline "$TMP/rec" --baseline "$TMP/rec2"
is 'a leap second is none, and in no length' "$(jq -c '[.vms[0].seconds, .devices[0].inputs.f.value]' "$TMP/advice")" '[100,0.5]'

jq -c '.time_ns += 3600000000000' "$TMP/early" >"$TMP/rec"
apart() {
	refused "two recordings of one VM, hours apart (${*//$TMP\//})" 2 \
		'(rec|box1) and .*(box1|rec) both have VM 100-9 .*, but time is 3600\.0 s further from time_ns in one: they are of different times' "$TOOL" advise "$@"
}
orders apart "$TMP/rec" "$TMP/box1"
jq -c '.time_ns += 1200000000' "$TMP/early" >"$TMP/rec"
advise --baseline "$TMP/rec" --baseline "$TMP/box1"
is 'a leap second and what reading takes is not' "$STATUS" 0
jq -c '.time_ns += 3600000000000 | .vms[0].start = 6000' "$TMP/early" >"$TMP/rec"
watch_rec $T 100 '[dev + {vm: {id: null, start: null, name: null}}]' '{vms: []}' >"$TMP/rec2"
advise --baseline "$TMP/rec" --baseline "$TMP/rec2"
is 'nor is another VM the same' "$STATUS" 0
jq -c '.time_ns += 3600000000000' "$TMP/box1" >"$TMP/rec"
advise --baseline "$TMP/box1" --candidate "$TMP/rec"
is 'nor are two sides of one time' "$STATUS" 0

# ---- lists in the file of a recording -----------------------------------------------------------

watch_rec $T 10 '[dev + {snoop_control: null}]' '{requests: counting(0)}' >"$TMP/brief"
for from in -1000 1000; do
	watch_rec $((T + from)) 0 '[dev + {snoop_control: null}]' | head -n 1 | jq -c '.command = "list" | del(.vms)' >"$TMP/moment$from"
done
for files in 'moment-1000 brief' 'brief moment1000'; do
	(cd "$TMP" && eval "cat $files" >rec)
	refused "no time is watched with a list: $files" 2 'rec was not watched for (990|1000)\.0 s' "$TOOL" advise --baseline "$TMP/rec"
done
cat "$TMP/moment-1000" "$TMP/brief" "$TMP/moment1000" >"$TMP/rec"
refused 'a recording between two lists' 2 'rec begins and ends with what nosnoop list tells' "$TOOL" advise --baseline "$TMP/rec"
cat "$TMP/moment-1000" "$TMP/long" "$TMP/moment1000" >"$TMP/rec"
refused 'long or not' 2 'rec begins and ends with what nosnoop list tells' "$TOOL" advise --baseline "$TMP/rec"
cat "$TMP/moment-1000" "$TMP/long" >"$TMP/rec"
fixture 'a list before a recording that is long enough' 'R3 keep-1-unmeasured medium' --baseline "$TMP/rec"

# ---- the order of the files ---------------------------------------------------------------------

# A list is of one moment; a recording knows what was in the time in common.
watch_rec $T 100 '[dev + {snoop_control: true, domain: {box: 3}}]' \
	'{vms: [{id: "100-9", start: 5000, name: "web01", flush_ns: 0}]}' >"$TMP/box3"
watch_rec $((T + 500)) 0 '[dev + {snoop_control: true, domain: {box: null}, vm: {id: "700-1", start: 9, name: "db"}}]' |
	head -n 1 | jq -c '.command = "list" | del(.vms)' >"$TMP/list"
pays() {
	fixture "a list undoes nothing (${*//$TMP\//})" 'R4 1-to-3-pays high' "$@" --ab "$TMP/ab"
	is 'its VM' "$(jq -r '.devices[0].vm.name' "$TMP/advice")" web01
}
orders pays "$TMP/early" "$TMP/box3" "$TMP/list"
kept() {
	advise "$@"
	like "nor what it is attached to (${*//$TMP\//})" "$(jq -r '.devices[0].notes[]' "$TMP/advice")" 'It is in box 3 now'
}
orders kept "$TMP/early" "$TMP/box3" "$TMP/list"
jq -c '.functions[0].snoop_control = false' "$TMP/list" >"$TMP/rec"
contradict() {
	refused "what the IOMMU can (${*//$TMP\//})" 2 'contradict each other: the IOMMU in front of 0000:01:00\.0' "$TOOL" advise "$@"
}
orders contradict "$TMP/early" "$TMP/box3" "$TMP/rec"
# The VM's name is told by some, and not by all.
watch_rec $T 100 '[dev + {vm: {id: null, start: null, name: null}}]' >"$TMP/noowner"
jq -c '.vms[0].name = "web01"' "$TMP/noowner" >"$TMP/named"
watch_rec $T 100 '[dev + {vm: {id: "100-9", start: 5000, name: null}}]' >"$TMP/noname"
name() {
	advise "$@"
	is "a VM's name (${*//$TMP\//})" "$(jq -r '.devices[0].vm.name' "$TMP/advice")" web01
}
orders name "$TMP/noowner" "$TMP/named" "$TMP/noname"

# ---- what was seen of the bit -------------------------------------------------------------------

watch_rec 1 0 '[unable]' | head -n 1 | jq -c '.command = "list"' >"$TMP/proof"
watch_rec $T 100 '[cleared + {set_readings: $i}]' >"$TMP/between"
fixture 'a bit that was set between two lines' 'R5 3-to-4-unproven medium' --baseline "$TMP/between"
is 'it can' "$(input ability)" can
is 'and was seen set' "$(input bit_seen_set)" yes
refused 'which no proof undoes' 2 '0000:01:00\.0 is proven unable' "$TOOL" advise --baseline "$TMP/between" --baseline "$TMP/proof"
watch_rec $T 100 '[cleared]' >"$TMP/cleared"
watch_rec $((T + 1000)) 100 '[cleared + {set_readings: $i}]' >"$TMP/rec"
fixture 'a bit that only the candidate saw set' 'R5 3-to-4-unproven high' --baseline "$TMP/cleared" --candidate "$TMP/rec"
is 'that it was counts' "$(input bit_seen_set)" yes
refused 'nor does a proof of the other side' 2 'contradict each other: 0000:01:00\.0' \
	"$TOOL" advise --baseline "$TMP/proof" --candidate "$TMP/rec"

# Five lines, of which only the second and third are in the time in common
top_lines $((T + 1000)) 11 10 0 0 >"$TMP/window"
blocked='[dev + {no_snoop: "disabled", ability: null, blocked: true, no_snoop_operations: 0}]'
jq -nc "$NS_DEFS"'range(5) as $i | {schema: "nosnoop/1", command: "watch", kernel: "6.12.0", time: at($t + $i * 80),
	time_ns: mono($t + $i * 80), interval_ns: (if $i == 0 then 0 else 80000000000 end), cpus: 4, requests: counting(5),
	log: {heard: true, lost_events: 0, lost_maps: 0}, vms: [], functions: '"$blocked"'}' --argjson t $((T + 930)) >"$TMP/five"
watch_rec $T 100 '[dev]' >"$TMP/able"
sides() {
	fixture "$1" "R5 3-to-4-$2" --baseline "$TMP/able" --candidate "$TMP/rec" --candidate "$TMP/window" --min-overlap 40
}
cp -- "$TMP/five" "$TMP/rec"
sides 'BLOCK held all through' 'safe high'
for change in '.functions[0].blocked = false' '.functions[0].no_snoop = "enabled"' '.functions[0].set_readings = 1' \
	'.events = [{kind: "no_snoop", device: "0000:01:00.0", op: 0}]'; do
	jq -c "if .time_ns > 1130000000000 then $change else . end" "$TMP/five" >"$TMP/rec"
	sides "outside the time in common: $change" 'unproven high'
done
jq -c 'if .time_ns > 1230000000000 then .interval_ns -= 1000000000 else . end' "$TMP/five" >"$TMP/rec"
sides 'a gap outside the time in common' 'unproven medium'
advise --baseline "$TMP/five" --baseline "$TMP/window" --min-overlap 40
is 'requests are those of the time in common' "$(input h)" 15

# ---- what the candidate could not tell ----------------------------------------------------------

watch_rec $((T + 1000)) 100 "$blocked" >"$TMP/held"
for change in '.group_size = null' '.kind = null' '.listed = null' '.backdoor = null'; do
	jq -c ".functions[0]$change" "$TMP/held" >"$TMP/rec"
	fixture "a candidate with $change" 'R5 3-to-4-unproven medium' --baseline "$TMP/able" --candidate "$TMP/rec"
done
jq -c '.functions[0].snoop_control = true' "$TMP/held" >"$TMP/rec"
refused 'a candidate with another IOMMU' 2 'the IOMMU in front of 0000:01:00\.0 can block no-snoop in one' \
	"$TOOL" advise --baseline "$TMP/able" --candidate "$TMP/rec"
for change in '.name = "another device"' '.vendor = 2' '.device = 3'; do
	watch_rec $T 100 '[dev + {vendor: 1, device: 1}]' >"$TMP/rec"
	jq -c ".functions[0] += {vendor: 1, device: 1} | .functions[0]$change" "$TMP/held" >"$TMP/other"
	refused "another device: $change" 2 'the candidate has another device than the baseline at 0000:01:00\.0' \
		"$TOOL" advise --baseline "$TMP/rec" --candidate "$TMP/other"
done
for rec in box3 early; do
	jq -c '.kernel = "6.1.0"' "$TMP/$rec" >"$TMP/$rec.other"
done
fixture 'costs of a candidate of another kernel' 'R4 1-to-3-pays low' --baseline "$TMP/early" --baseline "$TMP/box1" \
	--candidate "$TMP/early.other" --candidate "$TMP/box3.other" --ab "$TMP/ab"
is 'are assumed' "$(jq -c '.devices[0].inputs | [.f, .t, .m | .origin]' "$TMP/advice")" '["assumed","assumed","assumed"]'

# ---- requests -----------------------------------------------------------------------------------

watch_rec $T 100 '[dev + {snoop_control: null, socket: 1}]' '{requests: counting(3)}' >"$TMP/rec"
fixture 'the socket of the device is not counted' 'R6 3-needed low' --baseline "$TMP/rec"
is 'its coverage is none' "$(input coverage)" none
is 'and its requests are not 0' "$(input h)" null
watch_rec $T 100 '[dev + {snoop_control: null, socket: null}]' '{requests: counting(3)}' >"$TMP/rec"
fixture 'the socket of the device is not known' 'R6 3-needed medium' --baseline "$TMP/rec"
like 'and the source says so' "$(input h source)" 'of all sockets'
top_rec $T 100 0 0 '{devices: [{bdf: "0000:01:00.0", group: 1, snoop_control: null, no_snoop: "enabled", box: null,
	box_candidates: [1, 3], box_reason: "x", certain: false, name: "a device"}]}' >"$TMP/rec"
fixture 'nobody counted' 'R6 3-needed low' --baseline "$TMP/rec"
is 'which is no measurement of none' "$(jq -c '.devices[0].inputs.coverage | [.value, .origin]' "$TMP/advice")" '[null,"unknown"]'

# ---- a gain measured elsewhere ------------------------------------------------------------------

for change in '.host.kernel = "6.1.0"=under the kernel' 'del(.host)=does not tell' \
	'.host.kind = "emulated: counts valid, times not"=emulated'; do
	jq -c "${change%=*}" "$TMP/ab" >"$TMP/rec"
	fixture "a gain with ${change%=*}" 'R4 1-to-3-pays medium' --baseline "$TMP/early" --baseline "$TMP/box1" --ab "$TMP/rec"
	like 'and why' "$(input gain_lo source)" "${change##*=}"
done
jq -c '.host = 3' "$TMP/ab" >"$TMP/rec"
refused 'a host that is none' 2 'host is not an object' "$TOOL" advise --baseline "$TMP/box1" --ab "$TMP/rec"

# ---- a VM's devices -----------------------------------------------------------------------------

watch_rec $T 100 '[dev + {snoop_control: true, domain: {box: 3}}, dev + {bdf: "0000:02:00.0"}]' >"$TMP/rec"
advise --baseline "$TMP/early" --baseline "$TMP/rec"
like 'in box 3, kept there by another device, too' "$(jq -r '.devices[0].notes[]' "$TMP/advice")" '0000:02:00\.0 stays in box 3'
is 'both make the VM non-coherent' "$(jq -c '.vms[0].noncoherent_devices' "$TMP/advice")" '["0000:01:00.0","0000:02:00.0"]'

# ---- many devices -------------------------------------------------------------------------------

ten_lines $T >"$TMP/rec"
ten_lines $((T + 1000)) >"$TMP/rec2"
advise --baseline "$TMP/rec" --candidate "$TMP/rec2"
is '1,000 functions in both sides' "$(jq '.devices | length' "$TMP/advice")" 1000

# ---- trees of elsewhere -------------------------------------------------------------------------

watch_rec $T 100 '[unable]' '{kernel: null, cpus: null}' >"$TMP/rec"
advise --baseline "$TMP/rec"
is 'a tree that tells neither kernel nor CPUs' "$STATUS $(jq -c '[.kernel, .cpus_assumed]' "$TMP/advice")" '0 [null,true]'
like '... as text' "$("$TOOL" advise --baseline "$TMP/rec" | tail -n 1)" '\(assumed\), kernel unknown'

# ---- the page -----------------------------------------------------------------------------------

# F is 0.75 %, T half of it, of two readings: one value each, as long as the time between them
top_rec $T 100 3000000000 1500000000 >"$TMP/two"
watch_rec $T 100 '[dev]' >"$TMP/rec"
"$TOOL" advise --baseline "$TMP/two" --baseline "$TMP/rec" --html "$TMP/page" >/dev/null
is 'what two readings say is drawn' "$(grep -c 'points="[0-9.]*,\([0-9.]*\) [0-9.]*,\1 "/>' "$TMP/page")" 2

# A plot shows what the text knows, and its caption says what is not.
page() {
	"$TOOL" advise "$@" --html "$TMP/page" >"$TMP/text"
}
page --baseline "$TMP/lost" --baseline "$TMP/box1"
is 'F and T that are not known are not drawn' "$(grep -c '<polyline' "$TMP/page")" 0
like 'and the page says so' "$(<"$TMP/page")" 'F, emulation \(solid\)</span> not known.*\(dashed\)</span> not known'
page --baseline "$TMP/early" --baseline "$TMP/box1"
is 'those that are known are' "$(grep -c '<polyline' "$TMP/page")" 2
top_lines $T 11 10 200000000 100000000 'if $i > 2 then {ended: ($i == 3)} else {} end' | jq -c 'if .time_ns > 31000000001 then .vms = [] else . end' >"$TMP/ended"
page --baseline "$TMP/ended" --baseline "$TMP/box1"
is 'nor what is too short' "$(grep -c '<polyline' "$TMP/page")" 0
# A gain without an interval; what the candidate ran on; long notes.
ab_file 5 >"$TMP/ab1"
page --baseline "$TMP/early" --baseline "$TMP/box1" --ab "$TMP/ab1"
like 'one block in the text' "$(<"$TMP/text")" 'A/B: copy, noncoherent against enforced: 5 %, 95 % interval not known, 1 block'
like 'and on the page' "$(<"$TMP/page")" 'A/B: copy, 1 blocks, noncoherent against enforced: 5 %, 95 % interval not known\.'
jq -c '.cpus = 2' "$TMP/box1" >"$TMP/two-cpus"
page --baseline "$TMP/box1" --candidate "$TMP/two-cpus"
like 'the CPUs of either side in the text' "$(tail -n 1 "$TMP/text")" '^host: 4 CPUs, kernel 6\.12\.0; of the candidate: 2 CPUs, kernel 6\.12\.0$'
like 'and on the page' "$(<"$TMP/page")" 'Kernel 6\.12\.0, 4 CPUs; of the candidate kernel 6\.12\.0, 2 CPUs\. Recordings'
watch_rec $T 100 '[unable + {vm: {id: "100-9", start: 5000, name: ("n" * 1500)}}, dev + {bdf: "0000:02:00.0"}]' >"$TMP/rec"
page --baseline "$TMP/rec"
like 'a long note is whole in the text' "$(<"$TMP/text")" 'nn are carried out all the same, and nothing is saved\.'
like 'and on the page' "$(<"$TMP/page")" 'nn are carried out all the same, and nothing is saved\.</p>'

# ---- the ends of files --------------------------------------------------------------------------

for rec in early box1; do
	{
		cat -- "$TMP/$rec"
		echo
	} >"$TMP/$rec.empty"
	{
		printf '\xef\xbb\xbf'
		cat -- "$TMP/$rec"
	} >"$TMP/$rec.mark"
	refused "a byte order mark: $rec" 2 "$rec\.mark begins with a byte order mark: take that away" "$TOOL" advise --baseline "$TMP/$rec.mark"
	sed '1G' "$TMP/$rec" >"$TMP/rec"
	refused "an empty line in between: $rec" 2 'line 2: not' "$TOOL" advise --baseline "$TMP/rec" --baseline "$TMP/box1"
done
fixture 'an empty line at the end is none' 'R4 1-to-3-pays high' --baseline "$TMP/early.empty" --baseline "$TMP/box1.empty" --ab "$TMP/ab"

# ---- addresses and files ------------------------------------------------------------------------

for rec in '[dev + {bdf: "<i>x</i>"}]' '[dev + {bdf: "0000:01:20.0"}]'; do
	watch_rec $T 100 "$rec" >"$TMP/rec"
	refused "no address: $rec" 2 'functions\[0\]\.bdf is no PCI address' "$TOOL" advise --baseline "$TMP/rec"
done
top_rec $T 100 0 0 '{devices: [{bdf: "<i>x</i>", group: 1, snoop_control: null, no_snoop: "enabled", box: null,
	box_candidates: [1, 3], box_reason: "x", certain: false, name: "a device"}]}' >"$TMP/rec"
refused 'no address, of wbinvdtop' 2 'is no PCI address' "$TOOL" advise --baseline "$TMP/rec"
cp -- "$TMP/early" "$TMP/precious"
ln -- "$TMP/precious" "$TMP/link"
refused 'a page over an input' 2 'link is .*precious, which would be lost' \
	"$TOOL" advise --baseline "$TMP/precious" --baseline "$TMP/box1" --html "$TMP/link"
is 'the input is as it was' "$(cksum <"$TMP/precious")" "$(cksum <"$TMP/early")"

the_page_agrees
done_testing
