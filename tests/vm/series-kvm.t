#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# KVM's side of the kernel series: on which CPUs a guest's WBINVD is flushed once non-coherent DMA
# comes and goes, the VM's policy, the registration of an iommufd, and what KVM tells of it all:
# state, statistics and tracepoints. How often a CPU was flushed is counted by a kprobe event.
# Uses none of the tools.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.
# SERIES_FORCE: not empty: nothing is skipped, on kernels without the series everything fails.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"
# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$TOP/tests/vm/steps.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-} FORCE=${SERIES_FORCE:-}

# ---- inside a VM -------------------------------------------------------------------------------

MTTY=/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1
UUID=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001

# Two functions that nobody can tell not to use no-snoop, behind an IOMMU that cannot block it
BDF=()

# attached: the steps that attach the first device
attached() {
	printf '%s\n' iommu "cdev d ${BDF[0]}" "bind d" "ioas a" "attach d a"
}

# Every CPU on which the vCPU ran since its last flush is flushed, and no other
dirty_cpus() {
	expect "the CPUs before the device came" <<-END
		$(attached)
		kvm
		wbinvd 0 0 => 0
		add d
		wbinvd 1 1 => 2
		wbinvd 1 1 => 1
	END
	expect "the CPUs before the device was attached" <<-END
		kvm
		iommu
		cdev d ${BDF[0]}
		add d
		bind d
		ioas a
		wbinvd 0 1 => 0
		wbinvd 2 1 => 0
		attach d a
		wbinvd 1 1 => 3
		wbinvd 1 2 => 2
	END
	expect "the CPUs while the device was away" <<-END
		$(attached)
		kvm
		add d
		wbinvd 0 1 => 1
		detach d
		wbinvd 2 1 => 0
		attach d a
		wbinvd 1 1 => 3
	END
	expect "the CPUs during a pause" <<-END
		$(attached)
		kvm
		add d
		wbinvd 1 1 => 2
		policy 2
		wbinvd 2 1 => 0
		wbinvd 0 1 => 0
		policy 0
		wbinvd 0 1 => 3
		wbinvd 0 1 => 1
	END
	expect "the CPU of the last flush" <<-END
		$(attached)
		kvm
		add d
		wbinvd 0 1 => 1
		wbinvd 1 1 => 2
		wbinvd 1 3 => 3
		wbinvd 2 1 => 2
		wbinvd 0 1 => 2
		wbinvd 0 0 => 0
		wbinvd 1 0 => 0
		wbinvd 2 1 => 3
	END
}

policy() {
	expect "policy: pause, force coherent, resume" <<-END
		kvm
		cap => 3 3
		state => 0 0 0x4
		$(attached)
		add d
		state => 1 1 0x7
		wbinvd 0 1 => 1
		policy 2
		state => 1 1 0xd
		wbinvd 0 1 => 0
		policy 2
		policy 1
		state => 1 1 0xd
		wbinvd 0 1 => 0
		policy 3
		state => 1 1 0xd
		wbinvd 0 1 => 0
		policy 0
		policy 0
		state => 1 1 0x7
		wbinvd 0 1 => 1
	END
	expect "policy: set first, and kept while devices come and go" <<-END
		kvm
		policy 1
		state => 0 0 0xc
		$(attached)
		add d
		state => 1 1 0xd
		wbinvd 0 1 => 0
		detach d
		state => 1 0 0xc
		attach d a
		wbinvd 0 1 => 0
		policy 0
		wbinvd 0 1 => 1
		detach d
		wbinvd 0 1 => 0
	END
	expect "policy: mistakes" <<-END
		kvm
		$(attached)
		add d
		policy 4 => EINVAL
		policy 5 => EINVAL
		policy 0x80000000 => EINVAL
		policy 0x100000000 => EINVAL
		policy 0xffffffffffffffff => EINVAL
		policy 1 1 => EINVAL
		policy 1 0x80000000 => EINVAL
		policy 1 0 1 => EINVAL
		policy 1 0 0 1 => EINVAL
		policy 1 0 0 0 1 => EINVAL
		policy 1 0 0 0 0x100000000 => EINVAL
		state => 1 1 0x7
		wbinvd 0 1 => 1
		policy 1 0 0 0 0
		wbinvd 0 1 => 0
	END
}

counts() {
	expect "statistics: exits are flushes and skipped ones" <<-END
		kvm
		stats => 0 0 0 0
		wbinvd 0 5 => 0
		stats => 5 0 5 0
		$(attached)
		add d
		wbinvd 0 3 => 3
		wbinvd 1 2 => 3
		stats => 10 5 5 0
		policy 2
		wbinvd 0 7 => 0
		stats => 17 5 12 0
		policy 0
		wbinvd 0 255 => 256
		stats => 272 260 12 0
	END
}

iommufd() {
	local of=$1 device=$2

	expect "$of: a registered iommufd follows a device that comes later" <<-END
		kvm
		iommu
		iommufd-add iommu
		state => 1 0 0x4
		cdev d $device
		bind d
		ioas a
		wbinvd 0 1 => 0
		attach d a
		state => 1 1 0x7
		wbinvd 0 1 => 1
		ioas b
		attach d b
		wbinvd 0 1 => 1
		detach d
		state => 1 0 0x4
		wbinvd 0 1 => 0
		attach d a
		wbinvd 0 1 => 1
		close d
		state => 1 0 0x4
		wbinvd 0 1 => 0
		cdev e $device
		bind e
		attach e a
		wbinvd 0 1 => 1
	END
	expect "$of: an iommufd is registered late, removed, and let go" <<-END
		iommu
		cdev d $device
		bind d
		ioas a
		attach d a
		kvm
		wbinvd 0 1 => 0
		iommufd-add iommu
		wbinvd 0 1 => 1
		iommufd-del iommu
		state => 0 0 0x4
		wbinvd 0 1 => 0
		iommufd-add iommu
		add d
		state => 2 2 0x7
		wbinvd 0 1 => 1
		iommufd-del iommu
		state => 1 1 0x7
		wbinvd 0 1 => 1
		del d
		wbinvd 0 1 => 0
		iommufd-add iommu
		wbinvd 0 1 => 1
		close kvm
		wbinvd 0 1 => 0
	END
}

iommufd_many() {
	expect "iommufd: the last of two devices counts" <<-END
		kvm
		iommu
		iommufd-add iommu
		cdev d ${BDF[0]}
		cdev e ${BDF[1]}
		bind d
		bind e
		ioas a
		attach d a
		attach e a
		state => 1 1 0x7
		detach d
		wbinvd 0 1 => 1
		close e
		wbinvd 0 1 => 0
		attach d a
		wbinvd 0 1 => 1
	END
	expect "iommufd: one that is open only because KVM has it" <<-END
		kvm
		$(attached)
		iommufd-add iommu
		close iommu
		wbinvd 0 1 => 1
		detach d
		wbinvd 0 1 => 0
		attach d a
		wbinvd 0 1 => 1
		close d
		wbinvd 0 1 => 0
		close kvm
	END
	expect "iommufd: one of another iommufd is none of its business" <<-END
		kvm
		iommu
		iommufd-add iommu
		$(attached)
		wbinvd 0 1 => 0
		iommufd-add iommu
		state => 2 1 0x7
		wbinvd 0 1 => 1
	END
}

mistakes() {
	expect "attributes: mistakes" <<-END
		kvm
		null
		iommu
		cdev d ${BDF[0]}
		iommufd-add none => EBADF
		iommufd-add null => EINVAL
		iommufd-add d => EINVAL
		iommufd-add vm => EINVAL
		iommufd-add nowhere => EFAULT
		iommufd-del none => EBADF
		iommufd-del null => ENOENT
		iommufd-del iommu => ENOENT
		iommufd-del nowhere => EFAULT
		add iommu => EINVAL
		del iommu => ENOENT
		state => 0 0 0x4
		iommufd-add iommu
		iommufd-add iommu => EEXIST
		del iommu => ENOENT
		add d
		iommufd-del d => ENOENT
		state => 2 0 0x4
		state nowhere => EFAULT
		attr-has 1 1
		attr-has 2 1
		attr-has 2 2
		attr-has 3 0
		attr-has 2 0 => ENXIO
		attr-has 2 3 => ENXIO
		attr-has 2 0x100000001 => ENXIO
		attr-has 3 1 => ENXIO
		attr-has 4 0 => ENXIO
		attr-set 2 0 => ENXIO
		attr-set 2 3 => ENXIO
		attr-set 3 0 => EPERM
		attr-set 3 1 => ENXIO
		attr-set 4 0 => ENXIO
		attr-get 1 1 => EPERM
		attr-get 2 1 => EPERM
		attr-get 2 3 => ENXIO
		attr-get 3 1 => ENXIO
		attr-get 4 0 => ENXIO
		iommufd-del iommu
		iommufd-del iommu => ENOENT
	END
}

# What is traced of all that, without times and the process
traces() {
	local got status=0 events=(kvm_wbinvd_begin kvm_wbinvd_end kvm_noncoherent_dma) e said zapped=''

	for e in "${events[@]}"; do
		echo 1 >"$TRACE/events/kvm/$e/enable" || {
			fail "tracepoints" "there is no $e"
			return
		}
	done
	steps <<-END
		$(attached)
		kvm
		wbinvd 0 1 => 0
		add d
		wbinvd 0 1 => 1
		policy 2
		wbinvd 0 1 => 0
		policy 0
		wbinvd 1 2 => 3
		policy 1
		policy 0
		del d
	END
	echo >"$TRACE/trace"
	got=$("$HELPERS/ncdma" "${STEPS[@]}" 2>&1) || status=$?
	same "tracepoints: a run with them" "${WANTED%$'\n'}" "$got" $status
	said=$(sed -n 's/.*: kvm_\(noncoherent_dma\|wbinvd_[a-z]*\): /\1: /p' "$TRACE/trace")
	for e in "${events[@]}"; do
		echo 0 >"$TRACE/events/kvm/$e/enable"
	done
	# On SVM guest PAT is always honoured, and there is nothing to zap, but patches/debug has it zap.
	[[ $(uname -r) != *-debug ]] || zapped=' zapped'
	is "tracepoints: each flush takes its time" "$(grep -c 'emulated cpus [0-9]* ns [1-9]' <<<"$said")" 3
	same "tracepoints" "$(
		cat <<-END
			wbinvd_begin: vcpu 0 reason coherent cpus 0 rip 0x1008
			wbinvd_end: vcpu 0 reason coherent cpus 0
			noncoherent_dma: count 1 policy 0x0 before 0x0 after 0x3$zapped
			wbinvd_begin: vcpu 0 reason emulated cpus 1 rip 0x1008
			wbinvd_end: vcpu 0 reason emulated cpus 1
			noncoherent_dma: count 1 policy 0x2 before 0x3 after 0x2
			wbinvd_begin: vcpu 0 reason policy cpus 0 rip 0x1008
			wbinvd_end: vcpu 0 reason policy cpus 0
			noncoherent_dma: count 1 policy 0x0 before 0x2 after 0x3
			wbinvd_begin: vcpu 0 reason emulated cpus 2 rip 0x1008
			wbinvd_end: vcpu 0 reason emulated cpus 2
			wbinvd_begin: vcpu 0 reason emulated cpus 1 rip 0x1008
			wbinvd_end: vcpu 0 reason emulated cpus 1
			noncoherent_dma: count 1 policy 0x1 before 0x3 after 0x0$zapped
			noncoherent_dma: count 1 policy 0x0 before 0x0 after 0x3$zapped
			noncoherent_dma: count 0 policy 0x0 before 0x3 after 0x0$zapped
		END
	)" "$(sed 's/ ns [0-9]*$//; s/ pid [0-9]*//' <<<"$said")"
}

# With shadow paging a change looks at the memslots, for the reverse maps: under kvm->srcu, as debug-7.2 checks.
shadow_paging() {
	modprobe -r kvm_amd && modprobe kvm_amd npt=0
	is "shadow paging: nested paging is off" "$(cat /sys/module/kvm_amd/parameters/npt)" N
	expect "shadow paging: changes once the guest has page tables" <<-END
		kvm
		$(attached)
		wbinvd 0 1 => 0
		add d
		wbinvd 0 1 => 1
		policy 1
		wbinvd 0 1 => 0
		policy 0
		wbinvd 0 1 => 1
		detach d
		wbinvd 0 1 => 0
		attach d a
		wbinvd 0 1 => 1
	END
}

inside() {
	modprobe -a vfio vfio-pci iommufd
	if [[ ! $FORCE && $("$HELPERS/ncdma" kvm cap 2>&1) == *': 0 0' ]]; then
		skip "KVM" "this kernel's KVM has no policy for non-coherent DMA"
		return
	fi
	devices && callbacks_start
	verdict "functions on vfio-pci, a probe on the flush" $?
	dirty_cpus
	policy
	counts
	iommufd "iommufd" "${BDF[0]}"
	if modprobe mtty 2>/dev/null && echo "$UUID" >"$MTTY/create"; then
		iommufd "iommufd, mdev" $UUID
	else
		skip "iommufd, mdev" "no emulated device mtty"
	fi
	iommufd_many
	mistakes
	traces
	shadow_paging
}

# ---- outside -----------------------------------------------------------------------------------

if [[ ${1:-} == --inside ]]; then
	inside "$2"
	done_testing
fi

want_kernel "KVM" "$KERNEL"

helper ncdma || fail "the program that makes the calls compiles"
# Integrated endpoints of Intel: whether they use no-snoop cannot be told
# shellcheck disable=SC2054 # of QEMU
all_of "KVM" kvm -k "$KERNEL" ${MODULES:+-M "$MODULES"} --env "SERIES_FORCE=$FORCE" -c 3 --tcg single \
	--device e1000e,bus=pcie.0,addr=0x10 --device e1000e,bus=pcie.0,addr=0x11
done_testing
