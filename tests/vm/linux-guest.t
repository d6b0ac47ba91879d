#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A real Linux guest under Debian's QEMU with an assigned device behind an IOMMU that cannot block
# no-snoop: what its boot and its CPUs' going offline execute is counted under QEMU's name, with the device.
# The device cannot use no-snoop. On kernels that do not look at devices its VM's WBINVDs are flushed; on
# the series' they are skipped, and flushed with a device that can: nothing changes in QEMU or the guest.
#
# GUEST_KERNELS: the hosts' kernels (default: stock-6.12, with LONG=1 all that are not the series').
# SERIES_KERNEL: the series' kernel, in place of those; SERIES_MODULES: the directory that holds
# lib/modules/VERSION of a bzImage.

set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"
# shellcheck source-path=SCRIPTDIR source=inject.sh
. "$TOP/tests/vm/inject.sh"

ROUNDS=10

# wbinvds: so many were intercepted so far, by the kernel's own kprobe event
wbinvds() {
	awk '$1 == "test_wbinvd" { print $2 + $3 }' "$TRACE/kprobe_profile"
}

# guest_ok NAME FILTER: whether it is true of the guest in the one frame in which it ended
guest_ok() {
	judged is "$1" true "$TMP/fentry" '[.[].vms[] | select(.ended)] | length == 1 and (.[0] | '"$2)" -s
}

# box_ok CASE: what is told of the device's box
box_ok() {
	case $1 in
	unpatched)
		guest_ok "the box is 3 or 4" '.devices[0] | .snoop_control == false and .box == null and
			.box_candidates == [3, 4] and .certain == false and (.box_reason | length > 0)'
		;;
	cannot) guest_ok "the box is 4" '.devices[0] | .snoop_control == false and .box == 4 and .certain' ;;
	can) guest_ok "the box is 3" '.devices[0] | .snoop_control == false and .box == 3 and .certain' ;;
	esac
}

# inside CASE: "unpatched", or whether the device "can" use no-snoop or "cannot"
inside() {
	local before after group pid status=0

	if [[ $1 == can ]]; then
		modprobe no_snoop_inject && inject add "$(vfio_find 8086:10d3 1)" writable
		verdict "the device's Enable No Snoop can be set" $?
	fi
	devices || exit
	group=$(basename "$(readlink "/sys/bus/pci/devices/${BDF[0]}/iommu_group")")
	echo 'p:test/test_wbinvd kvm_emulate_wbinvd' >>"$TRACE/kprobe_events"
	echo 1 >"$TRACE/events/test/test_wbinvd/enable"
	callbacks_start || exit
	monitor fentry --source fentry --vcpus
	before=$(callbacks)
	"$TOP/scripts/guest" --name web01 --vfio "${BDF[0]}" --rounds $ROUNDS \
		>"$TMP/console" 2>"$TMP/console.err" &
	pid=$!
	wait $pid || status=$?
	after=$(callbacks)
	finish
	note "the guest's WBINVDs: $(wbinvds), flush callbacks: $((after - before))"

	is "the guest went through $ROUNDS rounds" \
		"$status $(tr -d '\r' <"$TMP/console" | grep -c '^guest: round')" "0 $ROUNDS"
	((status == 0)) || note "$(tail -n 20 "$TMP/console" "$TMP/console.err")"
	compare "each round executed WBINVD, and so did the boot" "$(wbinvds)" -gt $ROUNDS

	guest_ok "one VM ended, in one frame" true
	guest_ok "under QEMU's name and process" ".name == \"web01\" and .pid == $pid and (.id | startswith(\"$pid-\"))"
	guest_ok "every WBINVD is counted" ".total.exits == $(wbinvds)"
	if [[ $1 == cannot ]]; then
		guest_ok "every one skipped" ".total | .flushes == 0 and .skips == .exits"
		guest_ok "the VM was coherent" ".noncoherent == false"
	else
		guest_ok "every one flushed" ".total | .flushes == .exits and .skips == 0"
		guest_ok "the VM was non-coherent" .noncoherent
	fi
	guest_ok "on as many CPUs as there were callbacks" ".total.cpus_flushed == $((after - before))"
	guest_ok "by a vCPU of two at most" \
		'[.vcpus[].id] - [0, 1] == [] and ([.vcpus[].total.exits] | add) == .total.exits'
	guest_ok "the device and its group" \
		".devices | length == 1 and .[0].bdf == \"${BDF[0]}\" and .[0].group == $group"
	box_ok "$1"
	last_ok "nothing was lost" fentry ".lost.total == 0 and .sum.total.exits == $(wbinvds)"
	done_testing
}

[[ ${1:-} != --inside ]] || inside "$2"

# host NAME CASE OPTION...
host() {
	all_of "$@" --snoop-control off --device e1000e
}

if [[ ${SERIES_KERNEL-} ]]; then
	want_kernel "a Linux guest" "$SERIES_KERNEL"
	want_btf "a Linux guest" "$SERIES_KERNEL"
fi
# Made here, as what is written in a VM vanishes with it.
"$TOP/scripts/guest" --prepare >/dev/null || exit
if [[ ${SERIES_KERNEL-} ]]; then
	for case in cannot can; do
		host "a device that $case" $case -k "$SERIES_KERNEL" ${SERIES_MODULES:+-M "$SERIES_MODULES"}
	done
	done_testing
fi
kernels=stock-6.12
[[ ! $LONG ]] || kernels="stock-6.1 stock-6.12 stock-7.2 base-7.2"
read -ra KERNELS <<<"${GUEST_KERNELS:-$kernels}"
for kernel in "${KERNELS[@]}"; do
	host "$kernel" unpatched -k "$kernel"
done
done_testing
