#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nosnoop watch on a tree made by hand whose config space changes while it is watched: changes, what
# sleeps, what vanishes, recordings and what advise makes of them. Needs no root.
#
# Run by prove. OUT names the build directory (default: build).

set -u -o pipefail

# shellcheck source=tests/cli/nosnoop.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/nosnoop.sh"
# shellcheck source=tests/cli/nstree.sh disable=SC1094
. "$TOP/tests/cli/nstree.sh"
TREE=$TMP/tree
demo_tree
DEVICES=$TREE/sys/bus/pci/devices

# function BDF EXPRESSION: of each line of the recording, one line each
each() {
	jq -r "[.functions[] | select(.bdf == \"$1\")][0] | $2" "$TMP/rec"
}

# watching OPTION...: starts it; when this returns, it has read once
watching() {
	rm -f "$TMP/rec"
	"$TOOL" watch --sysroot "$TREE" "$@" --record "$TMP/rec" >"$OUT" 2>"$ERR" &
	watcher=$!
	until_true 60 test -s "$TMP/rec" || fail "watch begins" "$(<"$ERR")"
}

# ---- changes, sleep, vanishing ------------------------------------------------------------------

# A reading per second; what happens in between has been seen by the next but one, whatever the machine does.
watching --all -d 1 -n 9
sleep 0.3
config 0 1 >"$DEVICES/0000:03:00.0/config"
sleep 2
config 0 0 >"$DEVICES/0000:03:00.0/config"
echo suspended >"$DEVICES/0000:02:00.0/power/runtime_status"
config 0 0 >"$DEVICES/0000:02:00.0/config" # not to be read while it sleeps
sleep 2
rm -rf -- "$DEVICES/0000:04:00.0"
wait "$watcher"
is 'watch: status' $? 0
is 'watch: nothing on standard error' "$(<"$ERR")" ''
is 'recording: a line for the start and each frame' "$(wc -l <"$TMP/rec")" 10
is 'recording: first line' "$(head -n 1 "$TMP/rec" | jq -c '[.schema, .command, .interval_ns]')" '["nosnoop/1","watch",0]'
is 'recording: kernel and CPUs of the tree' "$(jq -c '[.kernel, .cpus]' "$TMP/rec" | uniq)" '["6.1.99-tree",4]'
is 'a bit that changes twice' "$(each 0000:03:00.0 .changes | tail -n 1)" 2
is 'as it was read' "$(each 0000:03:00.0 .no_snoop | uniq | tr '\n' ' ')" 'disabled enabled disabled '
like 'the changes are told when they happen' "$(<"$OUT")" \
	'0000:03:00\.0 Enable No Snoop: set, was cleared.*0000:03:00\.0 Enable No Snoop: cleared, was set'
is 'what sleeps is not read: last known' "$(each 0000:02:00.0 '"\(.suspended) \(.no_snoop)"' | tail -n 1)" 'true enabled'
is 'and that is no change' "$(each 0000:02:00.0 .changes | tail -n 1)" 0
like 'and is said' "$(<"$OUT")" 'suspended, last known'
is 'what slept from the start is not known' "$(each 0000:0a:00.0 '"\(.suspended) \(.no_snoop)"' | tail -n 1)" 'true null'
is 'what vanished is no longer there' "$(tail -n 1 "$TMP/rec" | jq '[.functions[] | select(.bdf == "0000:04:00.0")] | length')" 0
is 'what this kernel does not tell is null, with a reason' "$(tail -n 1 "$TMP/rec" | jq -c '[.vms[0].flush_ns, .vms[0].mapped_bytes,
	(.vms[0].why | length > 0), .functions[0].blocked, (.functions[0].blocked_why | length > 0)]')" '[null,null,true,null,true]'
is 'nor are its user'\''s writes of the bit' "$(tail -n 1 "$TMP/rec" | jq -c '[.guest_writes, .functions[0].guest_writes, .functions[0].guest_writes_why]')" \
	'[{"by":null,"since_ns":null,"lost":null,"why":"this is not the running system"},null,"this is not the running system"]'
is 'the VM' "$(tail -n 1 "$TMP/rec" | jq -r '.vms[] | "\(.id) \(.start) \(.name)"')" '4711-5 123456 web01'
is 'nothing is counted here: none, not 0' "$(jq -c '[.requests.coverage, (.requests.reason | length > 0), .requests.sockets]' "$TMP/rec" | sort -u)" \
	'["none",true,[]]'

runs "$TOOL" advise --baseline "$TMP/rec" --min-overlap 5 --json
is 'advise on it: status' "$STATUS" 0
is 'advise: blocked and not measured' "$(jq -r '.devices[] | select(.bdf == "0000:01:00.0") | .row' "$OUT")" R3
is 'advise: an integrated display is never 4' "$(jq -r '.devices[] | select(.bdf == "0000:00:02.0") | .verdict' "$OUT")" never-4
is 'advise: a back door' "$(jq -r '.devices[] | select(.bdf == "0000:06:00.0") | .verdict' "$OUT")" 3-to-4-unproven
is 'advise: a VF is never 4' "$(jq -r '.devices[] | select(.bdf == "0000:05:00.0") | .verdict' "$OUT")" never-4
is 'advise: no cleared bit is called safe' "$(jq '[.devices[] | select(.verdict == "3-to-4-safe" or .verdict == "costs-nothing")] | length' "$OUT")" 0
cp -- "$OUT" "$TMP/advice"
is 'advise: the page alone says the same' "$(tests/cli/rule-verdict "$TMP/advice")" \
	"$(jq -r '.devices[] | "\(input_filename) \(.bdf) \(.row) \(.verdict) \(.confidence)"' "$TMP/advice")"

# A change that is undone before the next frame; in its midst the function does not answer, as in a reset.
rm -rf -- "${TREE:?}" && demo_tree
watching -D 03:00.0 -d 8 -n 1
config=$DEVICES/0000:03:00.0/config
for bit in 1 gone 0; do
	sleep 1
	if [[ $bit == gone ]]; then
		head -c 256 /dev/zero | tr '\0' '\377' | dd of="$config" conv=notrunc status=none
	else
		config 0 $bit | dd of="$config" conv=notrunc status=none
	fi
done
wait "$watcher"
is 'between two frames: set, unreadable, cleared' "$(tail -n 1 "$TMP/rec" | jq -c '.functions[0] | [.no_snoop, .changes]')" '["disabled",2]'
like 'and told' "$(<"$OUT")" '0000:03:00\.0 Enable No Snoop: set, was cleared.*Enable No Snoop: cleared, was set'
compare 'found set at several readings' "$(tail -n 1 "$TMP/rec" | jq '.functions[0].set_readings')" -gt 2
compare 'how long it was not read, at most: in ms' "$(tail -n 1 "$TMP/rec" | jq '.unread_ns / 1e6 | floor')" -ge 100
compare 'which is less than the interval' "$(tail -n 1 "$TMP/rec" | jq '.unread_ns / 1e6 | floor')" -lt 4000
like 'and stands below the table' "$(<"$OUT")" 'bit: read every [0-3]\.[0-9]{3} s or more often'

# A function that sleeps is read as soon as it wakes, and not with the next frame only: one that slept from the start,
# and one that fell asleep.
rm -rf -- "${TREE:?}" && demo_tree
echo suspended >"$DEVICES/0000:02:00.0/power/runtime_status"
echo active >"$DEVICES/0000:03:00.0/power/runtime_status"
watching -D 02:00.0 -D 03:00.0 -d 9 -n 1
sleep 0.5
echo suspended >"$DEVICES/0000:03:00.0/power/runtime_status"
sleep 1
for bit in 1 0; do
	for bdf in 0000:02:00.0 0000:03:00.0; do
		config 0 $bit | dd of="$DEVICES/$bdf/config" conv=notrunc status=none
		echo active >"$DEVICES/$bdf/power/runtime_status"
	done
	sleep 3
done
wait "$watcher"
for bdf in 0000:02:00.0 0000:03:00.0; do
	compare "$bdf woke between two frames: readings that found it set" "$(each $bdf .set_readings | tail -n 1)" -gt 2
	is "$bdf: and it was cleared" "$(each $bdf .no_snoop | tail -n 1)" disabled
done

# What could not be read at first is of the kind that it shows once it wakes, and stays so when it sleeps again:
# three that are the same asleep, of which one is integrated.
rm -rf -- "${TREE:?}" && demo_tree
for bdf in 0000:01:00.0 0000:02:00.0; do
	echo suspended >"$DEVICES/$bdf/power/runtime_status"
done
config 9 0 >"$DEVICES/0000:02:00.0/config"
watching -d 1 -n 10
for state in active suspended; do
	sleep 1.5
	for bdf in 0000:01:00.0 0000:02:00.0; do
		echo $state >"$DEVICES/$bdf/power/runtime_status"
	done
done
wait "$watcher"
is 'asleep: of no known kind; awake and asleep again: of that' "$(each 0000:01:00.0 .kind | uniq | tr '\n' ' ')" 'null endpoint '
is 'and so the integrated one' "$(each 0000:02:00.0 '"\(.kind) \(.listed)"' | uniq | tr '\n' ' ')" 'null null integrated true '
jq -c '.functions |= map(select(.kind == null))' "$TMP/rec" | head -n 1 >"$TMP/asleep"
runs "$TOOL" advise --baseline "$TMP/asleep" --json
is 'advise on what slept: of no known kind, so that nothing could prove it unable' \
	"$(jq -r '.devices[] | "\(.row) \(.verdict)"' "$OUT" | uniq)" 'R2 never-4'

# A bit that was seen set is not hardwired, also when all is listed anew, which is every five seconds.
rm -rf -- "${TREE:?}" && demo_tree
watching -d 1 -n 9
sleep 0.5
config 0 0 | dd of="$DEVICES/0000:02:00.0/config" conv=notrunc status=none
wait "$watcher"
is 'seen set, then cleared: it can' "$(each 0000:02:00.0 '"\(.no_snoop) \(.ability) \(.ability_why)"' | uniq)" \
	$'enabled can the bit is set\ndisabled can the bit reads 0, but was seen set'

# ---- which functions ----------------------------------------------------------------------------

rm -rf -- "${TREE:?}" && demo_tree
while IFS='|' read -r words wanted; do
	# shellcheck disable=SC2086 # words they are
	runs "$TOOL" watch --sysroot "$TREE" -n 1 -d 0.1 --json $words
	is "watch $words" "$(jq -r '[.functions[].bdf[5:7]] | join(" ")' "$OUT")" "$wanted"
done <<'TABLE'
|01 02
-D 03:00.0|03
--driver nvme|03
-g web|02
-p 4712|01
TABLE
rm -- "$TREE/proc/version" "$TREE/sys/devices/system/cpu/online"
runs "$TOOL" watch --sysroot "$TREE" -n 1 -d 0.1 --json
is 'a tree that tells neither kernel nor CPUs' "$STATUS $(jq -c '[.kernel, .cpus]' "$OUT")" '0 [null,null]'
runs "$TOOL" watch --sysroot "$TREE" -n 2 -d 0.1 --csv
is 'CSV: a header, and a line per function and frame' "$(wc -l <"$OUT")" 5

# ---- ends ---------------------------------------------------------------------------------------

"$TOOL" watch --sysroot "$TREE" -d 3600 --json >"$OUT" 2>"$ERR" &
watcher=$!
sleep 1
kill -TERM "$watcher"
wait "$watcher"
is 'SIGTERM: status' $? 0
is 'SIGTERM: what was under way is shown' "$(jq -c .schema "$OUT")" '"nosnoop/1"'
"$TOOL" watch --sysroot "$TREE" -d 0.1 -n 3 --record /dev/full >"$OUT" 2>"$ERR"
is 'a full disk: status' $? 1
like 'a full disk: the sentence' "$(<"$ERR")" 'recording to /dev/full stopped'
is 'a full disk: watching went on' "$(grep -c '^address' "$OUT")" 3
while IFS='|' read -r words sentence; do
	eval "set -- $words"
	refused "refused: $words" 2 "^nosnoop: .*$sentence" "$TOOL" watch --sysroot "$TREE" "$@"
done <<'TABLE'
-s bdf|option -s has no meaning
-o nope|nope
-o bdf --json|-o goes without --json
-D 0000:ff:00.0|there is no PCI function
-D x|option -D: 'x' is not
-d 0|option -d: '0' is not
--driver ''|option --driver: '' is not
x|'x' is one argument too many
TABLE

done_testing
