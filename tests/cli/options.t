#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wbinvdtop's command line: options in any order and spelling, every refusal with its sentence and
# status, what goes to which output. Needs no root: readings come from a recording.
#
# Run by prove. WBINVDTOP names the binary (default: build/wbinvdtop).

set -u -o pipefail

# shellcheck source=tests/vm/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/../vm/lib.sh"
cd -- "$TOP" || exit 1

TOOL=${WBINVDTOP:-$TOP/build/wbinvdtop}
[[ -x $TOOL ]] || {
	echo "Bail out! $TOOL is not built"
	exit 1
}
REC=${REC:-tests/data/three-vms.jsonl}
export LC_ALL=C.UTF-8 TZ=UTC
unset TERM

# prints ARG...: status 0, standard error empty
prints() {
	runs "$TOOL" "$@"
	((STATUS == 0)) && [[ ! -s $ERR ]]
}

# same NAME ARG...: gives the bytes in $TMP/wanted
same() {
	local name=$1

	shift
	if prints "$@" && cmp -s -- "$OUT" "$TMP/wanted"; then
		pass "$name"
	else
		fail "$name" "status $STATUS; $(<"$ERR")" "$(diff -- "$TMP/wanted" "$OUT" | head)"
	fi
}

# ---- help and version --------------------------------------------------------------------------

for option in --help -h --hel; do
	runs "$TOOL" "$option" --no-such-option
	is "$option: status" "$STATUS" 0
	is "$option: nothing on standard error" "$(<"$ERR")" ''
done
for option in -b -d -n -o -s -p -g -V --json --csv --record --verbose --list-fields --source \
	--replay --vcpus --view --threshold --map-entries; do
	like "--help names $option" "$(prints --help; cat -- "$OUT")" "(^|[[:space:],])${option}[=,[:space:]]"
done
unlike '--help: no line is longer than 80 columns' "$(prints --help; cat -- "$OUT")" $'[^\n]{81}'
for option in --version -V; do
	prints "$option"
	like "$option" "$(<"$OUT")" '^wbinvdtop [0-9]+\.[0-9]+'
done

prints --list-fields
is '--list-fields: status' "$STATUS" 0
for field in id pid name noncoherent delta.exits delta.flushes delta.p99_ns total.stall_ns; do
	ok "--list-fields names $field" grep -q "^${field}[[:space:]]" "$OUT"
done

# ---- refusals: one sentence, status 2, nothing on standard output -------------------------------

# A table: the words of the command line, and what the sentence must hold.
while IFS='|' read -r words sentence; do
	[[ -n $words ]] || continue
	# shellcheck disable=SC2086 # words they are
	eval "set -- $words"
	refused "refused: $words" 2 "^wbinvdtop: .*$sentence" "$TOOL" "$@"
done <<'TABLE'
-d 12abc|option -d: '12abc' is not a number of seconds from 0\.1 to 86400
-d ''|option -d: '' is not
-d -1|option -d: '-1' is not
-d +1|option -d: '\+1' is not
-d 0|option -d: '0' is not
-d 0.05|option -d: '0\.05' is not
-d 86401|option -d: '86401' is not
-d 1e3|option -d: '1e3' is not
-d 0x10|option -d: '0x10' is not
-d nan|option -d: 'nan' is not
-d inf|option -d: 'inf' is not
-d 1,5|option -d: '1,5' is not
-d ' 1'|option -d: ' 1' is not
-d 99999999999999999999999|option -d: '9+' is not
--interval=1s|option -d: '1s' is not
-n 0|option -n: '0' is not a number of frames from 1 to 4294967295
-n 12abc|option -n: '12abc' is not
-n -3|option -n: '-3' is not
-n ''|option -n: '' is not
-n 1.5|option -n: '1\.5' is not
-n 4294967296|option -n: '4294967296' is not
-n 18446744073709551617|option -n: '18446744073709551617' is not
-p 0|option -p: '0' is not a process id from 1 to 4194304
-p abc|option -p: 'abc' is not
-p -5|option -p: '-5' is not
-p 4194305|option -p: '4194305' is not
-p 1,2|option -p: '1,2' is not
-g ''|option -g: '' is not a name
-o ''|option -o: '' is not a list of fields
-o nope|nope
-o pid,nope|nope
-o pid,|
-o ,pid|
-s ''|option -s: '' is not a field
-s nope|option -s: 'nope' is not a field
--record ''|option --record: '' is not a file name
--replay ''|option --replay: '' is not a file name
--source nope|option --source: 'nope' is not tracepoint, fentry, kprobe, exit, insn or replay:FILE
--source replay:|option --source: 'replay:' is not
--source ''|option --source: '' is not
--view nope|option --view: 'nope' is not vms, victims, devices or log
--threshold 0|option --threshold: '0' is not a number of nanoseconds
--threshold 12abc|option --threshold: '12abc' is not
--threshold -1|option --threshold: '-1' is not
--threshold 1000000000001|option --threshold: '1000000000001' is not
--map-entries 0|option --map-entries: '0' is not a number from 1 to 1048576
--map-entries 1048577|option --map-entries: '1048577' is not
--map-entries 2k|option --map-entries: '2k' is not
--json --csv|--json and --csv exclude each other
--csv -b --json|--json and --csv exclude each other
--list-fields -b|--list-fields goes without other options
-d 1 --list-fields|--list-fields goes without other options
extra|'extra' is one argument too many
-b extra -n 1|'extra' is one argument too many
-- -b|'-b' is one argument too many
--nope|option --nope is unknown; --help lists the options
--nope=1|option --nope is unknown
-x|option -x is unknown
-bx|option -x is unknown
-xb|option -x is unknown
-d|option -d needs a value
-b -n|option -n needs a value
--record|option --record needs a value
--json=1|option --json takes no value
--ver|option --ver is unknown
--replay f --source exit|--source and --replay exclude each other
--replay f --threshold 5|--threshold needs a live source
--source insn --threshold 5|--threshold needs another source than insn
--replay f --map-entries 5|--map-entries needs a live source
--view victims --json|--view goes with text: JSON frames hold every view
--view devices --csv|--view goes with text: CSV rows are VMs
--vcpus --csv|--vcpus goes with text and --json
--view victims -o pid|-o chooses fields of VMs
TABLE

# ---- what the options do, on a recording --------------------------------------------------------

FRAMES=$(($(wc -l <"$REC") - 1))
compare 'the recording holds a baseline and frames' "$FRAMES" -ge 3

# The same in every order and spelling.
prints -b -n 2 -o pid,name,delta.exits -s delta.exits --replay "$REC"
is 'text of a recording: status' "$STATUS" 0
cp -- "$OUT" "$TMP/wanted"
same 'options behind' --replay "$REC" -s delta.exits -o pid,name,delta.exits -n 2 -b
same 'long options' --batch --frames 2 --fields pid,name,delta.exits --sort delta.exits --replay "$REC"
same 'long options with =' --sort=delta.exits --replay="$REC" --fields=pid,name,delta.exits --frames=2
same 'short options in one word' -bn2 -opid,name,delta.exits -sdelta.exits --replay "$REC"
same 'abbreviated long options' --ba --fr 2 --fi pid,name,delta.exits --sor delta.exits --rep "$REC"
same '--source replay:FILE' --source "replay:$REC" -b -n 2 -o pid,name,delta.exits -s delta.exits
same 'without -b, where standard output is no terminal' -n 2 -o pid,name,delta.exits -s delta.exits \
	--replay "$REC"
same '-d, which a recording in text does not wait for' -d 86400 -n 2 -o pid,name,delta.exits \
	-s delta.exits --replay "$REC"
same 'the last of two -n counts' -n 1 -n 2 -o pid,name,delta.exits -s delta.exits --replay "$REC"

names_by() { prints -n 1 --csv -o name -s "$1" --replay "$REC" && sed '1d; s/.*,//' "$OUT"; }
is '-s of text: from A to Z' "$(names_by name)" "$(names_by name | sort -f)"
like 'which --help says' "$(prints --help; tr -s ' \n' ' ' <"$OUT")" 'numbers largest first, text from A to Z'

for n in 1 2 "$FRAMES"; do
	prints --replay "$REC" --json -n "$n"
	is "-n $n: frames" "$(wc -l <"$OUT")" "$n"
	is "-n $n: each is an object of this schema" "$(jq -r .schema "$OUT" | sort -u)" wbinvdtop/1
done
prints --replay "$REC" --json
is 'without -n: all frames' "$(wc -l <"$OUT")" "$FRAMES"
is 'no frame is empty of time' "$(jq -r 'select(.interval_ns == 0) | 1' "$OUT")" ''
prints --replay "$REC" --json -n 1000
is '-n beyond the end: all frames' "$(wc -l <"$OUT")" "$FRAMES"
is '-n beyond the end: status' "$STATUS" 0

# What is lost is counted since the start, as all else.
sed '3s/"events_lost":0/"events_lost":2/' tests/data/log.jsonl >"$TMP/lost.jsonl"
runs "$TOOL" --replay "$TMP/lost.jsonl" --json
is 'events_lost that goes backwards: status' "$STATUS" 2
like 'events_lost that goes backwards' "$(<"$ERR")" 'line 4: events_lost goes backwards'
is 'events_lost that goes backwards: the frames before' "$(jq -r .events_lost "$OUT" | paste -sd ' ')" '0 2'

prints --replay "$REC" --json -n 1
unlike 'no vcpus unless asked for' "$(jq -c '.vms[0]' "$OUT")" '"vcpus"'
prints --replay "$REC" --json -n 1 --vcpus
like '--vcpus' "$(jq -c '.vms[0]' "$OUT")" '"vcpus":\['

prints --replay "$REC" -n 1 --vcpus -o total.exits,delta.exits
is '--vcpus in text, no name asked for: vCPUs have a column of their own' \
	"$(sed -n 's/  */ /g; 2,4p' "$OUT")" $'vCPU t.exits exits\n 114 114\n vCPU 0 21 21'
prints --replay "$REC" -n 1 --vcpus -o total.exits,name
is '--vcpus in text: named where the VM is' "$(sed -n 's/  */ /g; 2,4p' "$OUT")" \
	$'t.exits name\n 114 web01\n 21 vCPU 0'

PID=$(head -n 1 "$REC" | jq '.vms[0].pid')
NAME=$(head -n 1 "$REC" | jq -r '.vms[1].name')
prints --replay "$REC" --json -n 1 -p "$PID"
is '-p' "$(jq -c '[.vms[].pid] | unique' "$OUT")" "[$PID]"
prints --replay "$REC" --json -n 1 -g "${NAME^^}"
is '-g, case ignored' "$(jq -r '[.vms[].name] | unique | .[]' "$OUT")" "$NAME"
prints --replay "$REC" --json -n 1 -p "$PID" -g "$NAME"
is '-p and -g: either' "$(jq '.vms | length' "$OUT")" 2
prints --replay "$REC" --json -n 1 -p 4194304
is '-p of nobody: no VMs' "$(jq -c .vms "$OUT")" '[]'
is '-p of nobody: the sum is of all' "$(jq '.sum.total.exits > 0' "$OUT")" true

prints --replay "$REC" --csv -n 2
is '--csv: every row has as many columns as the first' \
	"$(awk -F, '!/"/ { print NF }' "$OUT" | sort -u | wc -l)" 1
like '--csv: names of columns' "$(head -n 1 "$OUT")" '(^|,)delta\.exits(,|$)'

for view in vms victims devices; do
	prints --replay "$REC" -n 1 --view "$view"
	is "--view $view: status" "$STATUS" 0
	ok "--view $view: prints" test -s "$OUT"
done

prints --replay "$REC" -n 1 --view log
is '--view log of a source that tells no events says so' "$(sed 1d "$OUT")" \
	'Nothing is logged: this source does not tell'
prints --replay "$REC" -n 1 --log -o name
is '--log as well' "$(tail -n 1 "$OUT")" 'Nothing is logged: this source does not tell'

prints --replay "$REC" --verbose -n 1 --json
is '--verbose: standard output stays data' "$(jq -r .schema "$OUT")" wbinvdtop/1

# ---- faults -------------------------------------------------------------------------------------

refused 'a recording that is not there' 2 "no-such-file" "$TOOL" -b --replay "$TMP/no-such-file"
refused 'a recording that is a directory' 2 "$TMP" "$TOOL" -b --replay "$TMP"
: >"$TMP/empty"
refused 'an empty recording' 2 empty "$TOOL" -b --replay "$TMP/empty"
echo 'not a recording' >"$TMP/text"
refused 'a file that is no recording' 2 text "$TOOL" -b --replay "$TMP/text"
refused 'a recording that cannot be written' 1 "no-such-dir" \
	"$TOOL" -b --replay "$REC" --record "$TMP/no-such-dir/file"
cp -- "$REC" "$TMP/own"
refused 'a recording of itself' 2 '--record would overwrite' \
	"$TOOL" -b --replay "$TMP/own" --record "$TMP/own"
ok 'which is left as it was' cmp "$REC" "$TMP/own"

if "${NOBODY[@]}" test -x "$TOOL"; then
	: >"$TMP/secret"
	chmod 0 "$TMP/secret"
	refused 'a recording that may not be read' 3 'secret cannot be opened: Permission denied' \
		"${NOBODY[@]}" "$TOOL" -b --replay "$TMP/secret"
	refused 'no privilege for a live source' 3 . "${NOBODY[@]}" "$TOOL" -b -n 1
else
	skip 'a recording that may not be read' 'the tool is where nobody may go'
	skip 'no privilege for a live source' 'the tool is where nobody may go'
fi

runs "$TOOL" -n 1 --json --replay "$REC" --record "$TMP/copy"
is '--record: status' "$STATUS" 0
prints --json --replay "$TMP/copy" -n 1
cp -- "$OUT" "$TMP/wanted"
same 'a recording of a recording replays the same' --json --replay "$REC" -n 1

runs "$TOOL" --json --replay "$REC" --record /dev/full
is 'disk full while recording: status' "$STATUS" 1
like 'disk full while recording: one sentence' "$(<"$ERR")" '^wbinvdtop: [^'$'\n'']*No space left on device[^'$'\n'']*$'
is 'disk full while recording: frames go on' "$(wc -l <"$OUT")" "$FRAMES"

"$TOOL" --json --replay "$REC" >/dev/full 2>"$ERR"
is 'disk full: status' "$?" 1
like 'disk full: one sentence' "$(<"$ERR")" '^wbinvdtop: standard output cannot be written: No space left on device$'

# A reader that leaves is no fault.
mkfifo "$TMP/fifo"
# shellcheck disable=SC2094
exec 4<>"$TMP/fifo" 5>"$TMP/fifo" 4<&-
"$TOOL" --json --replay "$REC" >&5 2>"$ERR"
is 'output pipe closed: status' "$?" 0
is 'output pipe closed: no word' "$(<"$ERR")" ''

# A reader that does not read must not keep the tool from ending.
exec 4<>"$TMP/fifo"
timeout 0.5 head -c 1048576 /dev/zero >&4
"$TOOL" --json --replay "$REC" >&4 2>"$ERR" 4<&- &
pid=$!
# A recording in text is never waited for, so that it sleeps where it writes.
until [[ $(<"/proc/$pid/status") =~ State:.S.*SigBlk:.0*[1-9a-f] ]]; do sleep 0.01; done
kill -TERM "$pid"
wait "$pid"
is 'output pipe full, SIGTERM: status' "$?" 0
is 'output pipe full, SIGTERM: one sentence' "$(<"$ERR")" \
	'wbinvdtop: nobody reads standard output: the last frame is incomplete'
exec 4<&-

"$TOOL" --json --replay "$REC" >&- 2>"$ERR"
is 'standard output closed: status' "$?" 1
like 'standard output closed: one sentence' "$(<"$ERR")" '^wbinvdtop: standard output is closed$'
"$TOOL" --json --replay "$REC" -n 1 >"$OUT" <&- 2>&-
is 'standard input and error closed: status' "$?" 0
is 'standard input and error closed: frames' "$(wc -l <"$OUT")" 1

done_testing
