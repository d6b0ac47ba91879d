# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# Drives the screen in a tmux of its own. No test waits for a time: it polls until the screen is what
# it has to be, and gives up after PATIENCE seconds.
#
# Screens that are compared whole stand in tests/tui/screens; UPDATE=1 writes them anew, to be read by
# a person before they are committed.

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"
cd -- "$TOP" || exit 1

TOOL=${WBINVDTOP:-$TOP/build/wbinvdtop}
[[ -x $TOOL ]] || {
	echo "Bail out! $TOOL is not built"
	exit 1
}
SCREENS=$TOP/tests/tui/screens
PATIENCE=20
export LC_ALL=C.UTF-8 TZ=UTC
unset NO_COLOR TMUX

for program in tmux dash; do
	command -v "$program" >/dev/null && continue
	echo "1..0 # SKIP $program is not installed"
	exit 0
done

# A server for each terminal: one that is going away would take the next one with it.
SERVER=0
tm() {
	tmux -L "screen-test-$$-$SERVER" -f /dev/null "$@"
}
trap 'tm kill-server 2>/dev/null; rm -rf -- "$TMP"' EXIT

# screen: what a person sees, without blanks at the ends of lines
screen() {
	tm capture-pane -p | sed 's/[[:space:]]*$//'
}

# poll COMMAND [ARG]...: until it succeeds
poll() {
	local end=$((SECONDS + PATIENCE))

	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.02
	done
}

shows() { [[ $(screen) =~ $1 ]]; }
shows_not() { [[ ! $(screen) =~ $1 ]]; }
is_now() { [[ $(screen) == "$1" ]]; }
is_not() { [[ $(screen) != "$1" ]]; }
is_screen() { [[ $(screen) == "$(<"$1")" ]]; }

# sees NAME REGEX: the screen comes to look like it
sees() {
	if poll shows "$2"; then
		pass "$1"
	else
		fail "$1" "nothing like /$2/ on the screen:" $'\n'"$(screen)"
	fi
}

# sees_screen NAME FILE: the screen becomes exactly that
sees_screen() {
	local file=$SCREENS/$2

	if [[ ${UPDATE:-} == 1 ]]; then
		sleep 0.5
		screen >"$file"
		pass "$1 (written)"
	elif poll is_screen "$file"; then
		pass "$1"
	else
		fail "$1" "differs from $file:" $'\n'"$(diff -- "$file" <(screen))"
	fi
}

# keys KEY...: as tmux names them
keys() {
	tm send-keys -- "$@"
}

# The tool's surroundings: a shell with job control that keeps what happened for the test, and leaves
# the terminal's modes alone, as bash would not. Started with the tool's arguments; a line on its input
# continues a stopped tool.
cat >"$TMP/shell" <<'SHELL'
set -m
cd -- "$TOP"
stty -g >"$TMP/before"
[ "$INPUT" != - ] || INPUT=/dev/tty
# The pid is the tool's own.
sh -c 'echo $$ >"$TMP/pid"; exec "$@"' tool "$TOOL" "$@" 2>"$TMP/stderr" <"$INPUT"
status=$?
# Stopped by SIGTSTP or SIGSTOP; what shells for people do to the modes then is done here as well.
while [ "$status" = 148 ] || [ "$status" = 147 ]; do
	stty -g >"$TMP/stopped"
	stty sane
	echo stopped
	read -r _
	fg >/dev/null
	status=$?
done
stty -g >"$TMP/after"
echo "$status" >"$TMP/status"
echo "ended with $status"
exec sleep infinity
SHELL

# start WIDTHxHEIGHT ARG...: the tool in a terminal of that size. TERM_TYPE, LOCALE, INPUT and
# NO_COLOR count.
start() {
	local size=$1

	shift
	tm kill-server 2>/dev/null
	((++SERVER))
	rm -f -- "$TMP/status" "$TMP/pid" "$TMP/after" "$TMP/stopped"
	tm new-session -d -x "${size%x*}" -y "${size#*x}" \
		env TERM="${TERM_TYPE:-screen}" LC_ALL="${LOCALE:-C.UTF-8}" TOP="$TOP" TMP="$TMP" TOOL="$TOOL" INPUT="${INPUT:--}" \
		dash "$TMP/shell" "$@"
}

# resize WIDTHxHEIGHT
resize() {
	tm resize-window -x "${1%x*}" -y "${1#*x}"
}

has_status() { [[ -s $TMP/status ]]; }

# ends NAME STATUS: the tool ends so, and the terminal is as it was
ends() {
	if ! poll has_status; then
		fail "$1: ends" "$(screen)"
		return
	fi
	is "$1: status" "$(<"$TMP/status")" "$2"
	is "$1: terminal modes restored" "$(<"$TMP/after")" "$(<"$TMP/before")"
	poll shows "ended with $2"
	is "$1: cursor shown, alternate screen left" \
		"$(tm display-message -p '#{cursor_flag} #{alternate_on}')" '1 0'
}
