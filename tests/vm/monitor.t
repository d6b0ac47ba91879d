#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the monitor itself takes: CPU time of a screen refresh and of a JSON frame with 10,000 vCPUs
# in its map, resident memory, the time to the first screen; and that every program passes the
# verifier of every kernel, with the instructions that it walked.
#
# Times are counts of instructions, in a VM in which one takes one nanosecond. The first screen and a
# JSON frame keep within their limits even so. A screen refresh with 10,000 vCPUs takes some 36 million,
# 20 or so of them in user space: its 20 ms are those of a CPU that executes INSNS_PER_NS of them per nanosecond,
# as one of 2 GHz does with one per cycle. tests/unit/test_cost.c reports what the user space's
# part takes on the machine at hand. String instructions are switched off, as one counts once per byte here.
#
# Run by prove. OUT names the directory of the binaries (default: build).

set -u -o pipefail

BUILD=${OUT:-$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)/build}

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

TOPBIN=$BUILD/wbinvdtop
# The C library's thresholds for string instructions, out of reach.
WORDS=glibc.cpu.x86_rep_movsb_threshold=100000000:glibc.cpu.x86_rep_stosb_threshold=100000000

readonly REFRESH_US=20000 INSNS_PER_NS=2

# ---- inside a VM -------------------------------------------------------------------------------

# cpu_ns PID: so far
cpu_ns() { cut -d ' ' -f 1 "/proc/$1/schedstat"; }

rss_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }

# has_frames FILE N: by now; not read by the shell, as one may be megabytes
# shellcheck disable=SC2317 # called by soon
has_frames() { (($(wc -l <"$1") >= $2)); }

# on_terminal ARG...: wbinvdtop on a terminal of its own, whose keys nobody presses
on_terminal() {
	[[ -p $TMP/keys ]] || mkfifo "$TMP/keys"
	TERM=xterm script -qfc "stty rows 40 cols 120; exec '$TOPBIN' $*" /dev/null <>"$TMP/keys" 2>&1
}

# The seconds from the start of the process to the last line of its first screen.
first_screen() {
	local pid start now text='' part

	mkfifo "$TMP/screen"
	on_terminal >"$TMP/screen" &
	exec 5<"$TMP/screen"
	while IFS= read -r -n 1 -d '' -t 60 -u 5 part; do
		text+=$part
		# The footer is drawn last.
		[[ $text != *quit* ]] || break
	done
	read -r now _ </proc/uptime
	pid=$(pgrep -x wbinvdtop)
	# The process's start in ticks of 10 ms, behind its name, which may hold blanks.
	start=$(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 20)
	now=${now/./}
	kill "$pid"
	exec 5<&-
	[[ $text == *quit* ]] || {
		fail "the screen is drawn" "$text"
		return
	}
	note "first screen after $((10#$now - start))0 ms"
	compare "first screen within 0.5 s" "$((10#$now - start))" -le 50
}

verifier() {
	local source pid

	for source in fentry kprobe exit insn; do
		: >"$TMP/frames"
		"$TOPBIN" --source "$source" --json -d 0.2 >"$TMP/frames" 2>"$TMP/err" &
		pid=$!
		soon has_frames "$TMP/frames" 1
		verdict "$source: passes the verifier" $? "$(<"$TMP/err")"
		"$BUILD/bench/proginfo" >"$TMP/programs"
		verdict "$source: what the verifier has walked" $?
		sed "s/^/# verified $source /" "$TMP/programs"
		kill "$pid"
		wait "$pid"
	done
}

# fill VCPUS: 100 VMs with so many vCPUs, until they are dropped
fill() {
	"$BUILD/bench/fillmap" "$1" 100 >"$TMP/filled" 2>&1 &
	FILLER=$!
	soon test -s "$TMP/filled"
	is "$1 vCPUs are filled in" "$(<"$TMP/filled")" filled
}

drop() {
	kill "$@"
	wait "$@"
} 2>/dev/null

json_frames() {
	local vcpus=$1 pid cpu lines us

	: >"$TMP/frames"
	"$TOPBIN" --source fentry --json --vcpus -d 1 >"$TMP/frames" 2>"$TMP/err" &
	pid=$!
	soon has_frames "$TMP/frames" 1 || fail "frames" "$(<"$TMP/err")"
	fill "$vcpus"
	# One that has not all, and three in which memory finds its size.
	lines=$(wc -l <"$TMP/frames")
	soon has_frames "$TMP/frames" $((lines + 4))
	cpu=$(cpu_ns "$pid")
	soon has_frames "$TMP/frames" $((lines + 7))
	us=$((($(cpu_ns "$pid") - cpu) / 3000))
	note "$vcpus vCPUs: a JSON frame takes $us us of CPU, resident $(rss_kib "$pid") KiB"
	compare "$vcpus vCPUs: resident" "$(rss_kib "$pid")" -le $((vcpus > 1000 ? 32768 : 16384))
	compare "$vcpus vCPUs: a JSON frame takes at most 150 ms of CPU" "$us" -le 150000
	drop "$pid" "$FILLER"
	# Reading them all takes longer than writing them.
	is "$vcpus vCPUs are shown" "$(sed -n "$((lines + 6))p" "$TMP/frames" | grep -o '{"id":[0-9]*,' | wc -l)" \
		"$vcpus"
}

screen_refresh() {
	local pid cpu us

	on_terminal --source fentry -d 1 >"$TMP/drawn" &
	soon grep -q quit "$TMP/drawn" || fail "the screen is drawn" "$(<"$TMP/drawn")"
	pid=$(pgrep -x wbinvdtop)
	fill 10000
	sleep 5
	cpu=$(cpu_ns "$pid")
	sleep 4
	# So many refreshes, whenever the second begins.
	us=$((($(cpu_ns "$pid") - cpu) / 4000))
	note "10000 vCPUs: a screen refresh takes ${us}000 instructions, resident $(rss_kib "$pid") KiB"
	compare "10000 vCPUs: a screen refresh takes at most 20 ms at $INSNS_PER_NS instructions per ns" \
		"$us" -le $((REFRESH_US * INSNS_PER_NS))
	compare "10000 vCPUs: resident with a screen" "$(rss_kib "$pid")" -le 32768
	compare "10000 vCPUs: the screen shows them" "$(tail -c 4000 "$TMP/drawn" | grep -c fillmap)" -ge 1
	drop "$pid" "$FILLER"
}

inside() {
	case $1 in
	*screen*) first_screen ;;
	esac
	case $1 in
	*verifier*) verifier ;;
	esac
	case $1 in
	*entries*)
		json_frames 1000
		json_frames 10000
		screen_refresh
		;;
	esac
	done_testing
}

# ---- outside -----------------------------------------------------------------------------------

# all_of NAME WHAT OPTION...
all_of() {
	local name=$1 what=$2 line

	shift 2
	vm "$@" --append clearcpuid=erms,fsrm --env "GLIBC_TUNABLES=$WORDS" --env "OUT=$BUILD" -- bash "$TOP/tests/vm/monitor.t" --inside "$what"
	while IFS= read -r line; do
		case $line in
		'ok '*) pass "$name: ${line#* - }" ;;
		'not ok '*) fail "$name: ${line#* - }" ;;
		'#'*) echo "$line" ;;
		esac
	done <"$OUT"
	((STATUS != 1)) || STATUS=0
	like "$name: ran to its end" "$STATUS $(tail -n 1 "$OUT")" '^0 1\.\.[0-9]+$'
	[[ ! -s $ERR ]] || note "$(<"$ERR")"
}

[[ ${1:-} != --inside ]] || inside "$2"

mkdir -p "$BUILD/bench"
for c in fillmap proginfo; do
	ok "$c is built" gcc -O2 -Wall -Wextra -Werror "$TOP/tests/vm/$c.c" -o "$BUILD/bench/$c" -lbpf
done
all_of "6.12" screen,verifier,entries -k stock-6.12 -c 1 --icount
all_of "6.1" screen,verifier -k stock-6.1 -c 1 --icount
all_of "7.2" screen,verifier -k stock-7.2 -c 1 --icount
all_of "base 7.2" verifier -k base-7.2 -c 1 --icount
done_testing
