#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the kernel series costs where nothing is non-coherent: instructions of iommufd's operations on
# the unpatched and on the patched kernel, one beside the other. And that a non-coherent HWPT costs the
# flush of what is mapped, once for the map and once for the unmap, and of nothing else. In a second pair
# of boots what it costs in KVM: WBINVD in a VM without a device and in one that is not coherent, where
# both kernels flush; CPUID; loading and putting a vCPU. Nobody listens meanwhile.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.
# SERIES_BASE: the unpatched kernel (default: base-7.2).
# COUNT: of each operation but those of 256 MiB, of which there are fewer (default: 1000, or 4000 if LONG is
#   not empty). Those in KVM are 5,000, or 20,000 if LONG is not empty.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-} BASE=${SERIES_BASE:-base-7.2}
COUNT=${COUNT:-$([[ $LONG ]] && echo 4000 || echo 1000)}
KVM_COUNT=$([[ $LONG ]] && echo 20000 || echo 5000)
# No more is added to a vCPU's load and put, in instructions.
MOST_ADDED=12
E1000E=8086:10d3

# ---- inside a VM -------------------------------------------------------------------------------

noncoherent() {
	local bdf=$1 bytes

	if [[ ! -d $TRACE/events/iommufd/iommufd_cache_flush ]]; then
		skip "a non-coherent HWPT" "this kernel has no iommufd:iommufd_cache_flush"
		return
	fi
	echo 16384 >"$TRACE/buffer_size_kb"
	echo 1 >"$TRACE/events/iommufd/iommufd_cache_flush/enable"
	bytes=$("$HELPERS/series_cost" noncoherent "$bdf" 2>&1)
	verdict "a non-coherent HWPT" $? "$bytes"
	is "flushed for the map = mapped = flushed for the unpin, with snoop control" "$(
		awk 'sub(/.* iommufd_cache_flush: /, "") {
			split($1, reason, "=")
			split($2, flushed, "=")
			n[reason[2]] += flushed[2]
		}
		END { for (r in n) print r, n[r] }' "$TRACE/trace" | sort
	)" "map $bytes"$'\n'"unpin $bytes"
}

operations() {
	"$HELPERS/series_cost" operations "$1" "$COUNT" >"$TMP/cost" 2>"$TMP/err"
	verdict "every operation" $? "$(<"$TMP/err")"
	sed 's/^/# cost /' "$TMP/cost"
}

# exits NAME [OPTION]...: one line of cost, without the exit that ends a batch; the last figure is of the
# fastest batch, which no timer interrupt fell into
exits() {
	bench -n "$KVM_COUNT" --batch 100 --json "${@:2}"
	jq -r --arg name "$1" 'def cents: . * 100 | round / 100; .total |
		"# cost \($name) \(.executed) \(.wall_ns / .executed | cents) \(.ns.min - .overhead_ns / 100 | cents)"
		' "$TMP/bench"
}

# vcpu SUFFIX [BDF]
vcpu() {
	"$HELPERS/series_cost" vcpu "$KVM_COUNT" "${@:2}" >"$TMP/cost" 2>"$TMP/err"
	verdict "a vCPU's load and put${1:+, with a device}" $? "$(<"$TMP/err")"
	sed "s/^[^ ]*/# cost &$1/" "$TMP/cost"
}

# flushed [OPTION]...: CPUs flushed for 100 WBINVDs. Counted by the kernel's own event where it has that.
flushed() {
	local event=$TRACE/events/kvm/kvm_wbinvd_end n

	if [[ -d $event ]]; then
		: >"$TRACE/trace"
		echo 1 >"$event/enable"
		bench -n 100 "$@"
		echo 0 >"$event/enable"
		awk 'sub(/.* kvm_wbinvd_end: .* cpus /, "") { n += $1 } END { print n + 0 }' "$TRACE/trace"
	else
		callbacks_start
		n=$(callbacks)
		bench -n 100 "$@"
		n=$(($(callbacks) - n))
		callbacks_stop
		echo $n
	fi
}

# Measured first: what was traced once may leave something behind.
kvm() {
	exits wbinvd-skipped
	exits wbinvd-flushed --vfio "$1"
	exits cpuid -i cpuid
	vcpu ''
	vcpu -device "$1"
	is "skipped: of 100 WBINVDs none flushes" "$(flushed)" 0
	is "flushed: each of 100 WBINVDs flushes one CPU" "$(flushed --vfio "$1")" 100
}

inside() {
	local bdf

	bdf=$(vfio_find $E1000E) && vfio_bind "$bdf"
	verdict "a function on vfio-pci" $?
	modprobe iommufd
	case $1 in
	base) operations "$bdf" ;;
	series) operations "$bdf" && noncoherent "$bdf" ;;
	kvm-*) kvm "$bdf" ;;
	esac
}

# ---- outside -----------------------------------------------------------------------------------

# counted NAME KERNEL MODULES OPTION...: leaves the lines "OPERATION COUNT MEAN MEDIAN" in $TMP/cost.NAME
counted() {
	# On kernels as they are built here the APIC's timer fails its test, for which such an emulator takes half a minute.
	all_of "$1" "$1" -k "$2" ${3:+-M "$3"} --icount --append nolapic_timer -c 1 --iommu intel --env "COUNT=$COUNT" "${@:4}"
	sed -n 's/^# cost //p' "$OUT" >"$TMP/cost.$1"
}

# limited OPERATION LIMIT
limited() {
	local ratio

	ratio=$(awk -v "op=$1" '$1 == op { if (++n == 1) base = $3; else printf "%.4f", $3 / base }' \
		"$TMP/cost.base" "$TMP/cost.series")
	[[ $ratio ]] && awk -v "r=$ratio" -v "l=$2" 'BEGIN { exit !(r <= l) }'
	verdict "$1: at most $2 of the unpatched kernel" $? "it is ${ratio:-unknown}"
}

# kvm_limited EXIT: as limited, of the fastest batch
kvm_limited() {
	local ratio

	ratio=$(awk -v "op=$1" '$1 == op { if (++n == 1) base = $4; else printf "%.4f", $4 / base }' \
		"$TMP/cost.kvm-base" "$TMP/cost.kvm-series")
	[[ $ratio ]] && awk -v "r=$ratio" 'BEGIN { exit !(r <= 1.01) }'
	verdict "$1: at most 1.01 of the unpatched kernel" $? "it is ${ratio:-unknown}"
}

# added_limited OPERATION: of the median, as no timer interrupt is in most stretches
added_limited() {
	local added

	added=$(awk -v "op=$1" '$1 == op { if (++n == 1) base = $4; else print $4 - base }' \
		"$TMP/cost.kvm-base" "$TMP/cost.kvm-series")
	[[ $added ]] && ((added <= MOST_ADDED))
	verdict "$1: at most $MOST_ADDED instructions added" $? "there are ${added:-unknown}"
}

if [[ ${1:-} == --inside ]]; then
	inside "$2"
	done_testing
fi

if [[ $KERNEL == *debug-* ]]; then
	skip "cost of the series" "what a kernel costs that checks itself is no cost of the series"
	done_testing
fi
want_kernel "cost of the series" "$KERNEL" "$BASE"

helper series_cost || fail "the program that measures compiles"
counted base "$BASE" '' --snoop-control on --device e1000e
counted series "$KERNEL" "$MODULES" --snoop-control on --device e1000e

note "instructions for each operation: mean (median)" "$(
	awk 'NR == FNR { mean[$1] = $3; median[$1] = $4; next }
	$1 in mean {
		printf "%-14s %5d times: %10d (%10d) unpatched, %10d (%10d) with the series, %.4f (%.4f)\n",
			$1, $2, mean[$1], median[$1], $3, $4, $3 / mean[$1], $4 / median[$1]
	}' "$TMP/cost.base" "$TMP/cost.series"
)"
for op in map-4k map-2m map-2m-huge map-256m map-256m-huge hwpt-alloc; do
	limited $op 1.01
done
limited attach-ioas 1.03
# Without a page table to allocate, what is the same for both is a larger share of a smaller figure.
limited attach-hwpt 1.06

# On the root bus the series finds nothing that says that the function cannot use no-snoop.
counted kvm-base "$BASE" '' --snoop-control off --device e1000e,bus=pcie.0
counted kvm-series "$KERNEL" "$MODULES" --snoop-control off --device e1000e,bus=pcie.0
note "instructions in KVM, without timer interrupts (mean with them)" "$(
	awk 'NR == FNR { mean[$1] = $3; least[$1] = $4; next }
	$1 in mean {
		printf "%-20s %5d times: %7.1f (%7.1f) unpatched, %7.1f (%7.1f) with the series, %+.1f, %.4f\n",
			$1, $2, least[$1], mean[$1], $4, $3, $4 - least[$1], $4 / least[$1]
	}' "$TMP/cost.kvm-base" "$TMP/cost.kvm-series"
)"
for exit in wbinvd-skipped wbinvd-flushed cpuid; do
	kvm_limited $exit
done
for op in vcpu-mp-state vcpu-regs vcpu-mp-state-device vcpu-regs-device; do
	added_limited $op
done

read -r insn dirty clean < <("$TMP/series_cost" rate)
note "this machine's CPU, natively: $insn flushes $dirty GiB/s of written memory, $clean GiB/s of memory in no cache"
done_testing
