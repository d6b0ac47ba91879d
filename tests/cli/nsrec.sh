# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2016 # jq's variables
# Recordings made by hand for nosnoop advise, and what it makes of them.

# shellcheck disable=SC2034
NS_DEFS='
	def at($t): ($t | floor | todate | rtrimstr("Z")) + ".000000000Z";
	# CLOCK_MONOTONIC of a host that is up since one second before 1735732800, or much longer
	def mono($t): (1000000000 * (if $t < 1735732800 then $t % 1000000 + 1 else $t - 1735732799 end) | floor);
	def counters($e; $s): {exits: 10, flushes: 10, skips: 0, untimed: 0, emulation_ns: $e, stall_ns: $s,
		stall_idle_ns: 0, cpus_flushed: 20, mean_ns: null, p50_ns: null, p99_ns: null, max_ns: null};
	def none: counters(0; 0) + {exits: 0, flushes: 0, cpus_flushed: 0};
	def dev: {bdf: "0000:01:00.0", name: "a device", kind: "endpoint", listed: false, backdoor: false,
		snoop_control: false, group_size: 1, ability: "can", proof: {by: null, time: null},
		no_snoop: "enabled", suspended: false, vm: {id: "100-9", start: 5000, name: "web01"}, socket: 0,
		changes: 0, set_readings: 0};
	def unable: dev + {ability: "cannot", no_snoop: "hardwired0",
		proof: {by: "nosnoop --probe", time: "2025-01-01T00:00:00Z"}};
	def cleared: dev + {ability: null, no_snoop: "disabled"};
	def counting($n): {coverage: "full", reason: null, sockets: [{socket: 0, reads: $n, writes: 0, partial_writes: 0}]};
	def blind: {coverage: "none", reason: "this CPU has no such event", sockets: []};
'

# watch_lines FROM LINES STEP DEVICES [MEMBERS]: of nosnoop watch, a line each STEP seconds; DEVICES and MEMBERS
# are expressions of jq for an array and for an object that is added to each line; $i is the number of the line
watch_lines() {
	jq -nc "$NS_DEFS"'
		range($n) as $i | {schema: "nosnoop/1", command: "watch", kernel: "6.12.0", time: at($from + $i * $step),
			time_ns: mono($from + $i * $step), interval_ns: (if $i == 0 then 0 else $step * 1000000000 end), cpus: 4,
			requests: blind, log: {heard: true, lost_events: 0, lost_maps: 0}, vms: [{id: "100-9", start: 5000, flush_ns: null}], functions: ('"$4"')} + ('"${5:-{\}}"')' \
		--argjson from "$1" --argjson n "$2" --argjson step "$3"
}

# watch_rec FROM SECONDS DEVICES [MEMBERS]: two of these lines, one at each end
watch_rec() {
	watch_lines "$1" 2 "${@:2}"
}

# ten_lines FROM: of 1,000 functions in one VM
ten_lines() {
	jq -nc "$NS_DEFS"'[range(1000) | dev + {snoop_control: true, domain: {box: 3}, bdf: "000\(. / 640 | floor):\(10 + (. / 8 | floor) % 80):00.\(. % 8)"}] as $all | range(10) as $i |
		{schema: "nosnoop/1", command: "watch", kernel: "6.12.0", time: at($from + $i * 10), time_ns: mono($from + $i * 10),
			interval_ns: (if $i == 0 then 0 else 10000000000 end), cpus: 4, requests: blind, vms: [], functions: $all}' --argjson from "$1"
}

# top_lines FROM LINES STEP EMULATION_NS STALL_NS [MEMBERS [LINE]]: of wbinvdtop, a line each STEP seconds, whose
# counters grow by so much in each; MEMBERS and LINE are expressions of jq, added to the VM and to the line
top_lines() {
	jq -nc "$NS_DEFS"'
		range($n) as $i | (if $i == 0 then none else counters($e; $s) end) as $d |
		(if $i == 0 then none else counters($e * $i; $s * $i) + {exits: (10 * $i), flushes: (10 * $i), cpus_flushed: (20 * $i)} end) as $c |
		{schema: "wbinvdtop/1", source: "fentry", kernel: "6.12.0", time: at($from + $i * $step),
			time_ns: mono($from + $i * $step), interval_ns: (if $i == 0 then 0 else $step * 1000000000 end),
			time_scope: "function", lost: {total: 0, delta: 0}, sum: {total: $c, delta: $d},
			vms: [{id: "100-9", pid: 100, start: 5000, name: "web01", ended: false, noncoherent: true,
				total: $c, delta: $d, devices: []} + ('"${6:-{\}}"')], victims: []} + ('"${7:-{\}}"')' \
		--argjson from "$1" --argjson n "$2" --argjson step "$3" --argjson e "$4" --argjson s "$5"
}

# top_rec FROM SECONDS EMULATION_NS STALL_NS [MEMBERS]: two of these lines, one at each end
top_rec() {
	top_lines "$1" 2 "${@:2}"
}

# ab_file GAIN...: one block A B B A for each gain in per cent
ab_file() {
	jq -nc '{schema: "nosnoop-ab/1", bdf: "0000:01:00.0", workload: "copy", unit: "MB/s", higher_is_better: true,
		policy_a: "enforced", policy_b: "noncoherent", host: {kernel: "6.12.0", cpu: "a CPU", kind: "bare metal"},
		runs: [$ARGS.positional[] | tonumber | (100, 100 + ., 100 + ., 100)] |
			to_entries | map({policy: "abba"[.key % 4:.key % 4 + 1], score: .value})}' --args -- "$@"
}

# advise ARG...: the verdicts in $TMP/advice
advise() {
	runs "$TOOL" advise --json "$@"
	cp -- "$OUT" "$TMP/advice"
}

# input NAME [MEMBER]: of the first device
input() {
	jq -r ".devices[0].inputs.$1.${2:-value}" "$TMP/advice"
}

verdict_of() {
	jq -r '.devices[] | select(.bdf == "0000:01:00.0") | "\(.row) \(.verdict) \(.confidence)"' "$TMP/advice"
}

FIXTURES=()

# fixture NAME WANTED ARG...: what it is by the page alone is for the_page_agrees
fixture() {
	local name=$1 wanted=$2

	shift 2
	advise "$@"
	is "$name" "$(verdict_of)" "$wanted"
	((STATUS == 0)) || note "$(<"$ERR")"
	mkdir -p -- "$TMP/fixtures"
	cp -- "$TMP/advice" "$TMP/fixtures/${#FIXTURES[@]}"
	FIXTURES+=("$name")
}

# the_page_agrees: on all fixtures so far, at once, as each start of jq takes longer than nosnoop advise
the_page_agrees() {
	local i

	cd -- "$TMP/fixtures" || return
	is "by the page alone: all ${#FIXTURES[@]} fixtures" "$("$TOP/tests/cli/rule-verdict" "${!FIXTURES[@]}")" \
		"$(jq -r '.devices[] | "\(input_filename) \(.bdf) \(.row) \(.verdict) \(.confidence)"' "${!FIXTURES[@]}")"
	((FAILURES == 0)) || for i in "${!FIXTURES[@]}"; do
		note "$i: ${FIXTURES[i]}"
	done
	cd -- "$TOP" || return
}
