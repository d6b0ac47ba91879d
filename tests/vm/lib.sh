# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# TAP for tests written in bash, and runs of scripts/vm. A test file reads this, calls the checks
# below and ends with done_testing; a file that ends before has no plan, which prove reports.

TOP=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck disable=SC2034 # for the tests
VM=$TOP/scripts/vm GET_KERNEL=$TOP/scripts/kernel
TMP=$(mktemp -d "${TMPDIR:-/tmp}/test.XXXXXX")
trap 'rm -rf -- "$TMP"' EXIT
trap 'exit 1' HUP INT TERM

TESTS=0 FAILURES=0

# shellcheck disable=SC2034
# The last run: its exit status, where its standard output and error are, and the seconds it took, by the clock
# (ELAPSED) and of the clock or of CPU, whichever is less (TOOK): on a busy machine the clock says nothing.
STATUS=0 OUT=$TMP/out ERR=$TMP/err TOOK=0 ELAPSED=0

# nap SECONDS: without a process, of which each start takes a tenth of a second in a VM
exec {NAP}<> <(:)
nap() {
	read -r -t "$1" -u "$NAP" || true
}

# until_true SECONDS COMMAND [ARG]...: tries the command until it succeeds. Be generous: a VM under emulation on a busy
# machine is slow, and the limit costs nothing where the test passes.
until_true() {
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		nap 0.2
	done
}

# Before a command: without privilege.
NOBODY=()
# shellcheck disable=SC2034 # for the tests
((EUID)) || NOBODY=(setpriv --reuid 65534 --regid 65534 --clear-groups)

# soon COMMAND [ARG]...: within two minutes, and in silence
soon() {
	until_true 120 "$@" >/dev/null 2>&1
}

note() {
	printf '%s\n' "$@" | sed 's/^/# /'
}

pass() {
	((++TESTS))
	printf 'ok %d - %s\n' "$TESTS" "$1"
}

# fail NAME [TEXT]...: TEXT says what was seen
fail() {
	local name=$1

	shift
	((++TESTS, ++FAILURES))
	printf 'not ok %d - %s\n' "$TESTS" "$name"
	(($# == 0)) || note "$@"
}

# skip NAME REASON: for what this machine cannot do, never for what went wrong
skip() {
	((++TESTS))
	printf 'ok %d - %s # SKIP %s\n' "$TESTS" "$1" "$2"
}

# verdict NAME STATUS [TEXT]...: TEXT is shown where STATUS is not 0
verdict() {
	local name=$1 status=$2

	shift 2
	if ((status == 0)); then
		pass "$name"
	else
		fail "$name" "$@"
	fi
}

# ok NAME COMMAND [ARG]...: COMMAND succeeds
ok() {
	local name=$1 text status=0

	shift
	text=$("$@" 2>&1) || status=$?
	verdict "$name" "$status" "'$*' gave $status" "$text"
}

# is NAME GOT WANTED
is() {
	[[ $2 == "$3" ]]
	verdict "$1" $? "got    '$2'" "wanted '$3'"
}

# like NAME GOT REGEX, unlike NAME GOT REGEX
like() {
	[[ $2 =~ $3 ]]
	verdict "$1" $? "got '$2'" "wanted something like /$3/"
}

unlike() {
	[[ ! $2 =~ $3 ]]
	verdict "$1" $? "got '$2'" "wanted nothing like /$3/"
}

# compare NAME NUMBER OPERATOR NUMBER, with the operators of test: -lt, -ge, ...
compare() {
	test "$2" "$3" "$4" 2>/dev/null
	verdict "$1" $? "not so: '$2' $3 '$4'"
}

# runs COMMAND [ARG]...: sets STATUS, TOOK, ELAPSED and the files OUT and ERR
runs() {
	local TIMEFORMAT='%0R %0U %0S' real user system

	STATUS=0
	{ time "$@" >"$OUT" 2>"$ERR" </dev/null || STATUS=$?; } 2>"$TMP/times"
	read -r real user system <"$TMP/times"
	# shellcheck disable=SC2034
	TOOK=$((real < user + system ? real : user + system)) ELAPSED=$real
}

# vm [OPTION]... -- COMMAND [ARG]...
vm() {
	runs "$VM" "$@"
}

# refused NAME STATUS REGEX COMMAND [ARG]...: one sentence on standard error, nothing else, that status
refused() {
	local name=$1 status=$2 regex=$3

	shift 3
	runs "$@"
	if ((STATUS == status)) && [[ ! -s $OUT && $(wc -l <"$ERR") == 1 && $(<"$ERR") =~ $regex ]]; then
		pass "$name"
	else
		fail "$name" "status $STATUS, wanted $status; error: $(<"$ERR")"
	fi
}

# value KEY: from a line KEY=VALUE of the last run's output
value() {
	local line

	line=$(grep -m 1 -- "^$1=" "$OUT") && printf '%s\n' "${line#*=}"
}

# ---- checks in a VM ------------------------------------------------------------------------------

# judged CHECK NAME WANTED FILE FILTER [JQ_OPTION]...: CHECK NAME "$(jq -r JQ_OPTION... FILTER FILE 2>&1)" WANTED, of what
# is in FILE now. For what runs in a VM, where each start of jq takes half a second: it is outside that checks_of makes it.
judged() {
	local text="no file $4" words

	[[ ! -r $4 ]] || text=$(<"$4")
	# Many of them look at the same; what a subshell remembers its parent does not.
	if [[ $BASHPID != "$$" ]]; then
		words=(once "$text")
	elif [[ -v JUDGED_TEXT && $JUDGED_TEXT == "$text" ]]; then
		words=(same '')
	else
		words=(text "$text")
		JUDGED_TEXT=$text
	fi
	words+=("${@:1:3}" "${@:5}")
	printf 'judged %s\n' "${words[*]@Q}"
}

# judge NAME WORD...: the words of one such line
judge() {
	local name=$1 text=${3-} check=${4-} what=${5-} wanted=${6-} filter=${7-} said failures=$FAILURES

	if (($# < 7)); then
		fail "$name: a check that did not come whole" "$*"
		return
	fi
	case $2 in
	same) text=$JUDGED_TEXT ;;
	text) JUDGED_TEXT=$text ;;
	esac
	said=$(jq -r "${@:8}" "$filter" <<<"$text" 2>&1)
	"$check" "$name: $what" "$said" "$wanted"
	((FAILURES == failures)) || note "by jq: $filter" "of: $(tail -n 3 <<<"$text" | cut -c -4000)"
}

# checks_of NAME: the checks that the last run printed become checks of this file
checks_of() {
	local name=$1 line said words

	unset JUDGED_TEXT
	while IFS= read -r line; do
		case $line in
		'ok '*' # SKIP '*)
			said=${line#* - }
			skip "$name: ${said%% # SKIP *}" "${said#* # SKIP }"
			;;
		'ok '*) pass "$name: ${line#* - }" ;;
		'not ok '*) fail "$name: ${line#* - }" ;;
		'#'*) printf '%s\n' "$line" ;;
		'judged '*)
			words=()
			eval "words=(${line#judged })"
			judge "$name" "${words[@]}"
			;;
		esac
	done <"$OUT"
	# 1: a check inside has failed, and is counted already.
	((STATUS != 1)) || STATUS=0
	if [[ $STATUS == 0 && $(tail -n 1 "$OUT") =~ ^1\.\.[0-9]+$ ]]; then
		pass "$name: ran to its end, without a report of the kernel"
	else
		fail "$name: ran to its end, without a report of the kernel" "status $STATUS" \
			"$(tail -n 3 "$OUT")" "$(tail -n 40 "$ERR")"
	fi
}

done_testing() {
	printf '1..%d\n' "$TESTS"
	((FAILURES == 0)) || exit 1
	exit 0
}

# want_kernel NAME KERNEL...: the file of tests ends here, NAME skipped, where one of them is not to be had
want_kernel() {
	local name=$1 kernel

	shift
	for kernel; do
		[[ $kernel != */* && ! $("$GET_KERNEL" path "$kernel" 2>/dev/null) ]] || continue
		skip "$name" "there is no kernel $kernel"
		done_testing
	done
}

# want_btf NAME KERNEL: the same where it has none, without which the tools see nothing live: one that checks itself
want_btf() {
	[[ $2 == */* ]] || grep -q '^CONFIG_DEBUG_INFO_BTF=y' "$("$GET_KERNEL" config "$2")" || {
		skip "$1" "$2 is built without BTF"
		done_testing
	}
}
