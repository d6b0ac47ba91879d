#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel series on DMA coherency, through the public interfaces of iommufd, VFIO and KVM: KVM
# follows what is attached, the policy of an I/O address space decides how the IOMMU is set up, and
# every mistake gets its error. With Intel's IOMMU, with and without snoop control, and AMD's.
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

E1000E=8086:10d3 E1000=8086:100e EDU=1234:11e8
MTTY=/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1
UUID=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
ALLOW=/sys/module/iommufd/parameters/allow_noncoherent
IOVA=0x100000

# What QEMU's functions are: A and B are integrated endpoints of Intel, of which nobody can tell that
# they do not use no-snoop; P is behind a root port; S[0] and S[1] are in one IOMMU group, N[0] and
# N[1] as well, behind a PCIe to PCI bridge: conventional functions that cannot issue any.
A='' B='' P='' S=() N=()

# What holds for an automatic address space with this snoop control: of a WBINVD, of the HWPT, of
# the entry in the IOMMU's table (only of Intel's can be seen), of IOMMU_GET_HW_INFO and of
# VFIO_DMA_CC_IOMMU; and the box of a device that never issues no-snoop
WBINVD='' FACT='' SNP='' HW='' CC='' NEVER_BOX=''

# Not empty: the driver of this IOMMU has no non-coherent page tables, and says so.
REFUSED=''

# ---- KVM follows what is attached

follow_cdev() {
	expect "cdev: KVM follows attach, replace and detach" <<-END
		kvm
		cdev d $A
		add d
		run => skipped
		iommu
		bind d
		run => skipped
		ioas a
		attach d a
		run 7 => ${WBINVD}
		ioas b
		attach d b
		run => $WBINVD
		detach d
		run => skipped
		attach d a
		run => $WBINVD
		detach d
		run => skipped
	END
	expect "cdev: opened and unbound proves nothing" <<-END
		kvm
		cdev d $A
		add d
		run => skipped
		close d
		run => skipped
	END
	expect "cdev: added when it is attached already" <<-END
		iommu
		cdev d $A
		bind d
		ioas a
		attach d a
		kvm
		run => skipped
		add d
		run => $WBINVD
		add d => EEXIST
		del d
		run => skipped
		del d => ENOENT
		add d
		run => $WBINVD
	END
	expect "cdev: of two files of one device, the bound one counts" <<-END
		iommu
		cdev d $A
		cdev e $A
		kvm
		add e
		bind d
		ioas a
		attach d a
		run => skipped
		bind e => EINVAL
		run => skipped
		add d
		run => $WBINVD
		del e
		run => $WBINVD
		detach d
		run => skipped
	END
	expect "cdev: a file KVM has is closed when KVM lets go" <<-END
		iommu
		cdev d $A
		bind d
		ioas a
		attach d a
		kvm
		add d
		close d
		run => $WBINVD
		cdev e $A
		bind e => EINVAL
		close kvm
		run => skipped
		bind e
		destroy a
	END
	expect "cdev: a failed attach and a failed replace change nothing" <<-END
		kvm
		iommu
		cdev d $A
		add d
		bind d
		attach d nothing => ENOENT
		run => skipped
		ioas a
		attach d a
		attach d nothing => ENOENT
		run => $WBINVD
		detach d
		run => skipped
	END
}

follow_two() {
	expect "two devices: one is detached, the other stays" <<-END
		kvm
		iommu
		cdev d $A
		cdev e $B
		add d
		add e
		bind d
		bind e
		ioas a
		ioas b
		attach d a
		run => $WBINVD
		attach e b
		run => $WBINVD
		detach d
		run => $WBINVD
		detach e
		run => skipped
	END
	expect "two devices: one is removed from KVM, the other stays" <<-END
		kvm
		iommu
		cdev d $A
		cdev e $B
		bind d
		bind e
		ioas a
		attach d a
		attach e a
		add d
		add e
		run => $WBINVD
		del d
		run => $WBINVD
		del e
		run => skipped
		add d
		run => $WBINVD
		detach e
		run => $WBINVD
		detach d
		run => skipped
	END
	expect "two devices: one that KVM does not have is none of its business" <<-END
		kvm
		iommu
		cdev d $A
		cdev e $B
		add d
		bind d
		bind e
		ioas a
		attach e a
		run => skipped
		attach d a
		run => $WBINVD
	END
}

follow_type1() {
	expect "group, type1: KVM follows opening and closing the device" <<-END
		kvm
		group g $A
		add g
		run => skipped
		container c
		join g c
		set-iommu c
		run => skipped
		device d g $A
		run 7 => $WBINVD
		cc c => $CC
		map c $IOVA
		snp $A $IOVA => $SNP
		close d
		run => skipped
		device d g $A
		run => $WBINVD
		del g
		run => skipped
		add g
		run => $WBINVD
		close d
		run => skipped
		leave g
		run => skipped
	END
	expect "group, type1: QEMU's order, and two groups in one container" <<-END
		group g $A
		container c
		join g c
		set-iommu c
		kvm
		add g
		device d g $A
		run => $WBINVD
		group h $B
		join h c
		add h
		device e h $B
		run => $WBINVD
		close d
		run => $WBINVD
		close e
		run => skipped
	END
	expect "group, type1: KVM has the files that the user has closed" <<-END
		kvm
		group g $A
		container c
		join g c
		set-iommu c
		add g
		device d g $A
		close g
		close c
		run => $WBINVD
		group g $A => EBUSY
		close d
		run => skipped
		group g $A => EBUSY
		close kvm
		group g $A
	END
}

follow_compat() {
	expect "group, iommufd: KVM follows opening and closing the device" <<-END
		kvm
		iommu
		group g $A
		add g
		run => skipped
		join g iommu
		set-iommu iommu
		run => skipped
		device d g $A
		run 7 => $WBINVD
		cc iommu => $CC
		map iommu $IOVA
		snp $A $IOVA => $SNP
		close d
		run => skipped
		device d g $A
		run => $WBINVD
		del g
		run => skipped
		add g
		run => $WBINVD
		close d
		run => skipped
		leave g
	END
}

follow_shared() {
	expect "shared group: what one attaches, all are attached to" <<-END
		kvm
		iommu
		cdev d ${S[0]}
		cdev e ${S[1]}
		add e
		bind d
		ioas a
		attach d a
		run => skipped
		bind e
		run => $WBINVD
		ioas b
		attach e b => EINVAL
		run => $WBINVD
		attach e a
		detach d
		run => $WBINVD
		detach e
		run => skipped
	END
	expect "shared group: closing the one that is attached" <<-END
		kvm
		iommu
		cdev d ${S[0]}
		cdev e ${S[1]}
		add e
		bind d
		bind e
		ioas a
		attach d a
		run => $WBINVD
		close d
		run => skipped
	END
	expect "shared group, type1: the last device closed" <<-END
		kvm
		group g ${S[0]}
		container c
		join g c
		set-iommu c
		add g
		device d g ${S[0]}
		run => $WBINVD
		device e g ${S[1]}
		run => $WBINVD
		close d
		run => $WBINVD
		close e
		run => skipped
	END
}

follow_mdev() {
	expect "mdev: KVM follows attach and detach" <<-END
		kvm
		cdev d $UUID
		add d
		run => skipped
		iommu
		bind d
		run => skipped
		ioas a
		attach d a
		run => flushed
		ioas b
		attach d b
		run => flushed
		detach d
		run => skipped
	END
	expect "mdev, type1: KVM follows opening and closing" <<-END
		kvm
		group g $UUID
		add g
		run => skipped
		container c
		join g c
		set-iommu c
		run => skipped
		device d g $UUID
		run => flushed
		close d
		run => skipped
	END
	expect "mdev, iommufd as a container: KVM follows opening and closing" <<-END
		kvm
		iommu
		group g $UUID
		add g
		run => skipped
		join g iommu
		set-iommu iommu
		device d g $UUID
		run => flushed
		close d
		run => skipped
	END
}

# A function behind a root port whose Enable No Snoop is hardwired to 0, once the kernel says so
# A device that never issues no-snoop is not taken for one that may until its driver has looked
follow_late() {
	local event=$TRACE/events/vfio/vfio_dma_coherency boxes

	if [[ ! -d $event ]]; then
		skip "shared group: opened while it is attached" "this kernel does not trace boxes"
		return
	fi
	echo 1 >"$event/enable"
	: >"$TRACE/trace"
	expect "shared group: opened while it is attached" <<-END
		iommu
		cdev d ${N[0]}
		cdev e ${N[1]}
		bind d
		ioas a
		attach d a
		bind e
		box e => $NEVER_BOX
		detach d
		box e => 0
	END
	echo 0 >"$event/enable"
	boxes=$(sed -n "s/.*vfio_dma_coherency: dev=${N[1]} old_box=\(.\) box=\(.\) .*/\1 \2/p" "$TRACE/trace")
	is "shared group: opened while it is attached, its boxes" "$boxes" "0 $NEVER_BOX"$'\n'"$NEVER_BOX 0"
}

follow_never() {
	local said wbinvd=$WBINVD

	said=$("$HELPERS/ncdma" iommu "cdev d $P" "bind d" "no-snoop d")
	[[ ${said##*: } != never ]] || wbinvd=skipped
	expect "behind a root port: no-snoop: ${said##*: }: WBINVD $wbinvd" <<-END
		kvm
		iommu
		cdev d $P
		add d
		bind d
		ioas a
		attach d a
		run => $wbinvd
		map a $IOVA
		snp $P $IOVA => $SNP
	END
}

# ---- policy

# policy NAME HOW ATTACH POLICY FACT SNP WBINVD: HOW makes the address space "a" and, after a comma,
# what the device is attached to, "h"
policy() {
	local name=$1 how=$2 attach=$3 policy=$4 fact=$5 snp=$6 wbinvd=$7 pt=a step

	[[ $how != *hwpt* ]] || pt=h
	{
		printf '%s\n' kvm iommu "cdev d $A" "add d" "bind d" "hw-info d => $HW"
		while read -r step; do
			[[ $step == hwpt* && $attach != 0 ]] && step+=" => $attach"
			printf '%s\n' "$step"
		done < <(tr , '\n' <<<"$how")
		echo "get a => $policy"
		if [[ $attach != 0 ]]; then
			[[ $pt == h ]] || echo "attach d a => $attach"
			# Nothing is left behind.
			printf '%s\n' "run => skipped" "set a automatic" "destroy a"
		else
			printf '%s\n' "map a $IOVA" "attach d $pt" "get d.pt => $fact" "run => $wbinvd" \
				"snp $A $IOVA => $snp" "map a 0x200000" "snp $A 0x200000 => $snp" \
				"set a automatic => EBUSY" "detach d" "run => skipped" \
				"snp $A $IOVA => not mapped"
			[[ $pt == a ]] || printf '%s\n' "set a automatic => EBUSY" "destroy h"
			printf '%s\n' "set a automatic" "destroy a"
		fi
	} >"$TMP/steps"
	expect "$name" <"$TMP/steps"
}

# each way to ask for a policy
policies() {
	local e=(0 "enforced" snp skipped) n=(0 noncoherent "no snp" flushed) auto

	[[ ! $REFUSED ]] || n=(EOPNOTSUPP '' '' '')
	if [[ $HW == enforces ]]; then
		auto=("${e[@]}")
	else
		auto=("${n[@]}")
		e=(EINVAL '' '' '')
	fi
	policy "automatic" "ioas a" "${auto[0]}" automatic "${auto[@]:1}"
	policy "automatic, HWPT" "ioas a,hwpt h d a" "${auto[0]}" automatic "${auto[@]:1}"
	policy "enforce" "ioas a enforce" "${e[0]}" enforced "${e[@]:1}"
	policy "enforce, HWPT" "ioas a enforce,hwpt h d a" "${e[0]}" enforced "${e[@]:1}"
	policy "enforce, said twice" "ioas a enforce,hwpt h d a enforce" "${e[0]}" enforced "${e[@]:1}"
	policy "enforce, of the HWPT only" "ioas a,hwpt h d a enforce" "${e[0]}" automatic "${e[@]:1}"
	policy "enforce, by option" "ioas a,set a enforced" "${e[0]}" enforced "${e[@]:1}"
	policy "noncoherent" "ioas a noncoherent" "${n[0]}" noncoherent "${n[@]:1}"
	policy "noncoherent, HWPT" "ioas a noncoherent,hwpt h d a" "${n[0]}" noncoherent "${n[@]:1}"
	policy "noncoherent, said twice" "ioas a noncoherent,hwpt h d a noncoherent" "${n[0]}" \
		noncoherent "${n[@]:1}"
	policy "noncoherent, of the HWPT only" "ioas a,hwpt h d a noncoherent" "${n[0]}" automatic "${n[@]:1}"
	policy "noncoherent, by option" "ioas a enforce,set a noncoherent" "${n[0]}" noncoherent "${n[@]:1}"
	policy "back to automatic" "ioas a noncoherent,set a automatic" "${auto[0]}" automatic "${auto[@]:1}"
}

policy_moves() {
	local enforce=0

	[[ $HW == enforces ]] || enforce=EINVAL
	expect "replace: between policies" <<-END
		kvm
		iommu
		cdev d $A
		add d
		bind d
		ioas a
		ioas n noncoherent
		ioas e enforce
		map a $IOVA
		map n $IOVA
		map e $IOVA
		attach d a
		run => $WBINVD
		snp $A $IOVA => $SNP
		attach d n
		run => flushed
		get d.pt => noncoherent
		snp $A $IOVA => no snp
		attach d e => $enforce
		run => $([[ $enforce == 0 ]] && echo skipped || echo flushed)
		snp $A $IOVA => $SNP
		attach d a
		run => $WBINVD
		snp $A $IOVA => $SNP
		get d.pt => $FACT
		destroy n
		destroy e
	END
	expect "two HWPTs of one automatic address space" <<-END
		kvm
		iommu
		cdev d $A
		cdev e $B
		add d
		add e
		bind d
		bind e
		ioas a
		hwpt h d a noncoherent
		get h => noncoherent
		attach e a
		get e.pt => $FACT
		run => $WBINVD
		attach d h
		run => flushed
		map a $IOVA
		snp $A $IOVA => no snp
		snp $B $IOVA => $SNP
		detach d
		run => $WBINVD
		attach e h
		get e.pt => noncoherent
		run => flushed
		snp $B $IOVA => no snp
		detach e
		run => skipped
	END
	expect "a second device on a non-coherent address space" <<-END
		kvm
		iommu
		cdev d $A
		cdev e $B
		add d
		bind d
		bind e
		ioas a noncoherent
		attach e a
		run => skipped
		attach d a
		run => flushed
		get e.pt => noncoherent
		get d.pt => noncoherent
		detach d
		run => skipped
	END
	expect "shared group on a non-coherent address space" <<-END
		kvm
		iommu
		cdev d ${S[0]}
		cdev e ${S[1]}
		add e
		bind d
		bind e
		ioas a noncoherent
		attach d a
		run => flushed
		attach e a
		detach d
		run => flushed
		ioas b
		attach e b
		run => $WBINVD
		detach e
		run => skipped
	END
}

policy_compat() {
	local enforce=0

	expect "iommufd as a container: noncoherent" <<-END
		kvm
		iommu
		ioas a noncoherent
		compat-set a
		group g $A
		add g
		join g iommu
		set-iommu iommu
		device d g $A
		run => flushed
		cc iommu => no
		map iommu $IOVA
		snp $A $IOVA => no snp
		close d
		run => skipped
	END
	[[ $HW == enforces ]] || enforce=EINVAL
	if [[ $enforce == 0 ]]; then
		expect "iommufd as a container: enforce" <<-END
			kvm
			iommu
			ioas a enforce
			compat-set a
			group g $A
			add g
			join g iommu
			set-iommu iommu
			device d g $A
			run => skipped
			cc iommu => yes
			map iommu $IOVA
			snp $A $IOVA => snp
		END
	else
		expect "iommufd as a container: enforce" <<-END
			kvm
			iommu
			ioas a enforce
			compat-set a
			group g $A
			add g
			join g iommu
			set-iommu iommu
			device d g $A => EINVAL
			run => skipped
			leave g
			set a automatic
			destroy a
		END
	fi
	expect "iommufd as a container: its own address space is automatic" <<-END
		iommu
		group g $A
		join g iommu
		compat-get a
		get a => automatic
		set-iommu iommu
		device d g $A
		cc iommu => $CC
		set a enforced => EBUSY
	END
	if [[ -e /sys/bus/mdev/devices/$UUID ]]; then
		expect "mdev: the policy of the address space is not about it" <<-END
			kvm
			iommu
			cdev d $UUID
			add d
			bind d
			ioas e enforce
			attach d e
			run => flushed
			ioas n noncoherent
			unprivileged
			attach d n
			run => flushed
			detach d
			run => skipped
		END
	fi
}

# Who may do without enforcement where there could be some: with the capability or with the option
privilege() {
	local denied=$1 flushed=flushed fact=noncoherent
	local was=$WBINVD

	if [[ $denied != 0 ]]; then
		flushed=$was fact=$FACT
	fi
	expect "unprivileged: $2" <<-END
		kvm
		iommu
		cdev d $A
		cdev e $B
		add d
		bind d
		bind e
		unprivileged
		ioas n noncoherent
		ioas a
		attach d n => $denied
		run => $([[ $denied == 0 ]] && echo flushed || echo skipped)
		ioas o
		set o noncoherent
		attach d o => $denied
		hwpt h d a noncoherent => $denied
		attach d a
		run => $was
		get d.pt => $FACT
		attach d n => $denied
		run => $flushed
		get d.pt => $fact
		detach d
		run => skipped
		set n automatic
		attach d n
		run => $was
		privileged
		ioas p noncoherent
		hwpt m d p
		attach e p
		unprivileged
		attach d m
		run => flushed
		get d.pt => noncoherent
		attach d a
		run => $was
		attach d p => $denied
		run => $flushed
	END
}

# ---- mistakes

mistakes() {
	local enforce=0

	[[ $HW == enforces ]] || enforce=EINVAL
	expect "IOMMU_IOAS_ALLOC" <<-END
		iommu
		ioas a enforce noncoherent => EINVAL
		ioas a flags=4 => EOPNOTSUPP
		ioas a enforce flags=4 => EOPNOTSUPP
		ioas a flags=0x80000000 => EOPNOTSUPP
		ioas a size=4 => EINVAL
		ioas a size=8 => EINVAL
		ioas a size=11 => EINVAL
		ioas a enforce tail => E2BIG
		ioas a enforce size=12
		get a => enforced
		ioas b noncoherent size=200
		get b => noncoherent
		ioas c size=12
		get c => automatic
	END
	expect "IOMMU_HWPT_ALLOC" <<-END
		iommu
		cdev d $A
		bind d
		ioas a
		ioas e enforce
		ioas n noncoherent
		hwpt h d a enforce noncoherent => EINVAL
		hwpt h d e enforce noncoherent => EINVAL
		hwpt h d e noncoherent => EINVAL
		hwpt h d n enforce => EINVAL
		hwpt h d a flags=0x40 => EOPNOTSUPP
		hwpt h d a noncoherent flags=0x80000000 => EOPNOTSUPP
		hwpt h d a noncoherent reserved => EOPNOTSUPP
		hwpt h d a noncoherent size=20 => EINVAL
		hwpt h d a noncoherent tail => E2BIG
		hwpt h d nothing noncoherent => EINVAL
		hwpt h nothing a noncoherent => ENOENT
		hwpt h d d noncoherent => EINVAL
		hwpt h d a enforce => $enforce
		set a automatic => $([[ $enforce == 0 ]] && echo EBUSY || echo 0)
		hwpt h d a noncoherent size=24
		get h => noncoherent
		hwpt i d a noncoherent size=200
		get i => noncoherent
		set a automatic => EBUSY
		hwpt j d h data noncoherent => EOPNOTSUPP
		hwpt j d h data enforce => EOPNOTSUPP
		hwpt j d h data => EINVAL
		hwpt j d h noncoherent => EOPNOTSUPP
		set e automatic
		set n automatic
		destroy e
		destroy n
	END
	expect "IOMMU_OPTION" <<-END
		iommu
		cdev d $A
		bind d
		ioas a
		hwpt h d a
		get nothing => ENOENT
		set nothing enforced => ENOENT
		get d => EINVAL
		set d enforced => EINVAL
		get a reserved => EOPNOTSUPP
		get a op=2 => EOPNOTSUPP
		get a size=16 => EINVAL
		get a size=20 => EINVAL
		get a tail => E2BIG
		get a size=24 => automatic
		get a size=200 => automatic
		get a value=77 => automatic
		set a enforced => EBUSY
		set a automatic => EBUSY
		set h noncoherent => EOPNOTSUPP
		get h => $FACT
		destroy h
		get h => ENOENT
		set a 3 => EINVAL
		set a 0x100000000 => EINVAL
		set a 0xffffffffffffffff => EINVAL
		get a => automatic
		set a enforced reserved => EOPNOTSUPP
		set a enforced size=16 => EINVAL
		set a enforced tail => E2BIG
		get a => automatic
		set a enforced
		get a => enforced
		set a noncoherent
		get a => noncoherent
		set a automatic
		get a => automatic
		attach d a
		set a noncoherent => EBUSY
		set d.pt noncoherent => EOPNOTSUPP
		get d.pt => $FACT
		detach d
		set a noncoherent
	END
}

# ---- all of them

count_start() {
	callbacks_start && echo 'p:test/test_exit kvm_emulate_wbinvd' >>"$TRACE/kprobe_events" &&
		echo 1 >"$TRACE/events/test/test_exit/enable"
}

prepare() {
	local bdf

	A=$(vfio_find $E1000E 1) && B=$(vfio_find $E1000E 2) && P=$(vfio_find $E1000E 3) || return
	S=("$(vfio_find $E1000 1)" "$(vfio_find $E1000 2)") || return
	N=("$(vfio_find $EDU 1)" "$(vfio_find $EDU 2)") || return
	for bdf in "$A" "$B" "$P" "${S[@]}" "${N[@]}"; do
		vfio_bind "$bdf" || return
	done
	modprobe -a iommufd vfio_iommu_type1 && count_start
}

# allow Y|N: false where the parameter cannot be changed
allow() { echo "$1" 2>/dev/null >"$ALLOW"; }

policy_tests() {
	local denied=0

	if [[ $("$HELPERS/ncdma" iommu "cdev d $A" "bind d" "ioas a" "hwpt h d a noncoherent") == *EOPNOTSUPP ]]; then
		[[ $1 == amd ]] && REFUSED=yes
	fi
	policies
	if [[ $REFUSED ]]; then
		skip "noncoherent" "refused by the driver of this IOMMU"
		return
	fi
	policy_moves
	policy_compat
	[[ $1 == amd ]] || mistakes
	is "iommufd.allow_noncoherent is off" "$(cat "$ALLOW" 2>&1)" N
	[[ $HW != enforces ]] || denied=EPERM
	privilege $denied "allow_noncoherent=0"
	if allow Y; then
		privilege 0 "allow_noncoherent=1"
		allow N
	else
		fail "iommufd.allow_noncoherent can be set"
	fi
}

# A CPU that does not snoop its own caches, not AMD's; without KVM
no_self_snoop() {
	A=$(vfio_find $E1000E 1) && vfio_bind "$A" && modprobe iommufd
	verdict "a function on vfio-pci" $?
	unlike "the CPU has no self-snoop" "$(grep -m 1 ^flags /proc/cpuinfo)" ' ss '
	like "the CPU is Intel's" "$(grep -m 1 ^vendor_id /proc/cpuinfo)" GenuineIntel
	expect "no self-snoop: noncoherent is refused where the IOMMU enforces" <<-END
		iommu
		cdev d $A
		bind d
		ioas n noncoherent
		ioas a
		attach d n => EOPNOTSUPP
		hwpt h d a noncoherent => EOPNOTSUPP
		hwpt h d n => EOPNOTSUPP
		attach d a
		get d.pt => enforced
		attach d n => EOPNOTSUPP
		get d.pt => enforced
		detach d
		set n enforced
		attach d n
	END
}

inside() {
	local case=$1 said

	modprobe -a vfio vfio-pci iommufd
	if [[ ! $FORCE ]] && ! grep -qw vfio_file_dma_coherent /proc/kallsyms; then
		skip "DMA coherency" "this kernel's KVM does not follow what is attached"
		return
	fi
	said=$("$HELPERS/ncdma" iommu "ioas a" "get a" 2>&1 | tail -n 1)
	if [[ $case == no-self-snoop ]]; then
		if [[ ! $FORCE && $said == *EOPNOTSUPP ]]; then
			skip "no self-snoop" "this kernel's address spaces have no policy"
		else
			no_self_snoop
		fi
		return
	fi
	case $case in
	on) WBINVD=skipped FACT=enforced SNP=snp HW=enforces CC=yes NEVER_BOX=2 ;;
	off) WBINVD=flushed FACT=noncoherent SNP='no snp' HW=cannot CC=no NEVER_BOX=4 ;;
	amd) WBINVD=skipped FACT=enforced SNP='' HW=enforces CC=yes NEVER_BOX=2 ;;
	esac
	# shellcheck disable=SC2034 # of steps.sh
	[[ $SNP ]] || NO_STEP='snp*'
	prepare
	verdict "functions on vfio-pci, probes on KVM" $?
	if modprobe mtty 2>/dev/null && echo "$UUID" >"$MTTY/create"; then
		follow_mdev
	else
		skip "mdev" "no emulated device mtty"
	fi
	follow_cdev
	follow_two
	follow_type1
	follow_compat
	follow_shared
	follow_late
	follow_never
	if [[ ! $FORCE && $said == *EOPNOTSUPP ]]; then
		skip "policy of address spaces" "this kernel's have none"
	else
		policy_tests "$case"
	fi
}

# ---- outside -----------------------------------------------------------------------------------

if [[ ${1:-} == --inside ]]; then
	inside "$2"
	done_testing
fi

want_kernel "DMA coherency" "$KERNEL"

# other_cpu FEATURE...: QEMU is found in front of the real one, and adds to its -cpu
other_cpu() {
	local qemu

	qemu=$(command -v qemu-system-x86_64) && mkdir "$TMP/qemu" || return
	cat >"$TMP/qemu/qemu-system-x86_64" <<-END
		#!/bin/bash
		for ((i = 1; i < \$#; i++)); do
			[[ \${!i} != -cpu ]] || set -- "\${@:1:i}" "\${@:i+1:1}$(printf ',%s' "$@")" "\${@:i+2}"
		done
		exec $qemu "\$@"
	END
	chmod 755 "$TMP/qemu/qemu-system-x86_64"
	PATH=$TMP/qemu:$PATH
}

helper ncdma || fail "the program that makes the calls compiles"
# shellcheck disable=SC2054 # of QEMU
FUNCTIONS=(--device e1000e,bus=pcie.0,addr=0x10 --device e1000e,bus=pcie.0,addr=0x11
	--device e1000,bus=pcie.0,addr=0x12.0,multifunction=on --device e1000,bus=pcie.0,addr=0x12.1
	--device pcie-pci-bridge,id=ppb --device edu,bus=ppb,addr=1 --device edu,bus=ppb,addr=2
	--device e1000e)

# boot NAME CASE OPTION...: a VM
boot() {
	all_of "$1" "$2" -k "$KERNEL" ${MODULES:+-M "$MODULES"} --env "SERIES_FORCE=$FORCE" "${@:3}"
}

for snoop in off on; do
	boot "snoop control $snoop" "$snoop" --tcg single --snoop-control "$snoop" "${FUNCTIONS[@]}"
done
boot "AMD" amd --tcg single --iommu amd "${FUNCTIONS[@]}"
if other_cpu vendor=GenuineIntel -ss; then
	boot "CPU without self-snoop" no-self-snoop --no-kvm --snoop-control on --device e1000e
fi
done_testing
