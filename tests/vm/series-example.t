#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The example for authors of VMMs, docs/examples/coherency.c, does what docs/vmm.md says: every policy,
# with and without snoop control, on functions of which one never issues no-snoop.
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

# says NAME WANTED [ARG]...: the example, which succeeds
says() {
	local name=$1 wanted=$2

	shift 2
	runs "${AS[@]}" "$EXAMPLE" "$@"
	is "$name" "$STATUS: $(cat "$OUT" "$ERR")" "0: $wanted"
}
AS=()

# line BDF POLICY DEVICE HWPT BOX: what it prints of a function
line() {
	local coherent=coherent

	[[ $5 != 3 ]] || coherent=non-coherent
	printf '%s: policy %s, IOMMU %s, device %s, HWPT %s, box %s: %s\n' "$1" "$2" "$CAN" "$3" "$4" "$5" "$coherent"
}

snoop_control() {
	CAN=blocks
	for policy in automatic enforced; do
		says "$policy: boxes 1 and 2" "$(line "$A" $policy "may, untrusted" enforced 1
		line "$P" $policy never enforced 2)" -p $policy "$A" "$P"
	done
	says "noncoherent: boxes 3 and 4" "$(line "$A" noncoherent "may, untrusted" noncoherent 3
	line "$P" noncoherent never noncoherent 4)" -p noncoherent "$A" "$P"
	refused "noncoherent: not for everyone" 3 'needs CAP_SYS_RAWIO' \
		"${UNPRIVILEGED[@]}" "$EXAMPLE" -p noncoherent "$A"
	echo 1 >/sys/module/iommufd/parameters/allow_noncoherent
	AS=("${UNPRIVILEGED[@]}")
	says "noncoherent: for everyone, where the administrator allows it" \
		"$(line "$P" noncoherent never noncoherent 4)" -p noncoherent "$P"
	AS=()
}

no_snoop_control() {
	CAN='cannot block'
	AS=("${UNPRIVILEGED[@]}")
	for policy in automatic noncoherent; do
		says "$policy: boxes 4 and 3, for everyone" "$(line "$P" $policy never noncoherent 4
		line "$A" $policy "may, untrusted" noncoherent 3)" -p $policy "$P" "$A"
	done
	AS=()
	refused "enforced: cannot be had" 1 'cannot block no-snoop, as the policy enforced wants' \
		"$EXAMPLE" -p enforced "$P"
}

blocked() {
	local open=1 closed=1 hwpt=enforced

	[[ $CAN == blocks ]] || open=3 closed=4 hwpt=noncoherent
	if ! modprobe no_snoop_inject 2>/dev/null; then
		skip "block" "this kernel has no module no_snoop_inject"
		return
	fi
	# What BLOCK holds clear is a device that is known not to, to all that go by it.
	[[ $CAN != blocks ]] || closed=2
	printf 'add %s writable' "$P" >"$CONTROL"
	says "a function that may, and is let" "$(line "$P" automatic may $hwpt $open)" "$P"
	says "a function that may, and is blocked" \
		"$(line "$P" automatic "may, blocked" $hwpt $closed)" -b "$P"
	says "and is not from the next open on" "$(line "$P" automatic may $hwpt $open)" "$P"
	says "block leaves one alone that need not follow the bit" \
		"$(line "$A" automatic "may, untrusted" $hwpt $open)" -b "$A"
	printf 'del %s' "$P" >"$CONTROL"
}

inside() {
	A=$(vfio_find $E1000E 1) && P=$(vfio_find $E1000E 2) && vfio_bind "$A" && vfio_bind "$P"
	verdict "two functions on vfio-pci" $?
	modprobe iommufd
	if [[ ! -e /sys/module/iommufd/parameters/allow_noncoherent ]]; then
		refused "a kernel without the series is told apart" 4 'this kernel' "$EXAMPLE" "$P"
		refused "so it is by a policy" 4 'this kernel' "$EXAMPLE" -p enforced "$P"
		skip "DMA coherency" "this kernel does not have the series"
		return
	fi
	if [[ $1 == on ]]; then
		snoop_control
	else
		no_snoop_control
	fi
	blocked
	refused "no such policy" 2 'usage' "$EXAMPLE" -p weak "$P"
	refused "no such function" 1 'is not on vfio-pci' "$EXAMPLE" 0000:77:00.0
}

# ---- outside -----------------------------------------------------------------------------------

if [[ ${1:-} == --inside ]]; then
	inside "$2"
	done_testing
fi

if [[ $KERNEL != */* && ! $("$GET_KERNEL" path "$KERNEL" 2>/dev/null) ]]; then
	skip "the example" "there is no kernel $KERNEL"
	done_testing
fi

ok "the example compiles, with no more than its own header" \
	"${CC:-gcc}" -std=gnu11 -O2 -Wall -Wextra -Werror -o "$TMP/coherency" "$TOP/docs/examples/coherency.c"
for snoop in on off; do
	all_of "snoop control $snoop" "$snoop" -k "$KERNEL" ${MODULES:+-M "$MODULES"} \
		--snoop-control "$snoop" --device 'e1000e,bus=pcie.0,addr=0x10' --device e1000e
done
done_testing
