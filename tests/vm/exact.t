#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# wbinvdtop counts every WBINVD, and says how many it could not count: in every source, on every
# kernel, with more vCPUs than CPUs, beside other users of BPF, without room, and across a reload of KVM. Victims add up to the
# callbacks that the kernel itself counted.
#
# LONG=1 makes all runs 100,000 per vCPU, and runs all parts on every kernel. EXACT_KERNELS: the kernels
# (default: all); EXACT_PARTS: only these of the parts below.
#
# QEMU 7.2 with a thread for each CPU now and then runs code that the kernel is just patching, and creating
# the first VM patches __schedule(): so all CPUs share one thread. EXACT_TCG=multi gives each its own.

# shellcheck disable=SC2016,SC2317 # expressions of jq; functions are passed by name
set -u -o pipefail

# shellcheck source-path=SCRIPTDIR source=live.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/live.sh"

read -ra KERNELS <<<"${EXACT_KERNELS:-stock-6.1 stock-6.12 stock-7.2 base-7.2}"

# ---- inside a VM -------------------------------------------------------------------------------

# counted NAME MONITOR N [AND]: exits + lost = N, and each exit is one flush or one skip in a source that
# knows; AND may ask for more
counted() {
	local outcome='if .source == "fentry" or .source == "kprobe" then .flushes + .skips == .exits
		else .flushes == null and .skips == null end'

	last_ok "$1: exits + lost = $3, flushes + skips = exits" "$2" \
		".sum.total.exits + .lost.total == $3 and
		(.source as \$source | .sum.total | .source = \$source | $outcome) ${4:+and $4}"
}

# whole NAME MONITOR N [AND]: and none is lost
whole() {
	counted "$1: none lost" "$2" "$3" ".lost.total == 0 ${4:+and $4}"
}

# guest NAME DID N VCPUS [OPTION]...: runs one, whose WBINVDs are to be flushes or skips; RUNS gets a line for it
guest() {
	local name=$1 did=$2 n=$3 v=$4 before pid

	before=$(callbacks)
	"$BENCH" -n "$n" -v "$v" "${@:5}" >"$TMP/bench" 2>&1 &
	pid=$!
	wait "$pid" || fail "$name: wbinvdbench" "$(<"$TMP/bench")"
	RUNS+=("$pid $((n * v)) $(($(callbacks) - before)) $did $name")
}

# each NAME MONITOR FILTER: true of the totals of each guest, which ended in one frame; there are $n, $callbacks, $did
each() {
	local run pid n callbacks did name

	for run in "${RUNS[@]}"; do
		read -r pid n callbacks did name <<<"$run"
		judged is "$name: $1" true "$TMP/$2" "[.[].vms[] | select(.pid == $pid and .ended).total] | length == 1 and (.[0] | $3)" \
			-s --argjson n "$n" --argjson callbacks "$callbacks" --arg did "$did"
	done
}

# together N: the sources that work here watch guests of 1, 2 and 4 vCPUs, coherent and not
together() {
	local n=$1 v m before callbacks timed='.untimed == 0 and .mean_ns > 0 and .p50_ns > 0 and .p50_ns <= .p99_ns and
		.p99_ns <= .max_ns and .mean_ns == (.emulation_ns / .exits | floor)'

	RUNS=()
	for m in fentry kprobe exit; do
		monitor "$m" --source "$m" -d 2
	done
	before=$(callbacks)
	for v in 1 2 4; do
		guest "$v vCPUs" skips "$n" "$v" --pin 0-3
		guest "$v vCPUs, non-coherent" flushes "$n" "$v" --pin 0-3 --vfio "${BDF[0]}"
	done
	callbacks=$(($(callbacks) - before))
	finish
	whole "three monitors: exit" exit $((14 * n))
	each "exit" exit '.exits == $n and .flushes == null'
	for m in fentry kprobe; do
		whole "three monitors: $m: of all" "$m" $((14 * n)) \
			".sum.total.flushes == $((7 * n)) and .sum.total.cpus_flushed == $callbacks"
		each "$m: exits, CPUs flushed = runs of $CALLBACK()" "$m" '.exits == $n and .[$did] == $n and
			.flushes + .skips == $n and .cpus_flushed == $callbacks'
	done
	each "fentry: every one timed" fentry "$timed"
	last_ok "three monitors: fentry: every one of all timed" fentry ".sum.total | $timed"
}

# twice N: two monitors with the same source
twice() {
	monitor first --source fentry
	monitor second --source fentry
	bench -n "$1" -v 2
	finish
	whole "two monitors: the first" first $((2 * $1))
	whole "two monitors: the second" second $((2 * $1))
}

# alone SOURCE N: one monitor, vCPUs that no CPU is set for
alone() {
	local source=$1 n=$2

	RUNS=()
	monitor "$source" --source "$source"
	guest "alone" skips "$n" 1
	guest "alone, non-coherent" flushes "$n" 1 --vfio "${BDF[0]}"
	finish
	whole "$source alone" "$source" $((2 * n)) "(.sum.total.flushes | . == null or . == $n)"
	each "$source" "$source" '.exits == $n'
}

# long_flushes SOURCE: each that took longer than the threshold is told of, one by one or in the sum of those that are not
long_flushes() {
	local source=$1 n=25 pid

	rm -f "$TMP/long"
	"$WBINVDTOP" -b -d 0.5 --source "$source" --threshold 1 >"$TMP/long" 2>&1 &
	pid=$!
	until_true 300 grep -qs "source $source" "$TMP/long"
	bench -n "$n" --vfio "${BDF[0]}"
	sleep 1
	kill -TERM "$pid"
	wait "$pid"
	is "$source: flushes longer than the threshold" \
		"$(awk '/long flush/ { n++ } / more flushes / { n += $1 } END { print n + 0 }' "$TMP/long")" "$n"
}

# ---- every kind of loss --------------------------------------------------------------------------

# runs of the begin programs that the kernel skipped, by its own account
begin_misses() {
	bpftool -j prog show 2>/dev/null |
		jq '[.[] | select(.name == "fe_begin" or .name == "fe_emul_begin") | .recursion_misses // 0] | add // 0'
}

# preemptible: so that tasks are preempted inside system calls, and programs
preemptible() {
	if ! grep -q '(full)\|(lazy)' /sys/kernel/debug/sched/preempt; then
		echo full >/sys/kernel/debug/sched/preempt
	fi
	note "preemption: $(</sys/kernel/debug/sched/preempt)"
}

# overcommit N [BDF]: four vCPUs on two CPUs of a kernel that preempts programs
overcommit() {
	local n=$((4 * $1)) bdf=${2:-} name misses none=flushes

	name="4 vCPUs on 2 CPUs${bdf:+, non-coherent}"
	[[ ! $bdf ]] || none=skips
	preemptible
	monitor fentry --source fentry
	monitor kprobe --source kprobe
	monitor exit --source exit
	bench -n "$1" -v 4 --pin 0,1 ${bdf:+--vfio "$bdf"}
	misses=$(begin_misses)
	finish
	whole "$name: kprobe" kprobe "$n"
	whole "$name: exit" exit "$n"
	counted "$name: fentry: lost less than 0.5 %, no $none" fentry "$n" \
		".lost.total * 200 < $n and .sum.total.$none == 0"
	if ((misses)); then
		note "$misses begins were skipped, $(last fentry .lost.total) exits lost, $(last fentry .sum.total.untimed) untimed"
		last_ok "$name: fentry: exits with one end are untimed" fentry \
			".sum.total.untimed > 0 and .sum.total.untimed + .lost.total >= $misses"
	else
		skip "$name: fentry: exits with one end are untimed" "the kernel skipped no program"
	fi
}

# hammered N [BDF]: vCPUs on CPUs where other processes look through BPF maps all the time. While they
# are preempted in that, the kernel skips what is attached to kprobes.
hammered() {
	local n=$((2 * $1)) bdf=${2:-} name hammer none=flushes

	name="BPF maps in use${bdf:+, non-coherent}"
	[[ ! $bdf ]] || none=skips
	preemptible
	monitor fentry --source fentry
	monitor kprobe --source kprobe
	monitor exit --source exit
	"$HELPERS/hammer" 0 1 &
	hammer=$!
	bench -n "$1" -v 2 --pin 0,1 ${bdf:+--vfio "$bdf"}
	kill "$hammer"
	wait "$hammer"
	finish
	whole "$name: exit" exit "$n"
	counted "$name: fentry: lost less than 0.5 %, no $none" fentry "$n" \
		".lost.total * 200 < $n and .sum.total.$none == 0"
	counted "$name: kprobe: no $none" kprobe "$n" ".sum.total.$none == 0"
	note "$name: kprobe lost $(last kprobe .lost.total) of $n, $(last kprobe .sum.total.untimed) untimed"
}

# no_room N: a map of 2 entries and four vCPUs
no_room() {
	local n=$((4 * $1)) source

	for source in fentry kprobe exit insn; do
		monitor "$source" --source "$source" --map-entries 2
		bench -n "$1" -v 4 --pin 0-3
		finish
		counted "map of 2 entries: $source: some counted, some lost" "$source" "$n" \
			".lost.total > 0 and .sum.total.exits > 0"
	done
}

# reloaded N: KVM unloaded and loaded again under the monitor
reloaded() {
	local n=$1 status=0 text

	tmux -L reload -f /dev/null new-session -d -x 100 -y 30 "$WBINVDTOP -d 0.3 --source kprobe"
	monitor kprobe --source kprobe
	bench -n "$n"
	modprobe -r kvm_amd kvm || status=$?
	is "reload: kprobe lets KVM go" "$status $([[ -d /sys/module/kvm ]] && echo loaded)" "0 "
	soon shows_unloaded
	verdict "reload: the unload is shown" $? "$(tmux -L reload capture-pane -p)"
	modprobe kvm_amd
	soon shows_loaded
	verdict "reload: the new load is shown" $? "$(tmux -L reload capture-pane -p)"
	bench -n $((2 * n))
	finish
	tmux -L reload kill-server
	whole "reload: kprobe" kprobe $((3 * n))

	monitor fentry --source fentry
	bench -n "$n"
	modprobe -r kvm_amd
	status=0
	rmmod kvm 2>"$TMP/rmmod" || status=$?
	like "reload: fentry holds kvm.ko" "$status $(<"$TMP/rmmod")" '^1 .*in use'
	modprobe kvm_amd
	bench -n "$n"
	finish
	whole "reload: fentry, the vendor module alone" fentry $((2 * n))
}

shows_unloaded() { tmux -L reload capture-pane -p | grep -q 'KVM was unloaded'; }
shows_loaded() { tmux -L reload capture-pane -p | grep -q 'KVM was loaded again'; }

# ---- victims -------------------------------------------------------------------------------------

# spin CPU: a busy task that stays there
spin() {
	taskset -c "$1" bash -c 'while :; do :; done' &
	SPINNERS+=($!)
}

# flusher NAME BDF CPU CPU: a non-coherent VM whose vCPU goes to and fro between two CPUs. A flush
# reaches the CPUs that the vCPU was on since the last one, so it has to have something to do between
# two of them, and takes its time, so that it is moved often however busy the machine is.
flusher() {
	taskset -c "$3,$4" "$BENCH" -n "$FLUSHES" --rate 200 --dirty 1 --vfio "$2" >"$TMP/$1" 2>&1 &
	FLUSHERS+=($!)
	"$HELPERS/hop" $! vcpu/0 "$3" "$4" &
	HOPPERS+=($!)
}


# finish_victims MONITOR: ends it; its last frame then has the victims of all frames, added up
finish_victims() {
	finish
	jq -cs '[.[].victims[]] | group_by([.kind, .pid, .name, .culprit]) |
		map(.[0] + {count: map((.delta // .).count) | add, stall_ns: map((.delta // .).stall_ns) | add})' \
		"$TMP/$1" >"$TMP/$1.victims"
	jq -c --slurpfile v "$TMP/$1.victims" '.victims = $v[0]' "$TMP/$1.last" >"$TMP/$1.summed"
	mv "$TMP/$1.summed" "$TMP/$1.last"
}

# victims: who was stalled, by whom, against the callbacks that the kernel counted
victims() {
	local before after a b

	SPINNERS=() FLUSHERS=() HOPPERS=()
	spin 2
	monitor fentry --source fentry
	before=$(callbacks)
	flusher a "${BDF[0]}" 0 2
	wait "${FLUSHERS[0]}" "${HOPPERS[0]}"
	after=$(callbacks)
	finish_victims fentry
	whole "one flusher" fentry "$FLUSHES"
	last_ok "one flusher: victims + flushes = $((after - before)) callbacks" fentry \
		"([.victims[].count] | add // 0) + .sum.total.flushes == $((after - before))"
	last_ok "one flusher: every victim names it" fentry \
		"(.victims | length > 0) and all(.victims[]; .culprit | startswith(\"${FLUSHERS[0]}-\"))"
	last_ok "one flusher: the spinner is among them" fentry \
		"[.victims[] | select(.pid == ${SPINNERS[0]} and .kind == \"task\" and .count > 0 and .stall_ns > 0)] | length == 1"
	last_ok "one flusher: the stalls are the VM's" fentry \
		'([.victims[].stall_ns] | add) == (.sum.total | .stall_ns + .stall_idle_ns)'

	# Two, each with a CPU of its own to interrupt.
	FLUSHERS=() HOPPERS=()
	spin 3
	monitor fentry --source fentry
	before=$(callbacks)
	flusher a "${BDF[0]}" 0 2
	flusher b "${BDF[1]}" 1 3
	wait "${FLUSHERS[@]}" "${HOPPERS[@]}"
	after=$(callbacks)
	finish_victims fentry
	a=${FLUSHERS[0]} b=${FLUSHERS[1]}
	whole "two flushers" fentry $((2 * FLUSHES))
	last_ok "two flushers: victims + flushes = $((after - before)) callbacks" fentry \
		"([.victims[].count] | add // 0) + .sum.total.flushes == $((after - before))"
	last_ok "two flushers: the spinner on CPU 2 was stalled by the one that was there" fentry \
		"[.victims[] | select(.pid == ${SPINNERS[0]}) | .culprit] | length == 1 and (.[0] | startswith(\"$a-\"))"
	last_ok "two flushers: the spinner on CPU 3 by the other" fentry \
		"[.victims[] | select(.pid == ${SPINNERS[1]}) | .culprit] | length == 1 and (.[0] | startswith(\"$b-\"))"

	# Two that interrupt the same CPU: one of them, or shared, never nobody.
	FLUSHERS=() HOPPERS=()
	monitor fentry --source fentry
	before=$(callbacks)
	flusher a "${BDF[0]}" 0 2
	flusher b "${BDF[1]}" 1 2
	wait "${FLUSHERS[@]}" "${HOPPERS[@]}"
	after=$(callbacks)
	finish_victims fentry
	kill "${SPINNERS[@]}"
	ok "two flushers of one CPU: no frame has a culprit without a name" \
		jq -es 'all(.[].victims[]; .culprit != null)' "$TMP/fentry"
	a=${FLUSHERS[0]} b=${FLUSHERS[1]}
	last_ok "two flushers of one CPU: victims + flushes = $((after - before)) callbacks" fentry \
		"([.victims[].count] | add // 0) + .sum.total.flushes == $((after - before))"
	last_ok "two flushers of one CPU: the spinner's culprits" fentry \
		"[.victims[] | select(.pid == ${SPINNERS[0]}) | .culprit] |
		any(.[]; startswith(\"$a-\")) and any(.[]; startswith(\"$b-\")) and
		all(.[]; startswith(\"$a-\") or startswith(\"$b-\") or . == \"shared\")"
	last_ok "two flushers of one CPU: the spinner off that CPU was not stalled" fentry \
		"all(.victims[]; .pid != ${SPINNERS[1]})"
}

# ---- one VM ----------------------------------------------------------------------------------------

part_sources() {
	local source

	together "$N"
	for source in fentry kprobe exit insn; do
		alone "$source" "$FEW"
		[[ $source == insn ]] || long_flushes "$source"
	done
	twice "$FEW"
}

part_room() {
	no_room 500
}

part_victims() {
	victims
}

part_overcommit() {
	overcommit "$N"
	overcommit "$FEW" "${BDF[0]}"
}

part_hammer() {
	hammered "$FEW"
	hammered "$FEW" "${BDF[0]}"
}

part_reload() {
	callbacks_stop
	reloaded "$FEW"
}

# inside N PART...
inside() {
	local part

	N=$1 FEW=2000 FLUSHES=500
	shift
	[[ ! $LONG ]] || FEW=$N FLUSHES=5000
	callbacks_start || exit
	devices || exit
	for part; do
		"part_$part"
	done
	done_testing
}

# shellcheck disable=SC2086 # a list
[[ ${1:-} != --inside ]] || inside $2

{ helper hop && helper hammer; } || exit
ALL='sources room victims overcommit hammer reload'
for kernel in "${KERNELS[@]}"; do
	n=5000
	case $kernel in
	stock-6.1) parts='sources victims reload' ;;
	stock-6.12) parts=$ALL n=25000 ;;
	stock-7.2) parts='sources victims overcommit hammer' ;;
	*) parts=sources ;;
	esac
	[[ ! $LONG ]] || parts=$ALL n=100000
	all_of "$kernel" "$n ${EXACT_PARTS:-$parts}" -k "$kernel" -c 4 --tcg "${EXACT_TCG:-single}" --snoop-control off --device e1000e \
		--device e1000e
done
done_testing
