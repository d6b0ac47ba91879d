# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What both demos do inside the VM that plays the host: the guests of wbinvdbench, the monitor that counts, the
# one that is looked at, and the comparison at the end. Read after lib.sh, with the arguments of the script that
# reads it, which are the same for all.

# shellcheck disable=SC2034 # what those who read this use
case ${1-} in
-h | --help)
	show_help
	exit 0
	;;
-*) usage_error "there is no option '$1'" ;;
esac
(($# == 3)) || usage_error "three arguments, not $#"
BUILD=$1 KERNEL=$2 WATCH=$3
PROG=demo
TOP=$BUILD/wbinvdtop
WORK=/run/demo
TRACE=/sys/kernel/tracing
INJECT=/sys/kernel/debug/pci_no_snoop_inject/control
readonly RATE=40 PATIENCE=600
# More than is watched: a monitor takes its time to attach.
ASKED=$((RATE * (WATCH + 20)))

# Names of the benches, in order, and their processes
BENCHES=()
declare -A PID=()

# On standard output, to stay in order with the frames.
step() {
	printf '%s: %s\n' "$PROG" "$*"
}

# in_time WHAT COMMAND [ARG]...: waits until it succeeds; WHAT says that it did not. The clock of an emulated host on a
# busy machine may run several times too fast.
in_time() {
	until_true "$PATIENCE" "${@:2}" || die "$EX_RUNTIME" "$1 within $PATIENCE s"
}

# One more count, by the kernel itself and apart from all BPF.
kernel_count() {
	awk '$1 == "demo_wbinvd" { print $2 + $3 }' "$TRACE/kprobe_profile"
}

# This monitor sees the guests from before their first to after their last WBINVD, whoever ends the
# screen when. It and the guests have sessions of their own: Ctrl-C is for the screen alone.
start_counting() {
	echo 'p:demo_wbinvd kvm_emulate_wbinvd' >"$TRACE/kprobe_events"
	echo 1 >"$TRACE/events/kprobes/demo_wbinvd/enable"
	setsid "$TOP" --csv -d 2 --record "$WORK/recording" \
		-o pid,ended,total.exits,total.flushes,total.skips,noncoherent >"$WORK/counts" &
	COUNTER=$!
	# Its first line is the reading at the start.
	in_time "wbinvdtop did not attach" test -s "$WORK/recording"
}

# has_vm NAME: whether that bench's VM stands
has_vm() {
	grep -q ': VM [0-9]' "$WORK/$1.log"
}

# start_bench NAME CPU [OPTION]...: a VM that does not run yet. A process is called what its file is called.
start_bench() {
	local name=$1 cpu=$2

	shift 2
	ln -s "$BUILD/wbinvdbench" "$WORK/$name"
	setsid "$WORK/$name" -n "$ASKED" --rate "$RATE" --pin "$cpu" --start-delay 1 -o executed "$@" \
		>"$WORK/$name.out" 2>"$WORK/$name.log" </dev/null &
	BENCHES+=("$name") PID[$name]=$!
	in_time "$name did not start" has_vm "$name"
	kill -STOP "${PID[$name]}"
}

# start_guest NAME CPU MODE DMA: with a device whose Enable No Snoop the emulation makes "writable" or
# "hardwired0"
start_guest() {
	local bdf

	bdf=$(vfio_find 8086:10d3 $(($2 + 1)))
	echo "add $bdf $3" >"$INJECT"
	vfio_bind "$bdf"
	start_bench "$1" "$2" --vfio "$bdf" --dma "$4"
}

watch_screen() {
	step "4 of 4: wbinvdtop for $WATCH s; keys: v other views, e vCPUs, h help, q end"
	sleep 2
	"$TOP" -n "$WATCH" --record "$WORK/watched"
}

# The clock does not tell: detaching may take as long as the rest would have taken. A recording has a
# line more than there were frames.
was_watched() {
	(($(wc -l <"$WORK/watched") > WATCH))
}

# watch_as TEXT_FUNCTION: on a terminal the screen, otherwise what the function prints; sets EARLY
watch_as() {
	local status=0

	EARLY=''
	if [[ -t 0 && -t 1 ]]; then
		watch_screen || status=$?
		was_watched || EARLY=yes
	else
		"$1" || status=$?
	fi
	((status == 0)) || die "$EX_RUNTIME" "wbinvdtop ended with status $status"
}

has_ended() {
	awk -F , -v pid="$1" '$9 == pid && $10 == "true" { found = 1 } END { exit !found }' \
		"$WORK/counts"
}

# end_bench NAME
end_bench() {
	local status=0

	wait "${PID[$1]}" || status=$?
	((status)) || return 0
	cat "$WORK/$1.log" >&2
	die "$EX_RUNTIME" "$1 failed with status $status"
}

# benches SIGNAL: to all of them
benches() {
	local name

	for name in "${BENCHES[@]}"; do
		kill "-$1" "${PID[$name]}" 2>/dev/null || true
	done
}

# end_benches EARLY: those that are not to run to their end are interrupted, and stay exact
end_benches() {
	local name

	if [[ $1 ]]; then
		benches INT
	else
		step "waiting for the last of $((${#BENCHES[@]} * ASKED)) WBINVDs"
	fi
	for name in "${BENCHES[@]}"; do
		end_bench "$name"
	done
}

# end_counting PID...: when the monitor has seen that those VMs are gone
end_counting() {
	local pid

	for pid in "$@"; do
		in_time "wbinvdtop did not see that VM $pid has ended" has_ended "$pid"
	done
	kill "$COUNTER"
	wait "$COUNTER"
}

# counted PID: sets EXITS, FLUSHES and SKIPS of that VM, and LOST
counted() {
	read -r EXITS FLUSHES SKIPS LOST < <(awk -F , -v pid="$1" '
		{ lost = $7 }
		$9 == pid { exits = $11; flushes = $12; skips = $13 }
		END { print exits + 0, flushes + 0, skips + 0, lost + 0 }' "$WORK/counts")
}

# executed FILE: by the guest's own count, which is the last line of the table
executed() {
	tail -n 1 "$1" | tr -d ' '
}

row() {
	printf '%-16s%10s%10s%10s%10s%10s\n' "$@"
}

# bench_rows: a row of each bench; sets EXECUTED and COUNTED, of all of them
bench_rows() {
	local name n

	EXECUTED=0 COUNTED=0
	row VM asked executed counted flushed skipped
	for name in "${BENCHES[@]}"; do
		n=$(executed "$WORK/$name.out")
		counted "${PID[$name]}"
		row "$name" "$ASKED" "$n" "$EXITS" "$FLUSHES" "$SKIPS"
		EXECUTED=$((EXECUTED + n)) COUNTED=$((COUNTED + EXITS))
	done
}

# early: a word for the verdict, if not all ran to their end
early() {
	((EXECUTED == ${#BENCHES[@]} * ASKED)) || printf ' until they were interrupted'
}

# verdict NAME WANTED COUNTED: sets FAILED unless WANTED = COUNTED + LOST
verdict() {
	local word=exact

	(($2 == $3 + LOST)) || word=WRONG FAILED=yes
	printf '%s: %d = %d counted + %d lost: %s\n' "$1" "$2" "$3" "$LOST" "$word"
}
