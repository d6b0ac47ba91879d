#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What the kernel series costs where nothing is non-coherent: instructions of iommufd's operations on
# the unpatched and on the patched kernel, one beside the other. And that a non-coherent HWPT costs the
# flush of what is mapped, once for the map and once for the unmap, and of nothing else.
# Uses none of the tools.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.
# SERIES_BASE: the unpatched kernel (default: base-7.2).
# COUNT: of each operation but those of 256 MiB, of which there are fewer (default: 4000).

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-} BASE=${SERIES_BASE:-base-7.2}
COUNT=${COUNT:-4000}
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

inside() {
	local bdf

	bdf=$(vfio_find $E1000E) && vfio_bind "$bdf"
	verdict "a function on vfio-pci" $?
	modprobe iommufd
	"$HELPERS/series_cost" operations "$bdf" "$COUNT" >"$TMP/cost" 2>"$TMP/err"
	verdict "every operation" $? "$(<"$TMP/err")"
	sed 's/^/# cost /' "$TMP/cost"
	[[ $1 == base ]] || noncoherent "$bdf"
}

# ---- outside -----------------------------------------------------------------------------------

# counted NAME KERNEL [MODULES]: leaves the lines "OPERATION COUNT MEAN MEDIAN" in $TMP/cost.NAME
counted() {
	all_of "$1" "$1" -k "$2" ${3:+-M "$3"} --icount -c 1 --iommu intel --snoop-control on \
		--device e1000e --env "COUNT=$COUNT"
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

if [[ ${1:-} == --inside ]]; then
	inside "$2"
	done_testing
fi

for kernel in "$KERNEL" "$BASE"; do
	if [[ $kernel != */* && ! $("$GET_KERNEL" path "$kernel" 2>/dev/null) ]]; then
		skip "cost of the series" "there is no kernel $kernel"
		done_testing
	fi
done

helper series_cost || fail "the program that measures compiles"
counted base "$BASE"
counted series "$KERNEL" "$MODULES"

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
limited attach-hwpt 1.05
read -r insn dirty clean < <("$TMP/series_cost" rate)
note "this machine's CPU, natively: $insn flushes $dirty GiB/s of written memory, $clean GiB/s of memory in no cache"
done_testing
