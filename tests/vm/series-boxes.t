#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Every case of docs/verdicts.md, through public interfaces only: what an IOMMU that blocks no-snoop or
# cannot, the policy of an IOAS, a device and a VM's own policy come to. Which CPUs a WBINVD is carried out
# on is read from the kernel's trace of a kprobe event on the flush.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"
# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$TOP/tests/vm/steps.sh"
# shellcheck source-path=SCRIPTDIR source=inject.sh
. "$TOP/tests/vm/inject.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-}
PAGE=$TOP/docs/verdicts.md

# ---- inside a VM -------------------------------------------------------------------------------

# What the words of the page stand for
declare -A IOAS_FLAG=([automatic]='' [enforced]=' enforce' [non-coherent]=' noncoherent')
declare -A VM_POLICY=([automatic]=0 ['force coherent']=1 [paused]=2)
declare -A DEVICE=() BLOCK=([can]='' [cannot]='' [blocked]='block d' [ignores]='block d => EOPNOTSUPP'
	['ignores, forced']='block d force')

prepare() {
	local accelerator=1002:740c

	modprobe -a vfio vfio-pci iommufd no_snoop_inject && devices && callbacks_start || return
	inject add "${BDF[0]}" writable && inject add "${BDF[1]}" hardwired0 &&
		inject add "${BDF[2]}" writable id=$accelerator class=120000 && rescan "${BDF[2]}" || return
	DEVICE=([can]=${BDF[0]} [cannot]=${BDF[1]} [blocked]=${BDF[0]} [ignores]=${BDF[2]}
		['ignores, forced']=${BDF[2]})
	# Apart from what else is traced
	mkdir "$TRACE/instances/flushes" && echo 1 >"$TRACE/instances/flushes/events/test/test_callback/enable"
}

# With the vCPU on CPU 1, after it ran on 2 and 0
one_case() {
	local vm=$1 box=$2 state=$3 wbinvd=$4 cpus=none

	[[ $wbinvd != flushed ]] || cpus='0 1 2'
	cat <<-END
		policy ${VM_POLICY[$vm]}
		box d => $box
		state => $state
		wbinvd 2 0 => 0
		wbinvd 0 0 => 0
		flushed 1 1 => $cpus
	END
}

# The same while vCPUs execute WBINVD: flushed from the first change to the second
moved_by_bench() {
	local flushed

	flushed=$(callbacks)
	bench --vfio "${BDF[0]}" -n 300 --rate 60 --pin 0 --json --dma enforced,noncoherent@1,block@3
	flushed=$(($(callbacks) - flushed))
	is "wbinvdbench --dma: in box 4 in the end" "$(grep -o '^{.*' "$TMP/bench" |
		jq -c '[.vfio.box, .vfio.noncoherent, .total.executed, (.dma | map(.did_ns != null))]')" \
		'[4,false,300,[false,true,true]]'
	refused "wbinvdbench --dma: without the privilege" 3 'needs CAP_SYS_RAWIO, or allow_noncoherent=1' \
		setpriv --bounding-set=-sys_rawio --inh-caps=-sys_rawio "$BENCH" --vfio "${BDF[0]}" -n 3 --dma noncoherent
	((flushed > 0 && flushed < 300))
	verdict "wbinvdbench --dma: some WBINVDs were flushed, others not" $? "$flushed of 300"
}

# The VM's policy changes while the device stays: the cases that differ in it alone are one run.
inside() {
	local wanted=$1 iommu ioas device vm result box state wbinvd name='' tried=0

	prepare
	verdict "three functions that differ in Enable No Snoop" $?
	while IFS='|' read -r iommu ioas device vm result box state wbinvd; do
		[[ $iommu == "$wanted" ]] || continue
		((++tried))
		if [[ $name != "$ioas, $device" ]]; then
			[[ ! $name ]] || expect "IOAS $name" <"$TMP/case"
			name="$ioas, $device"
			cat >"$TMP/case" <<-END
				kvm
				iommu
				cdev d ${DEVICE[$device]}
				add d
				bind d
				${BLOCK[$device]:-hw-info d => $([[ $iommu == blocks ]] && echo enforces || echo cannot)}
				ioas a${IOAS_FLAG[$ioas]}
				attach d a => $result
			END
		fi
		one_case "$vm" "$box" "$state" "$wbinvd" >>"$TMP/case"
	done < <(awk -v mode=cases -f "$TOP/docs/verdicts.awk" "$PAGE")
	expect "IOAS $name" <"$TMP/case"
	[[ $wanted != blocks ]] || moved_by_bench
	is "cases that were tried" "$tried" 45
	done_testing
}

# ---- outside -----------------------------------------------------------------------------------

[[ ${1:-} != --inside ]] || inside "$2"

want_kernel "four boxes" "$KERNEL"
helper ncdma || fail "the program that makes the calls compiles"
for snoop in on off; do
	iommu=cannot
	[[ $snoop == off ]] || iommu=blocks
	all_of "IOMMU $iommu" "$iommu" -k "$KERNEL" ${MODULES:+-M "$MODULES"} -c 3 --tcg single \
		--snoop-control "$snoop" --device e1000e --device e1000e --device e1000e
done
done_testing
