#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nosnoop on a running kernel: what it says of real functions, and the write probe: refused while a
# driver or somebody else has the function, carried out on an idle one, and leaving nothing behind.
#
# Run by prove. OUT names the directory of the binaries (default: build).
# LONG: when set, what is written to the bit is counted on every stock kernel.

set -u -o pipefail

BINARIES=${OUT:-}
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../scripts/vfio.sh
. "$TOP/scripts/vfio.sh"
# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$TOP/tests/vm/steps.sh"
BINARIES=$(realpath -- "${BINARIES:-$TOP/build}")
NOSNOOP=${NOSNOOP:-$BINARIES/nosnoop}
BENCH=${BENCH:-$BINARIES/wbinvdbench}
WBINVDTOP=${WBINVDTOP:-$BINARIES/wbinvdtop}

# fact CHECK NAME WANTED BDF EXPRESSION [OPTION]...: of what list says
fact() {
	runs "$NOSNOOP" list --json -D "$4" "${@:6}"
	judged "${@:1:3}" "$OUT" ".functions[0] | $5"
}

# verdicts NAME WANTED: of advise, of each device
verdicts() {
	judged is "$1" "$2" "$OUT" '.devices[] | "\(.bdf) \(.row) \(.verdict)"'
}

# devctl BDF: Device Control, read without the tool: the PCI Express capability is at e0 or 80
devctl() {
	setpci -s "$1" CAP_EXP+8.w 2>/dev/null || od -An -tx2 -j $((0x${2:-e0} + 8)) -N 2 "/sys/bus/pci/devices/$1/config" | tr -d ' '
}

# probed BDF NAME REGISTER: it took a 1, and there is no proof of inability, or none, which is one: both are right; and
# the register is as it was
probed() {
	fact like "$2" '^(disabled can 3: null|hardwired0 cannot 4: nosnoop --probe)$' "$1" \
		'"\(.no_snoop) \(.ability) \(.box): \(.proof.by)"' --probe
	is "$2: status" "$STATUS $(<"$ERR")" '0 '
	is "$2: the register is as it was" "$(devctl "$1")" "$3"
}

inside() {
	local nic root before

	modprobe -a e1000e vfio-pci
	nic=$(vfio_find 8086:10d3 2)
	root=$(vfio_find 8086:10d3 1)
	fact is 'behind a root port: the box is one of two' 'endpoint false disabled null [3,4]' "$nic" \
		'"\(.kind) \(.snoop_control) \(.no_snoop) \(.box) \(.box_candidates)"'
	fact is 'on the root bus: integrated, its bit means nothing' 'integrated null null true' "$root" \
		'"\(.kind) \(.no_snoop) \(.ability) \(.listed)"'
	fact like 'the root port above it' '^0000:00:0' "$nic" .root_port.bdf
	runs "$NOSNOOP" list --json
	judged is 'stock kernels prove nothing: no box 4, no "cannot"' 0 "$OUT" \
		'[.functions[] | select(.box == 4 or .ability == "cannot")] | length'

	before=$(devctl "$nic")
	refused 'bound to a driver' 1 'is bound to a driver' "$NOSNOOP" list --probe -D "$nic"
	refused 'integrated' 4 'would prove nothing' "$NOSNOOP" list --probe -D "$root"
	vfio_unbind "$nic"
	setpci -s "$nic" COMMAND.w=0406 2>/dev/null || printf '\x06\x04' | dd of="/sys/bus/pci/devices/$nic/config" bs=1 seek=4 conv=notrunc status=none
	refused 'unbound, bus mastering on' 1 'has bus mastering on' "$NOSNOOP" list --probe -D "$nic"
	printf '\x02\x04' | dd of="/sys/bus/pci/devices/$nic/config" bs=1 seek=4 conv=notrunc status=none
	probed "$nic" 'unbound' "$before"
	vfio_bind "$nic"
	before=$(devctl "$nic")
	sleep 1
	like 'on vfio-pci it sleeps' "$(<"/sys/bus/pci/devices/$nic/power_state")" '^D3'
	probed "$nic" 'on vfio-pci, asleep' "$before"
	is 'it may sleep again' "$(<"/sys/bus/pci/devices/$nic/power/control")" auto
	exec 9<>"/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$nic/iommu_group")")"
	refused 'its group is open elsewhere' 1 'stop that VM first' "$NOSNOOP" list --probe -D "$nic"
	fact is 'who has it' $$ "$nic" .vm.pid
	exec 9<&-
	is 'all of that left the register as it was' "$(devctl "$nic")" "$before"

	runs "$NOSNOOP" watch -n 2 -d 0.5 --json
	judged is 'watch: what a VFIO driver has' "$nic" "$OUT" 'map([.functions[].bdf] | join(" ")) | unique[]' -s
	judged is 'watch: what this CPU cannot count is not 0' '["none",[]]' "$OUT" \
		'map([.requests.coverage, .requests.sockets]) | unique[]' -s -c
	refused 'without root: no probe' 3 'by root alone' "${NOBODY[@]}" \
		"$NOSNOOP" list --probe -D "$nic"
	# nobody is no root: 64 bytes, and that is said.
	runs "${NOBODY[@]}" "$NOSNOOP" list --json -D "$root"
	judged like 'without root: said' 'first 64 bytes.*root' "$OUT" '.functions[0].no_snoop_why'
	done_testing
}

# waste BDF PROOF: KVM of this kernel emulates WBINVD for a device that was proven unable while it was idle
waste() {
	local bench

	"$BENCH" -n 1000000 --rate 20 --vfio "$1" >"$TMP/bench" 2>&1 &
	bench=$!
	recordings waste 8
	kill "$bench"
	wait "$bench"
	runs "$NOSNOOP" advise --baseline "$TMP/waste.top" --baseline "$TMP/waste" --baseline "$2" --min-overlap 3 --json
	is 'waste: status' "$STATUS $(<"$ERR")" '0 '
	verdicts 'waste: the verdict' "$1 R1 kernel-waste"
	judged like 'waste: by whom it is proven' '^nosnoop --probe, 20' "$OUT" '.devices[0].inputs.ability.source'
	judged is 'waste: F is known, and above 0' true "$OUT" '.devices[0].inputs.f.value > 0'
	judged like 'waste: what is recoverable' 'Recoverable: ' "$OUT" '.devices[0].notes[]'
	runs "$NOSNOOP" advise --baseline "$TMP/waste.top" --baseline "$TMP/waste" --min-overlap 3 --json
	is 'waste: without the proof: status' "$STATUS $(<"$ERR")" '0 '
	verdicts 'waste: without the proof there is no such verdict' "$1 R6 not-shown"
}

# A VM holds the function by its own file: who it is, and what its VFIO says of it.
held() {
	local nic pid id

	modprobe vfio-pci
	nic=$(vfio_find 8086:10d3)
	vfio_bind "$nic"
	fact is 'idle: QEMU hardwires the bit of this function' 'hardwired0 cannot 4' "$nic" \
		'"\(.no_snoop) \(.ability) \(.box)"' --probe
	cp -- "$OUT" "$TMP/proof"
	"$BENCH" -n 10 --vfio "$nic" --hold 3600 >"$TMP/bench" 2>"$TMP/bench.err" &
	pid=$!
	until_true 300 grep -q executed "$TMP/bench"
	id=$(basename "$(compgen -G "/sys/kernel/debug/kvm/$pid-*")")
	fact is 'the VM, by its id' "$id $pid" "$nic" '"\(.vm.id) \(.vm.pid)"'
	fact is 'awake, as a VM has it' 'false disabled' "$nic" '"\(.suspended) \(.no_snoop)"'
	fact is 'a VFIO that does not report no-snoop: not known, and said' "null this kernel's VFIO does not report no-snoop" \
		"$nic" '"\(.blocked) \(.blocked_why)"'
	fact is 'nothing of the kernel but the two candidates, and why' \
		'null null [3,4] null false null: this kernel has no coherency policies' "$nic" \
		'"\(.ability) \(.box) \(.box_candidates) \(.domain.box) \(.domain.enforced) \(.domain.policy): \(.domain.policy_why)"'
	refused 'a VM holds it' 1 'held by a process through VFIO' "$NOSNOOP" list --probe -D "$nic"
	"$NOSNOOP" watch -d 1 -n 3 --record "$TMP/rec" >"$TMP/frames" 2>"$ERR"
	kill "$pid"
	wait "$pid"
	judged is 'recorded: the VM' "$id" "$TMP/rec" 'map(.vms[0].id) | unique[]' -s
	judged is 'recorded: what this kernel does not tell is null, and why' \
		'[false,"this kernel has no such tracepoints",null,null,null,null,null,"this kernel has no such tracepoints"]' "$TMP/rec" \
		'map([.log.heard, .log.why, .log.flushes, .vms[0].mapped_bytes, .vms[0].flush_ns, .functions[0].attaches,
			.functions[0].exposed_gib_s, .functions[0].exposure_why]) | unique[]' -s -c
	runs "$NOSNOOP" advise --baseline "$TMP/rec" --min-overlap 2 --json
	verdicts 'advise: merely cleared is never called 4' "$nic R6 not-shown"
	waste "$nic" "$TMP/proof"
	done_testing
}

# shellcheck disable=SC2317 # its name is passed
# reads_as FILTER: true of a reading that begins from now on, of the first twenty. One may be on its way.
reads_as() {
	local i n

	n=$(grep -cs '' "$TMP/rec")
	for ((i = 2; i < 22; i++)); do
		# The first waits for the start, too.
		lines "$TMP/rec" $((${n:-0} + i)) $((n ? 30 : 120)) || break
		[[ $(tail -n 1 "$TMP/rec" | jq -c "$1" 2>/dev/null) != true ]] || return 0
	done
	tail -n 1 "$TMP/rec" | jq -c '[.guest_writes, .functions[].guest_writes]'
	return 1
}

# otherwise BDF: where the kernel takes no more programs at the end of the function, one at its begin
otherwise() {
	local watcher fill n

	mkfifo "$TMP/hold" "$TMP/full"
	"$HELPERS/fillfexit" vfio_pci_core vfio_pci_config_rw <"$TMP/hold" >"$TMP/full" &
	fill=$!
	exec 8>"$TMP/hold"
	read -r -t 120 n <"$TMP/full"
	compare 'the end of the function is full' "$n" -gt 0
	rm -f "$TMP/rec"
	"$NOSNOOP" watch -d 1 --record "$TMP/rec" >"$TMP/frames" 2>"$ERR" &
	watcher=$!
	ok 'counted at its begin' reads_as '.guest_writes.by == "kprobe" and .guest_writes.why == null'
	step 'config d 0xe8 2 0x0810 5'
	step 'config d 0xe9 1 0 4'
	step 'config d 0xea 2 0xffff'
	ok 'as many as were written, too' reads_as "([.functions[] | select(.bdf == \"$1\") | .guest_writes |
		[.set, .cleared, .unread, .last]]) == [[5, 4, 0, \"cleared\"]]"
	kill -INT "$watcher"
	wait "$watcher"
	is 'counted at its begin: watch ends well' "$? $(<"$ERR")" '0 '
	exec 8>&-
	wait "$fill"
}

# What the holder of a function writes to its bit: so many times 1, so many times 0, and nothing that is not
# such a write; of a module that is loaded while watch runs. Device Control is at e8, its high byte at e9.
written() {
	local nic other watcher before

	rmmod vfio_pci vfio_pci_core 2>/dev/null
	"$NOSNOOP" watch --all -d 1 --record "$TMP/rec" >"$TMP/frames" 2>"$ERR" &
	watcher=$!
	before='[null,null,null,"vfio_pci_core is not loaded yet",[null],["vfio_pci_core is not loaded yet"]]'
	ok 'before the module is loaded: not known, and why' reads_as "[.guest_writes.by, .guest_writes.since_ns,
		.guest_writes.lost, .guest_writes.why, ([.functions[].guest_writes] | unique),
		([.functions[].guest_writes_why] | unique)] == $before"
	modprobe -a vfio-pci vfio_iommu_type1
	nic=$(vfio_find 8086:10d3)
	other=$(vfio_find 8086:10d3 2)
	vfio_bind "$nic"
	vfio_bind "$other"
	ok 'after that: counted' reads_as '.guest_writes.by == "fexit" and .guest_writes.why == null and
		.guest_writes.since_ns > 0 and .guest_writes.lost == 0 and
		([.functions[].guest_writes_why] | unique) == [null]'
	coproc HOLDER { exec "$HELPERS/ncdma" -; }
	step 'container c'
	step "group g $nic"
	step 'join g c'
	step 'set-iommu c'
	step "device d g $nic"
	step "group h $other"
	step 'join h c'
	step "device e h $other"
	step 'config d 0xe8 2 0x0810 7'
	step 'config d 0xe8 4 0x0010 3'
	step 'config d 0xe9 1 0x00 2'
	step 'config d 0xe6 4 0x08100000'
	step 'config d 0xe4 8 0'
	step 'config d 0xe9 1 0x08 2'
	# The low byte, the register behind, the one before, refused: beyond the end, from no memory
	step 'config d 0xe8 1 0x08'
	step 'config d 0xea 2 0xffff'
	step 'config d 0xe4 4 0xffffffff'
	step 'config d 0x04 2 0x0406'
	step 'config d 0xe8 4096 0x0810' EFAULT
	step 'config e 0xe8 2 0x0010'
	ok 'as many as were written' reads_as "([.functions[] | select(.bdf == \"$nic\") | .guest_writes |
		[.set, .cleared, .unread, .last]]) == [[10, 6, 0, \"set\"]]"
	ok 'of another function: its own' reads_as "([.functions[] | select(.bdf == \"$other\") | .guest_writes |
		[.set, .cleared, .unread, .last]]) == [[0, 1, 0, \"cleared\"]]"
	ok 'of others: none, at no time' reads_as "([.functions[] | select(.bdf != \"$nic\" and .bdf != \"$other\") |
		.guest_writes | [.set, .cleared, .unread, .last, .last_time_ns]] | unique) == [[0, 0, 0, null, null]]"
	ok 'when' reads_as ".guest_writes.since_ns as \$from | .time_ns as \$to | .guest_writes.lost == 0 and
		([.functions[] | select(.bdf == \"$nic\")][0].guest_writes.last_time_ns | . > \$from and . < \$to)"
	echo 0 >/proc/sys/kernel/ftrace_enabled
	ok 'nothing can be counted any more: not known, and why' reads_as '.guest_writes.by == null and
		([.functions[].guest_writes] | unique) == [null] and (.guest_writes.why | contains("ftrace_enabled"))'
	echo 1 >/proc/sys/kernel/ftrace_enabled
	ok 'and again it can, from then on' reads_as ".guest_writes.by == \"fexit\" and
		[.functions[] | select(.bdf == \"$nic\")][0].guest_writes.set == 0"
	kill -INT "$watcher"
	wait "$watcher"
	is 'watch ends well' "$? $(<"$ERR")" '0 '
	like 'told as it happens' "$(<"$TMP/frames")" "$nic written by its user: Enable No Snoop = 1 [0-9]+ times"
	otherwise "$nic"
	eval "exec ${HOLDER[1]}>&-"
	wait "$HOLDER_PID"
	done_testing
}

case ${1:-} in
--inside) inside ;;
--held) held ;;
--written) written ;;
esac

# all_of NAME CASE OPTION...: the tests of CASE inside a VM, as tests of this file
all_of() {
	local name=$1 case=$2

	shift 2
	vm "$@" --timeout 300 --env "HELPERS=$TMP" --env "NOSNOOP=$NOSNOOP" --env "BENCH=$BENCH" \
		--env "WBINVDTOP=$WBINVDTOP" -- bash "$TOP/tests/vm/nosnoop.t" "--$case"
	checks_of "$name"
	is "$name: not a word on standard error" "$(<"$ERR")" ''
}

# nosnoop.t CASE...: these alone
[[ $# -gt 0 && ! " $* " == *' list '* ]] ||
	all_of 6.12 inside -k stock-6.12 --iommu intel --snoop-control off --device e1000e --device e1000e,bus=pcie.0
[[ $# -gt 0 && ! " $* " == *' held '* ]] ||
	all_of 'base 7.2' held -k base-7.2 --tcg single --iommu intel --snoop-control off --device e1000e
if [[ $# -eq 0 || " $* " == *' written '* ]]; then
	"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o "$TMP/ncdma" "$TOP/tests/vm/ncdma"/*.c ||
		fail 'the program that writes compiles'
	"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -o "$TMP/fillfexit" "$TOP/tests/vm/fillfexit.c" -lbpf ||
		fail 'the program that leaves no room compiles'
	# The oldest and the newest; with LONG what is between them, too.
	for kernel in stock-6.1 ${LONG:+stock-6.12} stock-7.2; do
		all_of "$kernel" written -k "$kernel" --tcg single --iommu intel --snoop-control off --device e1000e --device e1000e
	done
fi
done_testing
