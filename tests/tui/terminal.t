#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The terminal: given back as it was on every way out, kept through Ctrl-Z, and left alone where it
# cannot show a screen.
#
# Run by prove. WBINVDTOP names the binary (default: build/wbinvdtop).

set -u -o pipefail

# shellcheck source=tests/tui/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

REC=${REC:-tests/data/three-vms.jsonl}
ARGS=(--replay "$REC" -d 86400)

for signal in TERM INT HUP QUIT; do
	start 80x24 "${ARGS[@]}"
	sees "screen before SIG$signal" 'q quit'
	kill -s "$signal" "$(<"$TMP/pid")"
	ends "SIG$signal" 0
done

for key in q Q C-c C-\\; do
	start 80x24 "${ARGS[@]}"
	sees "screen before $key" 'q quit'
	keys "$key"
	ends "key $key" 0
done

# In every mode of the screen.
for key in / d h; do
	start 80x24 "${ARGS[@]}"
	sees "screen before $key" 'q quit'
	keys "$key"
	poll shows_not 'q quit'
	kill -s TERM "$(<"$TMP/pid")"
	ends "SIGTERM after $key" 0
done

# ---- Ctrl-Z -------------------------------------------------------------------------------------

start 80x24 "${ARGS[@]}"
sees 'screen before C-z' 'q quit'
keys Space
before=$(poll shows 'WBINVD/s [0-9]' && screen)
for round in 1 2; do
	keys C-z
	sees "C-z ($round): the shell is back" 'stopped'
	is "C-z ($round): terminal modes restored" "$(<"$TMP/stopped")" "$(<"$TMP/before")"
	is "C-z ($round): cursor shown, alternate screen left" \
		"$(tm display-message -p '#{cursor_flag} #{alternate_on}')" '1 0'
	keys Enter
	sees "fg ($round): the screen is back" 'q quit'
	is "fg ($round): as before" "$(screen)" "$before"
done
keys C-z
sees 'C-z (3): the shell is back' 'stopped'
resize 100x30
keys Enter
sees 'fg (3): a new size is noticed' 'E expand all'
# Stopped from outside, the tool cannot tidy up; continued, it takes the terminal again.
kill -s STOP "$(<"$TMP/pid")"
sees 'SIGSTOP: the shell is back' 'stopped'
keys Enter
ok 'SIGCONT: the screen is clean' poll shows_not 'stopped'
keys h
sees 'and a key is read without Enter' 'any key: back'
kill -s TERM "$(<"$TMP/pid")"
ends 'SIGTERM after all that' 0

# What a busy tool was told counts as soon as it is done: ncurses must not discard it.
mkfifo "$TMP/slow"
exec 6<>"$TMP/slow"
# shellcheck disable=SC2317 # passed by name
reads() { [[ $(<"/proc/$(<"$TMP/pid")/syscall") == '0 '* ]]; }
# shellcheck disable=SC2317 # as well
has_pending() { (($(sed -n 's/^ShdPnd:[[:space:]]*/0x/p' "/proc/$(<"$TMP/pid")/status") >> ($1 - 1) & 1)); }
head -n 2 -- "$REC" >&6
start 80x24 --replay "$TMP/slow" -d 86400
sees 'screen before C-z while busy' 'q quit'
keys Space
ok 'C-z while busy: the tool waits for a line' poll reads
keys C-z
ok 'C-z while busy: it is pending' poll has_pending "$(kill -l TSTP)"
sed -n 3p -- "$REC" >&6
sees 'C-z while busy: the shell is back' 'stopped'
is 'C-z while busy: terminal modes restored' "$(<"$TMP/stopped")" "$(<"$TMP/before")"
keys Enter
sees 'fg: the screen is back with what was read' 'WBINVD/s [0-9]'
keys q
ends 'after C-z while busy' 0
exec 6>&-

# ---- others write to the terminal ---------------------------------------------------------------

start 80x24 "${ARGS[@]}"
sees 'screen before wall' 'q quit'
keys Space
sees 'the first interval' 'WBINVD/s [0-9]'
first=$(screen)
keys Space
poll is_not "$first"
second=$(screen)
keys q
ends 'after two intervals' 0
start 80x24 "${ARGS[@]}"
sees 'screen before wall again' 'q quit'
keys Space
sees 'wall: the first interval' 'WBINVD/s [0-9]'
printf '\r\n\nBroadcast message from root@host (pts/9):\r\n\r\nThe host goes down\r\n\n' >"$(tm display-message -p '#{pane_tty}')"
sees 'wall: its text is there' 'The host goes down'
tm pipe-pane -O "cat >'$TMP/drawn'"
keys Space
ok 'wall: gone with the next frame' poll is_now "$second"
keys q
poll grep -q 1049l "$TMP/drawn"
unlike 'wall: and nothing flickers, the screen is not cleared' "$(sed $'s/\e\[?1049l.*//' "$TMP/drawn")" $'\e\\[H\e\\[2?J'
ends 'after wall' 0

# ---- the input is no terminal -------------------------------------------------------------------

mkfifo "$TMP/pipe"
exec 6<>"$TMP/pipe"
for input in /dev/null "$TMP/pipe"; do
	INPUT=$input start 160x50 --replay "$REC" -n 2
	ends "input from ${input##*/}" 0
	is "input from ${input##*/}: two frames of text" "$(screen | grep -c 'WBINVD/s .*source')" 2
done
exec 6>&-

# ---- terminals ----------------------------------------------------------------------------------

for type in vt100 xterm-256color linux; do
	TERM_TYPE=$type start 80x24 "${ARGS[@]}"
	sees "TERM=$type: a screen" 'q quit'
	keys Space
	is "TERM=$type: the same text" "$(poll shows 'WBINVD/s [0-9]' && screen)" "$before"
	keys q
	ends "TERM=$type" 0
done

for type in dumb no-such-terminal; do
	TERM_TYPE=$type start 160x50 --replay "$REC" -n 2
	ends "TERM=$type" 0
	is "TERM=$type: one sentence" "$(wc -l <"$TMP/stderr")" 1
	like "TERM=$type: which says why" "$(<"$TMP/stderr")" "'$type' .*; text follows instead"
	is "TERM=$type: two frames of text" "$(screen | grep -c 'WBINVD/s .*source')" 2
done

# ---- characters ---------------------------------------------------------------------------------

sed 's/web01/wéb-日本語本店舗01/g' "$REC" >"$TMP/names"
start 80x24 --replay "$TMP/names" -d 86400
keys Space
sees 'a name is cut by the columns it takes' '2101 \+ wéb-日本語本店  yes'
keys q
ends 'wide characters' 0
LOCALE=C start 80x24 --replay "$TMP/names" -d 86400
keys Space
sees 'no UTF-8: a question mark per character' '2101 \+ w\?b-\?{6}01    yes'
keys q
ends 'no UTF-8' 0

start 80x24 "${ARGS[@]}"
sees 'screen before C-s' 'q quit'
keys C-s Space
sees 'C-s does not hold the screen' 'WBINVD/s [0-9]'
keys C-q q
ends 'C-s' 0

# Attributes without NO_COLOR hold colours once a VM has ended or costs much; with it never.
start 80x24 "${ARGS[@]}" --view vms
sees 'screen with colours' 'q quit'
keys Space Space Space
sees 'three frames on' 'WBINVD/s [0-9]'
colour=$'\e''\[([0-9;]*;)?3[0-7](;[0-9]+)*m'
like 'colours are used' "$(tm capture-pane -e -p)" "$colour"
keys q
ends 'colours' 0
export NO_COLOR=1
start 80x24 "${ARGS[@]}" --view vms
sees 'screen with NO_COLOR' 'q quit'
keys Space Space Space
sees 'NO_COLOR: three frames on' 'WBINVD/s [0-9]'
unlike 'NO_COLOR: none is used' "$(tm capture-pane -e -p)" "$colour"
keys q
ends 'NO_COLOR' 0
unset NO_COLOR

# ---- pace ---------------------------------------------------------------------------------------

unset TERM_TYPE
start 80x24 --replay "$REC"
sees 'a recording plays at its own pace to its end' 'end of recording'
keys q
ends 'at the end' 0
start 80x24 --replay "$REC" -d 0.1
sees 'or at that of -d' 'end of recording'
keys q
ends 'at the end, faster' 0
start 80x24 --replay "$REC" -d 0.1 -n 2
ends '-n ends the screen' 0

done_testing
