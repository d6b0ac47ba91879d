#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016 # expressions of jq
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

# input NAME [MEMBER]: of the first device
input() {
	jq -r ".devices[0].inputs.$1.${2:-value}" "$TMP/advice"
}

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

# top_lines FROM LINES STEP EMULATION_NS STALL_NS [MEMBERS [LINE]]: of wbinvdtop, a line each STEP seconds, whose
# counters grow by so much in each; MEMBERS and LINE are expressions of jq, added to the VM and to the line
top_lines() {
	jq -nc "$NS_DEFS"'
		range($n) as $i | (if $i == 0 then none else counters($e; $s) end) as $d |
		(if $i == 0 then none else counters($e * $i; $s * $i) + {exits: (10 * $i), flushes: (10 * $i), cpus_flushed: (20 * $i)} end) as $c |
		{schema: "wbinvdtop/1", source: "fentry", kernel: "6.12.0", time: at($from + $i * $step),
			time_ns: (1000000000 * ($i * $step + 1)), interval_ns: (if $i == 0 then 0 else $step * 1000000000 end),
			time_scope: "function", lost: {total: 0, delta: 0}, sum: {total: $c, delta: $d},
			vms: [{id: "100-9", pid: 100, start: 5000, name: "web01", ended: false, noncoherent: true,
				total: $c, delta: $d, devices: []} + ('"${6:-{\}}"')], victims: []} + ('"${7:-{\}}"')' \
		--argjson from "$1" --argjson n "$2" --argjson step "$3" --argjson e "$4" --argjson s "$5"
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

done_testing
