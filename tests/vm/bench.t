#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wbinvdbench on real KVM, in VMs: exact counts against the kernel's own, assigned devices on both
# of VFIO's paths, stopping in the middle, and every way to fail.
#
# Run by prove. BENCH names the binary (default: build/wbinvdbench).

set -u -o pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." || exit
ME=tests/vm/bench.t
BENCH=${BENCH:-build/wbinvdbench}
TMP=$(mktemp -d) || exit
trap 'rm -rf -- "$TMP"' EXIT
NR=0 FAILED=0

# ok DESCRIPTION COMMAND [ARG]...: passes when COMMAND does
ok() {
	local what=$1

	shift
	((++NR))
	if "$@" >"$TMP/ok.out" 2>&1; then
		echo "ok $NR - $what"
	else
		echo "not ok $NR - $what"
		((++FAILED))
		sed 's/^/# /' "$TMP/ok.out"
		[[ ! -s $TMP/out ]] || sed 's/^/# stdout: /' "$TMP/out"
		[[ ! -s $TMP/err ]] || sed 's/^/# stderr: /' "$TMP/err"
	fi
}

# bench ARG...: runs it; afterwards $RC, $TMP/out and $TMP/err
bench() {
	RC=0
	"$BENCH" "$@" >"$TMP/out" 2>"$TMP/err" || RC=$?
}

# json FILTER: whether it is true of the one JSON object printed
json() {
	local said

	said=$(jq -c "$1" "$TMP/out")
	[[ $said == true ]] || {
		echo "$1: ${said:-no JSON}"
		return 1
	}
}

# status N: whether it ended so
status() { ((RC == $1)) || { echo "exit status $RC, not $1"; return 1; }; }

# said TEXT: one sentence, holding TEXT, and nothing on standard output
said() {
	grep -qF -- "$1" "$TMP/err" || { echo "nothing about: $1"; return 1; }
	[[ $(wc -l <"$TMP/err") == 1 && ! -s $TMP/out ]] || { echo "more than one sentence"; return 1; }
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

# exact DESCRIPTION N ARG...: N WBINVDs by its own count and by the kernel's
exact() {
	local what=$1 n=$2 before

	shift 2
	before=$(kernel_counted)
	bench --json "$@"
	ok "$what: succeeds" status 0
	ok "$what: executed $n" json ".total.executed == $n and ([.vcpus[].executed] | add) == $n"
	ok "$what: the kernel counted $n" test "$(($(kernel_counted) - before))" = "$n"
}

# ---- inside a VM -------------------------------------------------------------------------------

test_counts() {
	exact "1 vCPU" 25000 -n 25000
	ok "batches of 100" json '.batch == 100 and .vcpus[0].batches == 250'
	ok "times are ordered" json '.total.ns | .min > 0 and .min <= .median and .median <= .p99 and .p99 <= .max'
	ok "the host is described" json ".kernel == \"$(uname -r)\" and .vendor_module == \"kvm_amd\" and .hypervisor and (.cpu_model | length > 0)"
	exact "2 vCPUs pinned, a prime number" 20014 -n 10007 -v 2 --pin 1,0
	ok "pinned as asked" json '[.vcpus[].cpu] == [1, 0]'
	exact "batches that do not divide the count" 1000 -n 1000 --batch 7
	ok "143 batches" json '.total.batches == 143'
	exact "dirty memory" 200 -n 100 -v 2 --dirty 3
	ok "one instruction per batch" json '.batch == 1 and .total.batches == 200'
}

test_rate() {
	exact "20 per second" 40 -n 20 -v 2 --rate 20
	# The first is at 0, the last at 950 ms; far later only where the machine is too busy.
	ok "paced" json '[.vcpus[].wall_ns] | min >= 950000000'
	ok "not paced twice" json '.total.wall_ns < 4000000000'
}

test_other_instructions() {
	local before

	for insn in cpuid nop; do
		before=$(kernel_counted)
		bench --json -n 12345 -v 2 -i "$insn"
		ok "$insn: succeeds" status 0
		ok "$insn: executed" json ".total.executed == 24690 and .instruction == \"$insn\""
		ok "$insn: no WBINVD" test "$(kernel_counted)" = "$before"
	done
	bench -n 100 -v 2
	ok "table: succeeds" status 0
	# shellcheck disable=SC2016
	ok "table: a line for each vCPU and one for all" \
		awk '/^ *vCPU/ { t = 1; next } t { n++; if ($3 != (n == 3 ? 200 : 100)) exit 1 } END { exit n != 3 }' \
		"$TMP/out"
	bench -n 100 -v 2 -o id,executed,rate --json
	ok "-o chooses the fields" json '[.vcpus[] | keys] == [["executed", "id", "rate"], ["executed", "id", "rate"]]'
}

# A signal in the middle: partial results, still exact.
test_stop() {
	local sig before pid

	for sig in INT TERM; do
		before=$(kernel_counted)
		"$BENCH" --json -n 1000000000 -v 2 >"$TMP/out" 2>"$TMP/err" &
		pid=$!
		sleep 1
		ok "SIG$sig: threads have names" grep -qx vcpu/1 "/proc/$pid/task/"*/comm
		kill "-$sig" "$pid"
		RC=0
		wait "$pid" || RC=$?
		ok "SIG$sig: exit status 0" status 0
		ok "SIG$sig: partial results" json '.interrupted and .total.executed > 0 and .total.executed < 2000000000'
		ok "SIG$sig: exact" json ".total.executed == $(($(kernel_counted) - before))"
	done
	# Asleep until the next deadline, which is an hour away.
	"$BENCH" --json -n 10 --rate 1 --batch 5 >"$TMP/out" 2>"$TMP/err" &
	pid=$!
	sleep 1
	kill -TERM "$pid"
	RC=0
	wait "$pid" || RC=$?
	ok "a paced run stops at once" json '.interrupted and .total.executed == 5'
}

# The VM stands before and after, under the name it prints.
test_hold() {
	local pid id

	"$BENCH" --json -n 10 --start-delay 2 --hold 60 >"$TMP/out" 2>"$TMP/err" &
	pid=$!
	sleep 1
	id=$(sed -n 's/^wbinvdbench: VM //p' "$TMP/err")
	ok "--start-delay: VM $id is in debugfs" test -d "/sys/kernel/debug/kvm/$id"
	ok "--start-delay: no vCPU ran" test ! -s "$TMP/out"
	for _ in {1..50}; do
		[[ ! -s $TMP/out ]] || break
		sleep 0.2
	done
	ok "--hold: the results are out" json ".vm == \"$id\" and .total.executed == 10"
	ok "--hold: the VM stands" test -d "/sys/kernel/debug/kvm/$id"
	kill -INT "$pid"
	RC=0
	wait "$pid" || RC=$?
	ok "--hold: a signal ends it" status 0
	ok "--hold: the VM is gone" test ! -d "/sys/kernel/debug/kvm/$id"
}

# test_vfio BDF PATH NONCOHERENT CANDIDATES
test_vfio() {
	local bdf=$1 group

	modprobe e1000e
	group=$(basename "$(readlink "/sys/bus/pci/devices/$bdf/iommu_group")")
	bench -n 10 --vfio "$bdf"
	ok "$2: not on vfio-pci: exit status 1" status 1
	ok "$2: not on vfio-pci: says which commands" grep -qx "  echo $bdf > /sys/bus/pci/drivers_probe" "$TMP/err"
	ok "$2: still on its driver" test "$(basename "$(readlink -f "/sys/bus/pci/devices/$bdf/driver")")" = e1000e
	ok "$2: those commands work" bash -e -c "$(grep '^  ' "$TMP/err")"
	exact "$2" 2000 -n 1000 -v 2 --vfio "$bdf"
	ok "$2: which device and path" json ".vfio | .bdf == \"$bdf\" and .group == $group and .path == \"$2\""
	ok "$2: coherent or not" json ".vfio.noncoherent == $3 and .vfio.snoop_control == ($3 | not)"
	ok "$2: Enable No Snoop reads 0" json '.vfio.no_snoop == "disabled"'
	ok "$2: box $4" json ".vfio | .box == null and .box_candidates == $4 and (.box_reason | length > 0)"
	ok "$2: flushes are timed one by one" json ".batch == (if $3 then 1 else 10 end)"
	bench -n 10 --vfio "${bdf#0000:}"
	ok "$2: table names box and device" grep -q "^$bdf, group $group, $2: DMA .*, box . or . (" "$TMP/out"
	exact "$2: with 64 MiB to pin" 20 -n 10 -v 2 --dirty 32 --vfio "$bdf"
}

test_vfio_busy() {
	local pid

	"$BENCH" -n 10 --vfio "$1" --hold 60 >/dev/null 2>"$TMP/first" &
	pid=$!
	for _ in {1..50}; do
		[[ ! -s $TMP/first ]] || break
		sleep 0.2
	done
	sleep 0.5
	bench -n 10 --vfio "$1"
	ok "in use by another VM: exit status 1" status 1
	ok "in use by another VM: says so" said "another process has"
	kill "$pid"
	wait "$pid"
}

# Two functions behind a conventional bridge are one group, and one of them alone is not usable.
# test_vfio_group BDF OTHER
test_vfio_group() {
	vfio_bind "$1"
	modprobe e1000
	bench -n 10 --vfio "$1"
	ok "another of the group on its own driver: exit status 1" status 1
	ok "another of the group on its own driver: says so" said "other functions of its IOMMU group"
	vfio_bind "$2"
	exact "a whole group" 10 -n 10 --vfio "$1"
	ok "no PCI Express capability: no box, and why" \
		json '.vfio | .box == null and .no_snoop == null and (.box_candidates | length > 1) and (.box_reason | test("PCI Express|PCIe"))'
}

# On the root bus it is a root-complex integrated endpoint, of which nothing is certain.
test_vfio_rciep() {
	vfio_bind "$1" || echo "# cannot bind $1"
	bench --json -n 10 --vfio "$1"
	ok "root-complex integrated endpoint: succeeds" status 0
	ok "root-complex integrated endpoint: no box" json '.vfio | .box == null and .no_snoop == null and (.box_candidates | length > 1)'
	ok "root-complex integrated endpoint: says why" json '.vfio.box_reason | test("oot-complex|oot complex")'
}

test_bad_input() {
	bench --vfio 0000:7f:00.0
	ok "absent function: exit status 1" status 1
	ok "absent function: says so" said "no PCI function 0000:7f:00.0"
	echo 0 >/sys/devices/system/cpu/cpu1/online
	bench --pin 0-1
	ok "offline CPU: exit status 2" status 2
	ok "offline CPU: says so" said "CPU 1 is offline"
	echo 1 >/sys/devices/system/cpu/cpu1/online
	bench -n 12abc
	ok "12abc: exit status 2" status 2
	bench -v 65536
	ok "more vCPUs than KVM takes: exit status 4" status 4
	ok "more vCPUs than KVM takes: says how many" said "takes at most"
	bench --dirty 100000
	ok "more memory than there is: exit status 1" status 1
	ok "more memory than there is: says so" said "are available"
	RC=0
	"$BENCH" -n 10 >/dev/full 2>"$TMP/err" || RC=$?
	: >"$TMP/out"
	ok "full disk: exit status 1" status 1
	ok "full disk: says so" said "No space left on device"
	RC=0
	{ "$BENCH" -n 10 --start-delay 1 2>"$TMP/err" || echo "$?" >"$TMP/rc"; } | true
	ok "closed pipe: exit status 1" test "$(cat "$TMP/rc")" = 1
	ok "closed pipe: says so" grep -q "Broken pipe" "$TMP/err"
	chmod 600 /dev/kvm
	RC=0
	setpriv --reuid=65534 --regid=65534 --clear-groups "$BENCH" >"$TMP/out" 2>"$TMP/err" || RC=$?
	ok "not allowed: exit status 3" status 3
	ok "not allowed: says so" said "may not open /dev/kvm"
	ok "vendor module goes" modprobe -r kvm_amd
	bench
	ok "no KVM: exit status 4" status 4
	ok "no KVM: says so" said "no KVM on this kernel"
}

inside() {
	# shellcheck source-path=SCRIPTDIR source=vfio.sh
	. tests/vm/vfio.sh
	count_start || exit
	case $1 in
	full)
		test_counts
		test_rate
		test_other_instructions
		test_stop
		test_hold
		test_vfio "$(vfio_find 8086:10d3 2)" type1 true '[3,4]'
		test_vfio_busy "$(vfio_find 8086:10d3 2)"
		test_vfio_rciep "$(vfio_find 8086:10d3 1)"
		test_vfio_group "$(vfio_find 8086:100e 1)" "$(vfio_find 8086:100e 2)"
		count_stop
		test_bad_input
		;;
	cdev)
		exact "2 vCPUs" 5000 -n 2500 -v 2
		test_vfio "$(vfio_find 8086:10d3)" iommufd true '[3,4]'
		test_vfio_busy "$(vfio_find 8086:10d3)"
		;;
	cdev-coherent) test_vfio "$(vfio_find 8086:10d3)" iommufd false '[1,2]' ;;
	type1)
		exact "2 vCPUs" 5000 -n 2500 -v 2
		test_vfio "$(vfio_find 8086:10d3)" type1 true '[3,4]'
		;;
	type1-coherent) test_vfio "$(vfio_find 8086:10d3)" type1 false '[1,2]' ;;
	esac
	echo "# inside: done"
	exit 0
}

# ---- outside -----------------------------------------------------------------------------------

# vm NAME CASE OPTION...: the tests of CASE inside a VM, numbered on
vm() {
	local name=$1 case=$2 line rc=0

	shift 2
	scripts/vm "$@" --env "BENCH=$BENCH" -- bash "$ME" --inside "$case" >"$TMP/vm.out" 2>"$TMP/vm.err" || rc=$?
	while read -r line; do
		case $line in
		'ok '* | 'not ok '*)
			((++NR))
			[[ $line == ok* ]] || ((++FAILED))
			echo "${line%%ok*}ok $NR - $name: ${line#* - }"
			;;
		'#'*) echo "$line" ;;
		esac
	done <"$TMP/vm.out"
	((++NR))
	if ((rc == 0)) && grep -qx '# inside: done' "$TMP/vm.out"; then
		echo "ok $NR - $name: ran to its end without a report of the kernel"
	else
		echo "not ok $NR - $name: ran to its end without a report of the kernel"
		echo "# scripts/vm: exit status $rc"
		sed 's/^/# /' "$TMP/vm.err"
		((++FAILED))
	fi
}

if [[ ${1:-} == --inside ]]; then
	inside "$2"
fi

vm "6.12" full -k stock-6.12 --snoop-control off --device e1000e --device e1000e,bus=pcie.0 \
	--device pcie-pci-bridge,id=bridge --device e1000,bus=bridge,addr=1 --device e1000,bus=bridge,addr=2
vm "6.1" type1 -k stock-6.1 --snoop-control off --device e1000e
vm "7.2" type1 -k stock-7.2 --snoop-control off --device e1000e
vm "6.12, snoop control" type1-coherent -k stock-6.12 --snoop-control on --device e1000e
vm "6.1, AMD IOMMU" type1-coherent -k stock-6.1 --iommu amd --device e1000e
vm "base 7.2" cdev -k base-7.2 --snoop-control off --device e1000e
vm "base 7.2, snoop control" cdev-coherent -k base-7.2 --snoop-control on --device e1000e

echo "1..$NR"
((!FAILED))
