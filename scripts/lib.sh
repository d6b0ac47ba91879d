# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What every script here shares: messages, the cache, temporary files that never outlive a script.

PROJECT=dma-coherency
# shellcheck disable=SC2034 # for the scripts that read this file
REPO=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
PROG=${0##*/}

# The exit statuses of every tool of this project (scripts/vm has its own, see there).
# shellcheck disable=SC2034
readonly EX_RUNTIME=1 EX_USAGE=2 EX_PERM=3 EX_KERNEL=4

say() {
	printf '%s: %s\n' "$PROG" "$*" >&2
}

# die STATUS SENTENCE
die() {
	local status=$1

	shift
	say "$*"
	exit "$status"
}

# Without HOME, ~ is what the system's list of users says.
CACHE=$(printf '%s\n' ~)
CACHE=${XDG_CACHE_HOME:-$CACHE/.cache}/$PROJECT
[[ $CACHE == /* ]] || die "$EX_RUNTIME" "there is no place for the cache: set HOME, or XDG_CACHE_HOME to a full path"

# cache_dir NAME: makes that directory of the cache
cache_dir() {
	if ! mkdir -p -- "$CACHE/$1" 2>/dev/null || [[ ! -w $CACHE/$1 ]]; then
		die "$EX_RUNTIME" "the cache cannot be written: $CACHE/$1"
	fi
}

# is_image KERNEL: whether that is the path of a kernel image, not a name of scripts/kernel
is_image() {
	[[ $1 == */* || ($1 != @(stock|base|patched|debug)-* && -f $1) ]]
}

usage_error() {
	die "$EX_USAGE" "$* (see $PROG --help)"
}

# The comment at the head of a script is its help text: from the line that starts with the
# program's name to the first line that is not a comment.
show_help() {
	sed -n '/^# Usage:/,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"
}

# is_uint TEXT [MIN [MAX]]: a decimal number as written by people, without sign, blank or leading 0
is_uint() {
	[[ $1 =~ ^(0|[1-9][0-9]{0,8})$ ]] || return 1
	(($1 >= ${2:-0} && $1 <= ${3:-999999999}))
}

# until_true SECONDS COMMAND [ARG]...: tries the command, in silence, until it succeeds; 1: not within that time
until_true() {
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

# need COMMAND PACKAGE [WHY]: one sentence instead of "command not found" in the middle of the work
need() {
	command -v -- "$1" >/dev/null 2>&1 ||
		die "$EX_RUNTIME" "$1 is missing${3:+ ($3)}: apt-get install $2, or run scripts/deps"
}

# Administrators' tools are not in everybody's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

have_root() {
	[[ $(id -u) == 0 ]]
}

# scratch DIR: removes DIR at the end of the script, whatever ends it
SCRATCH=()
scratch() {
	SCRATCH+=("$1")
	trap 'rm -rf -- "${SCRATCH[@]}"' EXIT
	trap 'interrupted 129' HUP
	trap 'interrupted 130' INT
	trap 'interrupted 143' TERM
}

# interrupted STATUS. With TERM in any case: what runs in the background ignores INT.
interrupted() {
	trap '' HUP INT TERM
	jobs -p | xargs -r kill 2>/dev/null || true
	wait
	exit "$1"
}

# run COMMAND...: as COMMAND alone, but a signal to the script ends COMMAND at once. bash would
# run the trap only after a foreground command has ended by itself.
run() {
	local status=0

	"$@" &
	wait $! || status=$?
	return "$status"
}

# hash_of: the first 16 hex digits of the SHA-256 of standard input, enough for a cache key
hash_of() {
	sha256sum | cut -c1-16
}

# passed_before NAME KEY: whether that test has passed before with the bytes that KEY stands for, and need
# not be run: says so. AGAIN, not empty: it need be.
passed_before() {
	local stamp=$CACHE/passed/$2

	[[ ! ${AGAIN-} && -e $stamp ]] || return 1
	printf '%s: passed before, %s, and nothing that it depends on is another (AGAIN=1 repeats it)\n' "$1" \
		"$(date -r "$stamp" '+%F %T')"
}

# has_passed KEY
has_passed() {
	mkdir -p -- "$CACHE/passed" && touch -- "$CACHE/passed/$1"
}
