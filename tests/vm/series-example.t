#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The example for authors of VMMs, docs/examples/coherency.c, does what docs/vmm.md says: every policy,
# with and without snoop control, on functions of which one never issues no-snoop, and what KVM makes
# of it before and after attaching, paused, resumed and after detaching.
# Uses none of the tools.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-}

# ---- inside a VM -------------------------------------------------------------------------------

E1000E=8086:10d3
CONTROL=/sys/kernel/debug/pci_no_snoop_inject/control
EXAMPLE=${HELPERS:-}/coherency
UNPRIVILEGED=(setpriv --bounding-set -sys_rawio --)

# A may be told to use no-snoop, as far as anybody can know; P, behind a root port, never does.
A='' P=''

# kvm WHEN REGISTRATIONS NONCOHERENT FLAG...: what it prints of KVM
kvm() {
	printf 'KVM, %s: registrations %s, non-coherent %s, flags %s\n' "$1" "$2" "$3" "${*:4}"
}

# says NAME REGISTRATIONS NONCOHERENT WANTED [ARG]...: the example, which succeeds. KVM has that many
# registrations, and that many are non-coherent while the functions are attached. These VMs have SVM,
# where guest PAT is always honoured.
says() {
	local name=$1 regs=$2 nc=$3 wanted=$4 noncoherent=() wbinvd=()

	shift 4
	((!nc)) || noncoherent=(noncoherent) wbinvd=(wbinvd)
	runs "${AS[@]}" "$EXAMPLE" "$@"
	is "$name" "$STATUS: $(cat "$OUT" "$ERR")" "0: $(kvm bound "$regs" 0 guest-pat
	printf '%s\n' "$wanted"
	kvm attached "$regs" "$nc" "${noncoherent[@]}" "${wbinvd[@]}" guest-pat
	kvm paused "$regs" "$nc" "${noncoherent[@]}" guest-pat policy
	kvm resumed "$regs" "$nc" "${noncoherent[@]}" "${wbinvd[@]}" guest-pat
	kvm detached "$regs" 0 guest-pat)"
}
AS=()

# denied NAME STATUS REGEX [ARG]...: it may not be attached, which is when the example has shown KVM once
denied() {
	runs "${AS[@]}" "$EXAMPLE" "${@:4}"
	like "$1" "$STATUS: $(cat "$OUT" "$ERR")" "^$2: $(kvm bound 1 0 guest-pat)
coherency: [^
]*$3[^
]*$"
}

# line BDF POLICY DEVICE HWPT BOX: what it prints of a function
line() {
	local coherent=coherent

	[[ $5 != 3 ]] || coherent=non-coherent
	printf '%s: policy %s, IOMMU %s, device %s, HWPT %s, box %s: %s\n' "$1" "$2" "$CAN" "$3" "$4" "$5" "$coherent"
}

snoop_control() {
	CAN=blocks
	for policy in automatic enforced; do
		says "$policy: boxes 1 and 2" 2 0 "$(line "$A" $policy "may, untrusted" enforced 1
		line "$P" $policy never enforced 2)" -p $policy "$A" "$P"
	done
	says "noncoherent: boxes 3 and 4" 2 1 "$(line "$A" noncoherent "may, untrusted" noncoherent 3
	line "$P" noncoherent never noncoherent 4)" -p noncoherent "$A" "$P"
	says "noncoherent: one registration for both functions" 1 1 \
		"$(line "$A" noncoherent "may, untrusted" noncoherent 3
		line "$P" noncoherent never noncoherent 4)" -i -p noncoherent "$A" "$P"
	AS=("${UNPRIVILEGED[@]}")
	denied "noncoherent: not for everyone" 3 'needs CAP_SYS_RAWIO' -p noncoherent "$A"
	echo 1 >/sys/module/iommufd/parameters/allow_noncoherent
	says "noncoherent: for everyone, where the administrator allows it" 1 0 \
		"$(line "$P" noncoherent never noncoherent 4)" -p noncoherent "$P"
	AS=()
}

no_snoop_control() {
	CAN='cannot block'
	AS=("${UNPRIVILEGED[@]}")
	for policy in automatic noncoherent; do
		says "$policy: boxes 4 and 3, for everyone" 2 1 "$(line "$P" $policy never noncoherent 4
		line "$A" $policy "may, untrusted" noncoherent 3)" -p $policy "$P" "$A"
	done
	AS=()
	denied "enforced: cannot be had" 1 'cannot block no-snoop, as the policy enforced wants' -p enforced "$P"
}

blocked() {
	local open=1 closed=1 hwpt=enforced nc=0

	[[ $CAN == blocks ]] || open=3 closed=4 hwpt=noncoherent nc=1
	if ! modprobe no_snoop_inject 2>/dev/null; then
		skip "block" "this kernel has no module no_snoop_inject"
		return
	fi
	# What BLOCK holds clear is a device that is known not to, to all that go by it.
	[[ $CAN != blocks ]] || closed=2
	printf 'add %s writable' "$P" >"$CONTROL"
	says "a function that may, and is let" 1 $nc "$(line "$P" automatic may $hwpt $open)" "$P"
	says "a function that may, known by its iommufd" 1 $nc "$(line "$P" automatic may $hwpt $open)" -i "$P"
	says "two that may" 2 $((2 * nc)) "$(line "$A" automatic "may, untrusted" $hwpt $open
	line "$P" automatic may $hwpt $open)" "$A" "$P"
	[[ $CAN != blocks ]] || says "a function that may, and is chosen to" 1 1 \
		"$(line "$P" noncoherent may noncoherent 3)" -p noncoherent "$P"
	says "a function that may, and is blocked" 1 0 \
		"$(line "$P" automatic "may, blocked" $hwpt $closed)" -b "$P"
	says "and is not from the next open on" 1 $nc "$(line "$P" automatic may $hwpt $open)" "$P"
	says "block leaves one alone that need not follow the bit" 1 $nc \
		"$(line "$A" automatic "may, untrusted" $hwpt $open)" -b "$A"
	printf 'del %s' "$P" >"$CONTROL"
}

without_files() {
	refused "a kernel without iommufd is told" 4 '^coherency: /dev/iommu: .* has none' missing /dev/iommu "$EXAMPLE" "$P"
	refused "a machine without KVM is told" 4 '^coherency: /dev/kvm: .* has none' missing /dev/kvm "$EXAMPLE" "$P"
}

# missing FILE COMMAND [ARG]...: without the file, for as long as that takes
missing() {
	local rc=0

	mv -- "$1" "$1.away"
	"${@:2}" || rc=$?
	mv -- "$1.away" "$1"
	return "$rc"
}

inside() {
	A=$(vfio_find $E1000E 1) && P=$(vfio_find $E1000E 2) && vfio_bind "$A" && vfio_bind "$P"
	verdict "two functions on vfio-pci" $?
	modprobe iommufd
	if [[ ! -e /sys/module/iommufd/parameters/allow_noncoherent ]]; then
		refused "a kernel without the series is told apart" 4 'KVM of this kernel' "$EXAMPLE" "$P"
		refused "so it is when the iommufd is to be registered" 4 'KVM of this kernel' "$EXAMPLE" -i "$P"
		skip "DMA coherency" "this kernel does not have the series"
		return
	fi
	if [[ $1 == on ]]; then
		snoop_control
	else
		no_snoop_control
	fi
	blocked
	without_files
	refused "no such policy" 2 'usage' "$EXAMPLE" -p weak "$P"
	refused "no such function" 1 'is not on vfio-pci' "$EXAMPLE" 0000:77:00.0
}

# ---- outside -----------------------------------------------------------------------------------

if [[ ${1:-} == --inside ]]; then
	inside "$2"
	done_testing
fi

want_kernel "the example" "$KERNEL"

ok "the example compiles, with no more than its own header" \
	"${CC:-gcc}" -std=gnu11 -O2 -Wall -Wextra -Werror -o "$TMP/coherency" "$TOP/docs/examples/coherency.c"
for snoop in on off; do
	all_of "snoop control $snoop" "$snoop" -k "$KERNEL" ${MODULES:+-M "$MODULES"} \
		--snoop-control "$snoop" --device 'e1000e,bus=pcie.0,addr=0x10' --device e1000e
done
done_testing
