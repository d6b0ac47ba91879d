#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What nosnoop costs: how long 1,000 functions take to list and to judge, and how much of a CPU watching takes. Needs
# no root.
#
# Run by prove. OUT names the build directory (default: build).

# shellcheck disable=SC2016 # expressions of jq
set -u -o pipefail

# shellcheck source=tests/cli/nosnoop.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/nosnoop.sh"
# shellcheck source=tests/cli/nstree.sh disable=SC1094
. "$TOP/tests/cli/nstree.sh"
# shellcheck source=tests/cli/nsrec.sh disable=SC1094
. "$TOP/tests/cli/nsrec.sh"
TREE=$TMP/tree
demo_tree

# ---- what watching takes ------------------------------------------------------------------------

# cpu_ms N: of N readings, one per second
cpu_ms() {
	local TIMEFORMAT='%3U %3S' user system

	read -r user system < <({ time "$TOOL" watch --sysroot "$TREE" -d 1 -n "$1" --record "$TMP/rec" >/dev/null 2>&1; } 2>&1)
	awk -v u="$user" -v s="$system" 'BEGIN { printf "%d", (u + s) * 1000 }'
}

# 16 assigned functions; what 8 readings take beyond the start, again where others took the caches meanwhile.
for ((i = 1; i < 15; i++)); do
	printf -v bdf '0001:%02x:00.0' "$i"
	cp -a -- "$TREE/sys/bus/pci/devices/0000:01:00.0" "$TREE/sys/bus/pci/devices/$bdf"
done
for _ in 1 2 3; do
	took=$((-$(cpu_ms 1) + $(cpu_ms 9)))
	((took >= 40)) || break
done
is 'functions watched' "$(tail -n 1 "$TMP/rec" | jq '.functions | length')" 16
compare "8 s of watching 16 functions: $took ms of CPU, below 0.5 %" "$took" -lt 40

# 1,000 functions: what the process has run, in ns, as the scheduler counts it, in windows of 3 s, of which one within
# the limit will do: others on the machine take its caches and memory, for a while or for an hour. For the latter
# case there is a second limit: twice what it takes to read what has to be read, and nothing else, at the same time.
# Beside that, all is read anew every 5 minutes, some 0.03 %.
TREE=$TMP/large
ok 'a large tree' large_tree 1000
ok 'what only reads is built' "${CC:-gcc}" -O2 -Wall -Wextra -Werror "$TOP/tests/cli/reread.c" -o "$TMP/reread"
"$TOOL" watch --sysroot "$TREE" --all -d 1 2>"$ERR" > >(grep --line-buffered "^address" >"$OUT") &
watcher=$!
ok 'a first frame' until_true 60 test -s "$OUT"
share=99999 limit=500 bare=0 windows=0 frames=0
while (((share >= limit || frames < 2) && windows++ < 12)); do
	"$TMP/reread" 3 "$TREE"/sys/bus/pci/devices/*/{config,power/runtime_status} >"$TMP/bare" 2>&1 &
	reader=$!
	read -r before _ <"/proc/$watcher/schedstat"
	start=$(date +%s%N)
	before_frames=$(grep -c '^address' "$OUT")
	sleep 3
	read -r after _ <"/proc/$watcher/schedstat"
	share=$(((after - before) * 100000 / ($(date +%s%N) - start)))
	frames=$(($(grep -c '^address' "$OUT") - before_frames))
	wait "$reader" || {
		fail 'what only reads has read' "$(<"$TMP/bare")"
		break
	}
	# ns of each second are 1/10,000 thousandths of a percent.
	bare=$(($(<"$TMP/bare") / 10000))
	limit=$((2 * bare > 500 ? 2 * bare : 500))
done
kill "$watcher"
wait "$watcher"
is "1,000 functions: status and errors" "$? $(<"$ERR")" '0 '
compare "1,000 functions: frames in 3 s" "$frames" -ge 2
compare "1,000 functions: $share thousandths of a percent of one CPU (bare reading: $bare), limit $limit" "$share" -lt "$limit"

# ---- listing and judging 1,000 -------------------------------------------------------------------

# Of the clock or of CPU, whichever is less: on a busy machine the clock says nothing.
best=9999 TIMEFORMAT='%3R %3U %3S'
for _ in 1 2 3; do
	read -r real user system < <({ time "$TOOL" list --sysroot "$TREE" --json >"$OUT" 2>"$ERR"; } 2>&1)
	took=$(awk -v r="$real" -v c="$user" -v s="$system" 'BEGIN { c += s; printf "%d", 1000 * (r < c ? r : c) }')
	((took >= best)) || best=$took
done
is "1,000 functions are listed" "$(jq '.functions | length' "$OUT")" 1000
compare "1,000 functions: $best ms, below 300" "$best" -lt 300

ten_lines 1735732800 >"$TMP/rec"
ten_lines 1735733800 >"$TMP/rec2"
advise --baseline "$TMP/rec" --candidate "$TMP/rec2"
compare "1,000 functions in both sides: judged in $TOOK s, at most 2" "$TOOK" -le 2
is "1,000 functions in both sides are judged" "$STATUS $(jq '.devices | length' "$TMP/advice")" '0 1000'
done_testing
