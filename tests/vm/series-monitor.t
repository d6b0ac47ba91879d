#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wbinvdtop on kernels with the series: KVM's own tracepoints count what every other source counts, and
# why; policies, boxes and the log are what happened, also what was there before the tool was started.
#
# SERIES_KERNEL: the kernel (default: patched-7.2), a name of scripts/kernel or a bzImage.
# SERIES_MODULES: the directory that holds lib/modules/VERSION of a bzImage.

# shellcheck disable=SC2317 # functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"
# shellcheck source-path=SCRIPTDIR source=steps.sh
. "$TOP/tests/vm/steps.sh"

KERNEL=${SERIES_KERNEL:-patched-7.2} MODULES=${SERIES_MODULES:-}

# ---- inside a VM -------------------------------------------------------------------------------

# A function that nobody can tell not to use no-snoop, behind an IOMMU that cannot block it
BDF=()

# story: attached, flushed on two CPUs, paused, flushed, forced, and coherent in the end
story() {
	expect "the guest did as it was told" <<-END
		iommu
		cdev d ${BDF[0]}
		bind d
		ioas a
		map a 0x100000
		attach d a
		kvm thread
		add d
		block d force
		allow d
		$(many 4 "wbinvd 0 250 => 250")
		wbinvd 1 50 => 51
		policy 2
		$(many 60 "wbinvd 0 250 => 0")
		policy 0
		wbinvd 0 1 => 2
		policy 1
		$(many 60 "wbinvd 0 250 => 0")
		policy 0
		detach d
		$(many 4 "wbinvd 0 250 => 0")
	END
}

# many N STEP: that often; one takes no more than 255 WBINVDs
many() {
	local i

	for ((i = 0; i < $1; i++)); do
		printf '%s\n' "$2"
	done
}

# told NAME FILTER WHAT: true of what all frames of the monitor say, as an array
told() {
	judged is "$1: $3" true "$TMP/$1" "$2" -s
}

test_story() {
	local m before after

	callbacks_start
	monitor one --source tracepoint --vcpus --record "$TMP/record"
	monitor two
	monitor fentry --source fentry
	monitor kprobe --source kprobe
	monitor exit --source exit
	before=$(callbacks)
	story
	after=$(callbacks)
	finish
	judged is "the source that is tried first" tracepoint "$TMP/two.last" .source
	for m in one two fentry; do
		last_ok "$m: every WBINVD once" "$m" ".lost.total == 0 and (.sum.total | .exits == 32051 and
			.flushes == 1051 and .skips == 31000 and .untimed == 0 and
			.cpus_flushed == 1053 and .cpus_flushed == $after - $before)"
	done
	for m in one two; do
		last_ok "$m: why they were skipped" "$m" \
			'.sum.total | .skips_coherent == 1000 and .skips_policy == 30000'
		last_ok "$m: no event is lost" "$m" '.events_lost == 0 and .events_why == null'
		told "$m" '[.[].vms[] | select(.name == "ncdma") | .policy] | (index(["pause"]) // 99) < (index(["force"]) // -1)' "the policy as it changes"
		told "$m" "[.[].events[] | select(.kind != \"map\") | [.kind, .device, .old_box, .box, .policy, .rc]
			| map(values | tostring) | join(\" \")] == [\"box ${BDF[0]} 0 3\", \"hwpt ${BDF[0]} 0\",
			\"attach ${BDF[0]} 0 0\", \"kvm 0\", \"no_snoop ${BDF[0]}\", \"no_snoop ${BDF[0]}\", \"kvm 2\", \"kvm 0\", \"kvm 1\", \"kvm 0\",
			\"box ${BDF[0]} 3 0\", \"kvm 0\", \"detach ${BDF[0]} 0 0\"]" "what happened, in order"
		# One that was being written at a reading comes with the next, after that one's maps.
		told "$m" '[.[].events[] | select(.kind != "map").time_ns] | . == sort' "and in the order of time"
		told "$m" 'all(.[].events; [.[].time_ns] | . == sort)' "so are maps in each frame"
		told "$m" '[.[].events[] | select(.kind == "map")] | length == 1 and (.[0] | .maps == 1 and
			.bytes == 4096 and .noncoherent_bytes == 0)' "what was mapped"
		told "$m" '[.[].events[] | select(.kind == "attach") | .coherency == 2 and .flushed_bytes == 4096 and
			.flush_ns > 0] == [true]' "the attachment, and what it flushed"
		told "$m" '[.[].events[] | select(.kind == "no_snoop") | .op] == [1, 0]' "that no-snoop was blocked, and allowed again"
		told "$m" '[.[].events[] | select(.kind == "kvm") | .vm] | unique | length == 1 and .[0] != null' "all of it the VM's"
		told "$m" "[.[].vms[].devices[] | [.bdf, .box, .certain, .box_reason]] | unique == [[\"${BDF[0]}\",
			3, true, \"as the kernel reports it\"]] or (length > 1 and
			all(.[0] == \"${BDF[0]}\" and (.[1] == 3 or .[1] == null)))" "the kernel's box"
	done
	# Its callback may be skipped: KVM's own counts tell, and not that the VM is non-coherent.
	last_ok "kprobe: paused WBINVDs are no flushes" kprobe ".lost.total == 0 and (.sum.total | .exits == 32051 and
		.flushes == 1051 and .skips == 31000)"
	last_ok "exit: every WBINVD once" exit ".lost.total == 0 and (.sum.total | .exits == 32051 and .flushes == null)"
	last_ok "fentry: it cannot know why" fentry '.sum.total | .skips_coherent == null and .skips_policy == null'
	"$WBINVDTOP" --replay "$TMP/record" --json --vcpus >"$TMP/again" 2>&1
	is "a replay gives the same lines" "$(diff "$TMP/one" "$TMP/again" | head -n 4 | cut -c 1-300)" ''
	like "text: --log" "$("$WBINVDTOP" --replay "$TMP/record" -b --log)" \
		"${BDF[0]} box none -> 3.*IOAS [0-9]+, non-coherent, flushed 4 KiB in .*WBINVD paused.*box 3 -> none"
	callbacks_stop
}

# What was there before the tool was started
test_before() {
	local pid loop

	mapfile -t loop < <(many 9999 "wbinvd 0 250")
	callbacks_start
	"$HELPERS/ncdma" iommu "cdev d ${BDF[0]}" "bind d" "ioas a" "attach d a" kvm "add d" "policy 2" \
		"${loop[@]}" >"$TMP/steps" 2>&1 &
	pid=$!
	until_true 60 holds_policy "$pid"
	monitor before
	until_true 60 grep -q '"box":3' "$TMP/before"
	finish
	last_ok "from before: policy and box" before ".vms | map(select(.pid == $pid)) | length == 1 and
		(.[0] | .policy == \"pause\" and .noncoherent and .delta.skips_policy > 0 and .delta.flushes == 0 and
		.devices[0].box == 3 and .devices[0].certain and .devices[0].box_candidates == [3])"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	callbacks_stop
}

# It executes WBINVD by now: it uses a CPU.
holds_policy() {
	local stat

	read -ra stat <"/proc/$1/stat" && ((stat[13] + stat[14] > 20))
}

# A process with two VMs: each has its own
test_two_vms() {
	local pid fds

	monitor vms
	"$HELPERS/several" 700 1300 >"$TMP/several" &
	pid=$!
	until_true 60 test -s "$TMP/several"
	read -ra fds < <(tr '\n' ' ' <"$TMP/several")
	until_true 60 seen_exits vms 2000
	finish
	last_ok "two VMs of a process" vms "[.vms[] | select(.pid == $pid) | [.id, .total.exits, .total.skips_coherent,
		.policy]] | sort == ([[\"$pid-${fds[0]}\", 700, 700, \"none\"], [\"$pid-${fds[1]}\", 1300, 1300, \"none\"]] | sort)"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
}

seen_exits() { tail -n 1 "$TMP/$1" | grep -q "\"sum\":{\"total\":{\"exits\":$2,"; }

# More vCPUs than CPUs, and programs that are preempted: what either end saw is counted
test_overcommit() {
	echo full >/sys/kernel/debug/sched/preempt
	monitor over --source tracepoint
	bench -n 20000 -v 4 --pin 0,1
	finish
	last_ok "4 vCPUs on 2 CPUs: exits + lost = 80000, lost below 0.5 %" over \
		'.sum.total.exits + .lost.total == 80000 and .lost.total < 400 and
		(.sum.total | .flushes + .skips == .exits and .skips_coherent == .skips)'
	echo lazy >/sys/kernel/debug/sched/preempt
	note "untimed, because the kernel skipped the program: $(last over .sum.total.untimed)"
}

# Every callback is a flush or a victim, and there is one culprit
test_victims() {
	local runs

	monitor hit --source tracepoint
	callbacks_start
	taskset -c 1 bash -c 'while :; do :; done' &
	bench -n 400 --vfio "${BDF[0]}"
	kill -KILL $!
	wait $! 2>/dev/null
	runs=$(callbacks)
	finish
	told hit "(([.[].victims[].count] | add) // 0) + 400 == $runs" "flushes and victims are all callbacks"
	told hit '[.[].victims[].culprit] | unique | length <= 1 and all(test("^[0-9]+-[0-9]+$"))' "by one VM"
	last_ok "callbacks: on the flushing CPUs, and on others" hit \
		".sum.total.exits == 400 and .sum.total.flushes == 400 and .sum.total.cpus_flushed == $runs"
	callbacks_stop
}

# Other kernels: no such source, no events, no policy, and it is said
test_stock() {
	monitor stock
	bench -n 1000
	finish
	last_ok "no tracepoints: the next source, without a notice" stock \
		'.source == "fentry" and .notice == null and .sum.total.exits == 1000'
	last_ok "no tracepoints: nothing that looks like an answer" stock '.events == null and
		.events_lost == null and .events_why == "this kernel has no such tracepoints" and
		([.vms[].policy] | all(. == null)) and .sum.total.skips_policy == null'
	refused "no tracepoints: the source when it is asked for" 4 'this kernel has no such tracepoints' \
		"$WBINVDTOP" --source tracepoint -b -n 1 -d 0.2
	like "no tracepoints: the log says why" "$("$WBINVDTOP" -b -n 1 -d 0.2 --view log)" \
		'Nothing is logged: this kernel has no such tracepoints'
}

# Without type information: a process is one VM, and what is not certain is not said
test_no_btf() {
	local pid

	printf '%s\n' '#!/bin/bash' "exec unshare -m bash -c 'mkdir -p /run/empty && mount --bind /run/empty \
		/sys/kernel/btf && exec \"\$@\"' bash $WBINVDTOP \"\$@\"" >"$TMP/tool"
	chmod +x "$TMP/tool"
	callbacks_start
	WBINVDTOP=$TMP/tool monitor plain --vcpus
	story
	pid=$(grep -oE '"vm_pid":[0-9]+' "$TMP/plain" | head -n 1 | cut -d : -f 2)
	"$HELPERS/several" 700 1300 >"$TMP/several" &
	until_true 60 test -s "$TMP/several"
	until_true 60 seen_exits plain 34051
	finish
	kill -KILL $!
	wait $! 2>/dev/null
	last_ok "no BTF: every WBINVD once, and why" plain '.source == "tracepoint" and .lost.total == 0 and
		(.sum.total | .exits == 34051 and .flushes == 1051 and .skips_coherent == 3000 and
		.skips_policy == 30000 and .cpus_flushed == 1053 and .stall_ns == null)'
	told plain "[.[].vms[] | select(.pid == $pid) | .policy] | (index([\"pause\"]) // 99) <
		(index([\"force\"]) // -1)" "the policy, by the events"
	told plain '[.[].vms[].pid] | unique | length == 2' "a VM that a thread has made is its process'"
	told plain "[.[].vms[] | select(.pid == $pid) | .devices[] | select(.box == 3) | .certain] | any" "the box"
	last_ok "no BTF: two VMs of a process are not told apart" plain "[.vms[] | select(.name == \"several\") |
		[.id, .total.exits, .noncoherent, .policy]] == [[null, 2000, null, null]]"
	refused "no BTF: another source" 4 'carries no BTF' "$TMP/tool" --source fentry -b -n 1 -d 0.2
	callbacks_stop
}

inside() {
	case $1 in
	series)
		devices
		modprobe iommufd
		test_story
		test_before
		test_two_vms
		test_overcommit
		test_victims
		test_no_btf
		;;
	stock) test_stock ;;
	esac
	done_testing
}

if [[ ${1:-} == --inside ]]; then
	inside "$2"
fi

# ---- outside -----------------------------------------------------------------------------------

helper ncdma
helper several
want_kernel "wbinvdtop on the series" "$KERNEL"
want_btf "wbinvdtop on the series" "$KERNEL"
all_of "$KERNEL" series -k "$KERNEL" ${MODULES:+-M "$MODULES"} -c 2 --tcg single --iommu intel --snoop-control off \
	--device e1000e,bus=pcie.0
all_of stock-6.12 stock -k stock-6.12 -c 1
done_testing
