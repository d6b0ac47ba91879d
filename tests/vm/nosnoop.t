#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# nosnoop on a running kernel: what it says of real functions, and the write probe: refused while a
# driver or somebody else has the function, carried out on an idle one, and leaving nothing behind.
#
# Run by prove. OUT names the directory of the binaries (default: build).

set -u -o pipefail

BINARIES=${OUT:-}
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../scripts/vfio.sh
. "$TOP/scripts/vfio.sh"
BINARIES=$(realpath -- "${BINARIES:-$TOP/build}")
NOSNOOP=${NOSNOOP:-$BINARIES/nosnoop}
BENCH=${BENCH:-$BINARIES/wbinvdbench}

# fact BDF EXPRESSION [OPTION]...: of what list says
fact() {
	runs "$NOSNOOP" list --json -D "$1" "${@:3}"
	jq -r ".functions[0] | $2" "$OUT"
}

# devctl BDF: Device Control, read without the tool: the PCI Express capability is at e0 or 80
devctl() {
	setpci -s "$1" CAP_EXP+8.w 2>/dev/null || od -An -tx2 -j $((0x${2:-e0} + 8)) -N 2 "/sys/bus/pci/devices/$1/config" | tr -d ' '
}

# probed BDF NAME: both results are right; which one is the device's
probed() {
	local before=$3 bit proof

	is "$2: status" "$STATUS $(<"$ERR")" '0 '
	bit=$(jq -r '.functions[0] | "\(.no_snoop) \(.ability) \(.box)"' "$OUT")
	proof=$(jq -r '.functions[0].proof.by' "$OUT")
	note "$1: $bit, proof: $proof"
	case $bit in
	'disabled can 3') is "$2: it took a 1, and there is no proof of inability" "$proof" null ;;
	'hardwired0 cannot 4') is "$2: it took none, which is a proof" "$proof" 'nosnoop --probe' ;;
	*) fail "$2: a result" "$bit" ;;
	esac
	is "$2: the register is as it was" "$(devctl "$1")" "$before"
}

inside() {
	local nic root before

	modprobe -a e1000e vfio-pci
	nic=$(vfio_find 8086:10d3 2)
	root=$(vfio_find 8086:10d3 1)
	is 'behind a root port: the box is one of two' "$(fact "$nic" '"\(.kind) \(.snoop_control) \(.no_snoop) \(.box) \(.box_candidates)"')" \
		'endpoint false disabled null [3,4]'
	is 'on the root bus: integrated, its bit means nothing' "$(fact "$root" '"\(.kind) \(.no_snoop) \(.ability) \(.listed)"')" \
		'integrated null null true'
	like 'the root port above it' "$(fact "$nic" .root_port.bdf)" '^0000:00:0'
	runs "$NOSNOOP" list --json
	is 'stock kernels prove nothing: no box 4, no "cannot"' \
		"$(jq '[.functions[] | select(.box == 4 or .ability == "cannot")] | length' "$OUT")" 0

	before=$(devctl "$nic")
	refused 'bound to a driver' 1 'is bound to a driver' "$NOSNOOP" list --probe -D "$nic"
	refused 'integrated' 4 'would prove nothing' "$NOSNOOP" list --probe -D "$root"
	vfio_unbind "$nic"
	setpci -s "$nic" COMMAND.w=0406 2>/dev/null || printf '\x06\x04' | dd of="/sys/bus/pci/devices/$nic/config" bs=1 seek=4 conv=notrunc status=none
	refused 'unbound, bus mastering on' 1 'has bus mastering on' "$NOSNOOP" list --probe -D "$nic"
	printf '\x02\x04' | dd of="/sys/bus/pci/devices/$nic/config" bs=1 seek=4 conv=notrunc status=none
	fact "$nic" . --probe >/dev/null
	probed "$nic" 'unbound' "$before"
	vfio_bind "$nic"
	before=$(devctl "$nic")
	sleep 1
	like 'on vfio-pci it sleeps' "$(<"/sys/bus/pci/devices/$nic/power_state")" '^D3'
	fact "$nic" . --probe >/dev/null
	probed "$nic" 'on vfio-pci, asleep' "$before"
	is 'it may sleep again' "$(<"/sys/bus/pci/devices/$nic/power/control")" auto
	exec 9<>"/dev/vfio/$(basename "$(readlink "/sys/bus/pci/devices/$nic/iommu_group")")"
	refused 'its group is open elsewhere' 1 'stop that VM first' "$NOSNOOP" list --probe -D "$nic"
	is 'who has it' "$(fact "$nic" .vm.pid)" $$
	exec 9<&-
	is 'all of that left the register as it was' "$(devctl "$nic")" "$before"

	runs "$NOSNOOP" watch -n 2 -d 0.5 --json
	is 'watch: what a VFIO driver has' "$(jq -r '[.functions[].bdf] | join(" ")' "$OUT" | sort -u)" "$nic"
	is 'watch: what this CPU cannot count is not 0' "$(jq -c '[.requests.coverage, .requests.sockets]' "$OUT" | sort -u)" '["none",[]]'
	# nobody is no root: 64 bytes, and that is said.
	runs setpriv --reuid 65534 --regid 65534 --clear-groups "$NOSNOOP" list --json -D "$root"
	like 'without root: said' "$(jq -r '.functions[0].no_snoop_why' "$OUT")" 'first 64 bytes.*root'
	done_testing
}

# A VM holds the function by its own file: who it is, and what its VFIO says of it.
held() {
	local nic pid id i

	modprobe vfio-pci
	nic=$(vfio_find 8086:10d3)
	vfio_bind "$nic"
	"$BENCH" -n 10 --vfio "$nic" --hold 3600 >"$TMP/bench" 2>"$TMP/bench.err" &
	pid=$!
	for ((i = 0; i < 300; i++)); do
		! grep -q executed "$TMP/bench" || break
		sleep 0.2
	done
	id=$(basename "$(compgen -G "/sys/kernel/debug/kvm/$pid-*")")
	is 'the VM, by its id' "$(fact "$nic" '"\(.vm.id) \(.vm.pid)"')" "$id $pid"
	is 'awake, as a VM has it' "$(fact "$nic" '"\(.suspended) \(.no_snoop)"')" 'false disabled'
	is 'a VFIO that does not report no-snoop: not known, and said' \
		"$(fact "$nic" '"\(.blocked) \(.blocked_why)"')" "null this kernel's VFIO does not report no-snoop"
	is 'nothing of the kernel but the two candidates, and why' \
		"$(fact "$nic" '"\(.ability) \(.box) \(.box_candidates) \(.domain.box) \(.domain.enforced) \(.domain.policy): \(.domain.policy_why)"')" \
		'null null [3,4] null false null: this kernel has no coherency policies'
	refused 'a VM holds it' 1 'held by a process through VFIO' "$NOSNOOP" list --probe -D "$nic"
	"$NOSNOOP" watch -d 1 -n 3 --record "$TMP/rec" >"$TMP/frames" 2>"$ERR"
	kill "$pid"
	wait "$pid"
	is 'recorded: the VM' "$(jq -r '.vms[0].id' "$TMP/rec" | sort -u)" "$id"
	is 'recorded: what this kernel does not tell is null, and why' "$(jq -c '[.log.heard, .log.why, .log.flushes, .vms[0].mapped_bytes,
		.vms[0].flush_ns, .functions[0].attaches, .functions[0].exposed_gib_s, .functions[0].exposure_why]' "$TMP/rec" | sort -u)" \
		'[false,"this kernel has no such tracepoints",null,null,null,null,null,"this kernel has no such tracepoints"]'
	runs "$NOSNOOP" advise --baseline "$TMP/rec" --min-overlap 2 --json
	is 'advise: merely cleared is never called 4' "$(jq -r '.devices[] | "\(.bdf) \(.row) \(.verdict)"' "$OUT")" "$nic R6 not-shown"
	done_testing
}

case ${1:-} in
--inside) inside ;;
--held) held ;;
esac

# all_of NAME CASE OPTION...: the tests of CASE inside a VM, as tests of this file
all_of() {
	local name=$1 case=$2 line

	shift 2
	vm "$@" --timeout 300 --env "NOSNOOP=$NOSNOOP" --env "BENCH=$BENCH" -- bash "$TOP/tests/vm/nosnoop.t" "--$case"
	while read -r line; do
		case $line in
		'ok '*) pass "$name: ${line#* - }" ;;
		'not ok '*) fail "$name: ${line#* - }" ;;
		'#'*) printf '%s\n' "$line" ;;
		esac
	done <"$OUT"
	((STATUS != 1)) || STATUS=0
	like "$name: ran to its end, without a report of the kernel" "$STATUS $(tail -n 1 "$OUT") $(<"$ERR")" '^0 1\.\.[0-9]+ $'
}

# nosnoop.t CASE...: these alone
[[ $# -gt 0 && ! " $* " == *' list '* ]] ||
	all_of 6.12 inside -k stock-6.12 --iommu intel --snoop-control off --device e1000e --device e1000e,bus=pcie.0
[[ $# -gt 0 && ! " $* " == *' held '* ]] ||
	all_of 'base 7.2' held -k base-7.2 --tcg single --iommu intel --snoop-control off --device e1000e
done_testing
