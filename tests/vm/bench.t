#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wbinvdbench on real KVM, in VMs: exact counts against the kernel's own, assigned devices on both
# of VFIO's paths, stopping in the middle, and every way to fail.
#
# Run by prove. BENCH names the binary (default: build/wbinvdbench); with LONG set, coherent DMA is
# tried on the AMD IOMMU and on iommufd, too.

set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../scripts/vfio.sh
. "$TOP/scripts/vfio.sh"

BENCH=${BENCH:-$TOP/build/wbinvdbench}

bench() { runs "$BENCH" "$@"; }

# json NAME FILTER: whether it is true of the one JSON object printed
json() {
	judged is "$1" true "$OUT" "$2"
}

# done_by NAME [STATUS]: the last run ended so
done_by() {
	is "$1" "$STATUS $(<"$ERR")" "${2:-0} "
}

# ends PID: waits for it; afterwards $STATUS
ends() {
	STATUS=0
	wait "$1" || STATUS=$?
}

# ---- counted by the kernel ---------------------------------------------------------------------

TRACE=/sys/kernel/tracing

count_start() {
	echo 'p:bench_wbinvd kvm_emulate_wbinvd' >"$TRACE/kprobe_events" &&
		echo 1 >"$TRACE/events/kprobes/bench_wbinvd/enable"
}

count_stop() {
	echo 0 >"$TRACE/events/kprobes/bench_wbinvd/enable"
	echo >"$TRACE/kprobe_events"
}

# kernel_counted: so many so far; kprobe_profile never starts again
kernel_counted() { awk '$1 == "bench_wbinvd" { print $2 + $3 }' "$TRACE/kprobe_profile"; }

# exact NAME N ARG...: N WBINVDs by its own count and by the kernel's
exact() {
	local name=$1 n=$2 before

	shift 2
	before=$(kernel_counted)
	bench --json "$@"
	done_by "$name: succeeds"
	json "$name: executed $n" ".total.executed == $n and ([.vcpus[].executed] | add) == $n"
	is "$name: the kernel counted $n" "$(($(kernel_counted) - before))" "$n"
}

# ---- inside a VM -------------------------------------------------------------------------------

test_counts() {
	exact "1 vCPU" 25000 -n 25000
	json "batches of 100" '.batch == 100 and .vcpus[0].batches == 250'
	json "times are ordered" '.total.ns |
		.min > 0 and .min <= .median and .median <= .p99 and .p99 <= .max'
	json "the host is described" ".kernel == \"$(uname -r)\" and .hypervisor and
		.vendor_module == \"kvm_amd\" and (.cpu_model | length > 0)"
	exact "2 vCPUs pinned, an odd number" 20014 -n 10007 -v 2 --pin 1,0
	json "pinned as asked" '[.vcpus[].cpu] == [1, 0]'
	exact "batches that do not divide the count" 1000 -n 1000 --batch 7
	json "142 complete batches" '.total.batches == 142'
	exact "less than a batch" 5 -n 5 --batch 100
	json "less than a batch: no time of one" '.total.batches == 0 and .total.ns.min == null and
		.total.wall_ns > 0 and .total.overhead_ns > 0'
	exact "4 vCPUs on 2 CPUs" 20000 -n 5000 -v 4
	exact "dirty memory" 200 -n 100 -v 2 --dirty 3
	json "dirty memory: one instruction per batch" '.batch == 1 and .total.batches == 200'
	exact "20 per second" 40 -n 20 -v 2 --rate 20
	# The first is due at once, the last after 950 ms.
	json "20 per second: paced" '[.vcpus[].wall_ns] | min >= 950000000'
}

test_other_instructions() {
	local before insn

	for insn in cpuid nop; do
		before=$(kernel_counted)
		bench --json -n 12345 -v 2 -i "$insn"
		done_by "$insn: succeeds"
		json "$insn: executed" ".total.executed == 24690 and .instruction == \"$insn\""
		is "$insn: no WBINVD" "$(kernel_counted)" "$before"
	done
	bench -n 100 -v 2
	done_by "table: succeeds"
	is "table: a line for each vCPU and one for all" \
		"$(awk 'table { print $1, $3 } /^ *vCPU/ { table = 1 }' "$OUT" | paste -s -d ,)" \
		"0 100,1 100,- 200"
	bench -n 100 -v 2 -o id,executed,rate --json
	json "-o chooses the fields" '[.vcpus[] | keys] | unique == [["executed", "id", "rate"]]'
}

# counted_since BEFORE N: whether the kernel has counted N by now
# shellcheck disable=SC2317 # called by soon
counted_since() { (($(kernel_counted) - $1 >= $2)); }

# A signal in the middle: partial results, still exact.
test_stop() {
	local sig before pid

	for sig in INT TERM; do
		before=$(kernel_counted)
		"$BENCH" --json -n 1000000000 -v 2 >"$OUT" 2>"$ERR" &
		pid=$!
		ok "SIG$sig: it runs" soon counted_since "$before" 1
		ok "SIG$sig: threads have names" grep -qx vcpu/1 "/proc/$pid/task/"*/comm
		kill "-$sig" "$pid"
		ends "$pid"
		done_by "SIG$sig: exit status 0"
		json "SIG$sig: partial results" '.interrupted and
			.total.executed > 0 and .total.executed < 2000000000'
		json "SIG$sig: exact" ".total.executed == $(($(kernel_counted) - before))"
	done
	# Asleep until the next deadline.
	before=$(kernel_counted)
	"$BENCH" --json -n 2000 --rate 1 --batch 1000 >"$OUT" 2>"$ERR" &
	pid=$!
	soon counted_since "$before" 1000
	kill -TERM "$pid"
	ends "$pid"
	json "a paced run stops while it sleeps" '.interrupted and .total.executed == 1000'
}

# The VM stands before and after, under the id it prints.
test_hold() {
	local pid id

	# The shell in the background empties them only when it gets its turn.
	rm -f "$OUT" "$ERR"
	"$BENCH" --json -n 10 --start-delay 3600 >"$OUT" 2>"$ERR" &
	pid=$!
	soon test -s "$ERR"
	id=$(sed -n 's/^wbinvdbench: VM //p' "$ERR")
	ok "--start-delay: VM $id is in debugfs" test -n "$id" -a -d "/sys/kernel/debug/kvm/$id"
	kill -INT "$pid"
	ends "$pid"
	json "--start-delay: a signal ends it, no vCPU ran" \
		".vm == \"$id\" and .interrupted and .total.executed == 0 and .total.wall_ns == null and
			.total.overhead_ns == null"
	rm -f "$OUT" "$ERR"
	"$BENCH" --json -n 10 --hold 3600 >"$OUT" 2>"$ERR" &
	pid=$!
	soon test -s "$OUT"
	id=$(sed -n 's/^wbinvdbench: VM //p' "$ERR")
	json "--hold: the results are out" ".vm == \"$id\" and .total.executed == 10"
	ok "--hold: the VM stands" test -n "$id" -a -d "/sys/kernel/debug/kvm/$id"
	kill -INT "$pid"
	ends "$pid"
	is "--hold: a signal ends it" "$STATUS" 0
	ok "--hold: the VM is gone" test ! -d "/sys/kernel/debug/kvm/$id"
}

# test_vfio BDF PATH NONCOHERENT CANDIDATES
test_vfio() {
	local bdf=$1 path=$2 noncoherent=$3 candidates=$4 group

	group=$(basename "$(readlink "/sys/bus/pci/devices/$bdf/iommu_group")")
	modprobe e1000e
	bench -n 10 --vfio "$bdf"
	is "$path: not on vfio-pci: exit status 1" "$STATUS" 1
	like "$path: not on vfio-pci: says which commands" "$(<"$ERR")" \
		"$bdf is on driver e1000e, .*echo $bdf > /sys/bus/pci/drivers_probe"
	is "$path: still on its driver" \
		"$(basename "$(readlink -f "/sys/bus/pci/devices/$bdf/driver")")" e1000e
	ok "$path: those commands work" bash -e -c "$(grep '^  ' "$ERR")"
	exact "$path" 2000 -n 1000 -v 2 --vfio "$bdf"
	json "$path: which device and path" \
		".vfio | .bdf == \"$bdf\" and .group == $group and .path == \"$path\""
	json "$path: coherent or not" \
		".vfio | .noncoherent == $noncoherent and .snoop_control == ($noncoherent | not)"
	json "$path: Enable No Snoop reads 0" '.vfio.no_snoop == "disabled"'
	json "$path: box $candidates" ".vfio |
		.box == null and .box_candidates == $candidates and (.box_reason | length > 0)"
	json "$path: flushes are timed one by one" ".batch == (if $noncoherent then 1 else 10 end)"
	bench -n 10 --vfio "${bdf#0000:}"
	like "$path: table names box and device" "$(<"$OUT")" \
		"$bdf, group $group, $path: DMA (not )?coherent, box . or . \("
	exact "$path: with 64 MiB to pin" 20 -n 10 -v 2 --dirty 32 --vfio "$bdf"
}

test_vfio_busy() {
	local pid

	"$BENCH" -n 10 --vfio "$1" --hold 3600 >"$TMP/first" 2>&1 &
	pid=$!
	soon test -s "$TMP/first"
	refused "in use by another VM" 1 "another process has" "$BENCH" -n 10 --vfio "$1"
	kill "$pid"
	ends "$pid"
}

# Two functions behind a conventional bridge are one group, and one of them alone is not usable.
# test_vfio_group BDF OTHER
test_vfio_group() {
	vfio_bind "$1"
	modprobe e1000
	refused "another of the group on its own driver" 1 "other functions of its IOMMU group" \
		"$BENCH" -n 10 --vfio "$1"
	vfio_bind "$2"
	exact "a whole group" 10 -n 10 --vfio "$1"
	json "no PCI Express capability: no box, and why" '.vfio | .box == null and
		.no_snoop == null and (.box_candidates | length > 1) and
		(.box_reason | test("PCI Express|PCIe"))'
}

# On the root bus it is a root-complex integrated endpoint, of which nothing is certain.
test_vfio_rciep() {
	vfio_bind "$1"
	exact "root-complex integrated endpoint" 10 -n 10 --vfio "$1"
	json "root-complex integrated endpoint: no box, and why" '.vfio | .box == null and
		.no_snoop == null and (.box_candidates | length > 1) and
		(.box_reason | test("oot[- ]complex"))'
}

test_bad_input() {
	refused "absent function" 1 "no PCI function 0000:7f:00.0" "$BENCH" --vfio 0000:7f:00.0
	echo 0 >/sys/devices/system/cpu/cpu1/online
	refused "offline CPU" 2 "CPU 1 is offline" "$BENCH" --pin 0-1
	echo 1 >/sys/devices/system/cpu/cpu1/online
	refused "12abc" 2 "12abc" "$BENCH" -n 12abc
	refused "more vCPUs than KVM takes" 4 "takes at most [0-9]+" "$BENCH" -v 65536
	refused "more memory than there is" 1 "MiB are available" "$BENCH" --dirty 100000
	refused "full disk" 1 "No space left on device" sh -c "'$BENCH' -n 10 >/dev/full"
	refused "closed pipe" 1 "Broken pipe" \
		bash -c "exec {gone}> >(exec true); sleep 0.5; '$BENCH' -n 10 >&\$gone"
	chmod 600 /dev/kvm
	refused "not allowed" 3 "may not open /dev/kvm" \
		setpriv --reuid=65534 --regid=65534 --clear-groups "$BENCH"
	ok "the vendor module goes" modprobe -r kvm_amd
	refused "no KVM" 4 "no KVM on this kernel" "$BENCH"
}

inside() {
	local endpoint

	endpoint=$(vfio_find 8086:10d3) || exit
	count_start || exit
	case $1 in
	full)
		test_counts
		test_other_instructions
		test_stop
		test_hold
		# The root bus comes first.
		test_vfio_rciep "$endpoint"
		endpoint=$(vfio_find 8086:10d3 2)
		test_vfio "$endpoint" type1 true '[3,4]'
		test_vfio_busy "$endpoint"
		test_vfio_group "$(vfio_find 8086:100e)" "$(vfio_find 8086:100e 2)"
		count_stop
		test_bad_input
		;;
	type1)
		exact "2 vCPUs" 5000 -n 2500 -v 2
		test_vfio "$endpoint" type1 true '[3,4]'
		;;
	type1-coherent)
		test_vfio "$endpoint" type1 false '[1,2]'
		;;
	iommufd)
		exact "2 vCPUs" 5000 -n 2500 -v 2
		test_vfio "$endpoint" iommufd true '[3,4]'
		test_vfio_busy "$endpoint"
		;;
	iommufd-coherent)
		test_vfio "$endpoint" iommufd false '[1,2]'
		;;
	esac
	done_testing
}

# ---- outside -----------------------------------------------------------------------------------

# all_of NAME CASE OPTION...: the tests of CASE inside a VM, as tests of this file
all_of() {
	local name=$1 case=$2

	shift 2
	# With a thread for each CPU, QEMU 7.2 now and then runs code that the kernel is just patching,
	# and creating a VM patches __schedule().
	vm --tcg single "$@" --env "BENCH=$BENCH" -- bash "$TOP/tests/vm/bench.t" --inside "$case"
	checks_of "$name"
	is "$name: not a word on standard error" "$(<"$ERR")" ''
}

[[ ${1:-} != --inside ]] || inside "$2"

all_of "6.12" full -k stock-6.12 --snoop-control off --device e1000e \
	--device e1000e,bus=pcie.0 --device pcie-pci-bridge,id=bridge \
	--device e1000,bus=bridge,addr=1 --device e1000,bus=bridge,addr=2
all_of "6.1" type1 -k stock-6.1 --snoop-control off --device e1000e
all_of "7.2" type1 -k stock-7.2 --snoop-control off --device e1000e
all_of "6.12, snoop control" type1-coherent -k stock-6.12 --snoop-control on --device e1000e
all_of "base 7.2" iommufd -k base-7.2 --snoop-control off --device e1000e
if [[ ${LONG:-} ]]; then
	all_of "6.1, AMD IOMMU" type1-coherent -k stock-6.1 --iommu amd --device e1000e
	all_of "base 7.2, snoop control" iommufd-coherent -k base-7.2 --snoop-control on --device e1000e
fi
done_testing
