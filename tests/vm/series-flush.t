#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel series flushes memory from the CPU caches when it goes into an I/O address space that
# lets no-snoop through, and before it is unpinned: as many bytes as were mapped, in iommufd and in
# VFIO type1; MMIO never, and nothing at all where the IOMMU enforces coherency.
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

FUNCTION=iommu_flush_cpu_cache
E1000E=8086:10d3
MTTY=/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-1
UUID=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001

# What flush_uapi maps
EARLY=$((8 << 20)) SIZE=$((6 << 20)) HUGE=$((2 << 20))

# steps CASE [ARG]...: what each step of flush_uapi flushed, "STEP BYTES" as the probe on the
# function saw it, followed by what iommufd's events say: "REASON BYTES" for each reason, and
# "mapped LENGTH DOMAINS NONCOHERENT FLUSHED RC" for each map. Where nothing was flushed, BYTES is 0.
steps() {
	echo >"$TRACE/trace"
	"$HELPERS/flush_uapi" "$@" 2>"$TMP/err" || {
		cat "$TMP/err"
		return 1
	}
	awk '
	# field NAME: its value in this line
	function field(name) {
		if (!match($0, " " name "=[^ ]*"))
			return ""
		return substr($0, RSTART + length(name) + 2, RLENGTH - length(name) - 2)
	}
	function hex(text,  i, n) {
		for (i = 3; i <= length(text); i++)
			n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
		return n + 0
	}
	function finish(  i) {
		if (step == "")
			return
		printf "%s %d", step, bytes
		for (i = 1; i <= 3; i++)
			if (by[order[i]])
				printf " %s %d", order[i], by[order[i]]
		print maps
	}
	BEGIN { split("map attach unpin", order) }
	/: step [a-z-]+$/ { finish(); step = $NF; bytes = 0; maps = ""; split("", by) }
	/ flushed: \(/ { bytes += field("len") }
	/ iommufd_cache_flush: / { by[field("reason")] += field("bytes") }
	/ iommufd_ioas_map: / {
		maps = maps sprintf(" mapped %d %d %d %d %d", hex(field("length")), field("domains"),
			field("noncoherent"), field("flushed_bytes"), field("rc"))
	}
	END {
		if (step == "end")
			exit 0
		print "the last step is " step
		exit 1
	}
	' "$TRACE/trace"
}

# calls STEP: how often the function was called in that step of the last case
calls() {
	awk -v step="$1" '
	/: step [a-z-]+$/ { now = $NF }
	/ flushed: \(/ && now == step { n++ }
	END { print n + 0 }' "$TRACE/trace"
}

iommufd_steps() {
	local bdf=$1 n=$2 e=0 s=0 early=" mapped $EARLY 0 0 0 0" late

	((n == 0)) || e=$EARLY s=$SIZE
	late=" mapped $SIZE 1 $n $s 0"
	if [[ ! -d $TRACE/events/iommufd/iommufd_ioas_map ]]; then
		skip "iommufd: events" "this kernel does not have them"
		early='' late=''
	fi
	if ((n == 0)); then
		is "iommufd: nothing is flushed" "$(steps iommufd "$bdf")" "early 0$early
attach 0
map 0$late
unmap 0
detach 0
close 0"
		return
	fi
	is "iommufd: flushed = mapped, and again when unpinned" "$(steps iommufd "$bdf")" "early 0$early
attach $e${early:+ attach $e}
map $s${late:+ map $s}$late
unmap $s${late:+ unpin $s}
detach $e${early:+ unpin $e}
close 0"
}

type1_steps() {
	local bdf=$1 n=$2 e=0 s=0 h=0

	((n == 0)) || e=$EARLY s=$SIZE h=$HUGE
	echo 1 >/proc/sys/vm/nr_hugepages
	is "type1: flushed = mapped, and again when unpinned, without MMIO" "$(steps type1 "$bdf")" "map $s
map-mmio 0
unmap-mmio 0
map-mixed $h
unmap-mixed $h
unmap $s
map-again $e
close $e"
	is "type1: memory behind MMIO is flushed in one go" "$(calls map-mixed) $(calls unmap-mixed)" "$n $n"

	if ! modprobe mtty 2>/dev/null || ! echo "$UUID" >"$MTTY/create"; then
		skip "type1: mappings that are there before the function" "no emulated device mtty"
		return
	fi
	is "type1: mappings that are there before the function" "$(steps replay "$bdf" "$UUID")" "early 0
replay $e
leave $e
close 0"
}

probe() { echo "p:flushed $FUNCTION len=\$arg2:u64" >"$TRACE/kprobe_events"; }

# inside SNOOP_CONTROL
inside() {
	local bdf noncoherent=1

	[[ $1 != on ]] || noncoherent=0
	if ! grep -qw "$FUNCTION" /proc/kallsyms; then
		skip "flush of CPU caches" "this kernel has none"
		return
	fi
	bdf=$(vfio_find $E1000E) && vfio_bind "$bdf"
	verdict "a function on vfio-pci" $?
	modprobe -a iommufd vfio_iommu_type1
	echo 16384 >"$TRACE/buffer_size_kb"
	ok "a probe on $FUNCTION()" probe
	echo 1 >"$TRACE/events/kprobes/flushed/enable"
	[[ ! -d $TRACE/events/iommufd ]] || echo 1 >"$TRACE/events/iommufd/enable"

	iommufd_steps "$bdf" "$noncoherent"
	type1_steps "$bdf" "$noncoherent"

	echo 0 >"$TRACE/events/kprobes/flushed/enable"
	is "the probe missed nothing" "$(awk '$1 == "flushed" { print $3 }' "$TRACE/kprobe_profile")" 0
	is "the trace lost nothing" "$(cat "$TRACE"/per_cpu/cpu*/stats | awk '/^(overrun|dropped events):/ { n += $NF } END { print n + 0 }')" 0
}

# ---- outside -----------------------------------------------------------------------------------

if [[ ${1:-} == --inside ]]; then
	inside "$2"
	done_testing
fi

want_kernel "flush of CPU caches" "$KERNEL"

helper flush_uapi || fail "the program that makes the calls compiles"
for snoop in off on; do
	all_of "snoop control $snoop" "$snoop" -k "$KERNEL" ${MODULES:+-M "$MODULES"} \
		--snoop-control "$snoop" --device e1000e
done
done_testing
