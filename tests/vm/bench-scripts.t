#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The scripts of scripts/bench, at small sizes: bad input and the statistics of policy-ab on this
# machine, then all sections and the report in one VM with a device, where every count must be exact.
#
# Run by prove. OUT names the directory of the binaries (default: build), BENCH_KERNEL the kernel, a
# name of scripts/kernel (default: base-7.2) or a bzImage, BENCH_MODULES then the directory that holds
# its lib/modules.

set -u -o pipefail

BUILD=${OUT:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)/build}
KERNEL=${BENCH_KERNEL:-base-7.2} MODULES=${BENCH_MODULES:-}

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../scripts/vfio.sh
. "$TOP/scripts/vfio.sh"

BENCH=$TOP/scripts/bench

# script NAME [ARG]...: scripts/bench/NAME with the build directory of this test
script() {
	local name=$1

	shift
	runs env OUT="$BUILD" "$BENCH/$name" "$@"
}

# bad NAME REGEX SCRIPT [ARG]...
bad() {
	local name=$1 regex=$2 what=$3

	shift 3
	refused "$name" 2 "$regex" env OUT="$BUILD" "$BENCH/$what" "$@"
}

# ---- without a VM ------------------------------------------------------------------------------

test_bad_input() {
	local name

	for name in wbinvd-cost victims map-cost policy-ab all; do
		bad "$name: no such option" "there is no option '--nonsense'" "$name" --nonsense
		bad "$name: no value" "--output needs a value" "$name" --output
		bad "$name: no PCI address" "takes a PCI address" "$name" --device 1:2
		script "$name" --help
		is "$name: --help" "$STATUS $(head -n 1 "$OUT" | cut -d ' ' -f 1,2)" "0 Usage: scripts/bench/$name"
	done
	bad "wbinvd-cost: empty list" "numbers with commas" wbinvd-cost --vcpus 1,
	bad "wbinvd-cost: 0 vCPUs" "from 1 to" wbinvd-cost --vcpus 0
	bad "victims: seconds" "from 1 to 3600" victims --seconds 1h
	bad "map-cost: not whole pages" "multiples of 4 KiB" map-cost --sizes 4,5
	bad "map-cost: policy" "automatic, enforced or noncoherent" map-cost --policy maybe
	bad "policy-ab: one block has no interval" "from 2 to 10000" policy-ab --blocks 1
	bad "policy-ab: A is B" "the same" policy-ab -a enforced -b enforced
	bad "policy-ab: no command" "followed by no command" policy-ab --
	bad "policy-ab: unknown command" "no command" policy-ab -- /nonexistent
	bad "all: unknown section" "no section is named 'lunch'" all lunch
	bad "report: two directories" "one directory" report a b
	refused "report: nothing there" 1 "no results" env OUT="$BUILD" "$BENCH/report" "$TMP/none"
	refused "an output that cannot be" 1 "cannot be written to" \
		env OUT="$BUILD" "$BENCH/policy-ab" -d 01:00.0 -o /dev/null/x -- true
}

# ab [OPTION]... : the workload is a list of scores in $TMP/scores, the next one each time
ab() {
	script policy-ab --device 0000:01:00.0 --output "$TMP/ab" --unit points "$@" -- "$TMP/workload"
}

ab_json() { jq -c "$1" "$TMP/ab/ab.json"; }

test_policy_ab() {
	cat >"$TMP/workload" <<-'END'
		#!/bin/bash
		cd "$(dirname "$0")" && n=$(cat turn 2>/dev/null || echo 0)
		echo "$POLICY $BDF" >>asked
		score=$(sed -n "$((n + 1))p" scores)
		[[ $score != fails ]] || exit 7
		echo $((n + 1)) >turn
		echo "some words first"
		echo "$score"
	END
	chmod +x "$TMP/workload"

	# Gains 10 and 12: mean 11, standard error 1, t 12.706, as in docs/policy-ab.md.
	printf '%s\n' 100 110 110 100 100 fails >"$TMP/scores"
	ab --blocks 2 --workload "reads a list"
	is "policy-ab: a run that fails" "$STATUS $(tail -n 1 "$ERR")" \
		"1 policy-ab: the workload failed under noncoherent (status 7): "
	printf '%s\n' 100 110 110 100 100 112 112 100 >"$TMP/scores"
	ab --blocks 2 --workload "reads a list"
	is "policy-ab: goes on where it stopped" "$STATUS $(grep -c '^policy-ab: run' "$ERR") $(wc -l <"$TMP/ab/raw/runs")" "0 3 8"
	is "policy-ab: A B B A" "$(ab_json '[.runs[].policy] | join("")')" '"abbaabba"'
	is "policy-ab: each under its policy" "$(paste -s -d , "$TMP/asked")" \
		"$(printf '%s 0000:01:00.0\n' enforced noncoherent noncoherent enforced enforced noncoherent noncoherent noncoherent enforced | paste -s -d ,)"
	is "policy-ab: the format" \
		"$(ab_json '[.schema, .bdf, .workload, .unit, .higher_is_better, .policy_a, .policy_b]')" \
		'["nosnoop-ab/1","0000:01:00.0","reads a list","points",true,"enforced","noncoherent"]'
	like "policy-ab: effect and interval" "$(<"$OUT")" 'gains 11\.00 % over enforced, 95 % interval from -1\.71 % to 23\.71 %'
	like "policy-ab: no difference shown" "$(<"$OUT")" 'contains 0'
	ab --blocks 2 --workload "reads a list"
	is "policy-ab: not run again" "$STATUS $(<"$ERR")" \
		"0 policy-ab: finished already, in $TMP/ab (--force runs it again)"

	# nosnoop says the same of the file.
	test_advise "$TMP/ab/ab.json"

	rm -f "$TMP/turn"
	ab --blocks 2 --lower-is-better --force
	like "policy-ab: of times, less is better" "$(<"$OUT")" 'gains -11\.00 %'
	for score in 0 -1 nan 0x10 "1 2" 1e999 ""; do
		rm -f "$TMP/turn"
		printf '%s\n' "$score" >"$TMP/scores"
		ab --blocks 2 --force
		is "policy-ab: '$score' is no score" "$STATUS $(tail -n 1 "$ERR")" \
			"1 policy-ab: the last line of the workload's output is no score, a number above 0: '$score'"
	done
	script policy-ab -d 01:00.0 -o "$TMP/slow" --timeout 1 -- sleep 60
	is "policy-ab: too slow" "$STATUS $(tail -n 1 "$ERR")" "1 policy-ab: the workload did not end within 1 s under enforced"
	script policy-ab -d 01:00.0 -o "$TMP/apply" --apply /bin/false -- echo 1
	like "policy-ab: a policy that cannot be set" "$STATUS $(tail -n 1 "$ERR")" '^1 .*/bin/false could not set the policy enforced'
}

test_advise() {
	# shellcheck source-path=SCRIPTDIR source=../cli/nsrec.sh
	. "$TOP/tests/cli/nsrec.sh"
	watch_rec 1700000000 100 '[dev + {snoop_control: true}]' >"$TMP/rec"
	runs "$BUILD/nosnoop" advise --json --baseline "$TMP/rec" --ab "$1"
	is "policy-ab: nosnoop advise takes it, with the same interval" \
		"$STATUS $(jq -c '.devices[0].ab | [.gain, .gain_lo, .gain_hi] | map(. * 1000 | round)' "$OUT")" "0 [11000,-1706,23706]"
}

# ---- inside a VM -------------------------------------------------------------------------------

B=/run/bench

# rows SECTION: its CSV without comments and heading
rows() { grep -v '^#' "$B/$1/data.csv" | tail -n +2; }

inside_wbinvd_cost() {
	local p device nc vcpus cpus executed stat samples exits flushes hit

	while IFS=, read -r p device nc _ vcpus cpus _ executed _ _ _ _ stat _ samples _ _ _ exits flushes hit _; do
		is "wbinvd-cost: point $p: guest, perf stat, perf kvm stat, wbinvdtop" \
			"$executed $stat $samples $exits" "$((200 * vcpus)) $((200 * vcpus)) $((200 * vcpus)) $((200 * vcpus))"
		if [[ $device == none ]]; then
			is "wbinvd-cost: point $p: no device, no flush" "$nc $flushes $hit" " 0 0"
			continue
		fi
		is "wbinvd-cost: point $p: all flushed" "$nc $flushes" "true $exits"
		((cpus == 1)) || HOPPED=$((HOPPED + hit - flushes))
	done < <(rows wbinvd-cost)
	is "wbinvd-cost: points" "$(rows wbinvd-cost | wc -l)" 3
	like "wbinvd-cost: agreement stated" "$(<$B/wbinvd-cost/table.txt)" \
		'perf stat counted as many WBINVDs as the guests executed at 3 of 3 points\.
perf kvm stat counted .* 3 of 3 points\.
wbinvdtop counted .* 3 of 3 points\.
Mean of KVM.s function .* both of the same exits: .* at 3 of 3 points'
}

inside_victims() {
	is "victims: who was beside" "$(rows victims | cut -d , -f 1 | paste -s -d ' ')" "quiet cpuid elsewhere flush"
	is "victims: all but quiet did something, the task woke up" \
		"$(rows victims | awk -F , '$4 < 100 || ($1 == "quiet") != ($3 == 0)')" ""
	is "victims: quantiles are ordered" "$(rows victims | awk -F , '$5 > $6 || $6 > $7 || $7 > $8 || $8 > $9')" ""
}

inside_map_cost() {
	local policies=automatic

	[[ ! -d /sys/kernel/tracing/events/iommufd ]] || policies="automatic noncoherent"
	is "map-cost: policies of this kernel and IOMMU" "$(rows map-cost | cut -d , -f 1 | uniq | paste -s -d ' ')" "$policies"
	is "map-cost: both sizes" "$(rows map-cost | cut -d , -f 2,3 | sort -u | paste -s -d ' ')" "2048,10 4,10"
	is "map-cost: times" "$(rows map-cost | awk -F , '$4 <= 0 || $4 > $5 || $7 <= 0 || $7 > $8')" ""
	like "map-cost: what is missing" "$(<$B/map-cost/missing.txt)" 'enforced: (this kernel has no policy|the IOMMU in front of the device cannot enforce)'
	if [[ $policies == automatic ]]; then
		like "map-cost: no flush share, and why" "$(<$B/map-cost/missing.txt)" 'no event iommufd:iommufd_cache_flush'
	else
		# The untimed turn is the eleventh.
		is "map-cost: flushed = mapped, and again when unpinned" "$(rows map-cost | cut -d , -f 2,12,16 | sort -u | paste -s -d ' ')" \
			"2048,$((11 << 21)),$((11 << 21)) 4,$((11 << 12)),$((11 << 12))"
		is "map-cost: a flush is a part of its map" "$(rows map-cost | awk -F , '!($13 > 0 && $13 < $10 && $17 > 0 && $17 < $14)')" ""
	fi
}

inside_policy_ab() {
	local status

	like "policy-ab: what is missing" "$(<$B/policy-ab/missing.txt)" 'enforced: (this kernel has no policy|the IOMMU in front)'
	script policy-ab --device "$1" -a automatic -b noncoherent --blocks 2 --output $B/policy-ab
	status=0
	[[ -d /sys/kernel/tracing/events/iommufd ]] || status=4
	is "policy-ab: two policies that this IOMMU has" "$STATUS" "$status"
	((status != 0)) || judged is "policy-ab: its scores" true $B/policy-ab/ab.json '.runs | length == 8 and (map(.score) | min > 0)'
}

inside_report() {
	local figures

	ok "report: is written again" test -s $B/report.html -a -s $B/report.txt
	figures=$(grep -c '<figcaption>' $B/report.html)
	compare "report: tables and plots" "$figures" -ge 8
	is "report: each names its machine and method" \
		"$(grep -cE '<figcaption>.*Machine: .*emulated: counts valid, times not.* microcode .*Linux.* Method: [^<]{20}' $B/report.html)" "$figures"
	is "report: each section names its machine, also what was not measured" "$(grep -c '^Machine: QEMU TCG' $B/report.txt)" 5
	is "report: needs no network" "$(grep -ciE '(src|href)="?(http|//)|@import' $B/report.html)" 0
	is "report: sections of the text" "$(grep -c '^=====' $B/report.txt)" 5
	like "report: what is missing" "$(<$B/report.txt)" 'Missing: this machine is emulated, and overhead'
}

inside() {
	local bdf

	bdf=$(vfio_find 8086:10d3) && vfio_bind "$bdf"
	verdict "a function on vfio-pci" $?
	modprobe -q iommufd
	HOPPED=0
	script all --quick --device "$bdf" --output $B
	is "all: exit status" "$STATUS $(grep -E 'failed' "$ERR")" "0 "
	inside_wbinvd_cost
	note "CPUs hit beside a vCPU's own: $HOPPED"
	compare "wbinvd-cost: vCPUs that moved had more than one CPU flushed" "$HOPPED" -gt 0
	inside_victims
	inside_map_cost
	inside_policy_ab "$bdf"
	rm -f $B/report.*
	script all --quick --device "$bdf" --output $B wbinvd-cost victims map-cost
	is "all: what is finished is not run again" "$STATUS $(grep -c 'finished already' "$ERR")" "0 3"
	inside_report
	done_testing
}

# ---- outside -----------------------------------------------------------------------------------

[[ ${1:-} != --inside ]] || inside

test_bad_input
test_policy_ab

# What is compiled here need not be in the VM, which is slow.
for c in hop latency mapcost; do
	mkdir -p "$BUILD/bench"
	ok "$c.c compiles" gcc -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror "$BENCH/$c.c" -o "$BUILD/bench/$c"
done
# A vCPU that moves makes no progress where QEMU has a thread for each CPU.
vm --tcg single -k "$KERNEL" ${MODULES:+-M "$MODULES"} --snoop-control off --device e1000e --timeout 900 \
	--env "OUT=$BUILD" -- bash "$TOP/tests/vm/bench-scripts.t" --inside
checks_of "$KERNEL"
is "$KERNEL: not a word on standard error" "$(<"$ERR")" ''
done_testing
