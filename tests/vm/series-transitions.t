#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# DMA becomes coherent and non-coherent while a guest executes WBINVD on a kernel with the series: by
# attaching, replacing, detaching, BLOCK, unplugging and policies, all at once, until the VM is killed.
# Each WBINVD between two changes is flushed or skipped as the last one says, on every CPU that it must.
# Uses none of the tools.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.
# TRANSITIONS: how many changes (default: 60; 1000 if LONG is not empty).
# TRANSITIONS_SEED: a seed that a run before has printed.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"
# shellcheck source-path=SCRIPTDIR source=inject.sh
. "$TOP/tests/vm/inject.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-}
TRANSITIONS=${TRANSITIONS:-$([[ $LONG ]] && echo 1000 || echo 60)} TRANSITIONS_SEED=${TRANSITIONS_SEED:-}

# ---- inside a VM -------------------------------------------------------------------------------

# transitions OPTION...: its output goes to $TMP/transitions, the exit status to $STATUS
transitions() {
	STATUS=0
	"$HELPERS/transitions" "$@" "${BDF[@]}" >"$TMP/transitions" 2>&1 || STATUS=$?
}

# said NAME: a number that it printed
said() {
	sed -n "s/^$1: //p" "$TMP/transitions"
}

# finds NAME PATTERN WHAT: what is believed wrongly is found, in three runs at the latest
finds() {
	local _

	for _ in 1 2 3; do
		transitions --transitions 60 --belie "$3"
		! grep -q "^wrong: $2" "$TMP/transitions" || break
	done
	[[ $STATUS == 1 ]] && grep -q "^wrong: $2" "$TMP/transitions"
	verdict "$1" $? "status $STATUS" "$(<"$TMP/transitions")"
}

inside() {
	ulimit -l unlimited
	modprobe -a vfio vfio-pci iommufd
	if ! modprobe no_snoop_inject 2>/dev/null; then
		skip "transitions" "this kernel has no module no_snoop_inject"
		return
	fi
	devices && inject add "${BDF[1]}" writable
	verdict "functions on vfio-pci, one that may issue no-snoop" $?
	# So do those that come back.
	echo 8086 10d3 >/sys/bus/pci/drivers/vfio-pci/new_id
	finds "a flush where none is due is found" 'vCPU .: a WBINVD is flushed' attach
	finds "a WBINVD that is skipped too soon is found" 'vCPU .: a WBINVD is skipped' policy
	finds "CPUs that are not flushed are found" 'vCPU .: . CPUs were flushed, not .' cpus
	forget_leaks
	transitions --transitions "$TRANSITIONS" ${TRANSITIONS_SEED:+--seed "$TRANSITIONS_SEED"}
	verdict "$TRANSITIONS transitions, seed $(said seed)" "$STATUS" "status $STATUS" "$(<"$TMP/transitions")"
	note "$(said transitions) transitions, unplugged $(said unplugged) times, $(said rounds) VMs killed" \
		"WBINVDs between them: $(said flushed) flushed, $(said skipped) skipped; during one: $(said unknown)"
	compare "all of them were made" "$(said transitions)" -ge "$TRANSITIONS"
	compare "WBINVDs were flushed" "$(said flushed)" -gt 0
	compare "WBINVDs were skipped" "$(said skipped)" -gt 0
	no_leaks
}

# ---- outside -----------------------------------------------------------------------------------

if [[ ${1:-} == --inside ]]; then
	inside
	done_testing
fi

want_kernel "transitions" "$KERNEL"

helper transitions chance.c || fail "the program that makes them compiles"
MEMORY=2048 TIMEOUT=$((TRANSITIONS * 4 + 900))
[[ $KERNEL != *debug-* ]] || MEMORY=4096
# shellcheck disable=SC2054 # of QEMU
all_of "under load" transitions -k "$KERNEL" ${MODULES:+-M "$MODULES"} -m $MEMORY -c 3 --snoop-control on \
	--env "TRANSITIONS=$TRANSITIONS" --env "TRANSITIONS_SEED=$TRANSITIONS_SEED" \
	--device e1000e,bus=pcie.0,addr=0x10 --device e1000e
done_testing
