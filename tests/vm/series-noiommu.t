#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Devices without an IOMMU on a kernel with the series: they do non-coherent DMA from when they are opened until
# they are closed, whatever is closed first, and are counted by the iommufd that their group has.
# Uses none of the tools.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"
# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$TOP/tests/vm/steps.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-}

# ---- inside a VM -------------------------------------------------------------------------------

# VFIO_NOIOMMU_IOMMU
NOIOMMU=8

# Nobody can tell whether these functions use no-snoop
BDF=()

follow() {
	expect "container: KVM follows opening and closing" <<-END
		kvm
		group g ${BDF[0]}
		container c
		join g c
		set-iommu c $NOIOMMU
		add g
		wbinvd 0 1 => 0
		device d g ${BDF[0]}
		wbinvd 0 1 => 1
		close d
		wbinvd 0 1 => 0
	END
	expect "iommufd as a container: KVM follows opening and closing, by group and by iommufd" <<-END
		kvm
		iommu
		group g ${BDF[0]}
		join g iommu
		add g
		iommufd-add iommu
		state => 2 0 0x4
		device d g ${BDF[0]}
		state => 2 2 0x7
		wbinvd 0 1 => 1
		close d
		state => 2 0 0x4
		wbinvd 0 1 => 0
	END
}

# With KASAN a device that counts in an iommufd that is gone is reported.
outlive() {
	expect "the device outlives its group's file and the iommufd" <<-END
		iommu
		group g ${BDF[0]}
		join g iommu
		device d g ${BDF[0]}
		close g
		close iommu
		block d force
		allow d
		close d
	END
	expect "the device outlives what its group had" <<-END
		iommu
		group g ${BDF[0]}
		join g iommu
		device d g ${BDF[0]}
		leave g
		close iommu
		close d
		container c
		join g c
		set-iommu c $NOIOMMU
		device e g ${BDF[0]}
		close e
	END
	expect "the device outlives the iommufd that KVM has" <<-END
		kvm
		iommu
		iommufd-add iommu
		group g ${BDF[0]}
		join g iommu
		device d g ${BDF[0]}
		group h ${BDF[1]}
		join h iommu
		device e h ${BDF[1]}
		close iommu
		leave g
		close h
		wbinvd 0 1 => 1
		close d
		wbinvd 0 1 => 1
		close e
		wbinvd 0 1 => 0
	END
}

inside() {
	modprobe -a vfio iommufd
	if ! echo Y 2>/dev/null >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode; then
		skip "devices without an IOMMU" "this kernel is built without VFIO_NOIOMMU"
		return
	fi
	modprobe vfio-pci
	devices && callbacks_start
	verdict "functions on vfio-pci, a probe on the flush" $?
	is "they have no IOMMU" "$(find /dev/vfio -name 'noiommu-*' | wc -l)" 2
	follow
	outlive
}

# ---- outside -----------------------------------------------------------------------------------

if [[ ${1:-} == --inside ]]; then
	inside
	done_testing
fi

want_kernel "devices without an IOMMU" "$KERNEL"

helper ncdma || fail "the program that makes the calls compiles"
# shellcheck disable=SC2054 # of QEMU
all_of "no IOMMU" none -k "$KERNEL" ${MODULES:+-M "$MODULES"} --tcg single --iommu none \
	--device e1000e,bus=pcie.0,addr=0x10 --device e1000e,bus=pcie.0,addr=0x11
done_testing
