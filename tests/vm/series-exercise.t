#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Random calls to iommufd, VFIO and KVM on a kernel with the series, by several threads, while functions
# are removed and come back: nothing in the kernel's log, no hang, only errors that a call may give, and
# nothing left when all is closed. What is random comes from a seed, which is printed.
# Uses none of the tools.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.
# EXERCISE_SECONDS: how long (default: 5; 600 if LONG is not empty).
# EXERCISE_SEED: a seed that a run before has printed.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-}
EXERCISE_SECONDS=${EXERCISE_SECONDS:-$([[ $LONG ]] && echo 600 || echo 5)} EXERCISE_SEED=${EXERCISE_SEED:-}

# ---- inside a VM -------------------------------------------------------------------------------

MTTY=/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1
UUID=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
# exercise OPTION...: its output goes to $TMP/exercise, the exit status to $STATUS
exercise() {
	STATUS=0
	"$HELPERS/exercise" "$@" "${BDF[@]}" >"$TMP/exercise" 2>&1 || STATUS=$?
}

# said NAME: a number that exercise printed
said() {
	sed -n "s/^$1: //p" "$TMP/exercise"
}

# finds NAME PATTERN OPTION...: what is made wrong is found
finds() {
	local name=$1 pattern=$2

	shift 2
	exercise "$@"
	[[ $STATUS == 1 ]] && grep -q "^wrong: $pattern" "$TMP/exercise"
	verdict "$name" $? "status $STATUS" "$(<"$TMP/exercise")"
}

inside() {
	ulimit -l unlimited
	modprobe -a vfio vfio-pci iommufd vfio_iommu_type1
	devices
	verdict "functions on vfio-pci" $?
	# So do those that come back.
	echo 8086 10d3 >/sys/bus/pci/drivers/vfio-pci/new_id
	if modprobe mtty 2>/dev/null && echo "$UUID" >"$MTTY/create"; then
		BDF+=("$UUID")
	fi
	finds "a page that stays mapped is found" '1 pages are pinned, 0 were' --seconds 0 --keep
	like "so is that it counts as locked" "$(<"$TMP/exercise")" 'wrong: 1 pages count as locked, 0 did'
	finds "an error that must not be is found" '.*: ENOENT is forbidden' --seconds 5 --forbid ENOENT
	exercise --seconds 6 --spin --table
	verdict "a guest that never halts ends with its round" "$STATUS" "status $STATUS" "$(<"$TMP/exercise")"
	# One call in thirty runs a guest.
	if (($(said calls) > 300)); then
		like "there was one" "$(grep 'KVM_RUN:' "$TMP/exercise")" 'EINTR [1-9]'
	else
		skip "there was one" "only $(said calls) calls were made"
	fi
	forget_leaks
	exercise --seconds "$EXERCISE_SECONDS" ${EXERCISE_SEED:+--seed "$EXERCISE_SEED"}
	verdict "$EXERCISE_SECONDS s of random calls, seed $(said seed)" "$STATUS" "status $STATUS" "$(<"$TMP/exercise")"
	note "$(said calls) calls, $(said refused) of them refused, $(said unplugged) times unplugged, $(said rounds) rounds"
	compare "calls were made" "$(said calls)" -gt $((EXERCISE_SECONDS * 10))
	compare "some of them were not refused" "$(said calls)" -gt "$(said refused)"
	no_leaks
}

# ---- outside -----------------------------------------------------------------------------------

if [[ ${1:-} == --inside ]]; then
	inside
	done_testing
fi

want_kernel "random calls" "$KERNEL"

helper exercise chance.c || fail "the program that makes the calls compiles"
MEMORY=2048 TIMEOUT=$((EXERCISE_SECONDS * 2 + 900))
[[ $KERNEL != *debug-* ]] || MEMORY=4096
# shellcheck disable=SC2054 # of QEMU
all_of "random calls" exercise -k "$KERNEL" ${MODULES:+-M "$MODULES"} -m $MEMORY --snoop-control on \
	--env "EXERCISE_SECONDS=$EXERCISE_SECONDS" --env "EXERCISE_SEED=$EXERCISE_SEED" \
	--device e1000e,bus=pcie.0,addr=0x10 --device e1000e,bus=pcie.0,addr=0x11 \
	--device e1000e,bus=pcie.0,addr=0x12 --device e1000e
done_testing
