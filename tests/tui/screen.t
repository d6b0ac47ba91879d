#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The screen, key by key, on a recording that is stepped through with the space bar: what is seen
# after each key is compared whole.
#
# Run by prove. WBINVDTOP names the binary (default: build/wbinvdtop), UPDATE=1 writes the screens.

set -u -o pipefail

# shellcheck source=tests/tui/lib.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

REC=${REC:-tests/data/three-vms.jsonl}
# With an interval, a recording goes by it: nothing moves but by a key.
ARGS=(--replay "$REC" -d 86400)
mkdir -p -- "$SCREENS"

# walk PREFIX, from standard input: a key per line, and what it does; compares after each
walk() {
	local prefix=$1 key what n=0

	sees_screen "$prefix: first screen" "$prefix-00"
	while IFS='|' read -r key what; do
		((++n))
		keys "$key"
		sees_screen "$prefix: $key: $what" "$prefix-$(printf '%02d' "$n")"
	done
}

start 80x24 "${ARGS[@]}"
walk 80x24 <<'KEYS'
Space|first interval
Space|second interval
e|opens the first VM
Down|to its first vCPU
Down|to its second vCPU
Enter|closes it again
E|opens all
E|closes all
s|by the first column
s|by the second column
>|by the third column
<|by the second column again
S|by the first column again
R|reversed
R|and back
S|by cost
Right|skips a column
Right|skips another
Left|one back
Left|all columns
v|victims
Tab|devices
BTab|victims again
V|VMs again
/|filter prompt
~|nothing has it
BSpace|all have it
d|typed
b|typed
Enter|kept
Escape|cleared
d|interval prompt
2|typed
x|typed
Enter|refused with a sentence
d|prompt again
Escape|left
p|pause
p|and on
r|totals from here
Space|another frame
?|help
q|back from help, not out of the tool
End|last row
Home|first row
C-l|the same
Space|another frame
Space|another frame
Space|another frame
Space|another frame
Space|end of recording
Space|nothing more
KEYS
keys q
ends 'q' 0

start 200x50 "${ARGS[@]}" --vcpus
walk 200x50 <<'KEYS'
Space|first interval
v|victims
v|devices
h|help
KEYS

start 40x10 "${ARGS[@]}"
walk 40x10 <<'KEYS'
Space|first interval
E|more rows than lines
End|scrolled down
PPage|a page up
NPage|a page down
Home|the top
KEYS

# The log, of a kernel that tells
start 80x24 --replay tests/data/log.jsonl -d 86400
walk log <<'KEYS'
Space|first interval: a policy
V|the log, the newest first
Space|what came stands above
Down|the second
Space|it moves on with the others
End|the oldest
/|filter prompt
b|typed: the name
:|typed: nothing has both
BSpace|back
Enter|kept
Escape|cleared
v|VMs again
KEYS
keys q
ends 'q in a log' 0

# And of one that does not
start 80x24 "${ARGS[@]}" --view log
keys Space
sees 'no log: it says why' 'Nothing is logged: this source does not tell'
keys q
ends 'q without a log' 0

# And of one that does not tell all: an empty log does not look complete, a long reason is cut.
sed 's/"events_why":null/"events_why":"not loaded yet: vfio"/' tests/data/log.jsonl >"$TMP/part.jsonl"
start 80x24 --replay "$TMP/part.jsonl" -d 86400 --view log
keys Space
sees 'part of a log: it says what is missing' \
	'log, [^,]*, not loaded yet: vfio.*Nothing was attached, mapped or changed so far'
keys / b o x Enter
sees 'part of a log: with a filter' 'log, [^,]*, not loaded yet: vfio, filter "box".*Nothing matches'
keys q
ends 'q in part of a log' 0
sed "s/\"events_why\":null/\"events_why\":\"$(printf '%01010d' 0)\"/" tests/data/log.jsonl >"$TMP/long.jsonl"
start 80x24 --replay "$TMP/long.jsonl" -d 86400 --view log
keys Space
sees 'a long reason' 'log, [^,]*, 0000000'
keys Space Space
keys / w e b Enter
sees 'a long reason, and a filter' 'log, [^,]*, 0000000.*web01'
keys q
ends 'q after a long reason' 0

# ---- sizes --------------------------------------------------------------------------------------

start 80x24 "${ARGS[@]}"
keys Space
sees_screen 'before a resize' 80x24-01
resize 200x50
keys Space
sees '200x50 after a resize: the last column is seen' '%stolen'
for size in 40x10 20x5 13x4 5x3 3x2 1x1 2x40 300x3; do
	resize "$size"
	keys E C-l Down
	ok "$size: lives" poll kill -0 "$(<"$TMP/pid")"
done
keys E Home
resize 80x24
keys Up
resize 80x24
keys C-l
sees '80x24 again: all of the footer' 'r reset'
keys q
ends 'after resizes' 0

# ---- noise --------------------------------------------------------------------------------------

start 80x24 "${ARGS[@]}"
keys Space
sees_screen 'before the noise' 80x24-01
printf '\r\nBroadcast message from root@host\r\n\r\nThe system goes down\r\n' >"$(tm display-message -p '#{pane_tty}')"
sees 'noise on the screen' 'Broadcast'
keys C-l
sees_screen 'C-l cleans it' 80x24-01

# ---- the selection ------------------------------------------------------------------------------

# selected: the text of the line in reverse video between titles and footer. An attribute that goes on
# is not repeated on the next line.
# shellcheck disable=SC2317 # through poll
selected() {
	tm capture-pane -e -p | awk -v RS='\n' '{
		text = ""; line = $0; reverse_here = 0
		while (match(line, /\033\[[0-9;]*m/)) {
			before = substr(line, 1, RSTART - 1)
			codes = substr(line, RSTART + 2, RLENGTH - 3)
			line = substr(line, RSTART + RLENGTH)
			if (before != "") reverse_here = reverse_here || reverse
			text = text before
			n = split(codes, code, ";")
			if (n == 0) reverse = 0
			for (i = 1; i <= n; i++)
				reverse = code[i] == 7 ? 1 : code[i] == 0 || code[i] == 27 ? 0 : reverse
		}
		if (line != "") reverse_here = reverse_here || reverse
		gsub(/^ +| +$/, "", line); text = text line; gsub(/^ +/, "", text)
		if (NR >= 4 && NR < 24 && reverse_here) print text
	}'
}
# shellcheck disable=SC2317
selects() { [[ $(selected) == $1* ]]; }

name=$(screen | sed -n 4p | awk '{ print $3 }')
second=$(screen | sed -n 5p | awk '{ print $3 }')
ok 'the most expensive VM is selected' poll selects "[0-9]* + $name"
keys e Down Down
ok 'Down Down: the second vCPU' poll selects 'vcpu 1'
keys Space
ok 'and it stays selected in the next frame' poll selects 'vcpu 1'
keys R
ok 'wherever its VM goes' poll selects 'vcpu 1'
keys R Home
ok 'Home: the first row' poll selects "[0-9]* - $name"
keys e Down
ok 'closed, Down: the second VM' poll selects "[0-9]* + $second"
keys Home Space
sees 'the third interval' 'WBINVD/s 1.24k'
first=$(screen | sed -n 4p | awk '{ print $3 }')
ok 'at the top, the place is selected and not a VM' poll selects "[0-9]* + $first"
keys q
ends 'q after moves' 0

done_testing
