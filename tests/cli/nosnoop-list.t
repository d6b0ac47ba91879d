#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nosnoop list on trees made by hand: every box, every unknown with its reason, filters, formats, bad
# input. Needs no root.
#
# Run by prove. OUT names the build directory (default: build).

set -u -o pipefail

# shellcheck source=tests/cli/nosnoop.sh disable=SC1094
. "$(dirname -- "${BASH_SOURCE[0]}")/nosnoop.sh"
# shellcheck source=tests/cli/nstree.sh disable=SC1094
. "$TOP/tests/cli/nstree.sh"
TREE=$TMP/tree
demo_tree

list() {
	runs "$TOOL" list --sysroot "$TREE" "$@"
}

# fact BDF EXPRESSION: of its object
fact() {
	jq -r ".functions[] | select(.bdf == \"$1\") | $2" "$TMP/json"
}

list --json
is 'list: status' "$STATUS" 0
is 'list: nothing on standard error' "$(<"$ERR")" ''
cp -- "$OUT" "$TMP/json"
is 'JSON: one line' "$(wc -l <"$OUT")" 1
is 'JSON: schema' "$(jq -r .schema "$OUT")" nosnoop/1
is 'JSON: all functions, sorted' "$(jq -r '.functions[].bdf' "$OUT" | tr '\n' ' ')" \
	"$(for d in "$TREE"/sys/bus/pci/devices/*; do printf '%s ' "${d##*/}"; done)"

# A table: address, box, boxes, bit, ability, part of the reason.
while IFS='|' read -r bdf box boxes bit ability reason; do
	is "$bdf: box, boxes, bit, ability" \
		"$(fact "$bdf" '"\(.box)|\(.box_candidates | map(tostring) | join(","))|\(.no_snoop)|\(.ability)"')" \
		"$box|$boxes|$bit|$ability"
	like "$bdf: the reason" "$(fact "$bdf" .box_reason)" "$reason"
done <<'TABLE'
0000:01:00.0|1|1|enabled|can|the IOMMU can block it
0000:02:00.0|3|3|enabled|can|the IOMMU cannot block it
0000:03:00.0|null|1,2|disabled|null|hardwired is not proven
0000:04:00.0|null|3,4|disabled|null|hardwired is not proven
0000:05:00.0|null|3,4|null|null|virtual function
0000:00:02.0|null|3,4|null|null|integrated endpoint
0000:06:00.0|3|3|enabled|can|the IOMMU cannot block it
0000:07:00.0|null|1,2|null|null|all ones
0000:08:00.0|null|1,2|null|null|first 64 bytes.*root
0000:09:00.0|null|1,2|null|null|could not be read
0000:0a:00.0|null|1,2|null|null|runtime-suspended
0000:0b:00.0|null|1,3|enabled|can|no IOMMU in front
0000:0c:00.0|null|1,2|null|null|corrupt
TABLE
is 'no cleared bit is called box 4' "$(jq '[.functions[] | select(.box == 4)] | length' "$TMP/json")" 0
is 'each unknown has its reason' "$(jq '[.functions[] | select((.no_snoop == null and .no_snoop_why == null) or
	(.snoop_control == null and .snoop_control_why == null) or (.ability == null and .ability_why == null) or
	(.domain.enforced == null and .domain.enforced_why == null) or (.domain.policy == null and .domain.policy_why == null) or
	(.root_port.writes_honoured == null and .root_port.writes_why == null) or
	(.box == null and .box_reason == null))] | length' "$TMP/json")" 0
is 'nothing known has a reason why not' "$(jq '[.functions[] | select((.no_snoop != null and .no_snoop_why != null) or
	(.snoop_control != null and .snoop_control_why != null))] | length' "$TMP/json")" 0

is 'the VM that owns it' "$(fact 0000:02:00.0 '"\(.vm.id) \(.vm.pid) \(.vm.start) \(.vm.name)"')" '4711-5 4711 123456 web01'
is 'a process without a VM' "$(fact 0000:01:00.0 '"\(.vm.id) \(.vm.pid) \(.vm.name)"')" 'null 4712 holder'
is 'group, its size, domain' "$(fact 0000:01:00.0 '"\(.group) \(.group_size) \(.domain.type) \(.iommu)"')" '1 1 DMA-FQ dmar0'
is 'an IOMMU that cannot block enforces nothing' "$(fact 0000:02:00.0 .domain.enforced)" false
is 'one that can: not told' "$(fact 0000:01:00.0 .domain.enforced)" null
is 'back door: NVIDIA display' "$(fact 0000:06:00.0 .backdoor)" true
like 'and its source' "$(fact 0000:06:00.0 '.quirks[0].source')" 'nouveau_drm\.c:654'
is 'back door: not of the NIC' "$(fact 0000:02:00.0 .backdoor)" false
is 'ignores the bit: Intel display' "$(fact 0000:00:02.0 .listed)" true
is 'kinds' "$(fact 0000:05:00.0 .kind) $(fact 0000:00:02.0 .kind) $(fact 0000:06:00.0 .kind) $(fact 0000:01:00.0 .kind)" \
	'vf integrated display endpoint'
for bdf in 0000:07:00.0 0000:08:00.0 0000:09:00.0 0000:0a:00.0 0000:0c:00.0; do
	is "$bdf: its kind, and whether it is listed, is not known" "$(fact "$bdf" '"\(.kind) \(.listed) \(.backdoor)"')" \
		'null null false'
done
like 'kind: why not' "$(fact 0000:0a:00.0 .kind_why)" 'runtime-suspended'
like 'kind: why not without root' "$(fact 0000:08:00.0 .kind_why)" 'first 64 bytes.*root'
is 'a known kind has no reason why not' "$(jq '[.functions[] | select((.kind == null) != (.kind_why != null))] | length' "$TMP/json")" 0
is 'no name: numbers' "$(fact 0000:03:00.0 .name)" 144d:a808

# A tree that does not say who a function is: it may be any.
for gone in vendor class; do
	TREE=$TMP/nameless
	demo_tree
	: >"$TREE/sys/bus/pci/devices/0000:01:00.0/$gone"
	list --json -D 0000:01:00.0
	is "no $gone: kind, listed, backdoor" "$STATUS $(jq -r '.functions[0] | "\(.kind) \(.listed) \(.backdoor)"' "$OUT")" '0 null null null'
	[[ $gone == class ]] || is "no $gone: its number" "$(jq -c '.functions[0] | [.vendor, .device]' "$OUT")" '[null,4307]'
	like "no $gone: why" "$(jq -r '.functions[0].kind_why' "$OUT")" 'does not tell its vendor'
	rm -rf -- "$TREE"
done
TREE=$TMP/nameless
demo_tree
: >"$TREE/sys/bus/pci/devices/0000:01:00.0/device"
list --csv -D 0000:01:00.0 -o vendor,device
is 'no device: its number' "$(tail -n 1 "$OUT")" '32902,'
rm -rf -- "$TREE"
TREE=$TMP/tree

# Of the tree, not of this machine.
is 'the kernel of a tree' "$(jq -r .kernel "$TMP/json")" 6.1.99-tree
mv -- "$TREE/proc/version" "$TMP/version"
list --json
is 'a tree that does not tell its kernel' "$STATUS $(jq .kernel "$OUT")" '0 null'
echo 'Linux version ' >"$TREE/proc/version"
list --json
is 'nor by what it has instead' "$STATUS $(jq .kernel "$OUT")" '0 null'
mv -- "$TMP/version" "$TREE/proc/version"

# ---- root ports that have been described --------------------------------------------------------

rm -rf -- "$TREE/sys/devices" && mkdir -p "$TREE/sys/devices/pci0000:16/0000:16:00.0"
mv -- "$TREE/sys/bus/pci/devices/0000:02:00.0" "$TREE/sys/devices/pci0000:16/0000:16:00.0/0000:02:00.0"
ln -s ../../../devices/pci0000:16/0000:16:00.0/0000:02:00.0 "$TREE/sys/bus/pci/devices/0000:02:00.0"
# Links of a function are relative to where it really is.
for link in iommu iommu_group; do
	old=$(readlink -- "$TREE/sys/bus/pci/devices/0000:02:00.0/$link")
	ln -sfn "../../../../${old#../../../../}" "$TREE/sys/bus/pci/devices/0000:02:00.0/$link"
done
pci 0000:16:00.0 8086 2030 060400
config 4 0 >"$TREE/sys/bus/pci/devices/0000:16:00.0/config"
for bit in 08:true 00:false ff:null; do
	{
		head -c 384 /dev/zero
		# shellcheck disable=SC2059
		printf "\\x${bit%:*}\\x$([[ $bit == ff* ]] && echo ff || echo 00)"
		[[ $bit == ff* ]] && printf '\xff\xff' || printf '\0\0'
	} >"$TREE/sys/bus/pci/devices/0000:16:00.0/config"
	list --json -D 0000:02:00.0
	is "Skylake-SP root port, bit 3 ${bit%:*}" "$(jq -r '.functions[0].root_port | "\(.bdf) \(.writes_honoured)"' "$OUT")" \
		"0000:16:00.0 ${bit#*:}"
done
echo 0x3c02 >"$TREE/sys/bus/pci/devices/0000:16:00.0/device"
list --json -D 0000:02:00.0
is 'another root port: not described' "$(jq -r '.functions[0].root_port.writes_honoured' "$OUT")" null
rm -rf -- "${TREE:?}/sys" "${TREE:?}/proc"
demo_tree

# ---- filters and formats ------------------------------------------------------------------------

while IFS='|' read -r words wanted; do
	# shellcheck disable=SC2086 # words they are
	list --json $words
	is "list $words" "$(jq -r '[.functions[].bdf[5:7]] | join(" ")' "$OUT")" "$wanted"
done <<'TABLE'
-D 0000:02:00.0|02
-D 02:00.0 -D 01:00.0|01 02
--driver vfio-pci|01 02
--driver none --driver nvme|03 04 05 07 08 09 0a 0b 0c
-g WEB|02
-p 4712|01
-p 4712 -g web|01 02
-p 1|
--assigned|01 02
--driver vfio-pci -g web|02
TABLE
list -o bdf,box,box_candidates,vm.name -D 0000:02:00.0 --csv
is 'CSV of some fields' "$(<"$OUT")" $'bdf,box,box_candidates,vm.name\n0000:02:00.0,3,3,web01'
list --csv
is 'CSV: a line for each' "$(wc -l <"$OUT")" 14
is 'CSV: as many columns as fields' "$(head -n 1 "$OUT" | tr ',' '\n' | wc -l)" \
	"$("$TOOL" list --list-fields | grep -vc '^quirk_kinds')"
list
is 'text: status' "$STATUS" 0
like 'text: reasons below, with their number' "$(<"$OUT")" 'box not certain, 2 functions?: bit reads 0; whether hardwired is not proven'
runs "$TOOL" list --quirks
like 'quirks: sources' "$(<"$OUT")" 'nouveau_drm\.c:654'

# ---- bad input ----------------------------------------------------------------------------------

while IFS='|' read -r words status sentence; do
	eval "set -- $words"
	refused "refused: $words" "$status" "^nosnoop: .*$sentence" "$TOOL" "$@"
done <<'TABLE'
|2|a command is missing
lost|2|'lost' is no command
list -D 12abc|2|option -D: '12abc' is not a PCI address
list --sysroot "$TREE" -D 0000:ff:1f.7|2|there is no PCI function 0000:ff:1f\.7
list -o nope|2|nope
list -o ''|2|option -o: '' is not
list --json --csv|2|exclude each other
list -p 0|2|option -p: '0' is not
list -g ''|2|option -g: '' is not
list --driver ''|2|option --driver: '' is not
list --nope|2|option --nope is unknown
list x|2|'x' is one argument too many
list --sysroot /nonexistent|2|'/nonexistent' is not a directory
list --probe|2|name it with -D
list --probe -D 01:00.0 --sysroot /|2|goes without --sysroot
TABLE
# A function of this machine, to nobody; nothing is written, as nothing may be.
bdf=$(find /sys/bus/pci/devices/ -name '*:*:*.*' -printf '%f\n' | sort | head -n 1)
if [[ $bdf ]] && "${NOBODY[@]}" test -x "$TOOL" -a ! -w "/sys/bus/pci/devices/$bdf/config"; then
	refused 'a probe by nobody' 3 "^nosnoop: $bdf can be probed by root alone" "${NOBODY[@]}" "$TOOL" list --probe -D "$bdf"
else
	skip 'a probe by nobody' 'no PCI function here that nobody may not write to'
fi
mkdir "$TMP/empty"
runs "$TOOL" list --sysroot "$TMP/empty" --json
is 'a tree without PCI: status' "$STATUS" 0
like 'and a word about it' "$(<"$ERR")" 'no PCI functions'
"$TOOL" list --sysroot "$TREE" >/dev/full 2>"$ERR"
is 'a full disk: status' $? 1
like 'a full disk: the sentence' "$(<"$ERR")" 'cannot be written'

# Functions that vanish while the tree is read: whatever is caught, it is no failure.
for _ in 1 2 3 4 5; do
	cp -a -- "$TREE" "$TMP/vanishing"
	rm -rf -- "$TMP"/vanishing/sys/bus/pci/devices/0000:0* &
	"$TOOL" list --sysroot "$TMP/vanishing" --json >"$OUT" 2>"$ERR"
	status=$?
	wait
	rm -rf -- "$TMP/vanishing"
	is 'functions that vanish: status' "$status" 0
	ok 'functions that vanish: still JSON' jq -e .functions "$OUT"
done

# ---- 1,000 functions ----------------------------------------------------------------------------

TREE=$TMP/large
ok 'a large tree' large_tree 1000
runs "$TOOL" list --sysroot "$TREE" --json
is 'a large tree: functions' "$(jq '.functions | length' "$OUT")" 1000

done_testing
