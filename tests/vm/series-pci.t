#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the kernel series reports of a PCI function's no-snoop, and that BLOCK holds: with every
# behaviour of Enable No Snoop, every kind of function, every kind of reset, and races.
# Uses none of the tools.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.
# RACE: seconds of each race (default: 5, with LONG=1 15).

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"
# shellcheck source-path=SCRIPTDIR source=inject.sh
. "$TOP/tests/vm/inject.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-}

# ---- inside a VM -------------------------------------------------------------------------------

RACE=${RACE:-$([[ $LONG ]] && echo 15 || echo 5)}

E1000E=8086:10d3 EDU=1234:11e8 NVME=1b36:0010 BOCHS=1234:1111

# reports NAME BDF WANTED: the flags but iommu-cc, which is $CC for all
reports() {
	local got

	got=$("$HELPERS/nosnoop_uapi" info "$2" 2>&1)
	is "$1" "$got" "flags:${3:+ $3}$CC"
}

# checks NAME CASE BDF [ARG]: the checks of a case become checks of this file
checks() {
	local name=$1 line status=0

	shift
	"$HELPERS/nosnoop_uapi" "$@" >"$TMP/checks" 2>"$TMP/checks.err" || status=$?
	while read -r line; do
		case $line in
		'ok - '*) pass "$name: ${line#ok - }" ;;
		'not ok - '*) fail "$name: ${line#not ok - }" ;;
		*) note "${line#\# }" ;;
		esac
	done <"$TMP/checks"
	verdict "$name: everything was tried" "$status" "$(<"$TMP/checks.err")"
}

kinds() {
	local root port conventional bridged display integrated pf

	root=$(vfio_find $E1000E 1) port=$(vfio_find $E1000E 2)
	conventional=$(vfio_find $EDU 1) bridged=$(vfio_find $EDU 2)
	integrated=$(vfio_find $NVME 1) pf=$(vfio_find $NVME 2) display=$(vfio_find $BOCHS)
	for bdf in "$root" "$port" "$conventional" "$bridged" "$integrated" "$pf" "$display"; do
		vfio_bind "$bdf" || fail "$bdf on vfio-pci"
	done
	reports "endpoint of Intel on the root bus" "$root" 'capable untrusted'
	reports "endpoint of another vendor on the root bus" "$integrated" ''
	reports "endpoint behind a root port" "$port" ''
	reports "conventional on the root bus" "$conventional" 'capable untrusted'
	reports "conventional behind a PCIe bridge" "$bridged" ''
	reports "display" "$display" 'capable untrusted'
	reports "NVMe, physical function" "$pf" ''
	checks "conventional on the root bus" errors "$conventional" untrusted
	checks "conventional behind a PCIe bridge" errors "$bridged" trusted
	checks "endpoint of Intel on the root bus" errors "$root" untrusted
	checks "endpoint, hardwired to 0" errors "$port" trusted
}

virtual_functions() {
	local pf vf dir

	pf=$(vfio_find $NVME 2) dir=/sys/bus/pci/devices/$pf
	ok "a driver that lets virtual functions be" pci_bind "$pf" pci-pf-stub
	echo 0 >"$dir/sriov_drivers_autoprobe"
	echo 2 >"$dir/sriov_numvfs"
	vf=$(basename -- "$(readlink -f "$dir/virtfn1")")
	ok "a virtual function on vfio-pci" vfio_bind "$vf"
	reports "virtual function" "$vf" 'capable untrusted'
	checks "virtual function" errors "$vf" untrusted
	vfio_unbind "$vf"
	echo 0 >"$dir/sriov_numvfs"
	vfio_bind "$pf"
}

# A graphics card reaches Device Control of the functions beside it: NVIDIA's has their config space in BAR0, AMD's
# has the register among its own. Of another vendor, function 1 is what it is.
siblings() {
	local first second card vendor class wanted

	first=$(vfio_find $E1000E 3) second=$(vfio_find $E1000E 4)
	while read -r card vendor class wanted; do
		inject add "$first" hardwired0 "id=$card:1b80" class=030000
		inject add "$second" hardwired0 "id=$vendor:10f0" "class=$class"
		ok "remove and scan again" rescan "$first"
		ok "remove and scan again" rescan "$second"
		reports "function 1, $vendor class $class, of a graphics card of $card" "$second" "$wanted"
	done <<-'END'
		10de 10de 040300 capable untrusted
		1002 1002 040300 capable untrusted
		1002 1002 0c0380 capable untrusted
		10de 1033 040300
	END
	inject del "$first"
	inject del "$second"
}

modes() {
	local bdf port

	bdf=$(vfio_find $E1000E 2) port=$(basename -- "$(readlink -f "/sys/bus/pci/devices/$bdf/..")")
	for mode in 'pass=' 'hardwired0=' 'writable=capable enabled' 'stuck1=capable enabled'; do
		ok "injector: add ${mode%%=*}" inject add "$bdf" "${mode%%=*}"
		reports "${mode%%=*}" "$bdf" "${mode#*=}"
	done
	checks "stuck1" stuck "$bdf"
	inject add "$bdf" hardwired0 class=030000
	ok "remove and scan again" rescan "$bdf"
	reports "hardwired0, of the display class" "$bdf" 'capable untrusted'
	checks "hardwired0, of the display class" errors "$bdf" untrusted
	inject add "$bdf" writable id=1002:740c class=120000
	ok "remove and scan again" rescan "$bdf"
	is "the identity is another" "$(cat /sys/bus/pci/devices/"$bdf"/{vendor,device,class})" \
		$'0x1002\n0x740c\n0x120000'
	reports "writable, accelerator" "$bdf" 'capable enabled untrusted'
	echo 1 >"/sys/bus/pci/devices/$port/remove"
	echo 1 >/sys/bus/pci/rescan
	soon test -e "/sys/bus/pci/devices/$bdf"
	is "the rule outlives the root port" "$(cat "/sys/bus/pci/devices/$bdf/class")" 0x120000
	ok "injector: not unloaded while it is used" not rmmod no_snoop_inject
	inject add "$bdf" writable
	ok "remove and scan again" rescan "$bdf"
	reports "itself again, writable" "$bdf" 'capable enabled'
	siblings
	for bad in 'add' "add $bdf" "add $bdf soft" 'add 0:0 pass' "add $bdf pass id=1" "del $bdf x" \
		"add $bdf pass slow=101" "add 0000:77:00.0 pass" "del 0000:77:00.0" "add $bdf pass class=1000000"; do
		ok "injector refuses '$bad'" not inject "$bad"
	done
}

not() { ! "$@" 2>/dev/null; }

promises() {
	local bdf nvme

	bdf=$(vfio_find $E1000E 2) nvme=$(vfio_find $NVME 2)
	inject add "$bdf" hardwired0
	checks "acquired later" acquired "$bdf"
	inject add "$bdf" writable
	checks "block" block "$bdf"
	checks "allow" deaf "$bdf"
	checks "errors" errors "$bdf" trusted
	checks "D3" d3 "$bdf"
	checks "resets" resets "$bdf" device,hot
	checks "recovery" recovery "$bdf"
	checks "close, set before" close "$bdf" set
	checks "close, clear before" close "$bdf" clear
	checks "race" race "$bdf" "$RACE"
	checks "race, slow" straddle "$bdf" "$RACE"
	inject add "$nvme" writable
	checks "NVMe: resets" resets "$nvme" flr,device,hot
	checks "NVMe: recovery" recovery "$nvme"
	checks "NVMe: race" race "$nvme" "$RACE"
	inject del "$nvme"
}

# Operation and Device Control before and after, from the first case
tracepoint() {
	local bdf line

	bdf=$(vfio_find $E1000E 2)
	if [[ ! -d $TRACE/events/vfio_pci/vfio_pci_no_snoop ]]; then
		skip "tracepoint" "this kernel has no vfio_pci:vfio_pci_no_snoop"
		return
	fi
	echo 1 >"$TRACE/events/vfio_pci/vfio_pci_no_snoop/enable"
	: >"$TRACE/trace"
	"$HELPERS/nosnoop_uapi" close "$bdf" set >/dev/null
	"$HELPERS/nosnoop_uapi" recovery "$bdf" >/dev/null
	echo 0 >"$TRACE/events/vfio_pci/vfio_pci_no_snoop/enable"
	line=$(sed -n 's/.*vfio_pci_no_snoop: //p' "$TRACE/trace" | uniq)
	is "tracepoint: block, close, re-assert" "$line" "$bdf block 0x0800 -> 0x0000
$bdf close 0x0000 -> 0x0800
$bdf block 0x0800 -> 0x0000
$bdf reassert 0x0800 -> 0x0000
$bdf reassert 0x0800 -> 0x0800
$bdf reassert 0x0800 -> 0x0000
$bdf close 0x0000 -> 0x0800"
}

inside() {
	local bdf

	CC=''
	[[ $1 != on ]] || CC=' iommu-cc'
	bdf=$(vfio_find $E1000E 2) && vfio_bind "$bdf"
	if [[ $("$HELPERS/nosnoop_uapi" info "$bdf" 2>&1) == none ]]; then
		skip "no-snoop of PCI functions" "this kernel does not report it"
		return
	fi
	kinds
	if ! modprobe no_snoop_inject 2>/dev/null; then
		skip "behaviours of Enable No Snoop" "this kernel has no module no_snoop_inject"
		return
	fi
	modes
	[[ $1 == on ]] || return 0
	virtual_functions
	promises
	tracepoint
	inject del "$(vfio_find $E1000E 2)"
	ok "injector: unloaded when nothing is left" rmmod no_snoop_inject
}

# ---- outside -----------------------------------------------------------------------------------

# The comma in the NQN keeps scripts/vm from giving a bus to what has none.
DEVICES=(--device 'e1000e,bus=pcie.0,addr=0x10' --device e1000e
	--device 'edu,bus=pcie.0,addr=0x11' --device 'pcie-pci-bridge,id=ppb' --device 'edu,bus=ppb,addr=1'
	--device bochs-display --device 'nvme,bus=pcie.0,addr=0x12,serial=a'
	--device 'nvme-subsys,id=subsys,nqn=a,,bus=b'
	--device 'nvme,serial=b,subsys=subsys,sriov_max_vfs=2,sriov_vq_flexible=4,sriov_vi_flexible=2'
	--device 'pcie-root-port,id=two,bus=pcie.0,chassis=77'
	--device 'e1000e,bus=two,addr=0.0,multifunction=on' --device 'e1000e,bus=two,addr=0.1')

if [[ ${1:-} == --inside ]]; then
	inside "$2"
	done_testing
fi

want_kernel "no-snoop of PCI functions" "$KERNEL"

helper nosnoop_uapi || fail "the program that makes the calls compiles"
for snoop in on off; do
	all_of "snoop control $snoop" "$snoop" -k "$KERNEL" ${MODULES:+-M "$MODULES"} \
		--snoop-control "$snoop" --env "RACE=$RACE" "${DEVICES[@]}"
done
done_testing
