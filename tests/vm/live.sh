# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests of wbinvdtop on running kernels. A test file reads this in place of lib.sh, defines
# inside() with the checks that run in a VM, and calls all_of for each VM.
#
# OUT, WBINVDTOP and BENCH name the directory of the binaries and the binaries (default: build).

BINARIES=${OUT:-}
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../scripts/vfio.sh
. "$TOP/scripts/vfio.sh"
BINARIES=$(realpath -- "${BINARIES:-$TOP/build}")
WBINVDTOP=${WBINVDTOP:-$BINARIES/wbinvdtop}
BENCH=${BENCH:-$BINARIES/wbinvdbench}
LONG=${LONG:-}

# ---- outside -----------------------------------------------------------------------------------

# helper NAME [SOURCE]...: builds the C program NAME beside the tests, a file or a directory of them, and
# further files there, into $TMP
helper() {
	local name=$1 sources=("$TOP/tests/vm/$1"/*.c)

	shift
	[[ -e ${sources[0]} ]] || sources=("$TOP/tests/vm/$name.c")
	"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o "$TMP/$name" "${sources[@]}" \
		"${@/#/$TOP/tests/vm/}"
}

# all_of NAME CASE OPTION...: runs inside() with CASE in a VM; its checks become checks of this file
all_of() {
	local name=$1 case=$2

	shift 2
	vm --timeout "${TIMEOUT:-900}" "$@" --env "WBINVDTOP=$WBINVDTOP" --env "BENCH=$BENCH" \
		--env "LONG=$LONG" --env "HELPERS=$TMP" --env "XDG_CACHE_HOME=${XDG_CACHE_HOME:-$HOME/.cache}" \
		-- bash "$TOP/tests/vm/${0##*/}" --inside "$case"
	checks_of "$name"
}

# ---- inside a VM -------------------------------------------------------------------------------

TRACE=/sys/kernel/tracing
MONITORS=()

# monitor NAME [OPTION]...: starts wbinvdtop; its JSON goes to $TMP/NAME, its errors to
# $TMP/NAME.err. Returns with the first frame, from which on it counts.
monitor() {
	local name=$1

	shift
	# The shell in the background empties them only when it gets its turn.
	rm -f "$TMP/$name" "$TMP/$name.err"
	"$WBINVDTOP" --json -d 0.5 "$@" >"$TMP/$name" 2>"$TMP/$name.err" &
	MONITORS+=("$name:$!")
	until_true 300 test -s "$TMP/$name" -o ! -d "/proc/$!"
	[[ -s $TMP/$name ]] || note "$name did not start: $(<"$TMP/$name.err")"
}

# finish: ends all monitors; the last line of each is then complete
finish() {
	local m status

	for m in "${MONITORS[@]}"; do
		kill -TERM "${m#*:}"
	done
	for m in "${MONITORS[@]}"; do
		status=0
		wait "${m#*:}" || status=$?
		[[ $status == 0 && ! -s $TMP/${m%%:*}.err ]] ||
			fail "${m%%:*}: ends well" "status $status: $(<"$TMP/${m%%:*}.err")"
		tail -n 1 "$TMP/${m%%:*}" >"$TMP/${m%%:*}.last"
	done
	MONITORS=()
}

# last NAME FILTER: of the last frame, raw
last() {
	jq -r "$2" "$TMP/$1.last"
}

# last_ok NAME MONITOR FILTER: whether the filter is true of the last frame
last_ok() {
	judged is "$1" true "$TMP/$2.last" "$3"
}

# bench [OPTION]...: the workload; what it prints is shown if it fails
bench() {
	"$BENCH" "$@" >"$TMP/bench" 2>&1 || fail "wbinvdbench $*" "$(<"$TMP/bench")"
}

# devices: puts every e1000e on vfio-pci; BDF[0], BDF[1], ...
devices() {
	local bdf i

	BDF=()
	for ((i = 1; ; i++)); do
		bdf=$(vfio_find 8086:10d3 $i 2>/dev/null) || break
		vfio_bind "$bdf" || return
		BDF+=("$bdf")
	done
}

KMEMLEAK=/sys/kernel/debug/kmemleak

# forget_leaks: what kmemleak has found so far is none of no_leaks' business
forget_leaks() {
	[[ -e $KMEMLEAK ]] || return 0
	echo scan >$KMEMLEAK
	echo clear >$KMEMLEAK
}

# no_leaks: what is found since
no_leaks() {
	if [[ ! -e $KMEMLEAK ]]; then
		skip "kmemleak finds nothing" "this kernel is built without it"
		return
	fi
	# What is younger than 5 s is not looked at.
	sleep 6
	echo scan >$KMEMLEAK
	echo scan >$KMEMLEAK
	is "kmemleak finds nothing" "$(<$KMEMLEAK)" ''
}

# The flush callback, counted by the kernel's own kprobe events: KVM's on 6.x, on 7.x the kernel's, which
# in these VMs nobody else calls.
callbacks_start() {
	local fn

	for fn in wbinvd_ipi __wbinvd; do
		! grep -q " $fn\(\s\|$\)" /proc/kallsyms || break
	done
	# shellcheck disable=SC2034 # for the tests
	CALLBACK=$fn
	echo "p:test/test_callback $fn" >>"$TRACE/kprobe_events" &&
		echo 1 >"$TRACE/events/test/test_callback/enable"
}

callbacks_stop() {
	echo 0 >"$TRACE/events/test/test_callback/enable"
	echo '-:test/test_callback' >>"$TRACE/kprobe_events"
}

# so many so far; the profile never starts again
callbacks() {
	awk '$1 == "test_callback" { print $2 + $3 }' "$TRACE/kprobe_profile"
}
