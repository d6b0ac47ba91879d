#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nosnoop on a kernel with the series: functions of all four boxes, made by the module no_snoop_inject, behind an
# IOMMU that blocks no-snoop and one that cannot. What list says of each while nobody has it, after a probe,
# and while a VM holds it; and what advise makes of recordings of that.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.

# shellcheck disable=SC2016 # expressions of jq, commands of the workload
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"
# shellcheck source-path=SCRIPTDIR source=inject.sh
. "$TOP/tests/vm/inject.sh"
# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$TOP/tests/vm/steps.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-}
NOSNOOP=${NOSNOOP:-$BINARIES/nosnoop}

# ---- inside a VM -------------------------------------------------------------------------------

# facts NAME BDF WANTED: of one function, from the listing in $TMP/list
facts() {
	judged is "$1" "$3" "$TMP/list" '.functions[] | select(.bdf == $bdf) | "\(.no_snoop) \(.ability) \(.box) " +
		"\(.box_candidates) \(.blocked) \(.listed) \(.domain.enforced) \(.domain.policy)"' --arg bdf "$2"
}

listing() {
	runs "$NOSNOOP" list --json "$@"
	is "list $*: status" "$STATUS $(<"$ERR")" '0 '
	cp -- "$OUT" "$TMP/list"
}

# clear_bit BDF: Enable No Snoop, from the host; the PCI Express capability of an e1000e is at e0
clear_bit() {
	local high

	high=$(od -An -tu1 -j $((0xe9)) -N 1 "/sys/bus/pci/devices/$1/config") || return
	# shellcheck disable=SC2059 # a byte it is
	printf "\\x$(printf '%x' $((high & ~8)))" |
		dd of="/sys/bus/pci/devices/$1/config" bs=1 seek=$((0xe9)) conv=notrunc status=none
}

# hold [FLAG]: a VM with all of them, in one address space of that policy
hold() {
	local i

	coproc HOLDER { exec "$HELPERS/ncdma" -; }
	# shellcheck disable=SC2153 # the coprocess' variable
	PID=$HOLDER_PID
	step kvm
	step iommu
	step "ioas a${1:+ $1}"
	for i in "${!BDF[@]}"; do
		step "cdev d$i ${BDF[i]}"
		step "add d$i"
		step "bind d$i"
		[[ $i != 2 ]] || step "block d$i"
		step "attach d$i a"
	done
}

let_go() {
	eval "exec ${HOLDER[1]}>&-"
	wait "$PID"
}

# watched NAME: 3 s of it
watched() {
	runs "$NOSNOOP" watch -d 1 -n 3 --record "$TMP/$1"
	is "watch: status" "$STATUS $(<"$ERR")" '0 '
}

# verdict_of NAME BDF WANTED
verdict_of() {
	judged is "$1" "$3" "$OUT" '.devices[] | select(.bdf == $bdf) | "\(.row) \(.verdict)"' --arg bdf "$2"
}

advise() {
	runs "$NOSNOOP" advise --json --min-overlap 2 "$@"
	is "advise $*: status" "$STATUS $(<"$ERR")" '0 '
}

# Five functions, of which three can.
prepare() {
	modprobe -a vfio vfio-pci iommufd no_snoop_inject && devices && inject add "${BDF[0]}" writable &&
		inject add "${BDF[1]}" hardwired0 && inject add "${BDF[2]}" writable &&
		inject add "${BDF[3]}" hardwired0 id=1002:740c class=120000 && rescan "${BDF[3]}" &&
		inject add "${BDF[4]}" writable
}

# over CHECK NAME WANTED FILTER: of all lines of the recording
over() {
	judged "${@:1:3}" "$TMP/moves" "$4" -s -c
}

# One device is attached, gets memory, is moved to another address space with memory of its own, and
# detached: the bytes are those, and the time is that between the events.
moves() {
	local flag='' bdf=$2 watcher mib=1048576

	[[ $1 == off ]] || flag=' noncoherent'
	coproc HOLDER { exec "$HELPERS/ncdma" -; }
	PID=$HOLDER_PID
	step kvm
	step iommu
	step "ioas a$flag"
	step "ioas b$flag"
	step "cdev d $bdf"
	step "add d"
	step "bind d"
	"$NOSNOOP" watch -d 1 -D "$bdf" --record "$TMP/moves" >"$TMP/moves.txt" 2>"$TMP/moves.err" &
	watcher=$!
	until_true 60 test -s "$TMP/moves"
	step "attach d a"
	step "map a 0x10000000 $((64 * mib))"
	step "map a 0x10000000 4096" EEXIST
	sleep 3
	step "map b 0x20000000 $((8 * mib))"
	step "attach d b"
	sleep 3
	step "unmap b 0x20000000 $((8 * mib))"
	step "detach d"
	step "block d"
	step "attach d a"
	sleep 2
	kill -INT "$watcher"
	wait "$watcher"
	is "moves: watch ends well" "$? $(<"$TMP/moves.err")" '0 '
	let_go
	over is "moves: the kernel is heard, and nothing was lost" '[[true,null,0,0]]' \
		'map([.log.heard, .log.why, .log.lost_events, .log.lost_maps]) | unique'
	over is "moves: mapped" $((72 * mib)) 'map(.vms[].mapped_bytes) | add'
	# 64 at the map, 8 when it was attached to b, and 64 again when it came back to a
	over is "moves: of that non-coherently" $((136 * mib)) 'map(.vms[].noncoherent_bytes) | add'
	over is "moves: flushed" $((136 * mib)) 'map(.vms[].flushed_bytes) | add'
	over is "moves: flushed, as the host counts it" $((136 * mib)) 'map(.log.flushes.map.bytes + .log.flushes.attach.bytes) | add'
	over is "moves: and that took time" true 'map(.vms[].flush_ns) | add > 0'
	over is "moves: counts" "2 1 1 0 3 1" \
		'.[-1].functions[0] | "\(.attaches) \(.replaces) \(.detaches) \(.refused) \(.box_changes) \(.no_snoop_operations)"'
	over is "moves: boxes" "03 30 04" '[.[].events[] | select(.kind == "box") | "\(.old_box)\(.box)"] | join(" ")'
	over is "moves: GiB s, from the times of the events" true '
		([.[].events[] | select(.kind == "box").time_ns]) as $t |
		([.[].events[] | select(.kind == "replace").time_ns][0]) as $r |
		((($r - $t[0]) / 16 + ($t[1] - $r) / 128) / 1e9) as $wanted |
		.[-1].functions[0].exposed_gib_s as $got |
		if $got > $wanted - 0.13 and $got < $wanted + 0.13 then true else error("\($got), not \($wanted)") end'
	over is "moves: in box 4 nothing is exposed" 0 '.[-1].functions[0].exposed_bytes'
	over is "moves: though it is pinned" $((64 * mib)) '.[-1].vms[0].pinned_bytes'
	like "moves: told as they happen" "$(<"$TMP/moves.txt")" "$bdf box none -> 3.*$bdf attach to IOAS.*$bdf box 3 -> none"
	runs "$NOSNOOP" advise --baseline "$TMP/moves" --min-overlap 2 --json
	judged like "moves: in box 4 in the end: M is not what box 3 costs" '^null the device was blocked in all or part' "$OUT" \
		'.devices[0].inputs.m | "\(.value) \(.source)"'
}

# vm_of NAME: the process' entries in the recording, as jq selects them
vm_of() {
	printf '.vms[] | select(.id | startswith("%s-"))' "$1"
}

# unpinned BYTES: in all, and whether it was as much or more while the VM was there
unpinned() {
	printf '[(map(.unpin_flushed_bytes) | add), (map(select(.ended | not).unpin_flushed_bytes) | add >= %d)]' "$1"
}

# Two VMs map and unmap different sizes, and end with memory that is still mapped: each has flushed what it
# unpinned, and together they have flushed what the host has.
unpins() {
	local flag='' watcher other a b mib=1048576

	[[ $1 == off ]] || flag=' noncoherent'
	rm -f "$TMP/moves"
	"$NOSNOOP" watch -d 1 -D "$2" -D "$3" --record "$TMP/moves" >"$TMP/moves.txt" 2>"$TMP/moves.err" &
	watcher=$!
	"$NOSNOOP" watch -d 1 -D "$2" --record "$TMP/first" >/dev/null 2>&1 &
	other=$!
	until_true 60 test -s "$TMP/moves" -a -s "$TMP/first"
	{
		printf '%s\n' kvm iommu "ioas a$flag" "cdev d $2" 'add d' 'bind d' 'attach d a' \
			"map a 0x10000000 $((32 * mib))" "map a 0x20000000 $((8 * mib))"
		sleep 4
		printf '%s\n' "unmap a 0x10000000 $((32 * mib))"
		sleep 3
	} | "$HELPERS/ncdma" - >"$TMP/a" &
	a=$!
	{
		printf '%s\n' kvm iommu "ioas a$flag" "cdev d $3" 'add d' 'bind d' 'attach d a' \
			"map a 0x10000000 $((16 * mib))" "map a 0x20000000 $((4 * mib))"
		sleep 5
		# What is still mapped stays until the device is closed, too.
		printf '%s\n' "unmap a 0x20000000 $((4 * mib))" 'close iommu'
		sleep 3
	} | "$HELPERS/ncdma" - >"$TMP/b" &
	b=$!
	wait "$a" "$b"
	is "unpins: every step" "$(cat "$TMP/a" "$TMP/b" | grep -v ': 0$')" ''
	sleep 3
	kill -INT "$watcher" "$other"
	wait "$other"
	wait "$watcher"
	is "unpins: watch ends well" "$? $(<"$TMP/moves.err")" '0 '
	# A reading between a VM's last unpins and the release of its function has these, and then nothing tells of its end.
	over is "unpins: of the one, at its calls and at its end" "[$((40 * mib)),true]" \
		"[.[] | $(vm_of "$a")] | $(unpinned $((32 * mib)))"
	over is "unpins: of the other" "[$((20 * mib)),true]" "[.[] | $(vm_of "$b")] | $(unpinned $((4 * mib)))"
	over is "unpins: of the host, theirs" $((60 * mib)) 'map(.log.flushes.unpin.bytes) | add'
	over is "unpins: they took time" true 'map(.vms[].unpin_flush_ns) | add > 0'
	over is "unpins: flush_ns, which M is of, has all of it, once" true \
		'(map(.vms[].flush_ns) | add) == (map(.log.flushes | .map.ns + .attach.ns + .unpin.ns) | add)'
	over is "unpins: nobody else's" 0 'map(.log.flushes.unpin_by_others.bytes) | add'
	over is "unpins: nothing was lost" '[[0,0]]' 'map([.log.lost_events, .log.lost_maps]) | unique'
	judged is "unpins: of a VM that is not watched, somebody else's" $((20 * mib)) "$TMP/first" \
		'map(.log.flushes.unpin_by_others.bytes) | add' -s
}

# A function that is opened through its group and a container of VFIO: the kernel tells its box, and
# nothing of what is attached, mapped and flushed, which is not 0.
typeone() {
	local snoop=$1 bdf=$2 box=3 watcher mib=1048576
	local why='its process has a container of VFIO (type 1), of which this kernel tells neither attachments nor maps nor flushes'

	[[ $snoop == off ]] || box=1
	modprobe vfio_iommu_type1
	rm -f "$TMP/moves"
	"$NOSNOOP" watch -d 1 -D "$bdf" --record "$TMP/moves" >"$TMP/moves.txt" 2>"$TMP/moves.err" &
	watcher=$!
	until_true 60 test -s "$TMP/moves"
	coproc HOLDER { exec "$HELPERS/ncdma" -; }
	PID=$HOLDER_PID
	step kvm
	step 'container c'
	step "group g $bdf"
	step 'join g c'
	step 'set-iommu c'
	step "device d g $bdf"
	step 'add g'
	step "map c 0x10000000 $((16 * mib))"
	sleep 3
	listing -D "$bdf"
	facts "type1: the kernel's box" "$bdf" "enabled can $box [$box] false false $([[ $snoop == on ]] && echo true || echo false) null"
	judged is "type1: no policy, and why" \
		"$(</sys/kernel/iommu_groups/"$(basename "$(readlink "/sys/bus/pci/devices/$bdf/iommu_group")")"/type) $box: the process has no I/O address space of iommufd; others have no policy" \
		"$TMP/list" '.functions[0].domain | "\(.type) \(.box): \(.policy_why)"'
	judged is "type1: by the VM" "$(basename -- "$(compgen -G "/sys/kernel/debug/kvm/$PID-*")") $PID" \
		"$TMP/list" '.functions[0].vm | "\(.id) \(.pid)"'
	step 'config d 0xe8 2 0x0010 3'
	step 'block d'
	step 'config d 0xe8 2 0x0810 5'
	sleep 3
	step "unmap c 0x10000000 $((16 * mib))"
	sleep 2
	kill -INT "$watcher"
	wait "$watcher"
	is "type1: watch ends well" "$? $(<"$TMP/moves.err")" '0 '
	let_go
	over is "type1: of the VM neither maps nor flushes, and why" "[null,null,null,null,null,null,\"$why\"]" \
		'[.[-1].vms[0] | .mapped_bytes, .noncoherent_bytes, .flushed_bytes, .unpin_flushed_bytes, .unpin_flush_ns, .flush_ns, .why]'
	over is "type1: of the function no attachments, and why" "[null,null,null,null,\"$why\"]" \
		'[.[-1].functions[0] | .attaches, .replaces, .detaches, .refused, .exposure_why]'
	over is "type1: its boxes and operations are told" "[2,1,true,$((box == 3 ? 4 : 2))]" \
		'[.[-1].functions[0] | .box_changes, .no_snoop_operations, .blocked, .box]'
	over is "type1: what was pinned" $((16 * mib)) 'map(.vms[].pinned_bytes // 0) | max'
	over is "blocked: what the guest writes all the same" '[5,3,0,"set"]' \
		'[.[-1].functions[0].guest_writes | .set, .cleared, .unread, .last]'
	over is "blocked: it does not reach the function" disabled '.[-1].functions[0].no_snoop'
	advise --baseline "$TMP/moves"
	judged is "type1: M is not known" null "$OUT" '.devices[0].inputs.m.value'
}

# R4: what policy-ab measured of a device in box 1, its VM's cost in box 3. The mapping workload loses by the flushes;
# one that is made up gains 10 %. Times of an emulated machine are none, so that the limits are given.
pays() {
	local bdf=$1

	runs env OUT="$BINARIES" "$TOP/scripts/bench/policy-ab" -d "$bdf" -n 2 -o "$TMP/maps"
	is "policy-ab: status" "$STATUS" 0
	runs env OUT="$BINARIES" "$TOP/scripts/bench/policy-ab" -d "$bdf" -n 2 -o "$TMP/gains" -w "made up" -- \
		bash -c '[[ $POLICY == enforced ]] && echo 100 || echo 110'
	is "policy-ab, a workload of our own: status" "$STATUS" 0
	hold noncoherent
	recordings candidate 6
	let_go
	set -- --baseline "$TMP/base" --candidate "$TMP/candidate.top" --candidate "$TMP/candidate" --ab
	advise "$@" "$TMP/gains/ab.json" --max-cost 100
	verdict_of "R4: gains" "$bdf" 'R4 1-to-3-pays'
	judged is "R4: the gain" '[10,10,10]' "$OUT" '.devices[] | select(.bdf == $bdf).ab | [.gain, .gain_lo, .gain_hi]' -c --arg bdf "$bdf"
	judged is "R4: F, T and M are known" true "$OUT" '[.devices[] | select(.bdf == $bdf).inputs | .f, .t, .m | .value] |
		length == 3 and all(. != null and . >= 0)' --arg bdf "$bdf"
	advise "$@" "$TMP/gains/ab.json" --min-gain 10
	verdict_of "R4: gains no more than it has to" "$bdf" 'R4 keep-1'
	advise "$@" "$TMP/maps/ab.json" --max-cost 100
	verdict_of "R4: maps that have to be flushed gain nothing" "$bdf" 'R4 keep-1'
}

inside() {
	local snoop=$1 can cannot blocks both able unable blocked ignores cleared at=auto f

	prepare
	verdict "five functions that differ in Enable No Snoop" $?
	able=${BDF[0]} unable=${BDF[1]} blocked=${BDF[2]} ignores=${BDF[3]} cleared=${BDF[4]}
	if [[ $snoop == on ]]; then
		can=1 cannot=2 blocks=true
	else
		can=3 cannot=4 blocks=false
	fi
	both="[$can,$cannot]" f=$blocks
	[[ $snoop == off ]] || f=null # by an IOMMU that can block: up to the domain

	# Nobody has them: awake, so that the bit can be read.
	for bdf in "${BDF[@]}"; do
		echo on >"/sys/bus/pci/devices/$bdf/power/control"
	done
	clear_bit "$cleared" || fail "the bit is cleared from the host"
	listing
	facts "nobody: its bit is set" "$able" "enabled can $can [$can] null false $f null"
	facts "nobody: a cleared bit is not proven" "$cleared" "disabled null null $both null false $f null"
	facts "nobody: nor is one that is hardwired" "$unable" "disabled null null $both null false $f null"
	judged is "nobody: nothing is proven" 0 "$TMP/list" \
		'[.functions[] | select(.ability == "cannot" or .box == 2 or .box == 4)] | length'
	judged is "whether the IOMMU blocks" "[$blocks]" "$TMP/list" \
		'[.functions[] | select(.driver == "vfio-pci").snoop_control] | unique' -c
	listing --probe -D "$cleared"
	facts "probed: the cleared bit can be set" "$cleared" "disabled can $can [$can] null false $f null"
	listing --probe -D "$unable"
	facts "probed: the hardwired one cannot" "$unable" "hardwired0 cannot $cannot [$cannot] null false $f null"
	cp "$TMP/list" "$TMP/proof"

	# A VM has all of them.
	hold
	clear_bit "$cleared" || fail "the bit is cleared from the host"
	listing --assigned
	facts "held: can" "$able" "enabled can $can [$can] false false $blocks automatic"
	facts "held: cannot" "$unable" "hardwired0 cannot $cannot [$cannot] false false $blocks automatic"
	facts "held: blocked" "$blocked" "disabled can $cannot [$cannot] true false $blocks automatic"
	facts "held: ignores the bit" "$ignores" "disabled null $can [$can] false true $blocks automatic"
	facts "held: cleared behind VFIO's back" "$cleared" "disabled can $can [$can] false false $blocks automatic"
	judged is "held: by the VM" "$(basename -- "$(compgen -G "/sys/kernel/debug/kvm/$PID-*")")" \
		"$TMP/list" '[.functions[].vm.id] | unique[]'
	watched base
	advise --baseline "$TMP/base"
	verdict_of "advise: cannot" "$unable" 'R1 costs-nothing'
	verdict_of "advise: ignores the bit" "$ignores" 'R2 never-4'
	for at in "$able" "$cleared" "$blocked"; do
		if [[ $snoop == on ]]; then
			verdict_of "advise: can, $at" "$at" 'R3 keep-1-unmeasured'
		else
			verdict_of "advise: can, $at" "$at" 'R5 3-to-4-unproven'
		fi
	done

	# BLOCK is what is considered for the two that can.
	step "block d0"
	step "block d4"
	watched cand
	let_go
	advise --baseline "$TMP/base" --candidate "$TMP/cand"
	verdict_of "advise, blocked: ignores the bit" "$ignores" 'R2 never-4'
	for at in "$able" "$cleared"; do
		if [[ $snoop == on ]]; then
			verdict_of "advise, blocked: can, $at" "$at" 'R3 keep-1-unmeasured'
		else
			verdict_of "advise, blocked: can, $at" "$at" 'R5 3-to-4-safe'
		fi
	done

	# By the policy of the address space, whatever the IOMMU can.
	hold noncoherent
	listing --assigned
	facts "non-coherent: can" "$able" "enabled can 3 [3] false false false noncoherent"
	facts "non-coherent: cannot" "$unable" "hardwired0 cannot 4 [4] false false false noncoherent"
	facts "non-coherent: blocked" "$blocked" "disabled can 4 [4] true false false noncoherent"
	facts "non-coherent: ignores the bit" "$ignores" "disabled null 3 [3] false true false noncoherent"
	step "detach d0"
	listing -D "$able"
	facts "attached to nothing: what it would be" "$able" "enabled can $can [$can] false false $f noncoherent"
	let_go
	listing -D "$able"
	facts "free again" "$able" "enabled can $can [$can] null false $f null"
	[[ $snoop == off ]] || pays "$able"
	moves "$snoop" "$able"
	unpins "$snoop" "$able" "$cleared"
	typeone "$snoop" "$able"
	done_testing
}

# ---- outside -----------------------------------------------------------------------------------

[[ ${1:-} != --inside ]] || inside "$2"

want_kernel "nosnoop on the series" "$KERNEL"
want_btf "nosnoop on the series" "$KERNEL"
helper ncdma || fail "the program that holds the functions compiles"
mkdir -p "$BINARIES/bench"
ok "mapcost.c compiles" "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror "$TOP/scripts/bench/mapcost.c" \
	-o "$BINARIES/bench/mapcost"
for snoop in on off; do
	all_of "snoop control $snoop" "$snoop" -k "$KERNEL" ${MODULES:+-M "$MODULES"} --tcg single \
		--snoop-control "$snoop" --env "NOSNOOP=$NOSNOOP" \
		--device e1000e --device e1000e --device e1000e --device e1000e --device e1000e
done
done_testing
