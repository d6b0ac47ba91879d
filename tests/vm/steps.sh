# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests that go through steps of ncdma, or record; read after lib.sh or live.sh.

# Not empty: what this pattern matches is left out.
NO_STEP=''

# steps: those on standard input, "STEP => RESULT", go to the array STEPS, and what ncdma has to print
# to WANTED; without a result it is 0
steps() {
	local line

	STEPS=() WANTED=''
	while read -r line; do
		# shellcheck disable=SC2053 # a pattern it is
		[[ ! $NO_STEP || $line != $NO_STEP ]] || continue
		[[ $line == *' => '* ]] || line+=' => 0'
		STEPS+=("${line%% => *}")
		WANTED+="${line%% => *}: ${line##* => }"$'\n'
	done
}

# same NAME WANTED GOT [STATUS]
same() {
	[[ ${4:-0} == 0 && $3 == "$2" ]]
	verdict "$1" $? "status ${4:-0}; wanted (-) and seen (+):" \
		"$(diff -U 100 <(printf '%s\n' "$2") <(printf '%s\n' "$3") | tail -n +4)"
}

# expect NAME: goes through the steps on standard input
expect() {
	local got status=0

	steps
	got=$("$HELPERS/ncdma" "${STEPS[@]}" 2>&1) || status=$?
	same "$1" "${WANTED%$'\n'}" "$got" "$status"
}

# step STEP [RESULT]: of the process that holds functions, the coprocess HOLDER (ncdma -)
step() {
	local said

	printf '%s\n' "$1" >&"${HOLDER[1]}"
	read -r -t 120 said <&"${HOLDER[0]}"
	[[ $said == "$1: ${2:-0}" ]] || fail "step $1" "$said"
}

# shellcheck disable=SC2317 # its name is passed
# has_lines FILE N: by now, none of them large
has_lines() {
	local seen=()

	[[ ! -e $1 ]] || mapfile -t seen <"$1"
	((${#seen[@]} >= $2))
}

# shellcheck disable=SC2317
# lines FILE N [SECONDS]: it has as many within those (default: 120)
lines() {
	until_true "${3:-120}" has_lines "$1" "$2"
}

# recordings NAME FRAMES: of nosnoop watch in $TMP/NAME and, at the same time, FRAMES of wbinvdtop in $TMP/NAME.top
recordings() {
	local top watcher

	"$WBINVDTOP" -b -d 1 --record "$TMP/$1.top" >/dev/null 2>"$TMP/top.err" &
	top=$!
	"$NOSNOOP" watch -d 1 --record "$TMP/$1" >/dev/null 2>"$ERR" &
	watcher=$!
	ok "$1: recorded" lines "$TMP/$1" 2
	ok "$1: and by wbinvdtop" lines "$TMP/$1.top" "$2"
	kill -INT "$top" "$watcher"
	wait "$top"
	is "$1: wbinvdtop ends well" "$? $(<"$TMP/top.err")" '0 '
	wait "$watcher"
	is "$1: watch ends well" "$? $(<"$ERR")" '0 '
}
